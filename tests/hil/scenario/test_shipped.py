"""Every scenario that is shipped, on virtual time."""

import re
from pathlib import Path

import pytest

from hil.scenario import load_scenario, run

ROOT = Path(__file__).resolve().parents[3]
DOCS = ROOT / "docs"
SCENARIOS = sorted((ROOT / "hil" / "scenarios").glob("*.yaml"))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_its_assertions_hold(path: Path) -> None:
    outcome = run(load_scenario(path))
    assert outcome.checks, "asserts nothing"
    assert outcome.holds, "\n".join(f"{c.text}: {c.found}" for c in outcome.checks if not c.holds)


def test_the_example_of_the_documentation_holds(tmp_path: Path) -> None:
    (tmp_path / "sites").symlink_to(ROOT / "hil" / "scenarios" / "sites")
    (example,) = re.findall(r"```yaml\n(title: .*?)```", (DOCS / "scenarios.md").read_text(), re.DOTALL)
    (tmp_path / "example.yaml").write_text(example)
    test_its_assertions_hold(tmp_path / "example.yaml")


def test_there_are_enough() -> None:
    assert len(SCENARIOS) >= 25


def rows(page: str) -> dict[str, str]:
    """Rows of the tables of a page, by their first cell."""
    lines = (DOCS / page).read_text().splitlines()
    return {line.split(" | ")[0].removeprefix("| "): line for line in lines if line.startswith("| ")}


def shown() -> dict[str, set[str]]:
    """What scenarios are examples of, with their names."""
    by_text: dict[str, set[str]] = {}
    for path in SCENARIOS:
        for text in load_scenario(path).shows:
            by_text.setdefault(text, set()).add(path.stem)
    return by_text


def test_each_row_of_the_troubleshooting_table_is_shown_by_a_scenario() -> None:
    examples = shown()
    for row, line in rows("troubleshooting.md").items():
        if row == "You see" or "`hil " in row:  # of a command, not of a site
            continue
        assert row in examples, "no scenario shows this"
        named = set(re.findall(r"\.\./hil/scenarios/(\w+)\.yaml", line))
        assert named <= examples[row], f"{row}: another scenario shows this"


def test_each_fault_of_the_bridge_is_shown_by_a_scenario() -> None:
    page = (DOCS / "hardware.md").read_text()
    table = page.partition("| fault | EVerest error")[2].partition("\n\n")[0]
    faults = [line.split(" | ")[0].removeprefix("| ") for line in table.splitlines() if line.startswith("| ")]
    assert len(faults) >= 3
    assert not set(faults) - shown().keys()

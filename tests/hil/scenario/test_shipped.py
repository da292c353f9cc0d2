"""Every scenario that is shipped, on virtual time."""

from pathlib import Path

import pytest

from hil.scenario import load_scenario, run

SCENARIOS = sorted((Path(__file__).resolve().parents[3] / "hil" / "scenarios").glob("*.yaml"))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_its_assertions_hold(path: Path) -> None:
    outcome = run(load_scenario(path))
    assert outcome.checks, "asserts nothing"
    assert outcome.holds, "\n".join(f"{c.text}: {c.found}" for c in outcome.checks if not c.holds)


def test_there_are_enough() -> None:
    assert len(SCENARIOS) >= 25


def test_each_row_of_the_troubleshooting_table_is_shown_by_one() -> None:
    docs = Path(__file__).resolve().parents[3] / "docs" / "troubleshooting.md"
    rows = [
        line.split(" | ")[0].removeprefix("| ")
        for line in docs.read_text().splitlines()
        if line.startswith("| ")
    ]
    shown = {text for path in SCENARIOS for text in load_scenario(path).shows}
    missing = [
        row for row in rows[1:] if row not in shown and "`hil " not in row
    ]  # of a site, not of a command
    assert not missing

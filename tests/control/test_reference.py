"""The reference of settings in the documentation is the one that the code has."""

from pathlib import Path

import yaml

from control.reference import reference

ROOT = Path(__file__).parents[2]
MANIFEST = yaml.safe_load((ROOT / "manifest.yaml").read_text())


def test_the_page_in_the_documentation_is_current() -> None:
    assert (ROOT / "docs/configuration.md").read_text() == reference(MANIFEST), (
        "run: ./dev python -m control.reference > docs/configuration.md"
    )


def test_every_key_of_the_manifest_has_a_row() -> None:
    page = reference(MANIFEST)
    assert [key for key in MANIFEST["config"] if f"| `{key}` |" not in page] == []


def test_a_quantity_says_how_it_is_written() -> None:
    assert "| `fuse` | a current, e.g. 16 A |  | Rating, per phase. |" in reference(MANIFEST)

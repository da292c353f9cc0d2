"""The table of devices, on the terminal and in the documentation."""

from pathlib import Path

from bsp.profile import profile_names
from hil.field.catalog import markdown, rows
from tests.hil.cli import hil

PAGE = Path(__file__).resolve().parents[2] / "docs" / "devices.md"


def test_the_page_in_the_documentation_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == markdown(rows()), (
        "profiles have changed: ./dev hil devices --markdown > docs/devices.md"
    )


def test_every_profile_has_its_row_with_verification_and_source() -> None:
    page = markdown(rows())
    for kind in ("meters", "connectors", "relays"):
        for name in profile_names(kind):
            assert f"| `{name}` |" in page
    assert all(row.verified and row.source for row in rows())


def test_devices_are_found_by_a_part_of_their_name() -> None:
    outcome = hil("devices", "sdm630")
    assert outcome.code == 0
    assert "eastron_sdm630" in outcome.out
    assert "alfen" not in outcome.out
    assert hil("devices", "nothing_like_it").code == 1

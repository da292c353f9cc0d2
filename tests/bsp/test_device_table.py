"""The documentation has a row for every profile."""

from pathlib import Path

import bsp
from bsp.device_table import device_table
from bsp.profile import profile_names

ROOT = Path(bsp.__file__).parent.parent


def test_the_page_is_that_of_the_profiles() -> None:
    shipped = (ROOT / "docs" / "devices.md").read_text(encoding="utf-8")
    assert shipped == device_table(), "make it again: python -m bsp.device_table > docs/devices.md"


def test_every_profile_has_one_row() -> None:
    rows = [line.split("|")[1].strip() for line in device_table().splitlines() if line.startswith("| `")]
    names = [*profile_names("meters"), *profile_names("connectors"), *profile_names("relays")]
    assert sorted(rows) == sorted(f"`{name}`" for name in names)


def test_a_charger_that_keeps_its_limit_for_ever_is_marked() -> None:
    row = next(line for line in device_table().splitlines() if line.startswith("| `evse_din_wb`"))
    assert "**none**" in row

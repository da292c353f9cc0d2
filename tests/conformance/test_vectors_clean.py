"""Trees on which EVerest's optimizer does nothing wrong: our results are drop-in replacements for its own."""

from __future__ import annotations

import pytest

from tests.conformance.vectors import load, run, value
from tests.energy_management.checker import check
from tests.energy_management.problem import DEFAULTS, Json

SLICE_A = 0.5  # what EVerest trades at a time, and so how far it may be off the exact share
WATTS_PER_AMPERE = 3 * DEFAULTS["nominal_ac_voltage"]


@pytest.mark.parametrize("case", load("clean.jsonl.gz"), ids=lambda case: case["name"])
def test_agrees_with_everest(case: Json) -> None:
    (found,) = run(case)
    assert found.theirs is not None
    assert [entry["uuid"] for entry in found.ours] == [entry["uuid"] for entry in found.theirs]
    for ours, theirs in zip(found.ours, found.theirs, strict=True):
        assert ours.keys() == theirs.keys()
        assert ours["valid_for"] == theirs["valid_for"]
        assert isinstance(ours["valid_for"], int)
        assert [slot["timestamp"] for slot in ours["schedule"]] == [
            slot["timestamp"] for slot in theirs["schedule"]
        ]
        assert_same_limits(ours["limits_root_side"], theirs["limits_root_side"])
        for our_slot, their_slot in zip(ours["schedule"], theirs["schedule"], strict=True):
            assert our_slot.keys() == their_slot.keys()
            assert_same_limits(our_slot["limits_to_root"], their_slot["limits_to_root"])
    assert check(found.request, case["config"], {}, found.ours, found.now) == []


def assert_same_limits(ours: Json, theirs: Json) -> None:
    assert ours.keys() == theirs.keys()
    for name in ours:
        assert ours[name].keys() == theirs[name].keys()
        assert set(ours[name]["source"].split(",")) == set(theirs[name]["source"].split(","))
    assert ours["ac_max_phase_count"]["source"] == theirs["ac_max_phase_count"]["source"]
    assert value(ours, "ac_max_phase_count") == value(theirs, "ac_max_phase_count")
    assert isinstance(value(ours, "ac_max_phase_count"), int)
    assert abs(value(ours, "ac_max_current_A") - value(theirs, "ac_max_current_A")) < SLICE_A
    if "total_power_W" in ours:
        difference_W = value(ours, "total_power_W") - value(theirs, "total_power_W")
        assert abs(difference_W) < SLICE_A * WATTS_PER_AMPERE

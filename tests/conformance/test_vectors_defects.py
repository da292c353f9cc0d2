"""Requests that EVerest's optimizer answers wrongly, with the answers that are wanted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from tests.conformance.vectors import load, run, value
from tests.energy_management.checker import check
from tests.energy_management.problem import Json

NAMES = {"A": "ac_max_current_A", "W": "total_power_W", "ph": "ac_max_phase_count"}
SERVED_A = 6.0


def total(result: Sequence[Json], name: str) -> float:
    return sum(value(entry["limits_root_side"], NAMES[name]) or 0.0 for entry in result)


def served(result: Sequence[Json]) -> int:
    amps = [value(entry["limits_root_side"], NAMES["A"]) for entry in result]
    return sum(current >= SERVED_A for current in amps)


def assert_expected(result: Sequence[Json], expect: Json) -> None:
    """Check one expectation: `_...` keys speak of the whole result, the others of one EVSE each."""
    by_uuid = {entry["uuid"]: entry["limits_root_side"] for entry in result}
    for key, wanted in expect.items():
        if key == "_served":
            assert served(result) == wanted
        elif key.startswith("_sum"):
            name = "W" if key.startswith("_sumW") else "A"
            within_limit = total(result, name) <= wanted + 1e-6 * wanted
            assert within_limit if key.endswith("_max") else total(result, name) >= wanted
        elif key == "_slots":
            assert {len(entry["schedule"]) for entry in result} == {wanted}
        elif key == "_first_slot":
            assert {entry["schedule"][0]["timestamp"] for entry in result} == {wanted}
        else:
            found: dict[str, Any] = {name: value(by_uuid[key], NAMES[name]) for name in wanted}
            assert found == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("defect", load("defects.json.gz"), ids=lambda defect: defect["key"])
def test_gives_what_is_wanted(defect: Json) -> None:
    expectations = defect["expect"] if isinstance(defect["expect"], list) else [defect["expect"]]
    runs = run(defect["case"])
    for found, expect in zip(runs, expectations, strict=True):
        assert_expected(found.ours, expect)
        assert check(found.request, defect["case"]["config"], {}, found.ours, found.now) == []

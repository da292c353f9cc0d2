"""A short run of the fuzzer; `python -m tests.energy_management.fuzz` makes a long one."""

from __future__ import annotations

import copy
import random

import pytest

from tests.energy_management import fuzz
from tests.energy_management.problem import Json
from tests.energy_management.trees import evse, node


@pytest.mark.parametrize("seed", range(1, 5))
def test_no_damaged_request_does_harm(seed: int, capsys: pytest.CaptureFixture[str]) -> None:
    failed = fuzz.fuzz(seed=seed, count=250)
    assert not failed, capsys.readouterr().err


REQUEST = node("fuse", [node("inner", [evse("a"), evse("b")], A=16)], A=fuzz.FUSE_A, W=fuzz.FUSE_W)


def a_result(current_A: float) -> list[Json]:
    limits = {
        "ac_max_current_A": {"value": current_A, "source": ""},
        "ac_max_phase_count": {"value": 3, "source": ""},
    }
    slot = {"timestamp": "2026-03-01T10:00:00.000Z", "limits_to_root": limits}
    return [
        {"uuid": uuid, "valid_for": 10, "limits_root_side": limits, "schedule": [slot]} for uuid in ("a", "b")
    ]


def test_the_fuzzer_sees_an_exceeded_fuse() -> None:
    assert fuzz.faults_of_result(a_result(8.0), REQUEST, {}, every_limit=True) == []
    assert "inner" in fuzz.faults_of_result(a_result(9.0), REQUEST, {}, every_limit=True)[0]
    assert "main fuse" in fuzz.faults_of_result(a_result(13.0), REQUEST, {}, every_limit=False)[0]
    assert "main fuse" in fuzz.faults_of_result(a_result(-13.0), REQUEST, {}, every_limit=False)[0]


def test_the_fuzzer_sees_a_result_that_is_not_json() -> None:
    with pytest.raises(ValueError, match="Out of range float"):
        fuzz.faults_of_result(a_result(float("nan")), REQUEST, {}, every_limit=False)


def test_most_cases_are_damaged_and_all_differ() -> None:
    originals = [copy.deepcopy(REQUEST) for _ in range(100)]
    broken = [fuzz.damaged(request, random.Random(seed))[0] for seed, request in enumerate(originals)]
    assert all(request == REQUEST for request in originals)
    assert sum(repr(request) != repr(REQUEST) for request in broken) >= 90
    assert len({repr(request) for request in broken}) >= 85

"""A share that rises waits for limits that have not arrived; no other one does."""

from typing import Any

import pytest

from control.caution import held_back, late, rising

Side = dict[str, Any]


def side(A: float | None = None, W: float | None = None, phases: int | None = 3) -> Side:
    named = {"ac_max_current_A": A, "total_power_W": W, "ac_max_phase_count": phases}
    return {name: {"value": value, "source": "test"} for name, value in named.items() if value is not None}


def decision(**sides: Side) -> list[dict[str, Any]]:
    return [{"uuid": uuid, "valid_for": 10, "limits_root_side": each} for uuid, each in sides.items()]


@pytest.mark.parametrize(
    ("present", "decided", "does_rise"),
    [
        (None, side(A=6), True),
        (None, side(A=0), False),
        (side(A=10), side(A=16), True),
        (side(A=16), side(A=10), False),
        (side(A=16), side(A=16), False),
        (side(A=16, phases=1), side(A=16, phases=3), True),
        (side(A=16), side(A=8, W=5520), False),  # a bound that comes in addition allows nothing more
        (side(A=16, W=5520), side(A=16), True),  # one that is dropped does
        (side(A=16, W=5520), side(A=16, W=11040), True),
    ],
)
def test_what_is_a_rise(present: Side | None, decided: Side, does_rise: bool) -> None:
    assert rising(decision(a=decided), {"a": present}.get) == ({"a"} if does_rise else set())


def test_who_has_not_taken_a_lower_limit_is_late_with_what_it_has() -> None:
    present = {"a": side(A=16), "b": side(A=8)}
    assert late(decision(a=side(A=8), b=side(A=8)), present.get) == {"a": side(A=16)}


def test_who_rises_gets_what_is_left_for_certain() -> None:
    decided, careful = decision(a=side(A=8), b=side(A=24)), decision(a=side(A=16), b=side(A=16))
    sent = held_back(decided, careful, {"b"}, {"a": side(A=16), "b": side(A=10)}.get)
    assert [each["limits_root_side"] for each in sent] == [side(A=8), side(A=16)]


def test_who_rises_keeps_what_it_has() -> None:
    decided, careful = decision(a=side(A=8), b=side(A=24)), decision(a=side(A=32), b=side(A=0))
    sent = held_back(decided, careful, {"b"}, {"b": side(A=10)}.get)
    assert sent[1]["limits_root_side"] == side(A=10)


def test_who_falls_or_stays_is_never_lowered_further() -> None:
    decided, careful = decision(a=side(A=8), b=side(A=8)), decision(a=side(A=16), b=side(A=0))
    assert held_back(decided, careful, set(), {"a": side(A=16), "b": side(A=16)}.get) == decided

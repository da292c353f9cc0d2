"""What limits allow, and which of two allows more."""

from typing import Any

import pytest

from control.caution import allowed, allows_more, loosest
from energy_management import InForce

Side = dict[str, Any]


def side(A: float | None = None, W: float | None = None, phases: int | None = 3) -> Side:
    named = {"ac_max_current_A": A, "total_power_W": W, "ac_max_phase_count": phases}
    return {name: {"value": value, "source": "test"} for name, value in named.items() if value is not None}


@pytest.mark.parametrize(
    ("limits", "other", "is_more"),
    [
        (side(A=0), side(A=0, phases=None), False),
        (side(A=0), side(A=-16), False),  # export is no import
        (side(A=16), side(A=10), True),
        (side(A=10), side(A=16), False),
        (side(A=16), side(A=16), False),
        (side(A=16, phases=3), side(A=16, phases=1), True),
        (side(A=8, W=5520), side(A=16), False),  # a bound that comes in addition allows nothing more
        (side(A=16), side(A=16, W=5520), True),  # one that is dropped does
        (side(A=16, W=11040), side(A=16, W=5520), True),
    ],
)
def test_which_allows_more(limits: Side, other: Side, is_more: bool) -> None:
    assert allows_more(limits, other) == is_more


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        (side(A=16), InForce(16, 3)),
        (side(A=16, phases=1), InForce(16, 1)),
        (side(A=16, phases=None), InForce(16, 3)),
        (side(A=16, W=5520), InForce(8, 3)),
        (side(W=3680, phases=1), InForce(16, 1)),
        (side(A=-16), InForce(0, 3)),
    ],
)
def test_in_the_words_of_the_allocation(limits: Side, expected: InForce) -> None:
    assert allowed(limits, 230) == expected


def test_of_two_that_may_be_in_force_neither_counts_for_less() -> None:
    assert loosest(side(A=16, phases=1), side(A=8, phases=3)) == side(A=16, phases=3)
    assert loosest(side(A=16), side(A=8, W=5520)) == side(A=16)
    assert loosest(side(A=0, phases=None), side(A=8, phases=1)) == side(A=8, phases=1)

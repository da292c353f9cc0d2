"""A car that was offered current only just now has not refused it."""

import pytest

from bsp.waking import WAKES_WITHIN_S, Waking

NONE, OFFER = 0.0, 10.0


def said(*looks: tuple[str, float | None], every_s: float = 1.0) -> list[bool]:
    waking = Waking()
    return [
        waking.may_begin(100.0 + n * every_s, state, limit_A)  # type: ignore[arg-type]
        for n, (state, limit_A) in enumerate(looks)
    ]


@pytest.mark.parametrize(
    ("looks", "may_begin"),
    [
        ([("B", NONE), ("B", OFFER), ("B", OFFER), ("C", OFFER)], [False, True, True, False]),
        ([("B", OFFER), ("C", OFFER), ("B", OFFER)], [True, False, False]),  # it has stopped by itself
        ([("B", OFFER), ("C", OFFER), ("B", NONE), ("B", OFFER)], [True, False, False, True]),
        ([("C", OFFER), ("B", OFFER), ("A", OFFER), ("B", OFFER)], [False, False, False, True]),
        ([("B", None), ("F", OFFER)], [False, False]),
    ],
    ids=["an offer after none", "full", "a pause of ours", "another car", "nothing known"],
)
def test_who_may_still_begin(looks: list[tuple[str, float | None]], may_begin: list[bool]) -> None:
    assert said(*looks) == may_begin


def test_who_does_not_begin_within_a_minute_does_not_want() -> None:
    count = int(WAKES_WITHIN_S)
    assert said(*[("B", OFFER)] * (count + 2)) == [True] * count + [False] * 2

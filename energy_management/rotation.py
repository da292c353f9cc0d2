"""Whose turn it is when not all minimum currents fit: everybody's, one interval after the other."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from energy_management.coverage import Ints
from energy_management.demand import WAITS, WANTS, Demand
from energy_management.state import EvseState

_IN_TURN, _IN_QUEUE, _TURN_OVER = 0, 1, 2

ASKED_AGAIN_S = 1800.0
"""A car that was offered its minimum and did not draw, full or on its own timer, is asked again after this.

While its EVSE waits it cannot say whether it wants: full cars would take each other's turns away for ever.
"""


class Queue:
    """The order of admission, which is found only when somebody has to know it."""

    def __init__(self, demand: Demand, states: Sequence[EvseState], monotonic_s: float) -> None:
        self._find = partial(order_of_admission, demand, states, monotonic_s)
        self._found: Ints | None = None

    def __call__(self) -> Ints:
        """List all EVSEs, the first to be served first."""
        if self._found is None:
            self._found = self._find()
        return self._found

    def has_moved(self) -> bool:
        """Whether it was needed, and would be another by now."""
        return self._found is not None and bool((self._found != self._find()).any())


def order_of_admission(demand: Demand, states: Sequence[EvseState], monotonic_s: float) -> Ints:
    """All EVSEs in the order in which their minima are served.

    By urgency and priority; then those in their turn, those who wait, the longest first, and those whose
    turn is over, the one served longest last; among equals who has had fewer turns. Whose car has declined
    lately is no more urgent than one whose car does not draw at present.
    """
    ranks = [_rank(state, monotonic_s) for state in states]
    stage = np.array([stage for stage, _ in ranks])
    since = np.array([since for _, since in ranks])
    turns = np.array([state.turns for state in states])
    declined = np.array([_has_declined(state, monotonic_s) for state in states])
    urgency = np.where(declined & (demand.urgency == WANTS), WAITS, demand.urgency)
    return np.lexsort((turns, since, stage, -demand.priority, urgency))


def _has_declined(state: EvseState, monotonic_s: float) -> bool:
    return state.declined_at is not None and monotonic_s < state.declined_at + ASKED_AGAIN_S


def _rank(state: EvseState, monotonic_s: float) -> tuple[int, float]:
    if state.served_since is None:
        return _IN_QUEUE, monotonic_s if state.waiting_since is None else state.waiting_since
    turn_over = state.turn_ends is not None and state.turn_ends <= monotonic_s
    return _TURN_OVER if turn_over else _IN_TURN, -state.served_since


def take_turns(
    states: Sequence[EvseState],
    asks: Sequence[bool],
    served: Sequence[bool],
    evse_states: Sequence[str],
    *,
    monotonic_s: float,
    interval_s: float,
) -> None:
    """Remember who is served and who waits; while somebody waits, those served have turns that end.

    Parameters
    ----------
    asks, served : sequence of bool
        Who wants a minimum current now, and who of them has it.
    evse_states : sequence of str
        What each makes of what it has.
    """
    contended = asks != served
    for state, wants, has, told in zip(states, asks, served, evse_states, strict=True):
        was_served = state.served_since is not None
        if not wants or (has and told == "Charging"):
            state.declined_at = None
        elif (has or was_served) and told == "PausedEV" and not _has_declined(state, monotonic_s):
            state.declined_at = monotonic_s
        if not wants:
            state.served_since = state.waiting_since = state.turn_ends = None
            state.turns = 0
        elif not has:
            state.served_since = state.turn_ends = None
            if state.waiting_since is None:
                state.waiting_since = monotonic_s
        else:
            state.waiting_since = None
            if state.served_since is None:
                state.served_since = monotonic_s
                state.turn_ends = None
            if not contended:
                state.turn_ends = None
            elif state.turn_ends is None or state.turn_ends <= monotonic_s:
                state.turn_ends = monotonic_s + interval_s
                state.turns += 1

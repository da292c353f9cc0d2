"""Who is served when the minimum currents do not all fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from energy_management.balancing import unopposed
from energy_management.constraints import TOLERANCE, Network
from energy_management.coverage import Bools, Floats, Ints, exists

Order = Callable[[], Ints]
"""Finds the order in which EVSEs are admitted. Mostly all minima fit, and nobody needs to know."""


@dataclass(frozen=True)
class Admission:
    """Arrays over (EVSE, slot).

    Attributes
    ----------
    served : ndarray of bool
        Its minimum fits beside those of all that come before it.
    dropped : ndarray of bool
        It is served because its minimum fits on fewer phases.
    """

    served: Bools
    dropped: Bools


def admit(
    network: Network,
    current_A: Floats,
    minimum_A: Floats,
    candidates: Bools,
    order: Order,
    *,
    fewer: Network | None = None,
) -> Admission:
    """Admit as many candidates as fit, in an order; nobody who fits waits for one who does not.

    Parameters
    ----------
    network : Network
        The constraints.
    current_A : ndarray, shape (evses, slots)
        What others have already; 0 for the candidates.
    minimum_A : ndarray, shape (evses, slots)
        What a candidate needs.
    candidates : ndarray of bool, shape (evses, slots)
        Who asks.
    order : callable
        Find all EVSEs, the first to be served first.
    fewer : Network or None
        The constraints when those who may switch charge on fewer phases, which they do rather than wait.
    """
    served = candidates & network.allows(minimum_A)
    dropped = np.zeros(served.shape, dtype=np.bool_)
    exceeded = network.load(np.where(served, minimum_A, current_A)) > network.full_at
    contested = candidates & network.concerned(exceeded) if exists(exceeded) else dropped.copy()
    if fewer is not None:
        contested |= candidates & ~served
    if not exists(contested):
        return Admission(served, dropped)
    if network.has_opposing:
        return _admit_balanced(network, current_A, minimum_A, candidates, order, fewer=fewer)
    served &= ~contested
    room = network.full_at - network.load(np.where(served, minimum_A, current_A))
    in_order = order()
    for evse in in_order[contested[in_order].any(axis=1)].tolist():
        fits = _take(room, network, evse, minimum_A[evse], contested[evse])
        if fewer is not None:
            dropped[evse] = _take(room, fewer, evse, minimum_A[evse], contested[evse] & ~fits)
        served[evse] |= fits | dropped[evse]
    return Admission(served, dropped)


def _take(room: Floats, network: Network, evse: int, minimum_A: Floats, asks: Bools) -> Bools:
    """Take the minimum of one EVSE out of the room wherever it asks and fits; return where."""
    needed = network.coefficient[:, None, evse] * minimum_A
    rows = network.rows.nodes_above(evse)
    enough = ((needed <= room[:, rows]) | (needed <= 0)).all(axis=(0, 1))
    fits = asks & enough & (minimum_A <= network.ceiling_A[evse] * (1 + TOLERANCE))
    room[:, rows] -= np.where(fits, needed, 0.0)
    return np.asarray(fits)


def _admit_balanced(
    network: Network,
    current_A: Floats,
    minimum_A: Floats,
    candidates: Bools,
    order: Order,
    *,
    fewer: Network | None,
) -> Admission:
    """Admit as `admit` does where one minimum can make room for another.

    All whom the other limits let in are served at first. While phases differ by too much, the last of those
    on the higher one leaves; then, again and again, the first of those who fit comes.
    """
    fewer_unopposed = None if fewer is None else unopposed(fewer)
    found = admit(unopposed(network), current_A, minimum_A, candidates, order, fewer=fewer_unopposed)
    served, dropped = found.served, found.dropped
    fewer = network if fewer is None else fewer
    place = order().argsort()[:, None]
    added_A = minimum_A - current_A

    def room() -> Floats:
        coefficient = np.where(dropped, fewer.coefficient, network.coefficient)
        return network.full_at - network.rows.total_below(coefficient * (current_A + added_A * served))

    while True:
        exceeds = network.rows.above(np.logical_or, room() < 0)
        exceeds &= np.where(dropped, fewer.concerns, network.concerns)
        leaves = _first(candidates & served & np.logical_or.reduce(exceeds), -place)
        if not exists(leaves):
            break
        served, dropped = served > leaves, dropped > leaves
    while True:
        left = network.rows.above(np.minimum, room())
        fits, fits_on_fewer = (_fits(each, left, minimum_A, added_A) for each in (network, fewer))
        comes = _first((candidates > served) & (fits | fits_on_fewer), place)
        if not exists(comes):
            return Admission(served, dropped)
        served, dropped = served | comes, dropped | (comes > fits)


def _fits(network: Network, room: Floats, minimum_A: Floats, added_A: Floats) -> Bools:
    """Who has room for what is added, on the way to the root."""
    needed = network.coefficient * added_A
    fits: Bools = np.logical_and.reduce((needed <= room) | (needed <= 0))
    return fits & network.allows(minimum_A)


def _first(among: Bools, place: Ints) -> Bools:
    """Choose the one of them whose place is the lowest, in each slot."""
    places = np.where(among, place, len(place))
    first: Bools = among & (places == np.minimum.reduce(places))
    return first

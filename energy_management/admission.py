"""Who is served when the minimum currents do not all fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from energy_management.constraints import TOLERANCE, Network
from energy_management.coverage import Bools, Floats, Ints, exists

_PASSES = 10

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
    if network.has_opposing:
        contested = candidates
    if not exists(contested):
        return Admission(served, dropped)
    served &= ~contested
    room = network.full_at - network.load(np.where(served, minimum_A, current_A))
    in_order = order()
    waiting = in_order[contested[in_order].any(axis=1)].tolist()
    for _ in range(_PASSES if network.has_opposing else 1):  # one minimum can make room for another
        before = np.count_nonzero(served)
        for evse in waiting:
            asks = contested[evse] & ~served[evse]
            fits = _take(room, network, evse, minimum_A[evse], asks)
            if fewer is not None:
                dropped[evse] |= _take(room, fewer, evse, minimum_A[evse], asks & ~fits)
            served[evse] |= fits | dropped[evse]
        if np.count_nonzero(served) == before:
            break
    return Admission(served, dropped)


def _take(room: Floats, network: Network, evse: int, minimum_A: Floats, asks: Bools) -> Bools:
    """Take the minimum of one EVSE out of the room wherever it asks and fits; return where."""
    needed = network.coefficient[:, None, evse] * minimum_A
    rows = network.rows.nodes_above(evse)
    enough = ((needed <= room[:, rows]) | (needed <= 0)).all(axis=(0, 1))
    fits = asks & enough & (minimum_A <= network.ceiling_A[evse] * (1 + TOLERANCE))
    room[:, rows] -= np.where(fits, needed, 0.0)
    return np.asarray(fits)

"""Weighted max-min fair shares where one EVSE makes room for another, as between phases to be balanced.

The filling of `filling` ends too early there: a limit that is full stops nobody for good as long as somebody
on the other side of it can have more. So here the level of the shares is the parameter of a small linear
program, which is solved by the dual simplex method, once for all slots that are alike.

Every current and every limit is told by a gap that is never negative: the surplus of an EVSE over its share
at the level, and the room in a limit. As many gaps as there are EVSEs are closed, at first all surpluses,
and the others follow from these. While the level rises, gaps shrink. One that is used up changes places
with a closed one that widens it: an EVSE goes ahead of its level, or a limit is no longer full. Where there
is none, the gap itself proves that all in it have the most they can have at this level, and they are
settled; so the shares are max-min fair as that is meant for any convex set (Radunovic and Le Boudec, A
unified framework for max-min and min-max fairness, 2007). Of several gaps the one with the lowest number
goes first, so that none comes round again (Bland, New finite pivoting rules for the simplex method, 1977).
"""

from __future__ import annotations

from copy import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from energy_management.constraints import TOLERANCE, Network
from energy_management.coverage import Bools, Floats, Ints, exists
from energy_management.demand import Demand
from energy_management.filling import least

_STEPS = 20
"""For each EVSE and limit; one is hardly ever needed. Bounds the time: no limit is exceeded at any step."""


def unopposed(network: Network) -> Network:
    """Leave out the limits by which the current of one EVSE can make room for another."""
    kept = [family for family, (kind, _) in enumerate(network.labelled) if not kind.opposing]
    part = copy(network)
    part.coefficient, part.concerns = network.coefficient[kept], network.concerns[kept]
    part.capacity, part.full_at = network.capacity[kept], network.full_at[kept]
    part.has_opposing = False
    return part


def balance(network: Network, demand: Demand, sharing: Bools, floor_A: Floats, slots: Bools) -> Floats:
    """Raise the currents of the EVSEs that share from their floors, class by class, until limits stop them.

    A class has all that it could have: those after it may rise above their floors to make room for it.

    Parameters
    ----------
    network : Network
        The constraints. One that the floors do not meet allows what they are.
    demand : Demand
        Weights and classes.
    sharing : ndarray of bool, shape (evses, slots)
        Who takes part; the others keep their floors.
    floor_A : ndarray, shape (evses, slots)
        What each EVSE has at least.
    slots : ndarray of bool, shape (slots,)
        Where; in the others all keep their floors.

    Returns
    -------
    ndarray, shape (evses, slots)
        The currents per phase [A].
    """
    current_A = floor_A.copy()
    room = network.capacity - network.load(floor_A)
    covers = np.zeros((room.shape[1], len(floor_A)))
    covers[network.rows.pair_node, network.rows.pair_evse] = 1.0
    for alike in _alike(slots, network.coefficient, room, network.ceiling_A, floor_A, sharing):
        slot = alike[0]
        ceiling_A = network.ceiling_A[:, slot]
        rising = (sharing[:, slot] & (ceiling_A > floor_A[:, slot])).nonzero()[0]
        coefficient = network.coefficient[:, None, rising, slot] * covers[:, rising]
        gaps = _Gaps(
            coefficient.reshape(-1, len(rising)),
            room[..., slot].ravel(),
            demand.weight[rising, 0],
            floor_A[rising, slot],
            ceiling_A[rising],
        )
        for members in demand.classes:
            gaps.fill(members[rising, 0])
        current_A[np.ix_(rising, alike)] = gaps.current_A[:, None]
    return current_A


def _alike(slots: Bools, *arrays: NDArray[Any]) -> list[list[int]]:
    """Group those slots in which arrays with slots on their last axis hold the same."""
    found: dict[bytes, list[int]] = {}
    columns = np.concatenate([each.reshape(-1, len(slots)) for each in arrays])
    for slot in slots.nonzero()[0].tolist():
        found.setdefault(columns[:, slot].tobytes(), []).append(slot)
    return list(found.values())


class _Gaps:
    """Surpluses and rooms of one slot: closed ones are 0, open ones are `gap - table @ closed ones`.

    They are numbered: first the surpluses of all EVSEs, then the rooms in limits, then those below the
    ceilings of EVSEs. A ceiling is in the table as soon as its EVSE has gone ahead of its level.
    """

    def __init__(
        self, coefficient: Floats, room: Floats, weight: Floats, floor_A: Floats, ceiling_A: Floats
    ) -> None:
        can_be_full = ~(np.maximum(coefficient, 0.0) @ (ceiling_A - floor_A) <= room)
        coefficient, room = coefficient[can_be_full], room[can_be_full]
        unit = np.abs(coefficient).max(axis=1, initial=TOLERANCE)
        evses, limits = len(weight), len(room)
        self.table = coefficient / unit[:, None]
        self.gap = np.maximum(room / unit, 0.0)
        self.open = np.arange(evses, evses + limits)
        self.closed = np.arange(evses)
        self.settled = np.zeros(evses + limits + evses, dtype=np.bool_)
        self.weight, self.floor_A, self.ceiling_A = weight, floor_A, ceiling_A
        self.share_A = floor_A

    @property
    def current_A(self) -> Floats:
        """What each EVSE has: its share at its level, and its surplus."""
        current_A = self.share_A.copy()
        ahead = self.open < len(current_A)
        current_A[self.open[ahead]] += self.gap[ahead]
        return np.minimum(current_A, self.ceiling_A)

    def fill(self, members: Bools) -> None:
        """Raise the level of some EVSEs until all of them are settled."""
        evses = len(self.weight)
        leaves_floor_at, reaches_ceiling_at = self.floor_A / self.weight, self.ceiling_A / self.weight
        speed = np.zeros(len(self.settled))
        level = least(leaves_floor_at, members)
        for _ in range(_STEPS * len(self.settled)):
            waiting = members & ~self.settled[:evses]
            if not exists(waiting):
                break
            rising = waiting & (leaves_floor_at <= level)
            speed[:evses] = self.weight * rising
            shrinks_by = self.table @ speed[self.closed] + speed[self.open]
            shrinks = shrinks_by > TOLERANCE
            used_up = shrinks & (self.gap <= TOLERANCE)
            if exists(used_up):
                self._make_way(used_up)
                continue
            before = level
            level = min(
                before + least(self.gap / shrinks_by, shrinks),
                least(reaches_ceiling_at, rising),
                least(leaves_floor_at, waiting & ~rising),
            )
            self.gap = np.maximum(self.gap - shrinks_by * (level - before), 0.0)
            self.share_A = np.where(rising, np.minimum(self.weight * level, self.ceiling_A), self.share_A)
            self._settle((rising & (reaches_ceiling_at <= level)).nonzero()[0])

    def _make_way(self, used_up: Bools) -> None:
        """Settle all in those gaps that nothing widens; if there are none, let something widen one."""
        widens = self.table < -TOLERANCE
        final = used_up & ~widens.any(axis=1)
        if exists(final):
            stuck = (self.table[final] > TOLERANCE).any(axis=0)
            self._settle(np.concatenate([self.closed[stuck], self.open[final]]))
            return
        row = int(np.where(used_up, self.open, len(self.settled)).argmin())
        column = int(np.where(widens[row], self.closed, len(self.settled)).argmin())
        if self.closed[column] < len(self.weight):
            self._add_ceiling(column)
        self._exchange(row, column)

    def _settle(self, gaps: Ints) -> None:
        """Keep gaps as they are; what is closed then stays so."""
        self.settled[gaps] = True
        self.table[:, self.settled[self.closed]] = 0.0

    def _add_ceiling(self, column: int) -> None:
        """Put the ceiling of an EVSE into the table, unless it is there."""
        evse = self.closed[column]
        number = len(self.settled) - len(self.weight) + evse
        if number in self.open or number in self.closed:
            return
        row = np.zeros((1, len(self.closed)))
        row[0, column] = 1.0
        self.table = np.concatenate([self.table, row])
        self.gap = np.append(self.gap, self.ceiling_A[evse] - self.share_A[evse])
        self.open = np.append(self.open, number)

    def _exchange(self, row: int, column: int) -> None:
        """Close an open gap that is used up, and open a closed one."""
        pivot, elsewhere = self.table[row, column], self.table[:, column].copy()
        line = self.table[row] / pivot
        line[column] = 1.0 / pivot
        self.table[:, column] = 0.0
        self.table -= elsewhere[:, None] * line
        self.table[row] = line
        self.gap[row] = 0.0
        self.open[row], self.closed[column] = self.closed[column], self.open[row]

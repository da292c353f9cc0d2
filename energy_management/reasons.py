"""Which limits stop an EVSE from getting more, and who set them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, chain, groupby, pairwise

import numpy as np

from energy_management.constraints import Network
from energy_management.coverage import Bools, Coverage, Floats, Ints, Objects, exists
from energy_management.demand import Demand
from energy_management.sources import Sources

_USED_UP = 1e-7
"""Relative and absolute room below which a limit counts as used up."""

_NOBODY = 0
"""Number of the source where a limit does not count."""

_HIGHEST_LEVEL = 1e6
"""Levels above this are not told apart, so that classes can be."""


def binding(network: Network, nodes: Coverage, demand: Demand, current_A: Floats) -> Bools:
    """Which limits keep an EVSE from having more, shape (families, pairs, slots).

    Such a limit is used up, or leaves less than its minimum to an EVSE that has nothing; and of those that
    share it none that could give way has a higher level. Pairs are those of an EVSE and a node above it.
    """
    coefficient, concerns = network.coefficient, network.concerns
    room = network.node_capacity * (1 - _USED_UP) - nodes.total_below(coefficient * current_A)
    has_nothing = current_A <= _USED_UP
    step = coefficient * (demand.minimum_A * has_nothing) + _USED_UP
    used_up = room.take(nodes.pair_node, -2) < step.take(nodes.pair_evse, -2)
    used_up &= concerns.take(nodes.pair_evse, -2)
    if not exists(used_up.take(nodes.shared_pairs, -2)):
        return used_up
    level = np.minimum(current_A / demand.weight, _HIGHEST_LEVEL)
    rank = level + 10 * _HIGHEST_LEVEL * demand.rank
    could_give_way = concerns & (current_A > demand.minimum_A * (1 + _USED_UP) + _USED_UP)
    highest = -nodes.least_below(np.where(could_give_way, -rank, np.inf))
    is_highest = np.where(has_nothing, np.inf, rank + _USED_UP * (1 + level))
    binds: Bools = is_highest.take(nodes.pair_evse, -2) >= highest.take(nodes.pair_node, -2)
    if network.has_opposing:  # somebody may be higher for the sake of others
        is_bound = nodes.over_pairs(np.logical_or, np.logical_or.reduce(used_up & binds))
        binds |= ~is_bound.take(nodes.pair_evse, -2)
    used_up &= binds
    return used_up


Reason = tuple[Bools, Sources]
"""Where limits of one kind count, shape (pairs, slots), and who set those of nodes."""


def binding_reasons(network: Network, nodes: Coverage, demand: Demand, current_A: Floats) -> list[Reason]:
    """Find the limits that bind each EVSE in each slot; those of power only where none of current does."""
    marks = binding(network, nodes, demand, current_A)
    if network.powers and network.currents:
        by_current = nodes.over_pairs(np.logical_or, np.logical_or.reduce(marks[network.currents]))
        marks[network.powers] &= ~by_current[nodes.pair_evse]
    if len(marks) > len(network.kinds):
        begins = list(accumulate((len(kind.labels) for kind in network.kinds[:-1]), initial=0))
        marks = np.logical_or.reduceat(marks, begins, axis=0)
    return list(zip(marks, [kind.sources for kind in network.kinds], strict=True))


class Joiner:
    """Joins the names of reasons. The texts of the last run are kept: mostly the same limits count again."""

    def __init__(self) -> None:
        self._counting: object = None
        self._numbers: Ints = np.empty((0, 0, 0), dtype=np.int64)
        self._used: list[list[int]] = []
        self._names: list[list[str]] = []
        self._texts: Objects = np.empty((0, 0), dtype=np.object_)

    def joined(self, reasons: Sequence[Reason], nodes: Coverage) -> Objects:
        """Join names root to leaf by commas as EVerest does, shape (evses, slots); not to be changed."""
        counting: list[object] = [nodes]
        for marks, sources in reasons:
            counting += marks.tobytes(), sources.numbers.tobytes()
        is_known = counting == self._counting
        if not is_known:
            self._counting = counting
            self._numbers, self._used = _numbered(reasons, nodes)
        names = [sources.names(used) for used, (_, sources) in zip(self._used, reasons, strict=True)]
        if not is_known or names != self._names:
            self._names = names
            self._texts = _join(self._numbers, [None, *chain.from_iterable(names)], nodes)
        return self._texts


def _numbered(reasons: Sequence[Reason], nodes: Coverage) -> tuple[Ints, list[list[int]]]:
    """Give numbers to sources that count, over (reason, pair, slot), and list these by reason."""
    numbers, listed, known = [], [], 1
    for marks, sources in reasons:
        found = sources.numbers.take(nodes.pair_node, 0)
        places = np.zeros(sources.size, dtype=np.int64)
        places[found[marks]] = 1
        used = places.nonzero()[0]
        places[used] = np.arange(known, known + len(used))
        numbers.append(np.where(marks, places[found], _NOBODY))
        listed.append(used.tolist())
        known += len(used)
    return np.array(numbers), listed


def _join(numbers: Ints, names: list[str | None], nodes: Coverage) -> Objects:
    """Join the names with some numbers; consecutive slots mostly have the same."""
    by_number = np.array(names, dtype=np.object_)
    rows = by_number.take(numbers.T.reshape(numbers.shape[2], -1))  # over slot; EVSE, node and reason
    bounds = [start * len(numbers) for start in nodes.pair_start]
    lines: list[list[str]] = []
    for row, alike in groupby(rows.tolist()):
        joint = [
            ",".join([name for name in row[start:end] if name is not None]) for start, end in pairwise(bounds)
        ]
        lines += [joint for _ in alike]
    joined: Objects = np.array(lines, dtype=np.object_).T
    joined.flags.writeable = False
    return joined

"""Which limits stop an EVSE from getting more, and who set them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, groupby, pairwise

import numpy as np

from energy_management.constraints import Network
from energy_management.coverage import Bools, Coverage, Floats, Texts, exists
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
    has_some = current_A > _USED_UP
    step = coefficient * np.where(has_some, 0.0, demand.minimum_A) + _USED_UP
    used_up = room.take(nodes.pair_node, -2) < np.where(concerns, step, -np.inf).take(nodes.pair_evse, -2)
    if not exists(used_up.take(nodes.shared_pairs, -2)):
        return used_up
    level = np.minimum(current_A / demand.weight, _HIGHEST_LEVEL)
    rank = level + 10 * _HIGHEST_LEVEL * demand.rank
    could_give_way = concerns & (current_A > demand.minimum_A * (1 + _USED_UP) + _USED_UP)
    highest = -nodes.least_below(np.where(could_give_way, -rank, np.inf))
    is_highest = np.where(has_some, rank + _USED_UP * (1 + level), np.inf)
    used_up &= is_highest.take(nodes.pair_evse, -2) >= highest.take(nodes.pair_node, -2)
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
    return [(mark, kind.sources) for mark, kind in zip(marks, network.kinds, strict=True)]


def joined(reasons: Sequence[Reason], nodes: Coverage) -> Texts:
    """Join the names of reasons, root to leaf by commas as EVerest does, shape (evses, slots).

    Each name is looked up once, and consecutive slots, which mostly have the same, are joined once.
    """
    firsts = list(accumulate((sources.size for _, sources in reasons), initial=_NOBODY + 1))
    numbers = np.array(
        [
            np.where(marks, first + sources.numbers.take(nodes.pair_node, 0), _NOBODY)
            for first, (marks, sources) in zip(firsts[:-1], reasons, strict=True)
        ]
    )
    is_used = np.zeros(firsts[-1], dtype=np.bool_)
    is_used[numbers] = True
    names = np.empty(firsts[-1], dtype=np.object_)
    for (first, end), (_, sources) in zip(pairwise(firsts), reasons, strict=True):
        used = is_used[first:end].nonzero()[0]
        names[first + used] = sources.names(used.tolist())
    rows = names.take(numbers.T.reshape(numbers.shape[2], -1))  # over slot; EVSE, node and reason
    bounds = [start * len(reasons) for start in nodes.pair_start]
    texts: list[list[str]] = []
    for row, alike in groupby(rows.tolist()):
        joint = [
            ",".join([name for name in row[start:end] if name is not None]) for start, end in pairwise(bounds)
        ]
        texts += [joint for _ in alike]
    return np.array(texts, dtype=np.object_).T

"""Which limits stop an EVSE from getting more, and who set them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise

import numpy as np

from energy_management.constraints import Network
from energy_management.coverage import Bools, Coverage, Floats, Ints, Texts, exists
from energy_management.demand import Demand
from energy_management.sources import Sources

_USED_UP = 1e-7
"""Relative and absolute room below which a limit counts as used up."""

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
    if len(network.powers) and len(network.currents):
        by_current = nodes.over_pairs(np.logical_or, np.logical_or.reduce(marks[network.currents]))
        marks[network.powers] &= ~by_current[nodes.pair_evse]
    if len(marks) > len(network.kinds):
        begins = list(accumulate((len(kind.labels) for kind in network.kinds[:-1]), initial=0))
        marks = np.logical_or.reduceat(marks, begins, axis=0)
    return [(mark, kind.sources) for mark, kind in zip(marks, network.kinds, strict=True)]


def joined(wholes: Sequence[Sequence[Reason]], nodes: Coverage, slots: int) -> Iterator[Texts]:
    """Join the names of the reasons of each whole, root to leaf by commas as EVerest does.

    Consecutive slots mostly have the same, and are joined once.

    Yields
    ------
    ndarray of str, shape (evses, slots)
        One for each whole.
    """
    names: dict[str, int] = {}
    pairs, most = len(nodes.pair_node), max(map(len, wholes))
    numbers = np.zeros((len(wholes) * slots, pairs, most), dtype=np.int64)
    for whole, reasons in enumerate(wholes):
        for place, reason in enumerate(reasons):
            numbers[whole * slots : (whole + 1) * slots, :, place] = _numbered(reason, nodes, names).T
    is_new = np.ones(len(numbers), dtype=np.bool_)
    np.logical_or.reduce(numbers[1:] != numbers[:-1], axis=(1, 2), out=is_new[1:])
    numbers = numbers[is_new]
    counts = numbers > 0
    known = list(names)
    parts = [known[number - 1] for number in numbers[counts].tolist()]
    ends = counts.cumsum().reshape(counts.shape)[:, nodes.ends, -1]
    bounds = [0, *ends.ravel().tolist()]
    joint = [",".join(parts[start:end]) for start, end in pairwise(bounds)]
    texts = np.array(joint, dtype=np.object_).reshape(ends.shape).take(is_new.cumsum() - 1, 0)
    yield from texts.reshape(len(wholes), slots, nodes.evses).swapaxes(1, 2)


def _numbered(reason: Reason, nodes: Coverage, known: dict[str, int]) -> Ints:
    """Return the numbers of the names where a reason counts, from 1, and 0 elsewhere; shape (pairs, slots)."""
    marks, sources = reason
    numbers = sources.numbers.take(nodes.pair_node, 0)
    table = np.zeros(sources.count, dtype=np.int64)
    table[numbers[marks]] = 1
    looked_up = table.nonzero()[0]
    names = sources.names(looked_up.tolist())
    table[looked_up] = [known.setdefault(name, len(known) + 1) for name in names]
    found: Ints = table.take(numbers) * marks
    return found

"""Which limits stop an EVSE from getting more, and who set them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, pairwise

import numpy as np

from energy_management.constraints import Network
from energy_management.coverage import Bools, Coverage, Floats, Ints, Texts, exists
from energy_management.demand import Demand

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


Reason = tuple[Bools, Callable[[Ints, Ints], Sequence[str]]]
"""Where limits of one kind count, shape (pairs, slots), and who set those of some nodes in some slots."""


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

    Yields
    ------
    ndarray of str, shape (evses, slots)
        One for each whole.
    """
    pairs = len(nodes.pair_node)
    texts: list[str] = []
    places = []
    for begin, (marks, names_of) in (
        (number * slots * pairs, reason) for number, whole in enumerate(wholes) for reason in whole
    ):
        slot, pair = marks.T.nonzero()
        texts += names_of(nodes.pair_node.take(pair), slot)
        places.append(slot * pairs + pair + begin)
    place = np.concatenate(places)  # by whole, slot, EVSE and node, in this order
    order = place.argsort(kind="stable")
    begins = np.arange(0, len(wholes) * slots * pairs, pairs)[:, None] + nodes.starts
    bounds = [*place.take(order).searchsorted(begins.ravel()).tolist(), len(texts)]
    parts = [texts[number] for number in order.tolist()]
    joint = [
        parts[start] if end == start + 1 else ",".join(parts[start:end]) for start, end in pairwise(bounds)
    ]
    yield from np.array(joint, dtype=np.object_).reshape(len(wholes), slots, nodes.evses).swapaxes(1, 2)

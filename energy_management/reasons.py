"""Which limits stop an EVSE from getting more, and who set them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from energy_management.constraints import Network
from energy_management.coverage import Bools, Coverage, Floats, Ints, Texts

_USED_UP = 1e-7
"""Relative and absolute room below which a limit counts as used up."""


def stops(network: Network, nodes: Coverage, current_A: Floats, step_A: Floats) -> Bools:
    """Where a limit leaves no room for another step of an EVSE, shape (families, pairs, slots).

    The step is an EVSE's minimum while it has nothing, since it takes no less. Pairs are those of an EVSE and
    a node above it.
    """
    load = nodes.total_below(network.coefficient * current_A)
    room = network.node_capacity * (1 - _USED_UP) - _USED_UP - load
    step = np.where(network.concerns, network.coefficient * step_A, -np.inf)
    stopped: Bools = room.take(nodes.pair_node, axis=1) < step.take(nodes.pair_evse, axis=1)
    return stopped


def binding_sources(network: Network, nodes: Coverage, current_A: Floats, step_A: Floats) -> Texts:
    """Who set the limits that bind each EVSE in each slot, joined root to leaf by commas as EVerest does.

    Power limits are named only where no current limit binds.
    """
    binding = stops(network, nodes, current_A, step_A)
    power = network.families("W")
    if power.any() and not power.all():
        by_current = nodes.over_pairs(np.logical_or, np.logical_or.reduce(binding[~power]))
        binding[power] &= ~by_current[nodes.pair_evse]
    first_of_kind = np.cumsum([0, *(len(kind.labels) for kind in network.kinds[:-1])])
    marks = np.logical_or.reduceat(binding, first_of_kind, axis=0)
    return joined(marks, nodes, [kind.sources for kind in network.kinds])


def joined(marks: Bools, nodes: Coverage, names: Sequence[Callable[[Ints, Ints], Sequence[str]]]) -> Texts:
    """Join the names of the nodes above each EVSE that are marked, root to leaf, shape (evses, slots).

    Parameters
    ----------
    marks : ndarray of bool, shape (kinds, pairs, slots)
    names : sequence of callables
        For each kind, the names of some nodes in some slots.
    """
    slots = marks.shape[2]
    slot, pair, kind = marks.T.nonzero()
    texts = np.empty(len(pair), dtype=np.object_)
    for number, names_of in enumerate(names):
        chosen = np.flatnonzero(kind == number)
        texts[chosen] = names_of(nodes.pair_node[pair[chosen]], slot[chosen])
    count = np.bincount(slot * nodes.evses + nodes.pair_evse[pair], minlength=slots * nodes.evses)
    result = np.full(slots * nodes.evses, "", dtype=np.object_)
    result[count > 0] = _join_each(texts, count[count > 0])
    return result.reshape(slots, nodes.evses).T


def _join_each(texts: Texts, counts: Ints) -> Texts | list[str]:
    """Join the first texts, then the next ones, and so on, as many each as the counts say."""
    if len(counts) == len(texts):
        return texts
    parts, ends = texts.tolist(), counts.cumsum().tolist()
    return [",".join(parts[start:end]) for start, end in zip([0, *ends[:-1]], ends, strict=True)]

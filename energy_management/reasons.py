"""Which limits stop an EVSE from getting more, and who set them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from energy_management.constraints import Family
from energy_management.coverage import Bools, Coverage, Floats
from energy_management.schedules import Texts

_FULL = 1e-7
"""Relative and absolute room below which a limit counts as used up."""


def stopped_by(family: Family, nodes: Coverage, current_A: Floats, step_A: Floats) -> Bools:
    """Where one limit of a family leaves no room for another step of an EVSE, shape (pairs, slots).

    The step is an EVSE's minimum while it has nothing, since it takes no less. Pairs are those of an EVSE and
    a node above it.
    """
    load = nodes.total_below(family.coefficient * current_A)
    with np.errstate(invalid="ignore"):
        room = np.where(np.isinf(family.capacity), np.inf, family.capacity - load)
    least_room = np.where(np.isinf(family.capacity), 0.0, _FULL * family.capacity + _FULL)
    step = family.coefficient * step_A
    concerned = family.coefficient[nodes.pair_evse] > 0
    return np.asarray(
        concerned & (room[nodes.pair_node] < step[nodes.pair_evse] + least_room[nodes.pair_node])
    )


def binding_sources(families: Sequence[Family], nodes: Coverage, current_A: Floats, step_A: Floats) -> Texts:
    """Who set the limits that bind each EVSE in each slot, joined root to leaf by commas as EVerest does.

    Current limits are named before power limits, which are named only where no current limit binds.
    """
    by_unit = {}
    for unit in ("A", "W"):
        binding: dict[int, tuple[Bools, Texts]] = {}
        for family in families:
            if family.unit == unit:
                stops = stopped_by(family, nodes, current_A, step_A)
                found = binding.get(id(family.source))
                binding[id(family.source)] = (stops if found is None else found[0] | stops, family.source)
        by_unit[unit] = joined(list(binding.values()), nodes)
    return np.where(by_unit["A"] == "", by_unit["W"], by_unit["A"])


def joined(named: Sequence[tuple[Bools, Texts]], nodes: Coverage) -> Texts:
    """Join the names of the nodes above each EVSE that are marked, root to leaf, shape (evses, slots).

    Parameters
    ----------
    named : sequence of (marks, names)
        Marks of shape (pairs, slots), and names of the nodes of shape (nodes, slots).
    """
    slots = named[0][0].shape[1]
    marks = np.stack([marks for marks, _ in named], axis=-1)
    names = np.stack([names for _, names in named], axis=-1)
    slot, pair, kind = np.nonzero(marks.swapaxes(0, 1))
    texts = names[nodes.pair_node[pair], slot, kind].tolist()
    counts = np.bincount(slot * nodes.evses + nodes.pair_evse[pair], minlength=slots * nodes.evses)
    result = np.empty(slots * nodes.evses, dtype=np.object_)
    result[:] = _join_each(texts, counts.tolist())
    return result.reshape(slots, nodes.evses).T


def _join_each(texts: list[str], counts: list[int]) -> list[str]:
    """Join the first texts, then the next ones, and so on, as many each as the counts say."""
    joins = []
    start = 0
    for count in counts:
        if count == 1:
            joins.append(texts[start])
        else:
            joins.append(",".join(texts[start : start + count]))
        start += count
    return joins

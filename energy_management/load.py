"""What meters leave for EVSEs: the limit of a node less what everything else below it draws."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from energy_management.base_load import Measured
from energy_management.coverage import Bools, Floats
from energy_management.draws import Draw
from energy_management.measurement import Reading, Vector3
from energy_management.memory import Memory, NodeMemory
from energy_management.overload import TOLERATED, Overload
from energy_management.site import NodeAttributes, Site
from energy_management.tree import Tree
from energy_management.trust import Doubts

PLAIN = NodeAttributes()


@dataclass(frozen=True)
class MeterBudgets:
    """What the meters of nodes say about the room for EVSEs, per phase; shape (3, nodes).

    Attributes
    ----------
    metered : ndarray of bool, shape (nodes,)
        Nodes that have a meter.
    taken_A : ndarray of float
        Drawn by other loads or kept for them: to be deducted from the limit of the node. Less than nothing is
        generation that counts.
    at_most_A : ndarray of float
        Budget where the meter cannot be believed; infinite elsewhere.
    complaints : list of tuple of str
        Uuid of each node whose meter is not believed, and why.
    overloads : list of Overload
        What the newest readings show.
    """

    metered: Bools
    taken_A: Floats
    at_most_A: Floats
    complaints: list[tuple[str, str]]
    overloads: list[Overload]


def read_meters(
    tree: Tree,
    site: Site,
    readings: Mapping[str, Reading],
    memory: Memory,
    *,
    limits_A: Floats,
    monotonic_s: float,
    voltage_V: float,
) -> MeterBudgets | None:
    """Budgets of the nodes that have a meter; None if there are none.

    Parameters
    ----------
    memory : Memory
        Has observed the EVSEs of this run; what the meters tell is remembered.
    limits_A : ndarray, shape (nodes,)
        Limit of each node at present, per phase.
    """
    metered = np.array([_is_metered(uuid, site, readings) for uuid in tree.uuids], dtype=np.bool_)
    metered[tree.evses] = False
    if not metered.any():
        return None
    taken_A = np.zeros((3, len(tree.uuids)))
    at_most_A = np.full((3, len(tree.uuids)), np.inf)
    complaints = []
    overloads = []
    draws = list(memory.draws.values())
    for position in np.flatnonzero(metered).tolist():
        uuid = tree.uuids[position]
        attributes = site.nodes.get(uuid, PLAIN)
        node = memory.nodes.setdefault(uuid, NodeMemory())
        below = draws[tree.coverage.first[position] : tree.coverage.last[position]]
        doubts = Doubts(attributes, float(limits_A[position]), voltage_V)
        base_A = _base_load(node, readings.get(uuid), below, doubts, monotonic_s)
        for phase, base in enumerate(base_A):
            is_believed = node.trust.phases[phase].is_believed(monotonic_s, attributes.stale_after_s)
            least = -math.inf if is_believed and attributes.counts_generation else 0.0
            taken_A[phase, position] = attributes.reserve_A + max(least, 0.0 if math.isnan(base) else base)
            if not is_believed:
                at_most_A[phase, position] = attributes.fallback_A or 0.0
        beside = node.base_load.overload
        if beside is not None and monotonic_s - beside.measured.at_s <= attributes.stale_after_s:
            others_A = attributes.reserve_A + np.array([beside.least_A, beside.most_A])
            rooms_A = limits_A[position] - np.vstack([taken_A[:, position], others_A])
            overloads.append(_overload(tree, position, float(limits_A[position]), rooms_A, beside.measured))
        complaints += [(uuid, text) for text in node.trust.complaints(monotonic_s, attributes.stale_after_s)]
    return MeterBudgets(metered, taken_A, at_most_A, complaints, overloads)


def _overload(tree: Tree, position: int, limit_A: float, rooms_A: Floats, measured: Measured) -> Overload:
    """Tell what an overloaded node has for EVSEs, by its base load and by what its reading can be of."""
    by_base_A, at_most_A, at_least_A = rooms_A
    current_A = np.array(measured.current_A)
    is_clear = current_A > (1.0 + TOLERATED) * limit_A
    one, two, three = np.fmin(by_base_A, np.where(is_clear, at_most_A, np.inf)).tolist()
    least_one, least_two, least_three = np.fmin(by_base_A, at_least_A).tolist()
    return Overload(
        int(tree.coverage.first[position]),
        int(tree.coverage.last[position]),
        (one, two, three),
        (least_one, least_two, least_three),
        TOLERATED * limit_A,
        (current_A > limit_A).tolist(),
        (current_A > (1.0 + TOLERATED / 2.0) * limit_A).tolist(),
    )


def _base_load(
    node: NodeMemory, reading: Reading | None, below: list[Draw], doubts: Doubts, monotonic_s: float
) -> Vector3:
    """Other loads at a node; NaN on phases that were never measured."""
    fine_A = node.trust.fine(reading, monotonic_s, doubts, below)
    if reading is not None and fine_A is not None:
        node.base_load.take(Measured(reading.taken_at, fine_A))
    return node.base_load.current_A(
        below,
        monotonic_s,
        falls_after_s=doubts.attributes.base_load_falls_after_s,
        fuse_A=doubts.fuse_A,
    )


def _is_metered(uuid: str, site: Site, readings: Mapping[str, Reading]) -> bool:
    attributes = site.nodes.get(uuid)
    return uuid in readings or (attributes is not None and attributes.fallback_A is not None)

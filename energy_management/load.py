"""What meters leave for EVSEs: the limit of a node less what everything else below it draws."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from energy_management.coverage import Bools, Floats
from energy_management.measurement import Reading
from energy_management.schedules import HIGHEST
from energy_management.site import NodeAttributes, Site
from energy_management.tree import Tree


@dataclass(frozen=True)
class MeterBudgets:
    """What the meters of nodes say about the room for EVSEs, per phase; shape (3, nodes).

    Attributes
    ----------
    metered : ndarray of bool, shape (nodes,)
        Nodes that have a meter.
    taken_A : ndarray of float
        Drawn by other loads or kept for them: to be deducted from the limit of the node.
    at_most_A : ndarray of float
        Budget where the meter cannot be believed; infinite elsewhere.
    believed_until_s : float
        When the first of the readings becomes stale [s of the monotonic clock].
    """

    metered: Bools
    taken_A: Floats
    at_most_A: Floats
    believed_until_s: float


def read_meters(
    tree: Tree,
    site: Site,
    readings: Mapping[str, Reading],
    granted_A: Floats,
    monotonic_s: float,
    voltage_V: float,
) -> MeterBudgets | None:
    """Base loads of the nodes that have a meter; None if there are none.

    The base load is what is measured less the currents of the EVSEs below: measured where they are, and else
    their grants, `granted_A` of shape (3, evses). Generation never counts as room.
    """
    metered = np.array(
        [uuid in readings or _fallback(site, uuid) is not None for uuid in tree.uuids], dtype=np.bool_
    )
    metered[tree.evses] = False
    if not metered.any():
        return None
    taken_A = np.zeros((3, len(tree.uuids)))
    at_most_A = np.full((3, len(tree.uuids)), np.inf)
    drawn_A = granted_A.copy()
    believed_until_s = np.inf
    for position, uuid in enumerate(tree.evse_uuids):
        measured_A = _currents(readings.get(uuid), NodeAttributes(), monotonic_s, voltage_V)
        drawn_A[:, position] = np.where(np.isnan(measured_A), drawn_A[:, position], measured_A)
    for position in np.flatnonzero(metered).tolist():
        uuid = tree.uuids[position]
        attributes = site.nodes.get(uuid, NodeAttributes())
        reading = readings.get(uuid)
        measured_A = _currents(reading, attributes, monotonic_s, voltage_V)
        below = slice(tree.coverage.first[position], tree.coverage.last[position])
        base_A = np.maximum(measured_A - drawn_A[:, below].sum(axis=1), 0.0)
        taken_A[:, position] = attributes.reserve_A + np.where(np.isnan(base_A), 0.0, base_A)
        at_most_A[np.isnan(base_A), position] = attributes.fallback_A or 0.0
        if reading is not None and not np.isnan(base_A).all():
            believed_until_s = min(believed_until_s, reading.taken_at + attributes.stale_after_s)
    return MeterBudgets(metered, taken_A, at_most_A, believed_until_s)


def _fallback(site: Site, uuid: str) -> float | None:
    attributes = site.nodes.get(uuid)
    return None if attributes is None else attributes.fallback_A


def _currents(
    reading: Reading | None, attributes: NodeAttributes, monotonic_s: float, voltage_V: float
) -> Floats:
    """Currents of a reading [A]; NaN on phases that it does not tell, and on all if it is stale or missing."""
    unknown = np.full(3, np.nan)
    if reading is None or not abs(monotonic_s - reading.taken_at) <= attributes.stale_after_s:
        return unknown
    if reading.current_A is not None:
        currents_A = reading.current_A
    elif reading.power_W is not None:
        voltages_V = reading.voltage_V or (math.nan,) * 3
        currents_A = tuple(
            power_W / (measured_V if measured_V > 0 else voltage_V)
            for power_W, measured_V in zip(reading.power_W, voltages_V, strict=True)
        )
    else:
        return unknown
    return np.array([value if abs(value) <= HIGHEST else math.nan for value in currents_A])

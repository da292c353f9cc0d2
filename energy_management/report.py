"""What a run did, for telemetry."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from energy_management.coverage import Floats
from energy_management.measurement import Vector3
from energy_management.run import Run
from energy_management.waits import NO_WAITS, Waits

_ALLOWED_EXCESS = 1e-6


@dataclass(frozen=True)
class NodeLoad:
    """What is planned to flow through a node in the slot that is active now.

    Attributes
    ----------
    import_A, export_A : Vector3
        Per grid phase. An EVSE of unknown rotation counts on all.
    limit_A : Vector3 or None
        Limit of the import per phase; None if there is none.
    import_W : float
        On the root side of the node, losses below it included.
    limit_W : float or None
        Limit of that.
    sources : tuple of str
        Who set the limits that are used up.
    """

    import_A: Vector3
    export_A: Vector3
    limit_A: Vector3 | None
    import_W: float
    limit_W: float | None
    sources: tuple[str, ...]


@dataclass(frozen=True)
class Report:
    """What the last run did.

    Attributes
    ----------
    rejected : list of tuple of str
        Uuid and reason of every part of the request that was not used.
    run : Run or None
        The run itself; None if there was nothing to do.
    """

    rejected: list[tuple[str, str]] = field(default_factory=list)
    run: Run | None = None

    @property
    def evses(self) -> int:
        """The number of EVSEs."""
        return len(self.run.states) if self.run else 0

    @property
    def complaints(self) -> list[tuple[str, str]]:
        """Uuid of each node whose meter is not believed, and why; it has its fallback budget."""
        return self.run.limiter.meters.complaints if self.run and self.run.limiter.meters else []

    @property
    def waits(self) -> Waits:
        """What shares that do not rise yet are waiting for."""
        return self.run.allocation.waits if self.run else NO_WAITS

    @property
    def learnt_rotations(self) -> dict[str, str]:
        """Wiring of EVSEs as measured, where it is not configured."""
        if self.run is None:
            return {}
        states = zip(self.run.limiter.tree.evse_uuids, self.run.states, strict=True)
        return {uuid: state.learnt_rotation for uuid, state in states if state.learnt_rotation}

    @property
    def surplus_W(self) -> float | None:
        """What the sun leaves for EVSEs that charge from surplus; None if there are none of these."""
        return None if self.run is None or self.run.limiter.sun is None else self.run.limiter.sun.surplus_W

    @property
    def slots(self) -> int:
        """The number of slots."""
        return len(self.run.timeline) if self.run else 0

    @cached_property
    def grants(self) -> dict[str, Vector3]:
        """Current per grid phase of each EVSE in the slot that is active now [A]; export is negative."""
        if self.run is None:
            return {}
        return {
            uuid: (values[0], values[1], values[2])
            for uuid, values in zip(self.run.limiter.tree.evse_uuids, self.run.granted_A, strict=True)
        }

    @cached_property
    def nodes(self) -> dict[str, NodeLoad]:
        """Load of each node in the slot that is active now."""
        if self.run is None:
            return {}
        return {uuid: _node_load(self.run, node) for node, uuid in enumerate(self.run.limiter.tree.uuids)}

    @cached_property
    def violations(self) -> list[str]:
        """Limits that the result exceeds, of which there should be none."""
        if self.run is None:
            return []
        network, tree = self.run.allocation.network, self.run.limiter.tree
        load = tree.coverage.total_below(network.coefficient * self.run.allocation.current_A)
        exceeded = load > network.node_capacity * (1 + _ALLOWED_EXCESS) + _ALLOWED_EXCESS
        labels = [f"{label} {kind.unit}".strip() for kind, label in network.labelled]
        return [
            f"{tree.uuids[node]}: {labels[family]} {load[family, node, slot]:g} above "
            f"{network.node_capacity[family, node, slot]:g} in slot {slot % self.slots}"
            for family, node, slot in np.argwhere(exceeded).tolist()
        ]


def _node_load(run: Run, node: int) -> NodeLoad:
    network, demand, tree = run.allocation.network, run.limiter.demand, run.limiter.tree
    active = run.timeline.active
    below = slice(int(tree.coverage.first[node]), int(tree.coverage.last[node]))
    currents = run.grants.current_A[below, active]
    loaded = run.loaded_at_present[:, below]
    load = network.coefficient[:, below, active] @ run.allocation.current_A[below, active]
    scale = run.limiter.limits.watt_scale[node, active]
    limit_A, limit_W = np.full(3, np.inf), np.inf
    sources: list[str] = []
    for family, (kind, label) in enumerate(network.labelled):
        capacity = network.node_capacity[family, node, active]
        if kind.opposing or not kind.is_of_node:
            continue
        if kind.unit == "W":
            limit_W = min(limit_W, capacity * scale)
        else:
            phases = slice(None) if label == "" else int(label[1]) - 1
            limit_A[phases] = np.minimum(limit_A[phases], capacity)
        if np.isfinite(capacity) and load[family] >= capacity * (1 - _ALLOWED_EXCESS) - _ALLOWED_EXCESS:
            sources.append(kind.sources.of(node, active))
    importing = np.where(demand.exporting[below, active], 0.0, currents)
    watts = importing * run.grants.phases[below, active] * run.limiter.nominal_voltage_V
    at_root_of_tree = watts / run.limiter.limits.watt_scale[tree.evses[below], active]
    return NodeLoad(
        _vector((loaded * importing).sum(axis=1)),
        _vector((loaded * (importing - currents)).sum(axis=1)),
        _vector(limit_A) if np.isfinite(limit_A).all() else None,
        float(at_root_of_tree.sum() * scale),
        float(limit_W) if np.isfinite(limit_W) else None,
        tuple(dict.fromkeys(sources)),
    )


def _vector(values: Floats) -> Vector3:
    return (float(values[0]), float(values[1]), float(values[2]))

"""Builds the `EnforcedLimits` that EVerest's EvseManager expects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from energy_management.allocation import Allocation
from energy_management.coverage import Bools, Floats, Ints, Texts, exists
from energy_management.limits import Limiter
from energy_management.reasons import binding_sources, joined
from energy_management.schedules import MAX_PHASES

KEPT, SWITCHED = "active phases", "phase switching"
"""Sources of a number of phases that no limit asks for."""

_NO_POWER = np.array(None, dtype=np.object_)


@dataclass(frozen=True)
class Grants:
    """What every EVSE gets in each slot of the timeline, with who limits it; arrays over (EVSE, slot).

    Attributes
    ----------
    current_A : ndarray of float
        Per phase; export is negative.
    phases : ndarray of int
        Number of phases.
    power_W : ndarray of float
        Export is negative.
    power_is_limited : ndarray of bool
        A power limit exists on the way to the root, so that the result names power too.
    source, phases_source : ndarray of str
        Who limits current and power, and who the phases.
    """

    current_A: Floats
    phases: Ints
    power_W: Floats
    power_is_limited: Bools
    source: Texts
    phases_source: Texts


def grants(limiter: Limiter, allocation: Allocation, active: int) -> Grants:
    """Collect what an allocation gives to each EVSE, in the direction that it is asked for."""
    demand, network, nodes = limiter.demand, allocation.network, limiter.tree.coverage
    slots = demand.slots

    def asked_for(values: NDArray[Any]) -> NDArray[Any]:
        if values.shape[1] == slots:
            return values
        return np.where(demand.exporting, values[:, slots:], values[:, :slots])

    limits_power = np.logical_or.reduce(
        np.isfinite(network.node_capacity.take(network.powers_of_nodes, axis=0))
    )
    current_A = asked_for(allocation.current_A)
    if exists(demand.exporting):
        current_A = np.where(demand.exporting, 0.0 - current_A, current_A)
    phases = asked_for(allocation.phases)
    sources = asked_for(binding_sources(network, nodes, demand, allocation.target_A))
    for evse, reason in allocation.held.items():
        sources[evse, active] = f"{limiter.tree.evse_uuids[evse]}/{reason}"
    return Grants(
        current_A,
        phases.astype(np.int64),
        current_A * phases * limiter.nominal_voltage_V,
        asked_for(nodes.above(np.logical_or, limits_power)),
        sources,
        asked_for(_phases_sources(limiter, allocation)),
    )


def _phases_sources(limiter: Limiter, allocation: Allocation) -> Texts:
    """Who limits the number of phases; where it is below that limit, why."""
    demand, limits, nodes = limiter.demand, limiter.limits, limiter.tree.coverage
    most = demand.most_phases
    marks = limits.values[MAX_PHASES].take(nodes.pair_node, axis=0) == most.take(nodes.pair_evse, axis=0)

    names = joined(marks[None], nodes, [limiter.sources_of(MAX_PHASES)])
    is_limited = (allocation.phases == most) & (names != "")
    below = np.where(allocation.phases == demand.present_phases, KEPT, SWITCHED)
    return np.where(is_limited, names, below)


def enforced_limits(
    uuids: Sequence[str], grants: Grants, stamps: Sequence[str], active: int, valid_for_s: int
) -> list[dict[str, Any]]:
    """One `EnforcedLimits` per EVSE, in the order of the uuids.

    They are to be read, not changed: slots with the same limits share them.
    """
    columns = (
        grants.current_A,
        grants.phases,
        np.where(grants.power_is_limited, grants.power_W, _NO_POWER),
        grants.source,
        grants.phases_source,
    )
    changes = np.ones(grants.current_A.shape, dtype=np.bool_)
    changes[:, 1:] = np.logical_or.reduce([column[:, 1:] != column[:, :-1] for column in columns])
    different = list(map(_limits, *(column[changes].tolist() for column in columns)))
    which = changes.cumsum().reshape(changes.shape) - 1
    return [
        {
            "uuid": uuid,
            "valid_for": valid_for_s,
            "limits_root_side": different[slots[active]],
            "schedule": [
                {"timestamp": stamp, "limits_to_root": different[slot]}
                for stamp, slot in zip(stamps, slots, strict=True)
            ],
        }
        for uuid, slots in zip(uuids, which.tolist(), strict=True)
    ]


def _limits(
    current_A: float, phases: int, power_W: float | None, source: str, phases_source: str
) -> dict[str, Any]:
    """Limits of one slot. As in EVerest, zero current comes without a number of phases."""
    limits: dict[str, Any] = {"ac_max_current_A": {"value": current_A, "source": source}}
    if current_A:
        limits["ac_max_phase_count"] = {"value": phases, "source": phases_source}
    if power_W is not None:
        limits["total_power_W"] = {"value": power_W, "source": source}
    return limits

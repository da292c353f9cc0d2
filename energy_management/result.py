"""Builds the `EnforcedLimits` that EVerest's EvseManager expects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from energy_management.allocation import Allocation
from energy_management.constraints import Network
from energy_management.coverage import Floats, Ints, Objects, everywhere, exists
from energy_management.demand import Demand
from energy_management.fields import MAX_PHASES
from energy_management.limits import Limiter
from energy_management.reasons import Joiner, binding_reasons

KEPT, SWITCHED = "active phases", "phase switching"
"""Sources of a number of phases that no limit asks for."""


class Grants(NamedTuple):
    """What every EVSE gets in each slot of the timeline, with who limits it; arrays over (EVSE, slot).

    Attributes
    ----------
    current_A : ndarray of float
        Per phase; export is negative.
    phases : ndarray of int
        Number of phases.
    power_W : ndarray of float or None
        Export is negative. Only where a limit of power exists on the way to the root.
    source, phases_source : ndarray of str
        Who limits current and power, and who the phases.
    """

    current_A: Floats
    phases: Ints
    power_W: Objects
    source: Objects
    phases_source: Objects


def grants(
    limiter: Limiter, allocation: Allocation, active: int, by_limits: Joiner, by_phases: Joiner
) -> Grants:
    """Collect what an allocation gives to each EVSE, in the direction that it is asked for.

    Parameters
    ----------
    by_limits, by_phases : Joiner
        Those of the run before, for the names of who limits current and phases.
    """
    demand, network, nodes = limiter.demand, allocation.network, limiter.tree.coverage
    binding = binding_reasons(network, nodes, demand, allocation.target_A)
    phases_reason = limiter.limits.phases.most_by, limiter.sources_of(MAX_PHASES)
    current_A, phases, sources, phases_sources = demand.asked_for(
        allocation.current_A,
        allocation.phases,
        by_limits.joined(binding, nodes),
        _phases_sources(demand, allocation, by_phases.joined([phases_reason], nodes)),
    )
    if exists(demand.exporting):
        current_A = np.where(demand.exporting, 0.0 - current_A, current_A)
    if allocation.held:
        sources = sources.copy()
    for evse, reason in allocation.held.items():
        sources[evse, active] = f"{limiter.tree.evse_uuids[evse]}/{reason}"
    return Grants(
        current_A,
        phases.astype(np.int64),
        _power_W(limiter, network, current_A, phases),
        sources,
        phases_sources,
    )


def _power_W(limiter: Limiter, network: Network, current_A: Floats, phases: Floats) -> Objects:
    """Find the power where a limit of it exists on the way to the root."""
    if not network.powers:
        return np.empty(current_A.shape, dtype=np.object_)
    limits_power = np.logical_or.reduce(np.isfinite(network.node_capacity[network.powers_of_nodes]))
    (is_limited,) = limiter.demand.asked_for(limiter.tree.coverage.above(np.logical_or, limits_power))
    power_W = (current_A * phases * limiter.nominal_voltage_V).astype(np.object_)
    power_W[~is_limited] = None
    return power_W


def _phases_sources(demand: Demand, allocation: Allocation, names: Objects) -> Objects:
    """Who limits the number of phases; where it is below that limit, why."""
    are_most = allocation.phases == demand.most_phases
    if everywhere(are_most) and "" not in names.ravel().tolist():
        return names
    below = np.where(allocation.phases == demand.present_phases, KEPT, SWITCHED)
    return np.where(are_most & (names != ""), names, below)


def enforced_limits(
    uuids: Sequence[str], grants: Grants, stamps: Sequence[str], active: int, valid_for_s: int
) -> list[dict[str, Any]]:
    """One `EnforcedLimits` per EVSE, in the order of the uuids.

    They are to be read, not changed: EVSEs and slots with the same limits share them.
    """
    columns = [column.ravel().tolist() for column in grants]
    different: dict[tuple[Any, ...], dict[str, Any]] = {}
    limits = [
        different.get(each) or different.setdefault(each, _limits(*each))
        for each in zip(*columns, strict=True)
    ]
    slots = len(stamps)
    return [
        {
            "uuid": uuid,
            "valid_for": valid_for_s,
            "limits_root_side": limits[begin + active],
            "schedule": [
                {"timestamp": stamp, "limits_to_root": each}
                for stamp, each in zip(stamps, limits[begin : begin + slots], strict=True)
            ],
        }
        for uuid, begin in zip(uuids, range(0, len(limits), slots), strict=True)
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

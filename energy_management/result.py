"""Builds the `EnforcedLimits` that EVerest's EvseManager expects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from energy_management.allocation import Allocation
from energy_management.constraints import Network
from energy_management.coverage import Bools, Floats, Ints, Texts, everywhere, exists
from energy_management.demand import Demand
from energy_management.fields import MAX_PHASES
from energy_management.limits import Limiter
from energy_management.reasons import Joiner, Reason, binding_reasons

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
    slots = demand.slots

    def asked_for(values: NDArray[Any]) -> NDArray[Any]:
        if values.shape[1] == slots:
            return values
        return np.where(demand.exporting, values[:, slots:], values[:, :slots])

    current_A = asked_for(allocation.current_A)
    if exists(demand.exporting):
        current_A = np.where(demand.exporting, 0.0 - current_A, current_A)
    phases = asked_for(allocation.phases)
    binding = binding_reasons(network, nodes, demand, allocation.target_A)
    sources = asked_for(by_limits.joined(binding, nodes))
    most_phases_sources = by_phases.joined([_phases_reason(limiter)], nodes)
    if allocation.held:
        sources = sources.copy()
    for evse, reason in allocation.held.items():
        sources[evse, active] = f"{limiter.tree.evse_uuids[evse]}/{reason}"
    return Grants(
        current_A,
        phases.astype(np.int64),
        current_A * phases * limiter.nominal_voltage_V,
        asked_for(_power_is_limited(limiter, network)),
        sources,
        asked_for(_phases_sources(demand, allocation, most_phases_sources)),
    )


def _power_is_limited(limiter: Limiter, network: Network) -> Bools:
    """Whether a power limit exists on the way to the root."""
    powers = network.powers_of_nodes
    if not powers:
        return np.zeros(limiter.demand.takes_part.shape, dtype=np.bool_)
    limits_power = np.logical_or.reduce(np.isfinite(network.node_capacity[powers]))
    return limiter.tree.coverage.above(np.logical_or, limits_power)


def _phases_reason(limiter: Limiter) -> Reason:
    """Who limits the number of phases."""
    nodes, most = limiter.tree.coverage, limiter.demand.most_phases
    marks = limiter.limits.values[MAX_PHASES].take(nodes.pair_node, 0) == most.take(nodes.pair_evse, 0)
    return marks, limiter.sources_of(MAX_PHASES)


def _phases_sources(demand: Demand, allocation: Allocation, names: Texts) -> Texts:
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
    current_A, phases, power_W, is_limited, source, phases_source = (
        column.ravel().tolist()
        for column in (
            grants.current_A,
            grants.phases,
            grants.power_W,
            grants.power_is_limited,
            grants.source,
            grants.phases_source,
        )
    )
    named_W = [power if limited else None for power, limited in zip(power_W, is_limited, strict=True)]
    different: dict[tuple[Any, ...], dict[str, Any]] = {}
    limits = [
        different.get(each) or different.setdefault(each, _limits(*each))
        for each in zip(current_A, phases, named_W, source, phases_source, strict=True)
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

"""A bridged connector as a leaf of the energy tree: the request that an EvseManager would publish for it.

The content follows EVerest's EvseManager (energy_grid/energyImpl.cpp, commit aa8113f9), so that an energy
manager cannot tell one from the other.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from bsp.connector_registers import ConnectorStatus
from bsp.profile import State

_EVSE_STATE: Mapping[State, str] = {
    "A": "Unplugged",
    "B": "PrepareCharging",
    "C": "Charging",
    "D": "Charging",
    "E": "Disabled",
    "F": "Disabled",
}


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a connector can do, as EVerest's ``HardwareCapabilities`` tells it of a board.

    Attributes
    ----------
    min_current_A, max_current_A : float
        Of the charger, its cable and the site file, the narrowest.
    min_phase_count, max_phase_count : int
        Phases it can charge on.
    supports_changing_phases : bool
        Whether the number can change while a car is connected.
    cable_A : float
        Of the cable that is plugged in, as far as the board knows it.
    """

    max_current_A: float
    min_current_A: float = 6.0
    max_phase_count: int = 3
    min_phase_count: int = 3
    supports_changing_phases: bool = False
    cable_A: float = math.inf


def energy_flow_request(
    name: str, capabilities: Capabilities, status: ConnectorStatus, now: datetime, *, age_s: float = 0.0
) -> dict[str, Any]:
    """Build a connector's request for energy.

    Parameters
    ----------
    name : str
        Its uuid in the tree.
    capabilities : Capabilities
        What it can do.
    status : ConnectorStatus
        What it does at present.
    now : datetime
        Wall-clock time, aware.
    age_s : float
        How long ago the status was read; its measurement keeps the time at which it was taken.

    Returns
    -------
    dict
        An EVerest ``EnergyFlowRequest``. Connectors cannot discharge, so its export is zero.
    """
    timestamp = rfc3339(now)
    caps_source, cable_source, limit_source, zero_source = (
        f"{name}/evse_board_support_caps",
        f"{name}/pp_ampacity",
        f"{name} update_max_current_limit",
        f"{name} set_zero_discharge_limit",
    )
    cable_A = min(capabilities.cable_A, math.inf if status.cable_A is None else status.cable_A)
    most = _sourced(capabilities.max_current_A, caps_source)
    if cable_A < capabilities.max_current_A:
        most = _sourced(cable_A, cable_source)
    none = _sourced(0.0, caps_source)

    can_switch = capabilities.supports_changing_phases and status.can_switch_phases

    def entry(most: dict[str, Any], min_A: float, leaves: dict[str, Any]) -> dict[str, Any]:
        root = {
            "ac_max_current_A": most,
            "ac_min_current_A": _sourced(min_A, caps_source),
            "ac_max_phase_count": _sourced(capabilities.max_phase_count, caps_source),
            "ac_min_phase_count": _sourced(capabilities.min_phase_count, caps_source),
            "ac_supports_changing_phases_during_charging": can_switch,
            "ac_number_of_active_phases": status.active_phases or capabilities.max_phase_count,
        }
        return {"timestamp": timestamp, "limits_to_root": root, "limits_to_leaves": leaves}

    imported = {"ac_max_current_A": _sourced(capabilities.max_current_A, limit_source)}
    exported = {"ac_max_current_A": _sourced(0.0, zero_source), "total_power_W": _sourced(0.0, zero_source)}
    return {
        "uuid": name,
        "node_type": "Evse",
        "evse_state": evse_state(status),
        "priority_request": False,
        "children": [],
        "schedule_import": [entry(most, capabilities.min_current_A, imported)],
        "schedule_export": [entry(none, 0.0, exported)],
        "schedule_setpoints": [],
        **_usage(status, rfc3339(now - timedelta(seconds=age_s))),
    }


def evse_state(status: ConnectorStatus) -> str:
    """Tell EVerest's ``EvseState`` of a connector.

    A car that is connected and does not draw, though it may, has paused by itself. One that may not waits for
    energy, and one that has been offered some only just now may be about to begin: EvseManager calls both
    PrepareCharging.
    """
    if status.fault is not None:
        return "Disabled"
    if status.state == "B" and status.limit_A and not status.is_waking:
        return "PausedEV"
    return _EVSE_STATE[status.state]


def rfc3339(time: datetime) -> str:
    """Write a time as EVerest does: UTC with milliseconds and Z."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _usage(status: ConnectorStatus, timestamp: str) -> dict[str, Any]:
    """Give the measurement as EVerest's Powermeter, which cannot be without the energy."""
    if status.energy_Wh is None:
        return {}
    meter: dict[str, Any] = {"timestamp": timestamp, "energy_Wh_import": {"total": status.energy_Wh}}
    if status.power_W is not None:
        meter["power_W"] = {"total": status.power_W}
    if status.current_A is not None:
        phases = zip(("L1", "L2", "L3"), status.current_A, strict=True)
        meter["current_A"] = {phase: current for phase, current in phases if not math.isnan(current)}
    return {"energy_usage_root": meter}


def _sourced(value: float, source: str) -> dict[str, Any]:
    return {"value": value, "source": source}

"""A manager on a virtual clock, and short ways to read its results."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from energy_management import EnergyManager, ManagerConfig, ManagerState, Site
from energy_management.measurement import Reading
from tests.energy_management.problem import Json
from tests.energy_management.trees import NOW


class SiteRun:
    """A manager whose time is what the test says."""

    def __init__(self, config: Json | None = None, site: Json | None = None, now: datetime = NOW) -> None:
        self.config = ManagerConfig.from_dict(config or {})
        self.site = Site.from_dict(site or {})
        self.manager = EnergyManager(self.config, self.site)
        self.start = self.now = now

    def at(
        self, seconds: float, request: Any, readings: Mapping[str, Reading] | None = None
    ) -> dict[str, Json]:
        """Optimize so many seconds after the start; the limits by uuid."""
        self.now = self.start + timedelta(seconds=seconds)
        results = self.manager.optimize(request, self.now, readings or {})
        return {result["uuid"]: result["limits_root_side"] for result in results}

    def restart(self) -> None:
        """A new process takes over with what the old one saved."""
        saved = self.manager.state.to_json()
        self.manager = EnergyManager(self.config, self.site, ManagerState.from_json(saved))


def optimize(request: Any, config: Json | None = None, site: Json | None = None) -> dict[str, Json]:
    """The limits by uuid of a single run."""
    return SiteRun(config, site).at(0, request)


def amps(limits: Mapping[str, Json]) -> dict[str, float]:
    return {uuid: round(limit["ac_max_current_A"]["value"], 6) for uuid, limit in limits.items()}


def phases(limits: Mapping[str, Json]) -> dict[str, int | None]:
    return {uuid: limit.get("ac_max_phase_count", {}).get("value") for uuid, limit in limits.items()}


def watts(limits: Mapping[str, Json]) -> dict[str, float]:
    return {
        uuid: round(limit["total_power_W"]["value"], 6)
        for uuid, limit in limits.items()
        if "total_power_W" in limit
    }


def sources(limits: Mapping[str, Json]) -> dict[str, str]:
    return {uuid: limit["ac_max_current_A"]["source"] for uuid, limit in limits.items()}

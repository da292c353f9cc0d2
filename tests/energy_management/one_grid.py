"""A node with a fuse and a meter, and EVSEs below it, on a virtual clock; a test says what is measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from energy_management import EnergyManager, EvseAttributes, InForce, ManagerConfig, NodeAttributes, Site
from energy_management.measurement import Reading, Vector3
from tests.energy_management.trees import NOW, evse, node

FUSE_A = 35.0
STRAIGHT = EvseAttributes("L1 L2 L3")
NO_LOAD: Vector3 = (0.0, 0.0, 0.0)


def flat(current_A: float) -> Vector3:
    return (current_A, current_A, current_A)


class Grid:
    """A node with a 35 A fuse and a meter, and EVSEs below it; decides when told to."""

    def __init__(
        self,
        evses: Mapping[str, EvseAttributes] | None = None,
        *,
        fallback_A: float | None = 8.0,
        reserve_A: float = 0.0,
        counts_generation: bool = False,
        closed_loop: bool = False,
    ) -> None:
        attributes = NodeAttributes(
            fallback_A=fallback_A, reserve_A=reserve_A, counts_generation=counts_generation
        )
        site = Site(evses or {"a": STRAIGHT}, {"grid": attributes})
        self.manager = EnergyManager(ManagerConfig(closed_loop=closed_loop), site)
        self.states = dict.fromkeys(site.evses, "Charging")
        self.active = 3
        self.in_force: dict[str, InForce] = {}
        self.now_s = 1000.0
        self.wall_clock = NOW

    def step(
        self, grid: Reading | Vector3 | None, cars: Mapping[str, Reading | Vector3] | None = None
    ) -> dict[str, float]:
        """Decide with these readings, plain vectors being of this moment; return the grants."""
        readings = {
            name: found if isinstance(found, Reading) else Reading(self.now_s, found)
            for name, found in {"grid": grid, **(cars or {})}.items()
            if found is not None
        }
        children = [evse(name, state=state, active=self.active) for name, state in self.states.items()]
        request = node("grid", children, A=FUSE_A)
        results = self.manager.optimize(
            request, self.wall_clock, readings, monotonic_s=self.now_s, in_force=self.in_force
        )
        return {each["uuid"]: each["limits_root_side"]["ac_max_current_A"]["value"] for each in results}

    def run(
        self,
        seconds: int,
        grid: Reading | Vector3 | None,
        cars: Mapping[str, Reading | Vector3] | None = None,
    ) -> dict[str, float]:
        """Decide once a second with readings of the moment."""
        grants: dict[str, float] = {}
        for second in range(seconds):
            self.now_s += 1.0
            moving = grid
            if isinstance(grid, Reading):  # energy counters of a living meter move
                energy_Wh = (grid.energy_import_Wh or 0.0) + self.now_s + second
                moving = replace(grid, taken_at=self.now_s, energy_import_Wh=energy_Wh)
            elif grid is not None:
                moving = Reading(self.now_s, grid, energy_import_Wh=self.now_s)
            grants = self.step(moving, cars)
        return grants

"""What the closed loop learns and keeps: wiring that nobody configured, base loads across a restart."""

from __future__ import annotations

import pytest

from energy_management import EnergyManager, EvseAttributes, ManagerConfig, ManagerState
from energy_management.measurement import Vector3
from tests.energy_management.one_grid import STRAIGHT, Grid, flat

HOUSE: Vector3 = (3.0, 4.0, 5.0)


def charged(grid: Grid, phase: int, current_A: float, seconds: int, house: Vector3 = HOUSE) -> None:
    """A one-phase car that is really on a certain grid phase."""
    measured = list(house)
    measured[phase] += current_A
    grid.run(seconds, (measured[0], measured[1], measured[2]), {"a": (current_A, 0.0, 0.0)})


class TestWiring:
    @pytest.mark.parametrize(("phase", "rotation"), [(0, "L1 L2 L3"), (1, "L2 L3 L1"), (2, "L3 L1 L2")])
    def test_is_learnt_from_a_car_on_one_phase_that_comes_and_goes(self, phase: int, rotation: str) -> None:
        grid = Grid({"a": EvseAttributes()}, closed_loop=True)
        for _ in range(2):
            charged(grid, phase, 0, 15)
            charged(grid, phase, 10, 15)
        assert grid.manager.report.learnt_rotations == {"a": rotation}

    def test_is_used(self) -> None:
        grid = Grid({"a": EvseAttributes()}, closed_loop=True)
        for _ in range(2):
            charged(grid, 1, 0, 15)
            charged(grid, 1, 10, 15)
        granted = grid.run(60, (30.0, 14.0, 30.0), {"a": (10.0, 0.0, 0.0)})["a"]
        assert granted == pytest.approx(31), "L1 and L3 are full, and no business of a car on L2"

    def test_is_not_learnt_while_the_house_moves_too(self) -> None:
        grid = Grid({"a": EvseAttributes()}, closed_loop=True)
        for _ in range(6):
            charged(grid, 1, 0, 15)
            charged(grid, 1, 10, 15, house=(12.0, 4.0, 5.0))
        assert grid.manager.report.learnt_rotations == {}

    def test_is_not_learnt_from_contradictions(self) -> None:
        grid = Grid({"a": EvseAttributes()}, closed_loop=True)
        for phase in (0, 1, 2, 0, 2, 1):
            charged(grid, phase, 10, 15)
            charged(grid, phase, 0, 15, house=(9.0 * phase, 4.0, 5.0))
        assert grid.manager.report.learnt_rotations == {}

    def test_what_is_configured_stays(self) -> None:
        grid = Grid({"a": STRAIGHT}, closed_loop=True)
        for _ in range(3):
            charged(grid, 1, 0, 15)
            charged(grid, 1, 10, 15)
        assert grid.manager.report.learnt_rotations == {}

    def test_survives_a_restart(self) -> None:
        grid = Grid({"a": EvseAttributes()}, closed_loop=True)
        for _ in range(2):
            charged(grid, 2, 0, 15)
            charged(grid, 2, 10, 15)
        restored = ManagerState.from_json(grid.manager.state.to_json())
        assert restored.evses["a"].learnt_rotation == "L3 L1 L2"


class TestRestart:
    def restarted(self, grid: Grid) -> Grid:
        """The same site with a new process: another monotonic clock."""
        state = ManagerState.from_json(grid.manager.state.to_json())
        grid.manager = EnergyManager(ManagerConfig(closed_loop=True), grid.manager.site, state)
        grid.now_s = 5.0
        return grid

    def test_a_base_load_counts_as_long_as_if_there_had_been_none(self) -> None:
        grid = Grid(closed_loop=True)
        grid.run(30, flat(25), {"a": flat(0)})
        after = self.restarted(grid)
        assert after.run(10, flat(5), {"a": flat(0)})["a"] == pytest.approx(10)
        assert after.run(30, flat(5), {"a": flat(0)})["a"] == pytest.approx(30)

    def test_without_a_meter_a_restart_raises_nothing(self) -> None:
        grid = Grid(closed_loop=True, fallback_A=20)
        before = grid.run(30, flat(25), {"a": flat(0)})["a"]
        assert self.restarted(grid).run(60, None, {"a": flat(0)})["a"] <= before + 1e-6

    @pytest.mark.parametrize("damaged", ['{"grid": [1, 2]}', '{"grid": "x"}', "[]", '{"grid": [1, 2, "3"]}'])
    def test_a_damaged_state_is_refused_in_one_line(self, damaged: str) -> None:
        with pytest.raises(ValueError, match="base_loads_A: expected three currents"):
            ManagerState.from_json(f'{{"version": 1, "evses": {{}}, "base_loads_A": {damaged}}}')

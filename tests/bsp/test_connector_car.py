"""What a connector tells of its car: state, current, phases; and how it switches them."""

import pytest

from bsp.connector import ConnectorLimit
from bsp.connector_registers import ConnectorStatus
from bsp.leaf import evse_state
from bsp.overdraw import OverdrawGuard
from bsp.profile import ConnectorProfile, connector_profile
from bsp.registers import Value
from bsp.transport import RefusedError
from energy_management.measurement import Reading, Vector3
from hil.devices import WallboxDevice
from hil.devices.registers import DeviceRefusesError
from tests.bsp.bench import HEIDELBERG, PROFILES, Bench
from tests.bsp.plant import Point


@pytest.mark.parametrize("state", ["A", "B", "C"])
@PROFILES
def test_the_state_is_that_of_the_car(profile: ConnectorProfile, state: str) -> None:
    async def work(bench: Bench) -> None:
        bench.point.state = state
        assert (await bench.cycle()).state == state

    Bench(profile).run(work)


def test_a_state_that_the_profile_does_not_know_is_a_fault() -> None:
    class Strange(WallboxDevice):
        def _status(self) -> dict[str, Value]:
            return {"charging_state": 77}

    bench = Bench(HEIDELBERG)
    bench.device = Strange(HEIDELBERG, bench.point, clock=bench.clock)

    async def work(bench: Bench) -> None:
        status = await bench.cycle()
        assert status.state == "F"
        assert status.fault == "unknown status: charging_state 77"

    bench.run(work)


def test_a_meter_of_its_own_counts_more_than_the_chargers_as_long_as_it_lives() -> None:
    meter = Reading(taken_at=1000.0, current_A=(3.0, 3.0, 3.0), total_power_W=2000.0, energy_import_Wh=1.0)

    async def work(bench: Bench) -> None:
        bench.connector.enforce(ConnectorLimit(9.0, valid_for_s=100.0))
        assert (await bench.cycle()).current_A == (3.0, 3.0, 3.0)
        assert (await bench.cycle(after_s=6.0)).current_A == pytest.approx((9.0, 9.0, 9.0))

    Bench(HEIDELBERG, measure=lambda: meter).run(work)


def test_a_car_on_one_phase_is_seen() -> None:
    async def work(bench: Bench) -> None:
        bench.point.phases = 1
        bench.connector.enforce(ConnectorLimit(9.0))
        assert (await bench.cycle()).active_phases == 1

    Bench(HEIDELBERG).run(work)


def test_a_car_that_draws_too_much_is_paused_until_it_leaves() -> None:
    class Greedy(Point):
        @property
        def current_A(self) -> Vector3:
            return (15.0, 15.0, 15.0) if self.state == "C" else (0.0, 0.0, 0.0)

    bench = Bench(HEIDELBERG, guard=OverdrawGuard(15.0))
    bench.point = Greedy()
    bench.device = WallboxDevice(HEIDELBERG, bench.point, clock=bench.clock)

    async def work(bench: Bench) -> None:
        faults = []
        for _ in range(20):
            bench.connector.enforce(ConnectorLimit(8.0))
            faults.append((await bench.cycle(after_s=1.0)).fault)
        assert faults[:15] == [None] * 15
        assert faults[-1] == "draws 15.0 A, 8 A are allowed"
        assert bench.point.limit_A == 0.0
        bench.point.state = "A"
        await bench.cycle(after_s=1.0)
        assert (await bench.cycle(after_s=1.0)).fault is None

    bench.run(work)


def test_a_car_that_takes_a_while_to_begin_is_not_said_to_have_paused_itself() -> None:
    async def work(bench: Bench) -> None:
        states = []
        for limit_A, state in ((0.0, "B"), (10.0, "B"), (10.0, "B"), (10.0, "C"), (10.0, "B")):
            bench.point.state = state
            bench.connector.enforce(ConnectorLimit(limit_A, valid_for_s=900.0))
            states.append(evse_state(await bench.cycle(after_s=5.0)))
        assert states == ["PrepareCharging", "PrepareCharging", "PrepareCharging", "Charging", "PausedEV"]

    Bench(HEIDELBERG).run(work)


class Reaction:
    """A car that starts and stops as its limit says, a cycle later."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench

    async def cycle(self) -> ConnectorStatus:
        self.bench.point.state = "C" if self.bench.point.limit_A else "B"
        return await self.bench.cycle(after_s=1.0)


PHASE_SWITCHERS = ["alfen_eve", "keba_p30_p40", "smartevse_v2_v3_modbus", "openwb_2x_secondary"]


@pytest.mark.parametrize("name", PHASE_SWITCHERS)
def test_phases_are_switched_and_the_car_is_never_on_more_than_it_was_granted(name: str) -> None:
    async def work(bench: Bench) -> None:
        reaction = Reaction(bench)
        bench.connector.enforce(ConnectorLimit(10.0, phases=3, valid_for_s=900.0))
        for _ in range(3):
            await reaction.cycle()
        assert [bench.point.phases, bench.point.limit_A] == pytest.approx([3, 10.0], abs=0.1)
        bench.connector.enforce(ConnectorLimit(16.0, phases=1, valid_for_s=900.0))
        for _ in range(20):
            status = await reaction.cycle()
            assert not (bench.point.phases == 3 and (bench.point.limit_A or 0.0) > 10.1)
        assert [bench.point.phases, bench.point.limit_A] == pytest.approx([1, 16.0], abs=0.1)
        assert status.active_phases == 1
        assert status.fault is None
        assert status.can_switch_phases

    Bench(connector_profile(name)).run(work)


@pytest.mark.parametrize("name", ["alfen_eve", "keba_p30_p40", "openwb_2x_secondary"])
def test_a_charger_that_is_busy_when_it_is_told_to_switch_is_told_again(name: str) -> None:
    profile = connector_profile(name)
    assert profile.phase_switching is not None
    written = [*profile.phase_switching.trigger, profile.phase_switching.point][0]

    class Busy(WallboxDevice):
        refusals = 2

        def written(self, name: str, value: Value) -> None:
            if name == written and self.refusals:
                self.refusals -= 1
                raise DeviceRefusesError(6)
            super().written(name, value)

    bench = Bench(profile)
    bench.device = Busy(profile, bench.point, clock=bench.clock)

    async def work(bench: Bench) -> None:
        bench.connector.enforce(ConnectorLimit(16.0, phases=1, valid_for_s=900.0))
        for _ in range(2):
            with pytest.raises(RefusedError):
                await bench.cycle(after_s=1.0)
        status = await bench.cycle(after_s=1.0)
        status = await bench.cycle(after_s=1.0)
        assert (bench.point.phases, status.active_phases) == (1, 1)

    bench.run(work)


def test_a_charger_that_is_not_built_for_it_says_that_it_cannot_switch() -> None:
    async def work(bench: Bench) -> None:
        bench.device.written("phases_possible", 0)
        bench.connector.enforce(ConnectorLimit(16.0, phases=1, valid_for_s=900.0))
        for _ in range(3):
            status = await bench.cycle(after_s=1.0)
        assert not status.can_switch_phases
        assert bench.point.phases == 3

    Bench(connector_profile("mennekes_amtron_compact_2s")).run(work)

"""Connectors on real sockets: limits, their end, watchdogs. Time is the test's own."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
import pytest

from bsp.connector import Connector, ConnectorLimit
from bsp.connector_registers import ConnectorStatus
from bsp.device import Device
from bsp.leaf import evse_state
from bsp.overdraw import OverdrawGuard
from bsp.phase_choice import phase_driver
from bsp.profile import ConnectorProfile, connector_profile
from bsp.registers import Value
from bsp.transport import NoAnswerError, RefusedError, TcpLink
from energy_management.measurement import Reading, Vector3
from hil.devices import Faults, WallboxDevice, serve_tcp
from hil.devices.registers import DeviceRefusesError
from tests.bsp.plant import Point, VirtualClock, on_bus

# without the silence that it needs between requests, which a clock that stands still would never see end
HEIDELBERG = msgspec.structs.replace(connector_profile("heidelberg_energy_control"), request_gap=0.0)
ALFEN = connector_profile("alfen_eve")


class Bench:
    """A charger behind a socket, the connector that drives it, and the clock of both."""

    def __init__(self, profile: ConnectorProfile, **settings: Any) -> None:
        self.profile = profile
        self.settings = settings
        self.clock = VirtualClock()
        self.point = Point()
        self.device = WallboxDevice(profile, self.point, clock=self.clock)
        self.connector: Connector

    def run(self, work: Callable[["Bench"], Awaitable[Any]]) -> Any:
        async def with_device(device: Device) -> Any:
            self.connector = Connector(
                device, self.profile, self.clock, phases=phase_driver(device, self.profile), **self.settings
            )
            return await work(self)

        with serve_tcp({1: self.device}) as line:
            link = TcpLink(line.host, line.port, timeout_s=0.2)
            return on_bus(link, self.profile, 1, with_device, self.clock)

    async def cycle(self, after_s: float = 0.0) -> ConnectorStatus:
        self.clock.advance(after_s)
        self.device.tick()
        return await self.connector.cycle()


PROFILES = pytest.mark.parametrize("profile", [HEIDELBERG, ALFEN], ids=["heidelberg", "alfen"])


@PROFILES
def test_a_connector_pauses_until_it_is_given_a_limit(profile: ConnectorProfile) -> None:
    async def work(bench: Bench) -> None:
        assert bench.point.limit_A == profile.current_limit.maximum  # as the charger would do by itself
        status = await bench.cycle()
        assert bench.point.limit_A == 0.0
        assert status.limit_A == 0.0
        assert status.fault is None

    Bench(profile).run(work)


@PROFILES
def test_a_limit_reaches_the_car_and_is_read_back(profile: ConnectorProfile) -> None:
    async def work(bench: Bench) -> None:
        bench.connector.enforce(ConnectorLimit(10.0))
        status = await bench.cycle()
        assert bench.point.limit_A == pytest.approx(10.0)
        assert status.limit_A == pytest.approx(10.0)
        assert status.state == "C"
        assert status.current_A == pytest.approx((10.0, 10.0, 10.0))
        assert status.power_W == pytest.approx(6930.0, rel=0.001)
        assert status.energy_Wh == pytest.approx(5432.0)
        assert status.active_phases == 3
        assert status.taken_at == bench.clock.now_s

    Bench(profile).run(work)


def test_a_limit_is_rounded_down_to_what_the_charger_takes() -> None:
    async def work(bench: Bench) -> None:
        bench.connector.enforce(ConnectorLimit(12.39))
        await bench.cycle()
        assert bench.point.limit_A == pytest.approx(12.3)

    Bench(HEIDELBERG).run(work)


@pytest.mark.parametrize(
    ("enforced_A", "offered_A"), [(5.9, 0.0), (6.0, 6.0), (0.0, 0.0), (16.0, 16.0), (99.0, 16.0), (-4.0, 0.0)]
)
def test_below_the_minimum_is_a_pause_and_above_the_maximum_is_the_maximum(
    enforced_A: float, offered_A: float
) -> None:
    async def work(bench: Bench) -> None:
        bench.connector.enforce(ConnectorLimit(enforced_A))
        await bench.cycle()
        assert bench.point.limit_A == offered_A

    Bench(HEIDELBERG).run(work)


def test_no_limit_exceeds_what_the_cable_carries() -> None:
    async def work(bench: Bench) -> None:
        bench.connector.enforce(ConnectorLimit(32.0))
        await bench.cycle()
        assert bench.point.limit_A == 20.0

    Bench(ALFEN, maximum_A=20.0).run(work)


@PROFILES
@pytest.mark.parametrize("fallback_A", [0.0, 8.0])
def test_a_limit_that_runs_out_ends_in_the_fallback(profile: ConnectorProfile, fallback_A: float) -> None:
    async def work(bench: Bench) -> None:
        bench.connector.enforce(ConnectorLimit(14.0, valid_for_s=10.0))
        await bench.cycle()
        await bench.cycle(after_s=9.9)
        assert bench.point.limit_A == pytest.approx(14.0)
        await bench.cycle(after_s=0.2)
        assert bench.point.limit_A == pytest.approx(fallback_A)

    Bench(profile, fallback_A=fallback_A).run(work)


def test_the_watchdog_is_armed_with_timeout_and_fallback() -> None:
    async def work(bench: Bench) -> dict[str, Value]:
        await bench.cycle()
        return dict(bench.device.values())

    settings = Bench(HEIDELBERG, fallback_A=7.0).run(work)
    assert settings["watchdog_timeout"] == pytest.approx(15.0)
    assert settings["fallback"] == pytest.approx(7.0)
    assert settings["standby"] == 4


def test_a_dead_manager_ends_in_the_fallback_of_the_charger() -> None:
    async def work(bench: Bench) -> None:
        bench.connector.enforce(ConnectorLimit(16.0, valid_for_s=3600.0))
        await bench.cycle()
        bench.clock.advance(14.9)
        bench.device.tick()
        assert bench.point.limit_A == 16.0
        bench.clock.advance(0.2)
        bench.device.tick()
        assert bench.point.limit_A == 7.0

    Bench(HEIDELBERG, fallback_A=7.0).run(work)


def test_a_watchdog_is_fed_while_limits_are_renewed() -> None:
    async def work(bench: Bench) -> None:
        for _ in range(200):
            bench.connector.enforce(ConnectorLimit(16.0, valid_for_s=10.0))
            await bench.cycle(after_s=1.0)
            assert bench.point.limit_A == 16.0

    Bench(ALFEN).run(work)


@pytest.mark.parametrize("name", ["webasto_next", "mennekes_amtron_compact_2s", "alfen_eve"])
def test_a_watchdog_is_fed_however_often_the_limit_changes(name: str) -> None:
    async def work(bench: Bench) -> None:
        for second in range(120):
            wanted_A = 10.0 + second % 2
            bench.connector.enforce(ConnectorLimit(wanted_A, valid_for_s=10.0))
            await bench.cycle(after_s=1.0)
            assert bench.point.limit_A == pytest.approx(wanted_A)
            bench.clock.advance(0.5)
            bench.device.tick()
            assert bench.point.limit_A == pytest.approx(wanted_A), "fell back"

    Bench(connector_profile(name)).run(work)


def test_a_limit_of_which_only_a_part_was_taken_is_written_again() -> None:
    """The limit was taken and the switch refused; the charger must get both, even if the old one is due."""

    async def work(bench: Bench) -> None:
        bench.connector.enforce(ConnectorLimit(10.0))
        await bench.cycle()
        refuse.append(True)
        bench.connector.enforce(ConnectorLimit(6.0))
        with pytest.raises(RefusedError):
            await bench.cycle()
        refuse.clear()
        bench.connector.enforce(ConnectorLimit(10.0))
        await bench.cycle()
        assert bench.point.limit_A == 10.0

    refuse: list[bool] = []

    class Busy(WallboxDevice):
        def written(self, name: str, value: Value) -> None:
            if refuse and name == profile.enable.point:
                raise DeviceRefusesError(6)
            super().written(name, value)

    profile: Any = connector_profile("phoenix_em_cp_pp_eth")
    bench = Bench(profile)
    bench.device = Busy(profile, bench.point, clock=bench.clock)
    bench.run(work)


def test_a_watchdog_is_not_fed_when_the_control_loop_has_stopped() -> None:
    """The bridge lives on, and the charger's own watchdog expires all the same."""

    async def work(bench: Bench) -> None:
        bench.connector.enforce(ConnectorLimit(16.0, valid_for_s=10.0))
        fallbacks = []
        for _ in range(90):
            await bench.cycle(after_s=1.0)
            fallbacks.append(bench.point.limit_A)
        assert fallbacks[20] == 10.0  # the site file's
        assert 6.0 in fallbacks[60:]  # the charger's own

    Bench(ALFEN, fallback_A=10.0).run(work)


def test_a_charger_that_comes_back_from_a_power_cut_gets_its_limit_and_settings_again() -> None:
    async def work(bench: Bench) -> None:
        bench.connector.enforce(ConnectorLimit(9.0, valid_for_s=1000.0))
        await bench.cycle()
        bench.device.faults.silent = True
        with pytest.raises(NoAnswerError):
            await bench.cycle(after_s=1.0)
        bench.device.power_cycle()
        bench.device.faults.silent = False
        assert bench.point.limit_A == 16.0
        await bench.cycle(after_s=1.0)
        assert bench.point.limit_A == 9.0
        assert bench.device.values()["standby"] == 4

    Bench(HEIDELBERG).run(work)


def test_a_limit_that_somebody_else_changed_is_put_right() -> None:
    async def work(bench: Bench) -> None:
        bench.connector.enforce(ConnectorLimit(9.0))
        await bench.cycle()
        bench.device.written("limit", 13.0)
        await bench.cycle()
        await bench.cycle()
        assert bench.point.limit_A == 9.0

    Bench(HEIDELBERG).run(work)


class Stubborn(WallboxDevice):
    """Confirms every limit and keeps its own."""

    def written(self, name: str, value: Value) -> None:
        super().written(name, 11.0 if name == "limit" else value)


def test_a_charger_that_does_not_take_its_limit_is_reported() -> None:
    bench = Bench(HEIDELBERG)
    bench.device = Stubborn(HEIDELBERG, bench.point, clock=bench.clock)

    async def work(bench: Bench) -> None:
        bench.connector.enforce(ConnectorLimit(8.0))
        assert (await bench.cycle()).fault is None
        status = await bench.cycle()
        assert status.fault == "does not take its limit: 8 A written, 11 A read back"
        assert status.limit_A == 11.0

    bench.run(work)


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


def test_what_a_silent_charger_may_have_taken_counts_as_taken() -> None:
    """It took the limit, and its answer was lost."""

    async def work(bench: Bench) -> None:
        bench.connector.enforce(ConnectorLimit(8.0, valid_for_s=900.0))
        await bench.cycle()
        bench.device.faults = Faults(delay_s=1.0)
        for limit_A in (11.0, 9.0):
            bench.connector.enforce(ConnectorLimit(limit_A, valid_for_s=900.0))
            with pytest.raises(NoAnswerError) as caught:
                await bench.cycle(after_s=20.0)
        assert bench.point.limit_A in (9.0, 11.0)
        assert bench.connector.unheard(caught.value).limit_A == 11.0
        bench.device.faults = Faults()
        status = await bench.cycle(after_s=20.0)
        assert (bench.point.limit_A, status.limit_A) == (9.0, 9.0)

    Bench(connector_profile("webasto_next")).run(work)


def test_a_charger_that_fell_back_unseen_gets_its_limit_again() -> None:
    """Its watchdog was not fed in time, its limit cannot be read back, and the limit did not change."""

    async def work(bench: Bench) -> None:
        bench.connector.enforce(ConnectorLimit(6.0, valid_for_s=900.0))
        await bench.cycle()
        assert bench.point.limit_A == 6.0
        await bench.cycle(after_s=25.0)
        assert bench.point.limit_A == 10.0, "as the installer has set it"
        await bench.cycle(after_s=1.0)
        assert bench.point.limit_A == 6.0

    Bench(connector_profile("webasto_next"), fallback_A=10.0).run(work)


def test_a_cable_that_the_charger_knows_caps_every_limit() -> None:
    profile = connector_profile("webasto_next")

    class Cable(WallboxDevice):
        cable_A = 20

        def values(self) -> Mapping[str, Value]:
            return {**super().values(), "cable_A": self.cable_A}

    bench = Bench(profile)
    bench.device = device = Cable(profile, bench.point, clock=bench.clock)

    async def work(bench: Bench) -> None:
        limits_A = []
        for device.cable_A in (20, 13, 0):
            for _ in range(2):
                bench.connector.enforce(ConnectorLimit(32.0))
                status = await bench.cycle(after_s=1.0)
            limits_A.append((bench.point.limit_A, status.cable_A))
        assert limits_A == [(20.0, 20.0), (13.0, 13.0), (32.0, None)]

    bench.run(work)


def test_a_car_on_one_phase_is_seen() -> None:
    async def work(bench: Bench) -> None:
        bench.point.phases = 1
        bench.connector.enforce(ConnectorLimit(9.0))
        assert (await bench.cycle()).active_phases == 1

    Bench(HEIDELBERG).run(work)


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


class Reaction:
    """A car that starts and stops as its limit says, a cycle later."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench

    async def cycle(self) -> ConnectorStatus:
        self.bench.point.state = "C" if self.bench.point.limit_A else "B"
        return await self.bench.cycle(after_s=1.0)


def test_a_charger_that_is_not_built_for_it_says_that_it_cannot_switch() -> None:
    async def work(bench: Bench) -> None:
        bench.device.written("phases_possible", 0)
        bench.connector.enforce(ConnectorLimit(16.0, phases=1, valid_for_s=900.0))
        for _ in range(3):
            status = await bench.cycle(after_s=1.0)
        assert not status.can_switch_phases
        assert bench.point.phases == 3

    Bench(connector_profile("mennekes_amtron_compact_2s")).run(work)


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

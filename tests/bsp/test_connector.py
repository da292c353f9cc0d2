"""Limits of connectors, on real sockets: that they arrive, hold, and end. Time is the test's own."""

from collections.abc import Mapping
from typing import Any

import pytest

from bsp.connector import ConnectorLimit
from bsp.profile import ConnectorProfile, connector_profile
from bsp.registers import Value
from bsp.transport import NoAnswerError, RefusedError
from hil.devices import Faults, WallboxDevice
from hil.devices.registers import DeviceRefusesError
from tests.bsp.bench import ALFEN, HEIDELBERG, PROFILES, Bench


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

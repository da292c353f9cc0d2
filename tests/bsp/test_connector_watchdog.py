"""What becomes of a charger's limit when the manager, or the charger itself, is gone for a while."""

import pytest

from bsp.connector import ConnectorLimit
from bsp.profile import connector_profile
from bsp.registers import Value
from bsp.transport import NoAnswerError
from tests.bsp.bench import ALFEN, HEIDELBERG, Bench


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

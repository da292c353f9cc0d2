"""Charging sessions as a user would count them, from what EVSEs say and meters measure."""

from __future__ import annotations

import math
from datetime import timedelta
from pathlib import Path

import pytest

from control.inbox import Heard, Snapshot
from control.notices import Notices
from control.sessions import Sessions
from control.store import Store
from control.store.history import SessionRow, samples, sessions
from energy_management.measurement import Reading
from tests.control.sample import RecordingLog, VirtualClock, evse, node

WRITTEN_S = 60.0


class Evse:
    """One EVSE and the state file of who watches it."""

    def __init__(self, path: Path) -> None:
        self.path = path / "state.db"
        self.clock = VirtualClock()
        self.start()

    def start(self) -> None:
        log = RecordingLog()
        self.store = Store(self.path, log, Notices(log))
        self.sessions = Sessions(self.store, self.clock())

    def stop(self) -> None:
        self.sessions.close()
        self.store.close(WRITTEN_S)

    def crash(self) -> None:
        """The process is gone; what it had handed over is written."""
        self.store.close(WRITTEN_S)

    def run(
        self,
        seconds: float,
        state: str,
        *,
        current_A: float | None = None,
        phases: int = 3,
        counter_Wh: float | None = None,
        power_W: float | None = None,
    ) -> None:
        """Be in a state for a while, measured once a second; a counter goes on by the power."""
        for second in range(round(seconds)):
            now = self.clock.advance(1.0)
            currents = None
            if current_A is not None:
                one, two, three = (current_A if phase < phases else 0.0 for phase in range(3))
                currents = (one, two, three)
            counted = None if counter_Wh is None else counter_Wh + (power_W or 0.0) * (second + 1) / 3600.0
            reading = Reading(now.monotonic_s, currents, total_power_W=power_W, energy_import_Wh=counted)
            is_measured = (current_A, counter_Wh, power_W) != (None, None, None)
            request = node("garage", [evse("carport", state=state)])
            measured = {"carport": reading} if is_measured else {}
            snapshot = Snapshot({"garage": Heard(request, now.monotonic_s)}, measured)
            self.sessions.follow(snapshot, now, granted_A={"carport": 16.0})

    def rows(self) -> list[SessionRow]:
        assert self.store.flush(WRITTEN_S)
        return sessions(self.path)


@pytest.fixture
def carport(tmp_path: Path) -> Evse:
    return Evse(tmp_path)


def test_a_session_lasts_from_plug_to_unplug(carport: Evse) -> None:
    carport.run(60, "Unplugged", current_A=0.0, counter_Wh=5000.0)
    carport.run(30, "WaitForAuth", current_A=0.0, counter_Wh=5000.0)
    carport.run(3600, "Charging", current_A=16.0, counter_Wh=5000.0, power_W=11_000.0)
    carport.run(600, "PausedEV", current_A=0.0, counter_Wh=16_000.0)
    carport.run(5, "Finished", current_A=0.0, counter_Wh=16_000.0)
    carport.run(60, "Unplugged", current_A=0.0, counter_Wh=16_000.0)
    (row,) = carport.rows()
    assert (row.evse, row.start, row.end) == (
        "carport",
        "2026-11-22T09:31:01.000Z",
        "2026-11-22T10:41:35.000Z",
    )
    assert row.energy_Wh == pytest.approx(11_000)
    assert not row.is_estimated
    assert (row.max_current_A, row.phases) == (16.0, 3)
    carport.stop()


def test_an_evse_without_a_car_has_none(carport: Evse) -> None:
    carport.run(120, "Unplugged", current_A=0.0, counter_Wh=5000.0)
    carport.run(120, "Disabled", current_A=0.0, counter_Wh=5000.0)
    assert carport.rows() == []
    carport.stop()


@pytest.mark.parametrize("interruption", ["Disabled", "Finished", "PausedEVSE"])
def test_a_fault_or_a_stop_on_the_way_does_not_make_it_two(carport: Evse, interruption: str) -> None:
    carport.run(60, "Charging", current_A=10.0)
    carport.run(60, interruption, current_A=0.0)
    carport.run(60, "Charging", current_A=10.0)
    (row,) = carport.rows()
    assert row.end is None
    carport.stop()


def test_two_cars_are_two_sessions(carport: Evse) -> None:
    for counter_Wh in (0.0, 300.0):
        carport.run(180, "Charging", current_A=9.0, phases=1, counter_Wh=counter_Wh, power_W=6000.0)
        carport.run(2, "Unplugged", current_A=0.0, counter_Wh=counter_Wh + 300.0)
    assert [row.energy_Wh for row in carport.rows()] == [pytest.approx(300, abs=2)] * 2
    assert [row.phases for row in carport.rows()] == [1, 1]
    carport.stop()


def test_power_over_time_is_marked_as_an_estimate(carport: Evse) -> None:
    carport.run(3600, "Charging", current_A=16.0, power_W=11_000.0)
    carport.run(1, "Unplugged", current_A=0.0, power_W=0.0)
    (row,) = carport.rows()
    assert row.energy_Wh == pytest.approx(11_000, rel=0.01)
    assert row.is_estimated
    carport.stop()


def test_what_nobody_measures_is_not_made_up(carport: Evse) -> None:
    carport.run(600, "Charging")
    (row,) = carport.rows()
    assert (row.energy_Wh, row.max_current_A, row.phases) == (None, None, None)
    carport.stop()


def test_a_new_meter_on_the_way_neither_adds_nor_takes(carport: Evse) -> None:
    """The old one had counted 90 MWh."""
    carport.run(1800, "Charging", current_A=16.0, counter_Wh=90e6, power_W=10_000.0)
    carport.run(1800, "Charging", current_A=16.0, counter_Wh=3.0, power_W=10_000.0)
    carport.run(1800, "Charging", current_A=16.0, counter_Wh=90e6, power_W=10_000.0)
    (row,) = carport.rows()
    assert row.energy_Wh is None or row.energy_Wh < 15_100
    carport.run(1, "Unplugged", current_A=0.0, counter_Wh=90e6, power_W=0.0)
    (row,) = carport.rows()
    assert row.energy_Wh == pytest.approx(15_000, rel=0.01)
    assert row.is_estimated
    carport.stop()


class TestRestart:
    def test_the_session_goes_on_and_the_meter_tells_what_was_missed(self, carport: Evse) -> None:
        carport.run(100, "Charging", current_A=16.0, counter_Wh=0.0, power_W=36_000.0)
        carport.stop()
        carport.clock.advance(100)
        carport.start()
        carport.run(100, "Charging", current_A=16.0, counter_Wh=2000.0, power_W=36_000.0)
        carport.run(1, "Unplugged", current_A=0.0, counter_Wh=3000.0)
        (row,) = carport.rows()
        assert row.energy_Wh == pytest.approx(3000, rel=0.01)
        assert not row.is_estimated
        assert row.start == "2026-11-22T09:30:01.000Z"
        carport.stop()

    def test_a_crash_loses_no_energy_that_a_meter_counts(self, carport: Evse) -> None:
        carport.run(130, "Charging", current_A=16.0, counter_Wh=0.0, power_W=36_000.0)
        carport.crash()
        carport.start()
        carport.run(1, "Unplugged", current_A=0.0, counter_Wh=1300.0)
        (row,) = carport.rows()
        assert row.energy_Wh == pytest.approx(1300, abs=11)
        carport.stop()

    def test_a_car_that_left_meanwhile_left_when_it_was_last_seen(self, carport: Evse) -> None:
        carport.run(100, "Charging", current_A=16.0)
        carport.stop()
        carport.clock.advance(5000)
        carport.start()
        carport.run(1, "Unplugged", current_A=0.0)
        (row,) = carport.rows()
        assert row.end is not None
        assert row.end == "2026-11-22T09:31:40.000Z"
        carport.stop()

    def test_numbers_go_on(self, carport: Evse) -> None:
        for _ in range(3):
            carport.run(10, "Charging", current_A=10.0)
            carport.run(1, "Unplugged", current_A=0.0)
            carport.stop()
            carport.start()
        assert len(carport.rows()) == 3
        carport.stop()


def test_an_evse_that_is_gone_for_good_ends_its_session(carport: Evse) -> None:
    carport.run(60, "Charging", current_A=10.0)
    for _ in range(30):
        carport.sessions.follow(Snapshot(), carport.clock.advance(3600))
    (row,) = carport.rows()
    assert row.end == "2026-11-22T09:31:00.000Z"
    carport.stop()


def test_a_clock_that_is_set_on_the_way_does_not_stretch_the_session(carport: Evse) -> None:
    """A device without a battery begins in another time and is set by the network."""
    began = carport.clock.elapsed_s
    carport.run(60, "Charging", current_A=10.0)
    jump = timedelta(days=300)
    real = carport.clock
    ahead = VirtualClock()

    def jumped(seconds: float):  # type: ignore[no-untyped-def]
        now = real.advance(seconds)
        return type(now)(now.monotonic_s, now.utc + jump)

    ahead.advance = jumped  # type: ignore[method-assign]
    carport.clock = ahead
    carport.run(60, "Charging", current_A=10.0)
    carport.run(1, "Unplugged", current_A=0.0)
    (row,) = carport.rows()
    assert began == 0.0
    assert (row.start, row.end) == ("2027-09-18T09:30:01.000Z", "2027-09-18T09:32:00.000Z")
    carport.stop()


def test_samples_show_the_course(carport: Evse) -> None:
    carport.run(600, "Charging", current_A=16.0, counter_Wh=0.0, power_W=11_000.0)
    carport.stop()
    rows = samples(carport.path)
    assert len(rows) == 10
    assert {(row.granted_A, row.current_A, row.power_W) for row in rows} == {(16.0, 16.0, 11_000.0)}
    energies = [row.energy_Wh or math.nan for row in rows]
    assert energies == sorted(energies)

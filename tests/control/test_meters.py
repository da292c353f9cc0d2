"""Meters that fall silent are told, in the log, as an error of EVerest, and in their state."""

import pytest

from control.inbox import Inbox
from control.meters import CONNECTED, DOUBT, FAULT, Meters, meter_state
from control.notices import Notices
from control.schedules import JsonObject
from energy_management.measurement import Reading
from tests.control.sample import RecordingLog, VirtualClock

POWERMETER = {
    "timestamp": "2026-11-22T09:30:00.000Z",
    "energy_Wh_import": {"total": 1.0},
    "current_A": {"L1": 5.0, "L2": 4.0, "L3": 3.0},
}


class Errors:
    """EVerest's errors, which must not be raised twice."""

    def __init__(self) -> None:
        self.active: set[str] = set()
        self.published = 0

    def publish(self, implementation: str, variable: str, value: object) -> None:
        self.published += 1

    def raise_error(self, implementation: str, error_type: str, message: str) -> None:
        assert error_type not in self.active
        self.active.add(error_type)

    def clear_error(self, implementation: str, error_type: str) -> None:
        self.active.remove(error_type)


class House:
    """A house with a meter at the own node, connected or on a bus, and another one on a bus."""

    def __init__(self, own: str | None) -> None:
        self.clock = VirtualClock()
        self.log = RecordingLog()
        self.everest = Errors()
        names = ["yard", own or CONNECTED]
        self.meters = Meters(
            "grid",
            own,
            dict.fromkeys(names, 10.0),
            inbox=Inbox(self.clock, lambda: None),
            everest=self.everest,
            notices=Notices(self.log),
            clock=self.clock,
        )

    def state(self, meter: str) -> JsonObject:
        now = self.clock()
        return meter_state(meter, self.meters.states(now)[meter], now)

    def wait(self, seconds: float) -> None:
        self.meters.check(self.clock.advance(seconds))


def test_a_connected_meter_that_falls_silent_is_an_error_until_it_speaks_again() -> None:
    house = House(own=None)
    house.meters.on_powermeter(POWERMETER)
    house.wait(9)
    assert house.everest.active == set()
    house.wait(2)
    house.wait(1)
    assert house.everest.active == {FAULT}
    assert house.log.at("warning") == ["meter powermeter: nothing heard for 10 s"]
    assert house.state(CONNECTED)["is_stale"] is True
    assert house.state(CONNECTED)["fault"] == "nothing heard for 10 s"
    house.meters.on_powermeter(POWERMETER)
    assert house.everest.active == set()
    assert house.log.at("info") == ["meter powermeter: answers again"]
    assert house.state(CONNECTED)["is_stale"] is False


def test_one_that_never_spoke_is_an_error_too() -> None:
    house = House(own=None)
    house.wait(11)
    assert house.everest.active == {FAULT}
    assert house.state(CONNECTED) == {"name": CONNECTED, "is_stale": True, "fault": "nothing heard for 10 s"}


def test_what_is_no_reading_does_not_count_as_one() -> None:
    house = House(own=None)
    house.meters.on_powermeter(POWERMETER)
    house.wait(9)
    house.meters.on_powermeter("nonsense")
    house.wait(2)
    assert house.everest.active == {FAULT}


def test_a_meter_that_is_not_believed_is_a_warning_of_everest() -> None:
    house = House(own=None)
    for why in ("frozen", "frozen", "still frozen"):
        house.meters.doubt(why)
        assert house.everest.active == {DOUBT}
    house.meters.doubt(None)
    house.meters.doubt(None)
    assert house.everest.active == set()


def test_only_the_own_meter_on_a_bus_is_an_error_of_everest() -> None:
    house = House(own="main")
    house.meters.on_bridge_fault("yard", "no answer")
    assert (house.everest.active, house.state("yard")["fault"]) == (set(), "no answer")
    house.meters.on_bridge_fault("main", "no answer")
    assert house.everest.active == {FAULT}
    house.meters.on_bridge_reading("main", Reading(house.clock().monotonic_s, energy_import_Wh=1.0))
    assert house.everest.active == set()


@pytest.mark.parametrize(("meter", "published"), [("main", 1), ("yard", 0)])
def test_the_own_meter_is_published_under_the_own_name(meter: str, published: int) -> None:
    house = House(own="main")
    house.meters.on_bridge_reading(meter, Reading(house.clock().monotonic_s, energy_import_Wh=1.0))
    assert house.everest.published == published

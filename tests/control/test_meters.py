"""Meters that fall silent are told, in the log, as an error of EVerest, and in their state."""

import pytest

from control.inbox import Inbox
from control.meters import CONNECTED, Meters, meter_state
from control.notices import Notices
from control.schedules import JsonObject
from energy_management.measurement import Reading
from tests.control.sample import RecordingLog, VirtualClock

FAULT = ("powermeter/CommunicationFault", "")
DOUBT = ("powermeter/VendorWarning", "")
YARD_SILENT = ("powermeter/VendorWarning", "meter/yard")
YARD_DOUBTED = ("powermeter/VendorWarning", "node/yard")
POWERMETER = {
    "timestamp": "2026-11-22T09:30:00.000Z",
    "energy_Wh_import": {"total": 1.0},
    "current_A": {"L1": 5.0, "L2": 4.0, "L3": 3.0},
}


class Errors:
    """EVerest's errors, by type and sub-type, which must not be raised twice."""

    def __init__(self) -> None:
        self.active: dict[tuple[str, str], str] = {}
        self.published = 0

    def publish(self, implementation: str, variable: str, value: object) -> None:
        self.published += 1

    def raise_error(self, implementation: str, error_type: str, message: str, sub_type: str = "") -> None:
        assert implementation == "powermeter"
        assert (error_type, sub_type) not in self.active
        self.active[error_type, sub_type] = message

    def clear_error(self, implementation: str, error_type: str, sub_type: str = "") -> None:
        del self.active[error_type, sub_type]


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


def test_a_counter_that_was_missing_for_a_while_is_complained_about_as_long_as_that() -> None:
    house = House("grid")
    house.meters.on_bridge_reading("grid", Reading(house.clock().monotonic_s))
    assert house.log.at("warning") == ["meter grid: counts no energy, not published as powermeter"]
    house.meters.on_bridge_reading("grid", Reading(house.clock().monotonic_s, energy_import_Wh=1.0))
    assert house.log.at("info") == ["meter grid: counts energy again"]
    assert house.everest.published == 1


def test_a_connected_meter_that_falls_silent_is_an_error_until_it_speaks_again() -> None:
    house = House(own=None)
    house.meters.on_powermeter(POWERMETER)
    house.wait(9)
    assert house.everest.active == {}
    house.wait(2)
    house.wait(1)
    assert house.everest.active.keys() == {FAULT}
    assert house.log.at("warning") == ["meter powermeter: nothing heard for 10 s"]
    assert house.state(CONNECTED)["is_stale"] is True
    assert house.state(CONNECTED)["fault"] == "nothing heard for 10 s"
    house.meters.on_powermeter(POWERMETER)
    assert house.everest.active == {}
    assert house.log.at("info") == ["meter powermeter: answers again"]
    assert house.state(CONNECTED)["is_stale"] is False


def test_one_that_never_spoke_is_an_error_too() -> None:
    house = House(own=None)
    house.wait(11)
    assert house.everest.active.keys() == {FAULT}
    assert house.state(CONNECTED) == {"name": CONNECTED, "is_stale": True, "fault": "nothing heard for 10 s"}


def test_what_is_no_reading_does_not_count_as_one() -> None:
    house = House(own=None)
    house.meters.on_powermeter(POWERMETER)
    house.wait(9)
    house.meters.on_powermeter("nonsense")
    house.wait(2)
    assert house.everest.active.keys() == {FAULT}


def test_a_meter_that_is_not_believed_is_a_warning_of_everest() -> None:
    house = House(own=None)
    for why in ("frozen", "frozen", "still frozen"):
        house.meters.doubt("grid", {"grid": why})
        assert house.everest.active == {DOUBT: "frozen"}
    house.meters.doubt("grid", {})
    house.meters.doubt("grid", {})
    assert house.everest.active == {}


def test_the_meter_of_another_node_that_is_not_believed_is_a_warning_of_its_own() -> None:
    house = House(own="main")
    house.meters.doubt("grid", {"grid": "frozen", "yard": "no voltage"})
    assert house.everest.active == {DOUBT: "frozen", YARD_DOUBTED: "meter of yard: no voltage"}
    house.meters.on_bridge_fault("yard", "no answer")
    house.meters.doubt("grid", {"yard": "no voltage"})
    assert house.everest.active.keys() == {YARD_DOUBTED, YARD_SILENT}
    house.meters.doubt("grid", {})
    assert house.everest.active.keys() == {YARD_SILENT}, "silence ends when the meter speaks"


def test_another_meter_on_a_bus_that_falls_silent_is_a_warning_that_names_it() -> None:
    house = House(own="main")
    for _ in range(2):
        house.meters.on_bridge_fault("yard", "no answer")
    assert house.everest.active == {YARD_SILENT: "meter yard: no answer"}
    assert house.state("yard")["fault"] == "no answer"
    house.meters.on_bridge_fault("main", "no answer")
    assert house.everest.active.keys() == {FAULT, YARD_SILENT}
    for meter, left in (("main", {YARD_SILENT}), ("yard", set())):
        house.meters.on_bridge_reading(meter, Reading(house.clock().monotonic_s, energy_import_Wh=1.0))
        assert house.everest.active.keys() == left


@pytest.mark.parametrize(("meter", "published"), [("main", 1), ("yard", 0)])
def test_the_own_meter_is_published_under_the_own_name(meter: str, published: int) -> None:
    house = House(own="main")
    house.meters.on_bridge_reading(meter, Reading(house.clock().monotonic_s, energy_import_Wh=1.0))
    assert house.everest.published == published

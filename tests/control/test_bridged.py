"""Connectors and meters on real Modbus TCP, in the loop of a real instance."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bsp.bridge import Bridge
from bsp.phase_switch import Memory as PhaseMemory
from bsp.profile import connector_profile, meter_profile
from control.everest import Outside
from control.memory import Memory, Restored
from control.notices import Notices
from control.orders import Orders
from control.settings import Settings, SettingsError
from control.site import EnergySite
from control.site_file import load_site
from control.store import Store
from control.workings import Workings
from energy_management.measurement import Reading, Vector3
from hil.devices.line import TcpLine, serve_tcp
from hil.devices.meter import MeterDevice
from hil.devices.wallbox import WallboxDevice
from tests.control.sample import RecordingLog, VirtualClock, limits
from tests.patience import WITHIN_S

WALLBOX, METER = "alfen_eve", "eastron_sdm630"
Json = dict[str, Any]


@dataclass
class Point:
    """A charging point whose car draws what it is offered, on three phases."""

    state: str = "C"
    limit_A: float = 0.0
    voltage_V: Vector3 = (230.0, 230.0, 230.0)
    energy_Wh: float = 1000.0
    changed: threading.Condition = field(default_factory=threading.Condition)

    @property
    def current_A(self) -> Vector3:
        return self.limit_A, self.limit_A, self.limit_A

    def set_limit(self, current_A: float) -> None:
        with self.changed:
            self.limit_A = current_A
            self.changed.notify_all()

    def wait_for_limit(self, current_A: float) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: self.limit_A == pytest.approx(current_A), WITHIN_S), (
                self.limit_A
            )


class Node:
    """What the node above and EVerest see of the instance."""

    def __init__(self) -> None:
        self.newest: dict[str, Any] = {}
        self._changed = threading.Condition()

    def publish(self, implementation: str, variable: str, value: object) -> None:
        with self._changed:
            self.newest[variable] = value
            self._changed.notify_all()

    def raise_error(self, implementation: str, error_type: str, message: str, sub_type: str = "") -> None:
        self.publish(implementation, error_type, message)

    def clear_error(self, implementation: str, error_type: str, sub_type: str = "") -> None:
        self.publish(implementation, error_type, None)

    def wait_for(self, what: str, fits: Callable[[Any], object]) -> Any:
        with self._changed:
            assert self._changed.wait_for(lambda: fits(self.newest.get(what)), WITHIN_S), self.newest.get(
                what
            )
            return self.newest[what]


@dataclass
class House:
    """An instance with a wallbox and a meter on one line."""

    site: EnergySite
    everest: Node
    point: Point
    line: TcpLine
    log: RecordingLog


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    point = Point()
    reading = Reading(
        0.0,
        current_A=(5.0, -4.0, 3.0),
        voltage_V=(230.0, 230.0, 230.0),
        power_W=(1150.0, -920.0, 690.0),
        total_power_W=920.0,
        energy_import_Wh=2000.0,
        energy_export_Wh=3000.0,
        frequency_Hz=50.0,
    )
    devices = {
        1: WallboxDevice(connector_profile(WALLBOX), point),
        2: MeterDevice(meter_profile(METER), lambda: reading),
    }
    with serve_tcp(devices) as line:
        site_file = tmp_path / "site.yaml"
        site_file.write_text(
            f"""
grid: {{fuse: 35 A, meter: house}}
nodes: {{garage: {{fuse: 20 A}}}}
buses: {{lan: {{host: {line.host}, port: {line.port}, timeout: 200 ms}}}}
meters: {{house: {{profile: {METER}, bus: lan, unit: 2}}}}
connectors: {{carport: {{profile: {WALLBOX}, bus: lan, unit: 1, node: garage}}}}
"""
        )
        everest, log = Node(), RecordingLog()
        settings = Settings.from_config("site", {"role": "node", "site_file": str(site_file)})
        site = EnergySite(settings, load_site(site_file), Outside({}, everest, log))
        site.start()
        yield House(site, everest, point, line, log)
        site.stop()


def connector(request: Json | None) -> Json | None:
    """Find the connector's request in the node's."""
    garages = [child for child in request["children"] if child["uuid"] == "garage"] if request else []
    connectors: list[Json] = garages[0]["children"] if garages else []
    return connectors[0] if connectors else None


def max_A(request: Json) -> float:
    value: float = request["schedule_import"][0]["limits_to_root"]["ac_max_current_A"]["value"]
    return value


def test_what_happens_on_the_bus_is_counted(house: House) -> None:
    house.everest.wait_for("energy_flow_request", connector)
    assert house.site._bridged is not None
    devices = house.site._bridged.statistics["lan"]
    assert devices.keys() == {1, 2}
    assert devices[1].requests > 0


def test_a_connector_asks_below_its_node_and_obeys(house: House) -> None:
    request = house.everest.wait_for("energy_flow_request", connector)
    asking = connector(request)
    assert asking is not None
    assert (asking["uuid"], asking["evse_state"], max_A(asking)) == ("carport", "Charging", 32)
    assert max_A(request["children"][0]) == 20
    house.site.handlers.enforce_limits(limits("carport", 11))
    house.point.wait_for_limit(11)
    house.site.handlers.enforce_limits({**limits("carport", 11), "limits_root_side": {}})
    house.point.wait_for_limit(0)


def test_watts_of_a_limit_hold_on_the_phases_that_are_used(house: House) -> None:
    house.everest.wait_for("energy_flow_request", connector)
    watts = limits("carport", 16)
    watts["limits_root_side"]["total_power_W"] = {"value": 6900.0, "source": "x"}
    house.site.handlers.enforce_limits(watts)
    house.point.wait_for_limit(10)


def test_the_grid_meter_is_shown_to_everest(house: House) -> None:
    shown = house.everest.wait_for("powermeter", bool)
    assert shown["current_A"] == pytest.approx({"L1": 5.0, "L2": -4.0, "L3": 3.0})
    request = house.everest.wait_for("energy_flow_request", lambda r: r and "energy_usage_root" in r)
    assert request["energy_usage_root"]["power_W"]["total"] == pytest.approx(920)


def test_a_connector_that_does_not_answer_keeps_what_it_may_draw(house: House) -> None:
    house.everest.wait_for("energy_flow_request", connector)
    house.site.handlers.enforce_limits(limits("carport", 13, valid_for=60))
    house.point.wait_for_limit(13)
    house.line.unplug()

    def is_held(request: Json | None) -> bool:
        held = connector(request)
        return held is not None and max_A(held) == 13

    request = house.everest.wait_for("energy_flow_request", is_held)
    held = connector(request)
    assert held is not None
    limits_to_root = held["schedule_import"][0]["limits_to_root"]
    assert limits_to_root["ac_min_current_A"]["value"] == 13, "nobody else may have it"
    assert house.everest.wait_for("powermeter/CommunicationFault", bool)

    house.line.plug()
    house.everest.wait_for("energy_flow_request", lambda r: max_A(connector(r) or r) == 32)
    house.everest.wait_for("powermeter/CommunicationFault", lambda text: text is None)


def test_what_is_known_of_phase_contactors_survives_a_restart(tmp_path: Path) -> None:
    """A crash amid a switch must not be forgotten: the position of the contacts is not known then."""
    amid, clock = PhaseMemory(phases=1, under_way=True, switches=2), VirtualClock()
    log = RecordingLog()
    stores = [Store(tmp_path / "state.db", log, Notices(log))]
    first = Memory(stores[0], Orders(), log)
    assert first.restore(clock()) == Restored()
    first.note_phases("carport", amid)
    stores[0].close(60)
    stores.append(Store(tmp_path / "state.db", log, Notices(log)))
    again = Memory(stores[1], Orders(), log)
    assert again.restore(clock()).phases == {"carport": amid}
    assert log.lines == []
    stores[1].close(60)


@pytest.mark.parametrize(
    ("mode", "home", "told_home"), [("Never", 1, None), ("Oneway", 1, 1), ("Both", 1, 1), ("Never", 3, 3)]
)
def test_an_order_for_one_phase_does_not_outlive_the_mode_in_which_it_was_given(
    tmp_path: Path, mode: str, home: int, told_home: int | None
) -> None:
    """In mode Never nobody would order three phases again; that they are to come back outlives a restart."""
    log = RecordingLog()
    store = Store(tmp_path / "state.db", log, Notices(log))
    Memory(store, Orders(), log).note_phases("carport", PhaseMemory(phases=1, home=home, switches=1))
    store.close(60)
    site_file = tmp_path / "site.yaml"
    site_file.write_text(
        """
grid: {fuse: 35 A}
buses: {lan: {host: 127.0.0.1}}
connectors: {carport: {profile: alfen_eve, bus: lan, unit: 1}}
"""
    )
    config = {"site_file": str(site_file), "state_file": str(tmp_path / "state.db")}
    settings = Settings.from_config("site", {**config, "switch_3ph1ph_while_charging_mode": mode})
    told: dict[str, Any] = {}

    def make(*args: Any, **kwargs: Any) -> Bridge:
        told.update(kwargs["phase_memories"])
        return Bridge(*args, **kwargs)

    outside = Outside({}, Node(), log)
    site = EnergySite(settings, load_site(site_file), outside, workings=Workings(bridge=make))
    site.stop()
    assert told == {"carport": PhaseMemory(phases=1, home=told_home, switches=1)}


@pytest.mark.parametrize("damaged", ['"x"', "{", '{"carport": {"phases": "two"}}'])
def test_a_part_of_the_state_that_is_of_no_use_leaves_the_others(tmp_path: Path, damaged: str) -> None:
    log, clock = RecordingLog(), VirtualClock()
    first = Store(tmp_path / "state.db", log, Notices(log))
    orders = Orders()
    orders.set_evse("carport", {"priority": 3})
    Memory(first, orders, log).close(clock(), None)
    first.put_state("orders", json.dumps(orders.to_json()))
    first.put_state("phases", damaged)
    first.close(60)
    second, restored = Store(tmp_path / "state.db", log, Notices(log)), Orders()
    assert Memory(second, restored, log).restore(clock()).phases == {}
    assert restored.evses["carport"].priority == 3
    (line,) = log.at("warning")
    assert "starting without phases" in line
    second.close(60)


def test_a_bus_of_a_serial_hub_that_is_not_connected_is_refused(tmp_path: Path) -> None:
    site_file = tmp_path / "site.yaml"
    site_file.write_text(
        """
grid: {fuse: 35 A}
buses: {rs485: {everest_hub: true}}
connectors: {yard: {profile: heidelberg_energy_control, bus: rs485, unit: 1}}
"""
    )
    settings = Settings.from_config("site", {"site_file": str(site_file)})
    with pytest.raises(SettingsError, match="requirement 'serial_hub' is not connected"):
        EnergySite(settings, load_site(site_file), Outside({}, Node(), RecordingLog()))

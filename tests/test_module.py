"""The module as its own process under the bench's manager, on real brokers, with other modules around it."""

import json
import shutil
import socket
import threading
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest

from bsp.profile import meter_profile
from energy_management.measurement import Reading
from hil.devices.line import serve_tcp
from hil.devices.meter import MeterDevice
from hil.observer import EnergyMessage, Observer
from hil.runtime.broker import BrokerAddress
from hil.runtime.manager import Manager
from hil.runtime.wire import Topics, decode, encode
from tests.patience import WITHIN_S
from tests.system.limits import is_due

API = "everest_api/energy_manager/grid/"
Json = dict[str, Any]


class Run:
    """A configuration that runs, and what is seen of it on the broker."""

    def __init__(self, manager: Manager, broker: str, lines: list[str]) -> None:
        self.manager = manager
        self.lines = lines
        self.amperes: dict[tuple[str, str], float] = {}
        self.seen: list[tuple[float, EnergyMessage]] = []
        self._changed = threading.Condition()
        self.control: dict[str, Json] = {}
        self.shown: dict[str, Json] = {}
        self.errors: dict[tuple[str, str], str] = {}
        self._client = BrokerAddress.parse(broker).new_client()
        self._client.on_message = self._on_control
        BrokerAddress.parse(broker).connect(self._client)
        self._client.subscribe(f"{manager.prefix}modules/+/impl/control/#", 2)
        errors = f"{manager.prefix}modules/+/impl/powermeter/error/#"
        self._client.message_callback_add(errors, self._on_error)
        self._client.subscribe(errors, 2)
        self._client.message_callback_add(f"{API}#", self._on_api)
        self._client.subscribe(f"{API}#", 1)
        self._client.loop_start()

    def _on_control(self, _client: object, _userdata: object, message: mqtt.MQTTMessage) -> None:
        """Note the newest variable of each name, and the newest result of each command."""
        parts = message.topic.removeprefix(self.manager.prefix).split("/")
        _, data = decode(bytes(message.payload))
        with self._changed:
            if parts[4] == "var":
                self.control[parts[5]] = data["data"]
            elif "response" in parts:
                self.control[parts[5]] = data["data"]["retval"]
            self._changed.notify_all()

    def _on_error(self, _client: object, _userdata: object, message: mqtt.MQTTMessage) -> None:
        """Note the state of each error, by type and sub-type."""
        _, data = decode(bytes(message.payload))
        with self._changed:
            self.errors[data["type"], data["sub_type"]] = data["state"]
            self._changed.notify_all()

    def _on_api(self, _client: object, _userdata: object, message: mqtt.MQTTMessage) -> None:
        """Note what is shown without EVerest."""
        with self._changed:
            self.shown[message.topic.removeprefix(API)] = json.loads(message.payload or b"{}")
            self._changed.notify_all()

    def take(self, message: EnergyMessage) -> None:
        with self._changed:
            self.seen.append((time.monotonic(), message))
            if message.kind == "enforce_limits":
                current = message.data["limits_root_side"]["ac_max_current_A"]["value"]
                self.amperes[message.module_id, message.data["uuid"]] = current
            self._changed.notify_all()

    def wait_for(self, condition: Callable[[], object], what: str) -> None:
        with self._changed:
            assert self._changed.wait_for(condition, WITHIN_S), (what, self.amperes, self.lines[-10:])

    def wait_for_limits(self, **amperes: float) -> None:
        """Wait until the EVSEs have just these limits."""

        def in_force() -> bool:
            return all(is_due(self.amperes.get((name, name)), limit) for name, limit in amperes.items())

        self.wait_for(in_force, f"limits {amperes}")

    def newest_source(self, evse: str) -> str:
        """Who set the newest limit of an EVSE."""
        newest = [m.data for _, m in self.seen if m.kind == "enforce_limits" and m.data["uuid"] == evse][-1]
        source: str = newest["limits_root_side"]["ac_max_current_A"]["source"]
        return source

    def wait_for_all(self, amperes: float, count: int) -> None:
        """Wait until so many EVSEs, and all, have this limit."""
        self.wait_for(
            lambda: [is_due(each, amperes) for each in self.amperes.values()] == [True] * count,
            f"{amperes} A for all",
        )

    def call(self, module: str, implementation: str, command: str, **args: Any) -> None:
        """Call a command as another module would."""
        topic = Topics(self.manager.prefix).command(module, implementation, command)
        call = {"id": str(uuid.uuid4()), "args": args, "origin": "tester"}
        self._client.publish(topic, encode("Cmd", call), qos=2)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@contextmanager
def running(modules: Json, broker: str, directory: Path, **settings: Any) -> Iterator[Run]:
    config = directory / "config.json"  # JSON is YAML
    config.write_text(json.dumps({"settings": settings, "active_modules": modules}))
    lines: list[str] = []
    manager = Manager(config, broker=broker, log=lines.append)
    run = Run(manager, broker, lines)
    try:
        with Observer(broker, manager.prefix, run.take), manager:
            manager.wait_ready(WITHIN_S)
            yield run
    finally:
        run.close()
    assert manager.exit_code == 0, "\n".join(lines)


def sim_evse(**config: Any) -> Json:
    plugged_in = {"plug_in_after_s": 0, "auth_after_s": 0, "car_max_current_A": 32}
    return {"module": "SimEvse", "config_module": {**plugged_in, **config}}


def to(*modules: str, implementation: str = "energy_grid") -> list[Json]:
    return [{"module_id": module, "implementation_id": implementation} for module in modules]


def external(amperes: float | None) -> Json:
    limits = {"ac_max_current_A": {"value": amperes, "source": "tester"}}
    entry = {"timestamp": "2026-01-01T00:00:00Z", "limits_to_root": limits, "limits_to_leaves": {}}
    schedule = [] if amperes is None else [entry]
    return {"schedule_import": schedule, "schedule_export": [], "schedule_setpoints": []}


def test_node_and_manager_in_one_share_a_fuse_and_follow_external_limits(broker: str, tmp_path: Path) -> None:
    modules = {
        "grid": {
            "module": "PyEnergyManager",
            "config_module": {"fuse_limit_A": 32},
            "connections": {"energy_consumer": to("left", "right")},
        },
        "left": sim_evse(),
        "right": sim_evse(),
    }
    with running(modules, broker, tmp_path) as run:
        run.wait_for_limits(left=16, right=16)
        run.call("grid", "external_limits", "set_external_limits", value=external(20))
        run.wait_for_limits(left=10, right=10)
        run.call("grid", "external_limits", "set_external_limits", value=external(None))
        run.wait_for(lambda: "tester" not in run.newest_source("left"), "the end of the external limit")
        assert not [line for line in run.lines if "WARN" in line or "ERRO" in line]


def test_a_tree_of_nodes_below_a_manager(shared_amqtt: str, tmp_path: Path) -> None:
    """EnergyManager and EnergyNode replaced: fuses on each level, limits to the right EVSE."""
    node = {"module": "PyEnergyManager", "config_module": {"role": "node", "fuse_limit_A": 20}}
    modules = {
        "manager": {"module": "PyEnergyManager", "connections": {"energy_trunk": to("grid")}},
        "grid": {
            "module": "PyEnergyManager",
            "config_module": {"role": "node", "fuse_limit_A": 40},
            "connections": {"energy_consumer": to("house", "yard")},
        },
        "house": {**node, "connections": {"energy_consumer": to("a", "b")}},
        "yard": {"module": "SimEvse", "config_module": sim_evse()["config_module"]},
        "a": sim_evse(),
        "b": sim_evse(),
    }
    with running(modules, shared_amqtt, tmp_path) as run:
        run.wait_for_limits(a=10, b=10, yard=20)
        reached = {module for module, _ in run.amperes}
        assert reached == {"grid", "house", "yard", "a", "b"}
        assert ("yard", "a") not in run.amperes, "a limit goes to the one child it is for"


@pytest.mark.parametrize(
    ("config", "connections", "complaint"),
    [
        ({}, {"energy_consumer": to("evse")}, "grid: no fuse for this node: set fuse_limit_A"),
        ({"site_file": "nowhere.yaml"}, {"energy_trunk": to("evse")}, "nowhere.yaml"),
    ],
)
def test_a_configuration_that_makes_no_sense_ends_with_one_line(
    config: Json, connections: Json, complaint: str, shared_amqtt: str, tmp_path: Path
) -> None:
    grid = {"module": "PyEnergyManager", "config_module": config, "connections": connections}
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"active_modules": {"grid": grid, "evse": sim_evse()}}))
    lines: list[str] = []
    with Manager(path, broker=shared_amqtt, log=lines.append) as manager:
        assert manager.wait(WITHIN_S) == 1
    assert [line for line in lines if complaint in line], "\n".join(lines)
    assert not [line for line in lines if "Traceback" in line]


def test_the_control_interface(shared_amqtt: str, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        metrics_port = free.getsockname()[1]
    modules = {
        "grid": {
            "module": "PyEnergyManager",
            "config_module": {"fuse_limit_A": 32, "mqtt_api": True, "metrics_port": metrics_port},
            "connections": {"energy_consumer": to("left", "right")},
        },
        "left": sim_evse(),
        "right": sim_evse(),
    }
    with running(modules, shared_amqtt, tmp_path, validate_schema=True) as run:
        run.wait_for_limits(left=16, right=16)
        order = {"node": "grid", "source": "test", "limits": {"current_A": 24}}
        run.call("grid", "control", "set_limit", value=order)
        run.wait_for_limits(left=12, right=12)
        assert run.control["set_limit"] == {"status": "Accepted", "message": ""}
        run.call("grid", "control", "set_limit", value={**order, "node": "nobody"})
        run.wait_for(lambda: run.control["set_limit"]["status"] == "Rejected", "the refusal")
        assert run.control["set_limit"]["message"].startswith("set_limit: unknown uuid 'nobody'")
        run.call("grid", "control", "pause", uuid="left")
        run.wait_for_limits(left=0)

        def shown() -> dict[str, float]:
            evses = run.control.get("allocation", {}).get("evses", [])
            return {evse["uuid"]: evse["current_A"] for evse in evses}

        run.wait_for(lambda: shown().get("left") == 0, "the allocation")

        def root_limit() -> object:
            nodes = run.control.get("node_state", {}).get("nodes") or [{}]
            return nodes[0].get("limit_A")

        run.wait_for(lambda: root_limit() == 24, "the limit of the node")
        assert run.control["status"]["evses"] == 2
        run.wait_for(lambda: run.shown.get("evse/left", {}).get("current_A") == 0, "the same over plain MQTT")
        with urllib.request.urlopen(f"http://127.0.0.1:{metrics_port}/metrics", timeout=WITHIN_S) as metrics:
            assert b'pyenergymanager_grant_amperes{uuid="left"} 0.0' in metrics.read()
        run.call("grid", "control", "get_status")
        run.call("grid", "control", "explain", uuid="left")
        run.wait_for(lambda: {"get_status", "explain"} <= run.control.keys(), "status and explanation")
        assert run.control["get_status"]["degraded"] == []
        assert run.control["explain"]["status"] == "Accepted"
        assert "left/pause" in run.control["explain"]["message"]


def test_meters_that_fall_silent_are_errors_of_everest_until_they_answer(
    shared_amqtt: str, tmp_path: Path
) -> None:
    reading = Reading(0.0, current_A=(1.0, 1.0, 1.0), voltage_V=(230.0, 230.0, 230.0), energy_import_Wh=1.0)
    profile = meter_profile("eastron_sdm630")
    site_file = tmp_path / "site.yaml"
    grid_meter = ("powermeter/CommunicationFault", "")
    yard_meter = ("powermeter/VendorWarning", "meter/yard")
    with serve_tcp({unit: MeterDevice(profile, lambda: reading) for unit in (1, 2)}) as line:
        site_file.write_text(
            "grid: {fuse: 32 A, meter: house}\n"
            "nodes: {yard: {fuse: 16 A, meter: yard}}\n"
            "evses: {left: {node: yard}}\n"
            f"buses: {{lan: {{host: {line.host}, port: {line.port}, timeout: 500 ms}}}}\n"
            "meters:\n"
            "  house: {profile: eastron_sdm630, bus: lan, unit: 1}\n"
            "  yard: {profile: eastron_sdm630, bus: lan, unit: 2}\n"
        )
        grid = {"module": "PyEnergyManager", "config_module": {"site_file": str(site_file)}}
        modules = {"grid": {**grid, "connections": {"energy_consumer": to("left")}}, "left": sim_evse()}
        with running(modules, shared_amqtt, tmp_path) as run:
            run.wait_for(lambda: run.amperes.get(("left", "left"), 0) > 6, "a share of what is left")
            line.unplug()
            active = {grid_meter: "Active", yard_meter: "Active"}
            run.wait_for(lambda: active.items() <= run.errors.items(), "the errors of both meters")
            line.plug()
            cleared = dict.fromkeys(active, "ClearedByModule")
            run.wait_for(lambda: cleared.items() <= run.errors.items(), "their end")


def crowd(directory: Path, count: int) -> None:
    """Write a module type with that many EVSEs."""
    module = directory / "modules" / "Crowd"
    module.mkdir(parents=True)
    shutil.copy(Path(__file__).parent / "modules/crowd.py", module / "module.py")
    energy = {"interface": "energy", "description": "An EVSE or a node"}
    manifest = {
        "description": "Many EVSEs",
        "config": {"as_trunk": {"type": "boolean", "description": "All below one node"}},
        "provides": {"trunk": energy, **{f"evse{n}": energy for n in range(count)}},
        "metadata": {"license": "https://opensource.org/licenses/Apache-2.0", "authors": ["the test"]},
    }
    (module / "manifest.yaml").write_text(json.dumps(manifest))


@pytest.mark.mosquitto
@pytest.mark.parametrize("as_trunk", [True, False], ids=["one trunk", "100 consumers"])
def test_a_hundred_evses_get_their_limits_side_by_side(
    *, as_trunk: bool, shared_mosquitto: str, tmp_path: Path
) -> None:
    """Consumers answer no call before 16 are under way; how long it all takes, `dev bench` tells."""
    count = 100
    crowd(tmp_path, count)
    consumers = [{"module_id": "crowd", "implementation_id": f"evse{n}"} for n in range(count)]
    connections = (
        {"energy_trunk": to("crowd", implementation="trunk")} if as_trunk else {"energy_consumer": consumers}
    )
    modules = {
        "grid": {
            "module": "PyEnergyManager",
            "config_module": {} if as_trunk else {"fuse_limit_A": 1000},
            "connections": connections,
        },
        "crowd": {"module": "Crowd", "config_module": {"as_trunk": as_trunk}},
    }
    with running(modules, shared_mosquitto, tmp_path, modules_dir=str(tmp_path / "modules")) as run:
        run.wait_for_all(10.0, count)  # those heard first had more, what they give up takes its time
        for amperes in (9.0, 7.0):
            run.call("grid", "external_limits", "set_external_limits", value=external(count * amperes))
            run.wait_for_all(amperes, count)

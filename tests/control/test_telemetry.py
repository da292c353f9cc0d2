"""What is shown: changes, once; what is gone is taken away; all of it as the schema says."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import jsonschema
import pytest

from control.broker import Broker
from control.clock import Instant, system_clock
from control.everest import Outside
from control.home_assistant import GONE_AFTER_S, HomeAssistant
from control.mqtt_schema import COMMANDS, TOPICS, schema
from control.notices import Notices
from control.settings import Settings
from control.site import EnergySite
from control.site_file import load_site
from control.telemetry import Telemetry
from tests.brokers import Mosquitto
from tests.control.instance import EverestPlayed
from tests.control.listener import Listener
from tests.control.sample import Child, RecordingLog, VirtualClock, evse
from tests.control.test_mqtt_api import broker_of

Json = dict[str, Any]
ROOT = Path(__file__).parents[2]


class Shown:
    """A site of which the states are set by hand, and what is handed on of them."""

    def __init__(self) -> None:
        self.states: dict[str, Json] = {}
        self.handed_on: list[tuple[str, Json | None]] = []
        self.notices = Notices(RecordingLog())
        self._clock = VirtualClock()
        self._telemetry = Telemetry(
            lambda _: self.states,
            [lambda name, state: self.handed_on.append((name, state))],
            self._clock,
            self.notices,
        )

    def show(self, **states: Json) -> list[tuple[str, Json | None]]:
        """Return what is handed on when the states are these."""
        self.states = states
        self.handed_on = []
        self._telemetry.show(self._clock.advance(1))
        return self.handed_on


def test_only_changes_are_shown() -> None:
    shown = Shown()
    assert shown.show(a={"x": 1}, b={"x": 1}) == [("a", {"x": 1}), ("b", {"x": 1})]
    assert shown.show(a={"x": 1}, b={"x": 2}) == [("b", {"x": 2})]


def test_times_alone_are_no_change() -> None:
    shown = Shown()
    shown.show(status={"last_run": "now", "evses": 1})
    assert shown.show(status={"last_run": "later", "evses": 1}) == []


def test_what_is_gone_is_taken_away() -> None:
    shown = Shown()
    shown.show(a={"x": 1}, b={"x": 1})
    assert shown.show(b={"x": 1}) == [("a", None)]


def test_a_node_shows_its_state_though_it_decides_nothing() -> None:
    settings = Settings.from_config("sub", {"role": "node", "fuse_limit_A": 32})
    site = EnergySite(
        settings, None, Outside({"a": Child()}, EverestPlayed(), RecordingLog()), VirtualClock()
    )
    assert site.status()["degraded"] == []
    site.handlers.prices("nonsense")
    assert site.status()["degraded"] != []
    jsonschema.validate(site.status(), {**schema(), "$ref": "#/$defs/Status"})


class Site:
    """A site with two EVSEs and a meter, which runs for real, and shows itself on a broker."""

    def __init__(self, broker: str, **config: Any) -> None:
        self.children = {"a": Child(), "b/left": Child()}
        self.log = RecordingLog()
        settings = Settings.from_config("grid", {"fuse_limit_A": 32, "mqtt_api": True, **config})
        outside = Outside(
            dict(self.children), EverestPlayed(), self.log, broker=broker_of(broker), has_powermeter=True
        )
        self.site = EnergySite(settings, None, outside, VirtualClock())  # nothing ever becomes stale
        self.site.start()

    def live(self, *names: str) -> None:
        """Have EVSEs and meter say what they say once a second."""
        for name in names or self.children:
            measured = {"energy_Wh_import": {"total": 1.0}, "current_A": {"L1": 6.0, "L2": 6.0, "L3": 6.0}}
            request = {**evse(name), "energy_usage_root": {**measured, "power_W": {"total": 4140.0}}}
            self.site.handlers.request(name, request)
        self.site.meters.on_powermeter(
            {
                "timestamp": "2026-11-22T09:30:00.000Z",
                "energy_Wh_import": {"total": 1234.5},
                "current_A": {"L1": 14.0, "L2": 12.0, "L3": 12.0},
                "voltage_V": {"L1": 231.2, "L2": 229.0, "L3": 230.0},
                "power_W": {"total": 8740.0},
                "frequency_Hz": {"L1": 50.01},
            }
        )
        self.site.wake()


@pytest.fixture
def site(shared_mosquitto: str) -> Iterator[Site]:
    site = Site(shared_mosquitto, home_assistant=True)
    yield site
    site.site.stop()


@pytest.fixture
def listener(shared_mosquitto: str) -> Iterator[Listener]:
    listener = Listener(shared_mosquitto)
    yield listener
    listener.close()


def check(topic: str, value: object) -> None:
    definition = TOPICS[topic.split("/")[1]]
    whole = schema()
    jsonschema.validate(value, {**whole, "$ref": f"#/$defs/{definition}"})


PARTS = (
    "grid/status",
    "grid/allocation",
    "grid/node_state",
    "grid/evse/a",
    "grid/evse/b%2Fleft",
    "grid/node/grid",
    "grid/meter/powermeter",
)


def test_every_part_of_the_site_has_its_topic_and_is_as_the_schema_says(
    site: Site, listener: Listener
) -> None:
    site.live()
    for topic in PARTS:
        listener.wait(lambda seen, topic=topic: topic in seen)  # type: ignore[misc]
        check(topic, listener.newest[topic])
    listener.wait(lambda seen: seen["grid/evse/a"].get("measured_A") == {"L1": 6.0, "L2": 6.0, "L3": 6.0})
    shown = listener.newest["grid/evse/a"]
    assert (shown["state"], shown["requested_A"], shown["minimum_A"]) == ("Charging", 32, 6)
    assert "grid" in shown["reason"]
    assert listener.newest["grid/node/grid"]["limit_A"] == 32
    assert listener.newest["grid/node/grid"]["limit_sources"] == ["grid/module_config"]
    meter = listener.newest["grid/meter/powermeter"]
    assert (meter["power_W"], meter["voltage_V"]["L1"], meter["is_stale"]) == (8740, 231, False)


def test_the_schema_in_the_documentation_is_current() -> None:
    text = (ROOT / "docs/mqtt.schema.json").read_text()
    assert json.loads(text) == schema(), "python -m control.mqtt_schema > docs/mqtt.schema.json"
    jsonschema.Draft202012Validator.check_schema(schema())


def test_every_topic_and_command_is_documented(site: Site) -> None:
    page = (ROOT / "docs/mqtt.md").read_text()
    assert set(site.site.commands.names) == COMMANDS.keys()
    for name in [*COMMANDS, *TOPICS.values(), *COMMANDS.values(), "Command", "Reply"]:
        assert f"`{name}`" in page, name


def test_replies_are_as_the_schema_says(site: Site, listener: Listener) -> None:
    site.live()
    listener.wait(lambda seen: "grid/evse/a" in seen)
    for name, args in (("explain", {"uuid": "a"}), ("pause", {"uuid": "nobody"}), ("get_status", {})):
        call = {"id": "x", "args": args}
        jsonschema.validate(call, {**schema(), "$ref": "#/$defs/Command"})
        jsonschema.validate(args, {**schema(), "$ref": f"#/$defs/{COMMANDS[name]}"})
        listener.send(f"grid/command/{name}", json.dumps(call).encode())
        listener.wait(lambda seen, name=name: f"grid/reply/{name}" in seen)  # type: ignore[misc]
        jsonschema.validate(listener.newest[f"grid/reply/{name}"], {**schema(), "$ref": "#/$defs/Reply"})
    assert listener.newest["grid/reply/explain"]["status"] == "Accepted"
    assert "grid" in listener.newest["grid/reply/explain"]["message"]
    assert listener.newest["grid/reply/get_status"]["result"]["evses"] == 2
    assert listener.newest["grid/reply/pause"]["message"].startswith("pause: unknown uuid 'nobody'")


def test_home_assistant_finds_every_part(site: Site, listener: Listener) -> None:
    site.live()
    topic = "homeassistant/device/grid_evse_b_2f_left/config"
    listener.wait(lambda seen: topic in seen and "homeassistant/device/grid_meter_powermeter/config" in seen)
    found = listener.newest[topic]
    assert found["device"]["name"] == "b/left"
    for component in found["components"].values():
        assert component["availability_topic"] == "everest_api/energy_manager/grid/online"
        if component["platform"] == "sensor":
            assert component["state_topic"] == "everest_api/energy_manager/grid/evse/b%2Fleft"
    ids = [component["unique_id"] for component in found["components"].values()]
    assert len(ids) == len(set(ids))
    pause = found["components"]["pause"]
    listener.send(
        pause["command_topic"].removeprefix("everest_api/energy_manager/"), pause["payload_press"].encode()
    )
    listener.wait(lambda seen: seen.get("grid/reply/pause", {}).get("status") == "Accepted")
    listener.wait(lambda seen: (seen.get("grid/evse/b%2Fleft") or {}).get("current_A") == 0)


def test_two_installations_on_one_broker_have_devices_of_their_own(
    shared_mosquitto: str, listener: Listener
) -> None:
    module, prefixes = f"grid_{uuid4()}", ("garages/left/", "garages/right/")
    sites = []
    for prefix in prefixes:
        settings = Settings.from_config(
            module, {"fuse_limit_A": 32, "mqtt_api": True, "home_assistant": True}
        )
        broker = replace(broker_of(shared_mosquitto), prefix=prefix)
        outside = Outside({"a": Child()}, EverestPlayed(), RecordingLog(), broker=broker)
        sites.append(EnergySite(settings, None, outside))
        sites[-1].start()
        sites[-1].handlers.request("a", evse("a"))
        sites[-1].wake()
    owners = [f"garages_2f_{side}_2f_{module}" for side in ("left", "right")]
    devices = [f"homeassistant/device/{owner}_evse_a/config" for owner in owners]
    for device, prefix in zip(devices, prefixes, strict=True):
        listener.wait(lambda seen, device=device: device in seen)  # type: ignore[misc]
        state_topic = listener.newest[device]["components"]["State"]["state_topic"]
        assert state_topic == f"{prefix}everest_api/energy_manager/{module}/evse/a"
    found = [listener.newest[device]["components"].values() for device in devices]
    left, right = ({component["unique_id"] for component in components} for components in found)
    assert not left & right
    for site in sites:
        site.stop()


def test_devices_of_what_was_taken_out_of_the_site_are_taken_away_and_nobody_elses(
    shared_mosquitto: str, listener: Listener
) -> None:
    module = f"grid_{uuid4()}"

    def device(name: str, of: str = module) -> str:
        return f"homeassistant/device/{of}_evse_{name}/config"

    def announce(name: str, of: str) -> None:
        """As a neighbour does, whose name begins with ours."""
        neighbour = HomeAssistant(of, f"everest_api/energy_manager/{of}", listener.retain)
        neighbour.show(f"evse/{name}", {"uuid": name})

    def run(*evses: str) -> tuple[EnergySite, VirtualClock]:
        for name in evses:
            listener.newest.pop(device(name), None)
        settings = Settings.from_config(
            module, {"fuse_limit_A": 32, "mqtt_api": True, "home_assistant": True, "child_timeout_s": 3600.0}
        )
        outside = Outside(
            {name: Child() for name in evses},
            EverestPlayed(),
            RecordingLog(),
            broker=broker_of(shared_mosquitto),
        )
        clock = VirtualClock()
        site = EnergySite(settings, None, outside, clock)
        site.start()
        for name in evses:
            site.handlers.request(name, evse(name))
        site.wake()
        listener.wait(lambda seen: all(seen.get(device(name)) for name in evses))
        return site, clock

    neighbour = f"{module}_evse"
    announce("b", neighbour)
    listener.retain(f"homeassistant/device/{module}_evse_mine/config", {"device": {"name": "by hand"}})
    run("stays", "gone")[0].stop()
    site, clock = run("stays")
    clock.advance(GONE_AFTER_S + 1)
    listener.wait(lambda seen: seen[device("gone")] is None)
    assert listener.newest[device("stays")]
    assert listener.newest[device("b", neighbour)], "a module called like ours with more behind it"
    assert listener.newest[f"homeassistant/device/{module}_evse_mine/config"]
    site.stop()


def test_a_device_is_not_taken_away_from_who_comes_a_little_late() -> None:
    retained: list[tuple[str, Json | None]] = []
    before = HomeAssistant("grid", "root/grid", lambda topic, value: retained.append((topic, value)))
    for name in ("late", "gone"):
        before.show(f"evse/{name}", {"uuid": name})
    messages = [(topic, json.dumps(value).encode()) for topic, value in retained]
    retained.clear()
    clock = VirtualClock()
    now = HomeAssistant("grid", "root/grid", lambda topic, value: retained.append((topic, value)))
    for topic, payload in messages:
        now.heard(topic, payload)
    now.tidy(clock())
    now.tidy(clock.advance(GONE_AFTER_S - 1))
    assert retained == []
    now.show("evse/late", {"uuid": "late"})
    now.tidy(clock.advance(2))
    now.tidy(clock.advance(2))
    assert [(topic, value is not None) for topic, value in retained] == [
        ("homeassistant/device/grid_evse_late/config", True),
        ("homeassistant/device/grid_evse_gone/config", False),
    ]


@pytest.mark.parametrize("payload", [b"", b"[]", b"{", b'{"components": {}}', b'{"components": {"a": 1}}'])
def test_what_is_no_device_of_ours_is_left_alone(payload: bytes) -> None:
    retained: list[str] = []
    clock = VirtualClock()
    assistant = HomeAssistant("grid", "root/grid", lambda topic, _: retained.append(topic))
    assistant.heard("homeassistant/device/grid_evse_a/config", payload)
    assistant.tidy(clock())
    assistant.tidy(clock.advance(2 * GONE_AFTER_S))
    assert retained == []


def test_the_broker_is_the_one_that_the_site_file_names(
    shared_mosquitto: str, listener: Listener, tmp_path: Path
) -> None:
    host, _, port = shared_mosquitto.rpartition(":")
    site_file = tmp_path / "site.yaml"
    prefix = f"everest_api/{uuid4()}"
    site_file.write_text(f"grid: {{fuse: 32 A}}\nmqtt: {{host: {host}, port: {port}, prefix: {prefix}}}\n")
    settings = Settings.from_config("grid", {"site_file": str(site_file), "mqtt_api": True})
    nowhere = Broker("127.0.0.1", 1)
    outside = Outside({"a": Child()}, EverestPlayed(), RecordingLog(), broker=nowhere)
    site = EnergySite(settings, load_site(site_file), outside)
    site.start()
    listener.wait_for(f"{prefix}/everest_api/energy_manager/grid/online", value=True)
    site.stop()


@pytest.mark.mosquitto
def test_a_broker_that_dies_takes_no_control_away_and_sees_all_again(mosquitto: Mosquitto) -> None:
    site = Site(mosquitto.address)
    site.live()
    first = Listener(mosquitto.address)
    first.wait(lambda seen: "grid/evse/a" in seen)
    first.close()
    mosquitto.kill()

    sent = len(site.children["a"].received)
    limit = {"node": "a", "source": "test", "limits": {"current_A": 7}}
    assert site.site.commands.call("set_limit", limit)["status"] == "Accepted"
    assert site.children["a"].wait_for(7), "limits are decided and sent though nobody can see it"
    assert len(site.children["a"].received) > sent

    mosquitto.start()
    second = Listener(mosquitto.address)
    second.wait(lambda seen: all(topic in seen for topic in PARTS) and seen.get("grid/online") is True)
    second.wait(lambda seen: seen["grid/evse/a"]["current_A"] == 7)
    second.send("grid/command/clear_limit", b'{"args": {"node": "a", "source": "test"}}')
    second.wait(lambda seen: seen.get("grid/reply/clear_limit", {}).get("status") == "Accepted")
    second.close()
    site.site.stop()


def test_an_evse_that_is_gone_leaves_nothing_behind(shared_mosquitto: str) -> None:
    now = [system_clock()]
    settings = Settings.from_config("leaving", {"fuse_limit_A": 32, "mqtt_api": True})
    outside = Outside({"a": Child()}, EverestPlayed(), RecordingLog(), broker=broker_of(shared_mosquitto))
    site = EnergySite(settings, None, outside, lambda: now[0])
    site.start()
    site.handlers.request("a", evse("a"))
    site.wake()
    listener = Listener(shared_mosquitto)
    listener.wait(lambda seen: "leaving/evse/a" in seen)
    for _ in range(3):  # silent; its limit runs out; forgotten
        now[0] = Instant(now[0].monotonic_s + 15, now[0].utc)
        site.step(now[0])
    listener.wait(lambda seen: seen.get("leaving/evse/a") is None)
    listener.close()
    site.stop()

"""Our manager publishes what EVerest's manager published in recorded runs, topic for topic, field for field.

From what was recorded the test rebuilds the files that EVerest's manager must have read; a client then plays
what the recorded modules sent. Each transcript holds the start-up of one run of EVerest (main of 2026-08-21,
mosquitto 2.0.11), with descriptions left out, and of the type files those that are here too.
"""

import json
import queue
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
import yaml
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.subscribeoptions import SubscribeOptions

from hil.runtime.broker import BrokerAddress
from hil.runtime.manager import Manager
from hil.runtime.wire import Era
from tests.patience import WITHIN_S

DATA = Path(__file__).parents[1] / "data"
INTERFACES = Path(__file__).parents[2] / "interfaces"
SHAPES = json.loads((DATA / "shapes.json").read_text())
RUNS = [
    ("energy_probe", Era.MAIN),
    ("energy_probe_validate", Era.MAIN),  # with schemas and types
    ("sil_ac_two_evse_probe", Era.MAIN),  # 15 modules, several connections to one requirement
    ("energy_probe", Era.RELEASE_2026_02),  # the same but for the names of two message types
]
FROM_MODULES = ("config/request", "/metadata", "/ready")
LEFT_OUT = "(left out)"
OWN_TYPES = "energy_manager_control"  # a type file of this project, which the recorded manager did not have
TYPES = {"bool": "boolean"}


@dataclass(frozen=True)
class Message:
    """A message with its topic below the prefix; retain and QoS as the publisher chose them."""

    topic: str
    retain: bool
    qos: int
    payload: Any

    @property
    def from_module(self) -> bool:
        return self.topic.endswith(FROM_MODULES) and self.topic != "ready"


def recorded(name: str) -> list[Message]:
    lines = (DATA / "transcripts" / f"manager_{name}.jsonl").read_text().splitlines()
    messages = [json.loads(line) for line in lines]
    return [
        Message(item["topic"].removeprefix("everest/"), bool(item["retain"]), item["qos"], item["payload"])
        for item in messages
    ]


# -- the files that the recorded manager read


def rebuild(messages: list[Message], directory: Path) -> Path:
    """Write configuration, manifests and interfaces; give the path of the configuration."""
    data = {message.topic: message.payload["data"] for message in messages if message.payload}
    configs = {
        message.topic.split("/")[1]: message.payload["data"]["response"]["data"]["module_config"]
        for message in messages
        if message.topic.endswith("/response")
    }
    settings = data["settings"]
    manifests = {}
    for module_id in sorted(configs):
        module_type = configs[module_id]["module_name"]
        if module_type not in manifests:
            manifests[module_type] = rebuilt_manifest(data[f"manifests/{module_type}"], configs[module_id])
            write_module(directory / "modules" / module_type, manifests[module_type])
    for topic, definition in data.items():
        kind, _, name = topic.partition("/")
        if kind == "interface_definitions" and not (INTERFACES / f"{name}.yaml").exists():
            write_interface(directory, name, definition)
    config = {
        "settings": {
            "modules_dir": "modules",
            "interfaces_dir": "interfaces",
            "errors_dir": "errors",
            "validate_schema": settings["validate_schema"],
            "forward_exceptions": settings["forward_exceptions"],
        },
        "active_modules": {
            name: rebuilt_entry(config, manifests[config["module_name"]]) for name, config in configs.items()
        },
    }
    path = directory / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def rebuilt_manifest(distributed: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    manifest = {**distributed, "config": declared_items(config, "!module")}
    if distributed.get("provides") == {}:
        del manifest["provides"]
    shape = SHAPES["manifests"].get(config["module_name"])
    if shape:  # the real manifest, so that the real defaults have to be filled in
        items = {name: {**item, "description": LEFT_OUT} for name, item in shape["config"].items()}
        provides = {name: {**item, "description": LEFT_OUT} for name, item in shape["provides"].items()}
        manifest = {**shape, "config": items, "provides": provides, "description": LEFT_OUT}
    return manifest


def declared_items(config: dict[str, Any], scope: str) -> dict[str, Any]:
    return {
        item["name"]: {
            "type": TYPES.get(item["characteristics"]["datatype"], item["characteristics"]["datatype"]),
            "mutability": item["characteristics"]["mutability"],
            "default": item["value"],
            "description": LEFT_OUT,
        }
        for item in config["configuration_parameters"][scope]
    }


def rebuilt_entry(config: dict[str, Any], manifest: dict[str, Any]) -> dict[str, Any]:
    """Write what the configuration must have said: values only where they are not the default."""
    given = {}
    for scope, items in config["configuration_parameters"].items():
        declared = manifest["config"] if scope == "!module" else manifest["provides"][scope].get("config", {})
        given[scope] = {
            item["name"]: item["value"]
            for item in items
            if "default" not in declared[item["name"]] or declared[item["name"]]["default"] != item["value"]
        }
    entry = {
        "module": config["module_name"],
        "config_module": given.pop("!module"),
        "config_implementation": given,
        "connections": {
            requirement: [
                {"module_id": item["module_id"], "implementation_id": item["implementation_id"]}
                for item in items
            ]
            for requirement, items in config["connections"].items()
        },
    }
    return entry | ({"mapping": config["mapping"]} if config["mapping"] else {})


def write_module(directory: Path, manifest: dict[str, Any]) -> None:
    directory.mkdir(parents=True)
    (directory / "manifest.yaml").write_text(yaml.safe_dump(manifest))
    (directory / "module.py").write_text("import signal\nsignal.pause()\n")  # the test speaks for it


def write_interface(directory: Path, name: str, definition: dict[str, Any]) -> None:
    interface: dict[str, Any] = {"description": LEFT_OUT, "cmds": {}, "vars": {}, "errors": []}
    for command, shape in definition["cmds"].items():
        arguments = {key: {**value, "description": LEFT_OUT} for key, value in shape["arguments"].items()}
        interface["cmds"][command] = {"description": LEFT_OUT, "arguments": arguments}
        if shape["result"] != {"type": "null"}:
            interface["cmds"][command]["result"] = {**shape["result"], "description": LEFT_OUT}
    for variable, shape in definition["vars"].items():
        interface["vars"][variable] = {**shape, "description": LEFT_OUT}
    for namespace, errors in definition["errors"].items():
        interface["errors"].append({"reference": f"/errors/{namespace}"})
        if not (INTERFACES / "errors" / f"{namespace}.yaml").exists():
            (directory / "errors").mkdir(exist_ok=True)
            declared = [{"name": error, "description": LEFT_OUT} for error in errors]
            content = {"description": LEFT_OUT, "errors": declared}
            (directory / "errors" / f"{namespace}.yaml").write_text(yaml.safe_dump(content))
    (directory / "interfaces").mkdir(exist_ok=True)
    (directory / "interfaces" / f"{name}.yaml").write_text(yaml.safe_dump(interface))


# -- the client that listens to everything and plays the modules


class Player:
    """Publishes for the modules, and keeps what the manager publishes, in order."""

    def __init__(self, address: BrokerAddress, prefix: str, *, sees_flags: bool) -> None:
        self.prefix = prefix
        self.heard: list[Message] = []
        self._news: queue.SimpleQueue[Message] = queue.SimpleQueue()
        # Only MQTT 5 tells a subscriber whether the publisher set retain, and amqtt does not speak it.
        protocol = mqtt.MQTTv5 if sees_flags else mqtt.MQTTv311
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=protocol)
        self._client.on_message = self._on_message
        done = threading.Event()
        self._client.on_subscribe = lambda *_: done.set()
        address.connect(self._client)
        self._client.loop_start()
        if sees_flags:
            options = SubscribeOptions(qos=2, retainAsPublished=True)
            self._client.subscribe(f"{prefix}#", options=options)
        else:
            self._client.subscribe(f"{prefix}#", 2)
        assert done.wait(WITHIN_S)

    def _on_message(self, _client: object, _userdata: object, message: mqtt.MQTTMessage) -> None:
        payload = json.loads(message.payload) if message.payload else None
        topic = message.topic.removeprefix(self.prefix)
        self._news.put(Message(topic, message.retain, message.qos, payload))

    def publish(self, message: Message) -> None:
        self._client.publish(self.prefix + message.topic, json.dumps(message.payload), 2).wait_for_publish(
            WITHIN_S
        )

    def wait_for(self, topic: str) -> None:
        """Listen until a message with this topic comes."""
        while True:
            message = self._news.get(timeout=WITHIN_S)
            if not message.from_module:
                self.heard.append(message)
            if message.topic == topic:
                return

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


# -- what may differ


def comparable(message: Message, *, flags: bool) -> Message:
    payload = message.payload
    if message.topic == "settings" and payload:
        paths = {"prefix", "etc_dir", "data_dir", "modules_dir"}
        data = {key: "a path" if key in paths else value for key, value in payload["data"].items()}
        payload = {**payload, "data": data}
    elif message.topic == "types" and payload:
        payload = {**payload, "data": [name for name in payload["data"] if name != f"/{OWN_TYPES}"]}
    elif message.topic.startswith(("type_definitions/", "schemas")):
        payload = without_descriptions(payload)
    else:
        payload = with_descriptions_left_out(payload)
    return Message(message.topic, flags and message.retain, message.qos if flags else 2, payload)


def without_descriptions(value: Any) -> Any:
    if isinstance(value, dict):
        items = {
            key: item for key, item in value.items() if key != "description" or not isinstance(item, str)
        }
        return {key: without_descriptions(item) for key, item in items.items()}
    return [without_descriptions(item) for item in value] if isinstance(value, list) else value


def with_descriptions_left_out(value: Any) -> Any:
    """Keep that there is a description, not what it says."""
    if isinstance(value, dict):
        return {
            key: LEFT_OUT
            if key == "description" and isinstance(item, str)
            else with_descriptions_left_out(item)
            for key, item in value.items()
        }
    return [with_descriptions_left_out(item) for item in value] if isinstance(value, list) else value


def in_era(message: Message, era: Era) -> Message:
    names = {"ConfigurationRequest": era.request, "ConfigurationResponse": era.response}
    if message.payload is None:
        return message
    msg_type = names.get(message.payload["msg_type"], message.payload["msg_type"])
    return Message(message.topic, message.retain, message.qos, {**message.payload, "msg_type": msg_type})


@pytest.fixture(params=RUNS, ids=lambda run: f"{run[0]}-{run[1].name}")
def run(request: pytest.FixtureRequest) -> tuple[list[Message], Era]:
    name, era = request.param
    return recorded(name), era


@pytest.fixture
def heard(
    run: tuple[list[Message], Era], broker: str, request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[list[Message]]:
    """What our manager publishes from its start to the global ready."""
    transcript, era = run
    config = rebuild(transcript, tmp_path)
    prefix = f"everest_{uuid.uuid4().hex}/"
    player = Player(BrokerAddress.parse(broker), prefix, sees_flags=sees_flags(request))
    with Manager(config, broker=broker, prefix=prefix, era=era, log=lambda _line: None):
        for message in transcript:
            if message.from_module:
                player.publish(in_era(message, era))
            if message.topic == "config/request":
                player.wait_for(f"modules/{message.payload['data']['origin']}/response")
        player.wait_for("ready")
        yield player.heard
    player.close()


def sees_flags(request: pytest.FixtureRequest) -> bool:
    return "mosquitto" in request.node.callspec.id


def test_what_the_manager_publishes(
    heard: list[Message], run: tuple[list[Message], Era], request: pytest.FixtureRequest
) -> None:
    transcript, era = run
    flags = sees_flags(request)
    expected = [
        comparable(in_era(message, era), flags=flags) for message in transcript if not message.from_module
    ]
    found = [
        comparable(message, flags=flags)
        for message in heard
        if message.topic != f"type_definitions/{OWN_TYPES}"
    ]

    def responses(messages: list[Message]) -> dict[str, Message]:
        return {message.topic: message for message in messages if message.topic.endswith("/response")}

    def others(messages: list[Message]) -> list[Message]:
        return [message for message in messages if not message.topic.endswith("/response")]

    # Definitions, their removal, the global ready: in the same order.
    assert [message.topic for message in others(found)] == [message.topic for message in others(expected)]
    for got, wanted in zip(others(found), others(expected), strict=True):
        assert got == wanted
    # Each module gets one answer; in which order they ask is up to them.
    assert len(found) == len(expected)
    assert responses(found) == responses(expected)

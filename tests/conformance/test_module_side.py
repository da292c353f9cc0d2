"""The module side says, topic for topic and field for field, what real modules said.

The recordings in ``tests/data/transcripts/module_*.jsonl`` come from a real EVerest runtime: C++ modules,
and as ``probe_1`` and ``edge`` Python modules on the real everestpy. They are cut to a few messages of each
topic, and to the types in use.
"""

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hil.runtime.wire import Era, Json
from tests.hil.runtime.module_process import environment, module_process
from tests.hil.runtime.stub_manager import StubManager

TRANSCRIPTS = Path(__file__).parents[1] / "data/transcripts"
PLAYER = Path(__file__).with_name("module_player.py")
RECORDED = [
    ("energy_probe", "probe_1"),
    ("energy_probe", "grid"),
    ("energy_probe", "energy_manager"),
    ("sil_ac_one_evse", "yeti_1"),
    ("sil_ac_one_evse", "auth"),
    ("sil_ac_one_evse", "evse_manager_1"),
]
RECORDED_WITH_VALIDATION = [
    ("energy_probe_validate", "probe_1"),
    ("energy_probe_validate", "grid"),
    ("edge", "edge"),
]


@dataclass(frozen=True)
class Call:
    """A recorded command call with its answer; ``topic`` is without prefix."""

    topic: str
    call: Json
    retval: Json

    @property
    def parts(self) -> list[str]:
        return self.topic.split("/")


class Recording:
    """What one transcript says about one module; topics without prefix."""

    def __init__(self, name: str, module_id: str, era: Era) -> None:
        self.module_id = module_id
        lines = (TRANSCRIPTS / f"module_{name}.jsonl").read_text().splitlines()
        self.rows = [(row["topic"].removeprefix("everest/"), row) for row in map(json.loads, lines)]
        for _, row in self.rows:
            payload = row["payload"]
            renamed = {Era.MAIN.request: era.request, Era.MAIN.response: era.response}
            payload["msg_type"] = renamed.get(payload["msg_type"], payload["msg_type"])
        self.retained = {topic: row["payload"]["data"] for topic, row in self.rows if row["retain"]}
        [self.config] = [
            row["payload"]["data"] for topic, row in self.rows if topic == f"modules/{module_id}/response"
        ]
        answers = {
            row["payload"]["data"]["data"]["id"]: row["payload"]["data"]["data"]["retval"]
            for _, row in self.rows
            if row["payload"]["msg_type"] == "CmdResult"
        }
        calls = [
            Call(topic, row["payload"]["data"], answers[row["payload"]["data"]["id"]])
            for topic, row in self.rows
            if row["payload"]["msg_type"] == "Cmd"
        ]
        self.served = [call for call in calls if call.parts[1] == module_id]
        self.called = [call for call in calls if call.call["origin"] == module_id]

    def variables(self) -> list[tuple[str, Json]]:
        return [
            (topic, row["payload"]["data"]["data"])
            for topic, row in self.rows
            if row["payload"]["msg_type"] == "Var"
        ]

    def player_script(self) -> Json:
        served = defaultdict(list)
        for call in self.served:
            served[f"{call.parts[3]}/{call.parts[5]}"].append(
                {"args": call.call["args"], "retval": call.retval}
            )
        received = defaultdict(list)
        published = []
        for topic, value in self.variables():
            _, module_id, _, implementation, _, name = topic.split("/")
            if module_id == self.module_id:
                published.append({"implementation": implementation, "name": name, "value": value})
            else:
                received[f"{module_id}/{implementation}/{name}"].append(value)
        called = [
            {
                "module": call.parts[1],
                "implementation": call.parts[3],
                "command": call.parts[5],
                "args": call.call["args"],
                "retval": call.retval,
            }
            for call in self.called
        ]
        return {"served": served, "received": received, "published": published, "called": called}

    def said(self) -> dict[str, list[Json]]:
        return said_by(self.module_id, [(topic, row["payload"]) for topic, row in self.rows])


def said_by(module_id: str, messages: list[tuple[str, Json]]) -> dict[str, list[Json]]:
    """Collect what a module published, by topic; ids of calls are replaced by their order."""
    said: dict[str, list[Json]] = defaultdict(list)
    for topic, payload in messages:
        if payload is not None and is_from(module_id, topic, payload):
            order = len(said[topic])
            said[topic].append(without_call_id(payload, order))
    return dict(said)


def is_from(module_id: str, topic: str, payload: Json) -> bool:
    own = topic.startswith(f"modules/{module_id}/")
    match payload["msg_type"]:
        case "Cmd" | "ConfigurationRequest" | "GetConfig":
            return bool(payload["data"]["origin"] == module_id)
        case "ConfigurationResponse" | "GetConfigResponse":
            return own and not topic.endswith("/response")
        case _:
            return own


def without_call_id(payload: Json, order: int) -> Json:
    match payload["msg_type"]:
        case "Cmd":
            return {**payload, "data": {**payload["data"], "id": order}}
        case "CmdResult":
            inner = {**payload["data"]["data"], "id": order}
            return {**payload, "data": {**payload["data"], "data": inner}}
        case _:
            return payload


def answer_calls(manager: StubManager, recording: Recording) -> None:
    """Play the modules that the recorded one called, one call after the other as it made them."""
    for index, recorded in enumerate(recording.called):
        same_topic = [call for call in recording.called[: index + 1] if call.topic == recorded.topic]
        call = manager.wait_for_topic(recorded.topic, len(same_topic)).data
        data = {"id": call["id"], "origin": recorded.parts[1], "retval": recorded.retval}
        topic = f"{recorded.topic}/response/{recording.module_id}"
        manager.send(topic, "CmdResult", {"type": "result", "data": data})


def play(recording: Recording, broker: str, era: Era, directory: Path, more: dict[str, str]) -> None:
    """Run a module that does what the recorded one did, and compare what both said."""
    module_id, prefix = recording.module_id, f"{directory.name}/"
    script = directory / "script.json"
    script.write_text(json.dumps(recording.player_script()))
    variables = {**environment(module_id, broker, prefix, directory), "PLAYER_SCRIPT": str(script), **more}
    manager = StubManager(broker, prefix, recording.retained, {module_id: recording.config}, era)
    try:
        with module_process(PLAYER, variables, directory / "log") as module:
            manager.wait_until_ready(module_id)
            manager.go()
            for topic, value in recording.variables():
                if topic.split("/")[1] != module_id:
                    manager.send(topic, "Var", {"data": value})
            for call in recording.served:
                manager.call(call.topic, call.call["args"], call.call["id"], call.call["origin"])
            answer_calls(manager, recording)
            for topic, messages in recording.said().items():
                manager.wait_for_topic(topic, len(messages))
            assert module.process.poll() is None, module.log
        ours = [
            message
            for message in manager.messages
            if is_ours(message.payload, module_id, message.topic, prefix)
        ]
        assert {message.qos for message in ours} == {2}
        assert not any(message.retain for message in ours)
        heard = [(message.topic.removeprefix(prefix), message.payload) for message in manager.messages]
        assert said_by(module_id, heard) == recording.said()
    finally:
        manager.close()


def is_ours(payload: Json, module_id: str, topic: str, prefix: str) -> bool:
    return payload is not None and is_from(module_id, topic.removeprefix(prefix), payload)


@pytest.mark.parametrize(("transcript", "module_id"), RECORDED)
def test_module_says_what_the_real_one_said(
    transcript: str, module_id: str, broker: str, tmp_path: Path
) -> None:
    play(Recording(transcript, module_id, Era.MAIN), broker, Era.MAIN, tmp_path, {})


@pytest.mark.parametrize(("transcript", "module_id"), RECORDED_WITH_VALIDATION)
def test_module_passes_validation_with_what_the_real_one_said(
    transcript: str, module_id: str, shared_amqtt: str, tmp_path: Path
) -> None:
    recording = Recording(transcript, module_id, Era.MAIN)
    assert recording.retained["settings"]["validate_schema"] is True
    play(recording, shared_amqtt, Era.MAIN, tmp_path, {})


@pytest.mark.parametrize(("transcript", "module_id"), [("energy_probe", "grid"), ("energy_probe", "probe_1")])
def test_module_speaks_the_era_of_the_last_release(
    transcript: str, module_id: str, broker: str, tmp_path: Path
) -> None:
    era = Era.RELEASE_2026_02
    play(Recording(transcript, module_id, era), broker, era, tmp_path, {})


@pytest.mark.mosquitto
def test_module_speaks_mqtt_5(shared_mosquitto: str, tmp_path: Path) -> None:
    recording = Recording("energy_probe", "grid", Era.MAIN)
    play(recording, shared_mosquitto, Era.MAIN, tmp_path, {"EV_MQTT_PROTOCOL": "5"})


def test_recordings_hold_what_they_are_for() -> None:
    said = Recording("energy_probe", "grid", Era.MAIN).said()
    kinds: set[Any] = {message["msg_type"] for messages in said.values() for message in messages}
    assert kinds == {
        "ConfigurationRequest",
        "ConfigurationResponse",
        "ModuleReady",
        "Var",
        "Cmd",
        "CmdResult",
    }

"""Lets Home Assistant find EVSEs, nodes and meters by itself: MQTT discovery, one device for each of them.

Needs Home Assistant 2024.11 or newer, https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery.
"""

import json
import re
import threading
from collections.abc import Callable
from urllib.parse import unquote

from control.clock import Instant
from control.schedules import JsonObject
from energy_management.modes import MODES

PREFIX = "homeassistant/device"
DEVICES = f"{PREFIX}/+/config"
"""Where devices of everybody are announced."""
GONE_AFTER_S = 60.0
"""What people have set for a device is lost when it is taken away: who comes a little late keeps it."""
LONGEST_STATE = 255
"""Home Assistant takes no longer ones."""

_PHASES = ("L1", "L2", "L3")
_CURRENT = {"device_class": "current", "unit_of_measurement": "A", "state_class": "measurement"}
_POWER = {"device_class": "power", "unit_of_measurement": "W", "state_class": "measurement"}
_ENERGY = {"device_class": "energy", "unit_of_measurement": "Wh", "state_class": "total_increasing"}


def _text(key: str) -> JsonObject:
    return {"value_template": f"{{{{ (value_json.{key} | default('', true))[:{LONGEST_STATE}] }}}}"}


def _value(key: str, **more: str) -> JsonObject:
    return {"value_template": f"{{{{ value_json.{key} | default(none) }}}}", **more}


def _of_phases(what: str, key: str) -> dict[str, JsonObject]:
    return {
        f"{what} {phase}": {
            "value_template": f"{{{{ (value_json.{key} | default({{}})).{phase} | default(none) }}}}",
            **_CURRENT,
        }
        for phase in _PHASES
    }


_SENSORS: dict[str, dict[str, JsonObject]] = {
    "evse": {
        "Limit": _value("current_A", **_CURRENT),
        "Limit of power": _value("power_W", **_POWER),
        "Phases": _value("phase_count"),
        "Power": _value("measured_W", **_POWER),
        **_of_phases("Current", "measured_A"),
        "State": _text("state"),
        "Reason": _text("reason"),
    },
    "node": {
        "Limit": _value("limit_A", **_CURRENT),
        "Granted power": _value("granted_W", **_POWER),
        **_of_phases("Headroom", "headroom_A"),
        "Surplus": _value("surplus_W", **_POWER),
    },
    "meter": {
        "Power": _value("power_W", **_POWER),
        "Imported energy": _value("energy_import_Wh", **_ENERGY),
        "Exported energy": _value("energy_export_Wh", **_ENERGY),
        **_of_phases("Current", "current_A"),
    },
}


class HomeAssistant:
    """Announces each part of the site when it is first seen, and takes it away when it is gone.

    What an instance before this one has announced, and has not come back a minute after the start, is gone.

    Parameters
    ----------
    owner : str
        Begin of the devices' ids: the module, with the prefix of its topics if they have one.
    root : str
        Root of the topics of the MQTT API.
    retain : callable
        Publishes something that stays at a topic; None takes it away.
    """

    def __init__(self, owner: str, root: str, retain: Callable[[str, JsonObject | None], None]) -> None:
        self._owner = owner
        self._root = root
        self._retain = retain
        self._announced: dict[str, str] = {}
        self._lock = threading.Lock()
        self._left: set[str] = set()
        self._began_s: float | None = None

    def show(self, name: str, state: JsonObject | None) -> None:
        """Take note of a state, by its name."""
        kind, _, quoted = name.partition("/")
        if kind not in _SENSORS or (state is not None and name in self._announced):
            return
        device_id = _plain(f"{self._owner}_{kind}_{unquote(quoted)}")
        topic = f"{PREFIX}/{device_id}/config"
        if state is None:
            self._announced.pop(name, None)
            self._retain(topic, None)
        else:
            self._announced[name] = topic
            self._retain(topic, self._device(device_id, kind, name, unquote(quoted)))

    def heard(self, topic: str, payload: bytes) -> None:
        """Take note of a device that somebody has announced before, if it was an instance of this module."""
        if topic.startswith(f"{PREFIX}/{_plain(self._owner)}_") and self._is_own(payload):
            with self._lock:
                self._left.add(topic)

    def tidy(self, now: Instant) -> None:
        """Take away the devices of before that are gone."""
        if self._began_s is None:
            self._began_s = now.monotonic_s
        if now.monotonic_s - self._began_s < GONE_AFTER_S:
            return
        with self._lock:
            left, self._left = self._left, set()
        for topic in left.difference(self._announced.values()):
            self._retain(topic, None)

    def _is_own(self, payload: bytes) -> bool:
        """Whether a device shows the state of this module: others may be called like it."""
        try:
            components = json.loads(payload)["components"].values()
            return {component["availability_topic"] for component in components} == {f"{self._root}/online"}
        except (AttributeError, KeyError, TypeError, ValueError):
            return False

    def _device(self, device_id: str, kind: str, name: str, title: str) -> JsonObject:
        components = {
            _plain(what): {
                "platform": "sensor",
                "name": what,
                "state_topic": f"{self._root}/{name}",
                **sensor,
            }
            for what, sensor in _SENSORS[kind].items()
        }
        if kind == "evse":
            components |= {command: self._button(command, title) for command in ("pause", "resume")}
            components["mode"] = self._mode(name, title)
        available = {"availability_topic": f"{self._root}/online"}
        payloads = {"payload_available": "true", "payload_not_available": "false"}
        return {
            "device": {
                "identifiers": [device_id],
                "name": title,
                "manufacturer": "PyEnergyManager",
                "model": kind,
            },
            "origin": {"name": "PyEnergyManager"},
            "components": {
                key: {**component, "unique_id": f"{device_id}_{key}", **available, **payloads}
                for key, component in components.items()
            },
        }

    def _mode(self, name: str, uuid: str) -> JsonObject:
        quoted = json.dumps(uuid).replace("{", r"\u007b").replace("}", r"\u007d")  # braces are Jinja's
        return {
            "platform": "select",
            "name": "Mode",
            "options": [*MODES],
            "state_topic": f"{self._root}/{name}",
            "value_template": "{{ value_json.mode }}",
            "command_topic": f"{self._root}/command/set_evse",
            "command_template": f'{{"args": {{"uuid": {quoted}, "mode": "{{{{ value }}}}"}}}}',
        }

    def _button(self, command: str, uuid: str) -> JsonObject:
        return {
            "platform": "button",
            "name": command.capitalize(),
            "command_topic": f"{self._root}/command/{command}",
            "payload_press": json.dumps({"args": {"uuid": uuid}}),
        }


def _plain(name: str) -> str:
    """Write a name with the characters that ids of Home Assistant may have, different ones differently."""
    return re.sub(r"[^A-Za-z0-9_-]", lambda found: f"_{ord(found[0]):x}_", name)

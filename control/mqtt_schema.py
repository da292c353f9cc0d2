"""The JSON Schema of the MQTT API, made from the types of the control interface.

``python -m control.mqtt_schema > docs/mqtt.schema.json`` writes it.
"""

import json
from pathlib import Path
from typing import Any

import yaml

TYPES = Path(__file__).parents[1] / "interfaces" / "types"

TOPICS = {
    "status": "Status",
    "allocation": "Allocation",
    "node_state": "NodeStates",
    "evse": "EvseAllocation",
    "node": "NodeState",
    "meter": "MeterState",
}
"""Type of what is published below each topic."""

COMMANDS = {
    "set_limit": "LimitOrder",
    "clear_limit": "LimitEnd",
    "set_reserve": "ReserveOrder",
    "set_evse": "EvseOrder",
    "pause": "Uuid",
    "resume": "Uuid",
    "reset_fault": "Uuid",
    "get_status": "Nothing",
    "explain": "Uuid",
}
"""Type of the arguments of each command."""


def schema() -> dict[str, Any]:
    """Give the schema, with one definition for each type."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "MQTT API of PyEnergyManager",
        "description": "docs/mqtt.md tells which of the definitions each topic has.",
        "$defs": {
            **_types("energy_manager_control"),
            **{f"units.{name}": definition for name, definition in _types("units").items()},
            "LimitEnd": _strings("node", "source"),
            "Uuid": _strings("uuid"),
            "Nothing": _strings(),
            "Command": {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "id": {"description": "comes back with the reply"},
                    "args": {
                        "anyOf": [{"$ref": f"#/$defs/{name}"} for name in dict.fromkeys(COMMANDS.values())]
                    },
                },
            },
            "Reply": {
                "type": "object",
                "additionalProperties": False,
                "required": ["status", "message"],
                "properties": {
                    **_types("energy_manager_control")["Answer"]["properties"],
                    "result": {"description": "what get_status asks for", "$ref": "#/$defs/Status"},
                    "id": {},
                },
            },
        },
    }


def _strings(*names: str) -> dict[str, Any]:
    properties = {name: {"type": "string"} for name in names}
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(names),
        "properties": properties,
    }


def _types(name: str) -> dict[str, Any]:
    document = yaml.safe_load((TYPES / f"{name}.yaml").read_text(encoding="utf-8"))
    return {key: _referring(value) for key, value in document["types"].items()}


def _referring(value: Any) -> Any:
    """Turn EVerest's references to types into those of this document."""
    if isinstance(value, list):
        return [_referring(item) for item in value]
    if not isinstance(value, dict):
        return value
    if isinstance(reference := value.get("$ref"), str):
        file, _, name = reference.lstrip("/").partition("#/")
        target = name if file == "energy_manager_control" else f"{file}.{name}"
        return {**value, "$ref": f"#/$defs/{target}"}
    return {key: _referring(item) for key, item in value.items()}


if __name__ == "__main__":
    print(json.dumps(schema(), indent=2))

"""The JSON Schema of the site file, for editors; run as a program it prints it."""

import json
from typing import Any

import msgspec

from control.site_sections import Sections


def json_schema() -> dict[str, Any]:
    """Give the JSON Schema of the site file, for editors."""
    schema: dict[str, Any] = _with_units(msgspec.json.schema(Sections))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "PyEnergyManager site",
        **schema,
    }


def _with_units(schema: Any) -> Any:
    """Let every quantity be written with its unit."""
    if isinstance(schema, list):
        return [_with_units(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "x-unit" not in schema:
        return {key: _with_units(value) for key, value in schema.items()}
    number = {key: value for key, value in schema.items() if key not in ("x-unit", "description", "default")}
    rest = {key: value for key, value in schema.items() if key in ("description", "default")}
    return {"anyOf": [number, {"type": "string", "pattern": r"^\d+(\.\d+)? ?[A-Za-z]+$"}], **rest}


if __name__ == "__main__":
    print(json.dumps(json_schema(), indent=2))

"""The JSON Schema of scenarios, for editors: ``python -m hil.scenario.schema`` prints it."""

import json
from typing import Any

import msgspec

from control.site_schema import json_schema as site_schema
from hil.scenario.claims import ASSERTIONS
from hil.scenario.document import Document
from hil.scenario.happenings import EVENTS
from hil.scenario.words import Language


def json_schema() -> dict[str, Any]:
    """Give the schema: sentences by their patterns, the site by its own schema."""
    schema: dict[str, Any] = with_units(msgspec.json.schema(Document))
    document = schema["$defs"]["Document"]["properties"]
    event = _sentences(EVENTS)
    document["events"]["additionalProperties"] = {"anyOf": [event, {"type": "array", "items": event}]}
    document["assert"]["items"] = _sentences(ASSERTIONS)
    site = site_schema()
    schema["$defs"].update(site.pop("$defs"))
    document["site"] = {"anyOf": [{"type": "string"}, {"$ref": site["$ref"]}]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "PyEnergyManager scenario",
        **schema,
    }


def _sentences(language: Language[Any]) -> dict[str, Any]:
    """Describe sentences; Python names the groups of a pattern in its own way."""
    patterns = [sentence.regex.replace("(?P<", "(?<") for sentence in language.sentences]
    return {"type": "string", "anyOf": [{"pattern": f"^(?:{pattern})$"} for pattern in patterns]}


def with_units(schema: Any) -> Any:
    """Let every quantity be written with its unit."""
    if isinstance(schema, list):
        return [with_units(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "x-unit" in schema:
        return {"anyOf": [{"type": "number"}, {"type": "string", "pattern": r"^\d+(\.\d+)? ?[A-Za-z]+$"}]}
    return {key: with_units(value) for key, value in schema.items()}


if __name__ == "__main__":
    print(json.dumps(json_schema(), indent=2))

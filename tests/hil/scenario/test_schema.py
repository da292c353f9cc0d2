"""The schema that editors check scenarios with takes those that are shipped, and no others."""

from pathlib import Path
from typing import Any

import jsonschema
import pytest

from bsp.yaml_document import YamlDocument
from hil.scenario.schema import json_schema

SHIPPED = sorted((Path(__file__).resolve().parents[3] / "hil" / "scenarios").glob("*.yaml"))


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    # Python's regular expressions name their groups in their own way.
    def named(part: Any) -> Any:
        if isinstance(part, dict):
            return {
                key: value.replace("(?<", "(?P<")
                if key == "pattern" and isinstance(value, str)
                else named(value)
                for key, value in part.items()
            }
        return [named(item) for item in part] if isinstance(part, list) else part

    adapted: dict[str, Any] = named(json_schema())
    return adapted


def test_every_shipped_scenario_is_one(schema: dict[str, Any]) -> None:
    for path in SHIPPED:
        jsonschema.validate(YamlDocument.load(path).data, schema)


@pytest.mark.parametrize(
    "changes", [{"title": 3}, {"assert": ["all is well"]}, {"events": {"18:00": "it rains"}}, {"car": {}}]
)
def test_what_is_none_is_refused(changes: dict[str, Any], schema: dict[str, Any]) -> None:
    good = {
        "title": "x",
        "lasts": "1 min",
        "site": {"grid": {"fuse": "35 A"}},
        "assert": ["breaker never trips"],
    }
    jsonschema.validate(good, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**good, **changes}, schema)

"""The interface files have exactly the shapes that EVerest's own have, and hang together."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
SHAPES = json.loads((ROOT / "tests/data/shapes.json").read_text())
FILES = sorted((ROOT / "interfaces").rglob("*.yaml"))

# What the shapes leave out though EVerest's files refer to it, and this project's own interface.
BEYOND_SHAPES = {
    "interfaces": {"energy_manager_control"},
    "types": {"authorization", "iso15118", "text_message", "energy_manager_control"},
    "errors": {"evse_manager"},
}


def load(kind: str, name: str) -> Any:
    folder = ROOT / "interfaces" / ("" if kind == "interfaces" else kind)
    return yaml.safe_load((folder / f"{name}.yaml").read_text())


def names(kind: str) -> set[str]:
    folder = ROOT / "interfaces" / ("" if kind == "interfaces" else kind)
    return {path.stem for path in folder.glob("*.yaml")}


def without_descriptions(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: without_descriptions(item)
            for key, item in value.items()
            if key != "description" or not isinstance(item, str)
        }
    return [without_descriptions(item) for item in value] if isinstance(value, list) else value


def without_empty(shape: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in shape.items() if value}


@pytest.mark.parametrize("kind", ["interfaces", "types", "errors"])
def test_every_file_that_everest_has_is_there_and_no_other(kind: str) -> None:
    assert names(kind) == set(SHAPES[kind]) | BEYOND_SHAPES[kind]


@pytest.mark.parametrize("name", SHAPES["interfaces"])
def test_interface(name: str) -> None:
    assert without_descriptions(load("interfaces", name)) == without_empty(SHAPES["interfaces"][name])


@pytest.mark.parametrize("name", SHAPES["types"])
def test_type_file(name: str) -> None:
    assert without_descriptions(load("types", name)) == SHAPES["types"][name]


@pytest.mark.parametrize("name", SHAPES["errors"])
def test_error_file(name: str) -> None:
    assert [error["name"] for error in load("errors", name)["errors"]] == SHAPES["errors"][name]


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_references_lead_somewhere(path: Path) -> None:
    text = path.read_text()
    for file, type_name in re.findall(r"\$ref: /(\w+)#/(\w+)", text):
        assert type_name in load("types", file)["types"], f"/{file}#/{type_name}"
    for file in re.findall(r"reference: /errors/(\w+)", text):
        assert load("errors", file)["errors"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_everything_is_described(path: Path) -> None:
    """EVerest's schemas want a description of everything named in these files, except properties of types."""
    content = yaml.safe_load(path.read_text())
    named = [content, *content.get("types", {}).values(), *content.get("errors", [])]
    if path.parent.name == "interfaces":
        commands = content.get("cmds", {}).values()
        named = [content, *content.get("vars", {}).values(), *commands]
        for command in commands:
            named += command.get("arguments", {}).values()
            named += [command["result"]] if "result" in command else []
    for item in named:
        assert len(item["description"]) > 3, item

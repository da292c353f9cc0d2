"""A config that names EnergyManager or EnergyNode works after changing that word."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from control.manifest import with_control
from hil.runtime.manager.manifest import Manifest

ROOT = Path(__file__).parents[1]
MANIFEST = yaml.safe_load((ROOT / "manifest.yaml").read_text())
SHAPES = json.loads((ROOT / "tests/data/shapes.json").read_text())
EVEREST = SHAPES["manifests"]


def test_it_follows_everests_schema() -> None:
    jsonschema.validate(MANIFEST, SHAPES["schemas"]["manifest"])
    jsonschema.validate(with_control(MANIFEST), SHAPES["schemas"]["manifest"])


def test_as_shipped_it_names_only_interfaces_that_everest_has() -> None:
    """EVerest's manager refuses others, so a bare link of the repository would not load."""
    named = {each["interface"] for part in ("provides", "requires") for each in MANIFEST[part].values()}
    assert "energy_manager_control" not in named
    bench = Manifest.load("PyEnergyManager", ROOT)
    assert bench.provides["control"]["interface"] == "energy_manager_control"


@pytest.mark.parametrize("name", MANIFEST["config"])
def test_every_default_fits_its_own_schema(name: str) -> None:
    item = {key: value for key, value in MANIFEST["config"][name].items() if key != "mutability"}
    jsonschema.validate(item["default"], item)


@pytest.mark.parametrize("module", ["EnergyManager", "EnergyNode"])
def test_keys_of_the_modules_it_replaces_are_the_same(module: str) -> None:
    def shape(item: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in item.items() if key != "description"}

    ours = {name: shape(MANIFEST["config"][name]) for name in EVEREST[module]["config"]}
    # The one difference: a manager above a trunk has no fuse, so it can be left out.
    ours.get("fuse_limit_A", {}).pop("default", None)
    assert ours == EVEREST[module]["config"]


@pytest.mark.parametrize("module", ["EnergyManager", "EnergyNode"])
def test_whatever_was_connected_to_them_can_be_connected(module: str) -> None:
    for name, provided in EVEREST[module]["provides"].items():
        assert MANIFEST["provides"][name]["interface"] == provided["interface"]
    for name, required in EVEREST[module]["requires"].items():
        ours = MANIFEST["requires"][name]
        assert ours["interface"] == required["interface"]
        assert ours["min_connections"] == 0  # what must be connected depends on the role, checked at start
        assert ours["max_connections"] >= required["max_connections"]

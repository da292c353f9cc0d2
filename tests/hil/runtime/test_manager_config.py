"""A configuration is checked by EVerest's rules, and each problem names where, what and what to do."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from hil.runtime.manager import ConfigError, RunConfig
from tests.hil.runtime.sites import METADATA, Site, number, provides


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Give an installation with a Node, which asks for energy, and a Leaf, which provides it."""
    site = Site(tmp_path)
    site.module(
        "Node",
        config={
            "fuse_limit_A": number(minimum=0),
            "phases": {"type": "integer", "description": "Phases", "default": 3, "maximum": 3},
            "name": {
                "type": "string",
                "description": "Its name",
                "default": "node",
                "mutability": "ReadWrite",
            },
            "on": {"type": "boolean", "description": "In service", "default": True},
        },
        provides={
            "grid": provides("energy", note={"type": "string", "description": "A note", "default": "-"})
        },
        requires={
            "consumer": {"interface": "energy", "min_connections": 1, "max_connections": 2},
            "meter": {"interface": "powermeter", "min_connections": 0},
        },
    )
    site.module("Leaf", provides={"energy": provides("energy"), "meter": provides("powermeter")})
    return site


GRID = """
  grid:
    module: Node
    config_module: {fuse_limit_A: 63}
    connections:
      consumer: [{module_id: leaf, implementation_id: energy}]
"""


def load(path: Path, **options: Any) -> RunConfig:
    return RunConfig.load(path, log=lambda line: None, **options)


def problems(path: Path, **options: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(path, **options)
    return [problem.replace(str(path.parent) + "/", "") for problem in caught.value.problems]


def notes(path: Path) -> list[str]:
    lines: list[str] = []
    RunConfig.load(path, log=lines.append)
    return [line.replace(str(path.parent) + "/", "") for line in lines]


def values(config: RunConfig, module_id: str, scope: str = "!module") -> dict[str, Any]:
    return {item.name: item.value for item in config.modules[module_id].parameters[scope]}


# -- what is right


def test_defaults_are_filled_in_and_an_integer_is_good_enough_for_a_number(site: Site) -> None:
    config = load(site.text(f"active_modules:\n  leaf: {{module: Leaf}}{GRID}"))
    found = values(config, "grid")
    assert found == {"fuse_limit_A": 63.0, "name": "node", "on": True, "phases": 3}
    assert isinstance(found["fuse_limit_A"], float)
    assert values(config, "grid", "grid") == {"note": "-"}


def test_several_instances_of_a_type_have_values_of_their_own(site: Site) -> None:
    leaf = {"connections": {"consumer": [{"module_id": "leaf", "implementation_id": "energy"}]}}
    config = load(
        site.config(
            {
                "one": {"module": "Node", "config_module": {"fuse_limit_A": 16.0}, **leaf},
                "two": {"module": "Node", "config_module": {"fuse_limit_A": 32.0}, **leaf},
                "leaf": "Leaf",
            }
        )
    )
    assert [values(config, name)["fuse_limit_A"] for name in ("one", "two")] == [16.0, 32.0]


def test_the_users_changes_are_merged_and_a_null_takes_a_key_away(site: Site) -> None:
    path = site.text(f"active_modules:\n  extra: {{module: Leaf}}\n  leaf: {{module: Leaf}}{GRID}")
    site.file(
        "user-config/site.yaml",
        "active_modules: {extra: null, grid: {config_module: {fuse_limit_A: 20, phases: 1}}}",
    )
    config = load(path)
    assert sorted(config.modules) == ["grid", "leaf"]
    assert (values(config, "grid")["fuse_limit_A"], values(config, "grid")["phases"]) == (20.0, 1)


def test_a_probe_module_gets_its_manifest_from_its_connections(site: Site) -> None:
    config = load(
        site.text(
            """
active_modules:
  leaf: {module: Leaf}
  grid:
    module: Node
    config_module: {fuse_limit_A: 63}
    connections:
      consumer: [{module_id: probe, implementation_id: car}]
  probe:
    module: ProbeModule
    standalone: true
    connections:
      watched: [{module_id: leaf, implementation_id: meter}]
"""
        )
    )
    manifest = config.modules["probe"].manifest
    assert {name: item["interface"] for name, item in manifest.provides.items()} == {"car": "energy"}
    assert {name: item["interface"] for name, item in manifest.requires.items()} == {"watched": "powermeter"}


def test_a_probe_module_that_nobody_connects_to_provides_nothing(site: Site) -> None:
    config = load(site.text("active_modules: {probe: {module: ProbeModule, standalone: true}}"))
    assert config.interfaces == {"empty": {"cmds": {}, "vars": {}, "errors": {}}}


def test_each_run_has_a_prefix_of_its_own_unless_told(site: Site) -> None:
    path = site.config({"leaf": "Leaf"})
    assert load(path).settings.prefix != load(path).settings.prefix
    assert load(path, prefix="mine").settings.prefix == "mine/"
    assert load(site.config({"leaf": "Leaf"}, mqtt_everest_prefix="everest")).settings.prefix == "everest/"


def test_text_that_yaml_1_1_would_turn_into_something_else_stays_text(site: Site) -> None:
    path = site.text(f"active_modules:\n  leaf: {{module: Leaf}}{GRID.replace('63', '63, name: yes')}")
    assert values(load(path), "grid")["name"] == "yes"


def test_the_module_of_the_repository_itself_is_found_without_any_settings(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text("active_modules: {probe: {module: ProbeModule, standalone: true}}")
    directories = load(path).settings.directories_of("PyEnergyManager")
    assert Path(__file__).parents[3] in directories


# -- what is odd, but no error


def test_an_unknown_item_is_ignored_with_a_note(site: Site) -> None:
    path = site.text(f"active_modules:\n  leaf: {{module: Leaf, config_module: {{speed: 5}}}}{GRID}")
    assert notes(path) == [
        "site.yaml:3 active_modules.leaf.config_module.speed: ignored, Leaf has no such item, known: none"
    ]


def test_a_mapping_of_an_unknown_implementation_is_ignored_with_a_note(site: Site) -> None:
    path = site.text("active_modules: {leaf: {module: Leaf, mapping: {implementations: {x: {evse: 1}}}}}")
    assert notes(path) == [
        (
            "site.yaml:2 active_modules.leaf.mapping.implementations.x: "
            "ignored, Leaf provides no such implementation"
        )
    ]


# -- what is wrong: (what grid's entry becomes, the message)

BASE = """active_modules:
  leaf: {module: Leaf}
  grid:
    module: Node
"""
CONNECTION = "{module_id: leaf, implementation_id: energy}"
CONSUMER = f"    connections: {{consumer: [{CONNECTION}]}}\n"
LIMIT = "    config_module: {fuse_limit_A: 63}\n"

WRONG_MODULES = {
    "missing item": (
        CONSUMER,
        (
            "site.yaml:4 active_modules.grid.config_module.fuse_limit_A: "
            "missing and without default, give a number"
        ),
    ),
    "text for a number": (
        CONSUMER + '    config_module: {fuse_limit_A: "63"}\n',
        "site.yaml:7 active_modules.grid.config_module.fuse_limit_A: expected number, got string '63'",
    ),
    "5.0 for an integer": (
        CONSUMER + "    config_module:\n      fuse_limit_A: 63\n      phases: 3.0\n",
        "site.yaml:9 active_modules.grid.config_module.phases: expected integer, got number 3.0",
    ),
    "1 for a boolean": (
        CONSUMER + "    config_module: {fuse_limit_A: 63, on: 1}\n",
        "site.yaml:7 active_modules.grid.config_module.on: expected boolean, got integer 1",
    ),
    "below the minimum": (
        CONSUMER + "    config_module: {fuse_limit_A: -1}\n",
        "site.yaml:7 active_modules.grid.config_module.fuse_limit_A: -1 is below the minimum 0",
    ),
    "a list as value": (
        CONSUMER + "    config_module: {fuse_limit_A: [63]}\n",
        (
            "site.yaml:7 active_modules.grid.config_module.fuse_limit_A: "
            "expected boolean or integer or number or string, got list [63]"
        ),
    ),
    "configuration of an unknown implementation": (
        CONSUMER + LIMIT + "    config_implementation: {main: {note: hi}}\n",
        (
            "site.yaml:8 active_modules.grid.config_implementation.main: "
            "Node provides no such implementation, known: grid"
        ),
    ),
    "an unknown key": (
        CONSUMER + LIMIT + "    config: {}\n",
        "site.yaml:4 active_modules.grid: unknown key 'config' (did you mean 'config_module'?)",
    ),
    "a key given twice": (
        CONSUMER + LIMIT + "    module: Leaf\n",
        "site.yaml:8 active_modules.grid.module: given twice, first in line 5",
    ),
    "no connection": (
        LIMIT,
        "site.yaml:4 active_modules.grid.connections.consumer: 0 connections, Node needs 1 to 2 (energy)",
    ),
    "too many connections": (
        LIMIT
        + "    connections:\n      consumer:\n"
        + 3 * "        - {module_id: leaf, implementation_id: energy}\n",
        "site.yaml:8 active_modules.grid.connections.consumer: 3 connections, Node needs 1 to 2 (energy)",
    ),
    "unknown requirement": (
        LIMIT + CONSUMER.replace("{consumer", "{trunk: [], consumer"),
        (
            "site.yaml:7 active_modules.grid.connections.trunk: "
            "Node has no such requirement, known: consumer, meter"
        ),
    ),
    "unknown module": (
        LIMIT + CONSUMER.replace("leaf", "loaf"),
        (
            "site.yaml:7 active_modules.grid.connections.consumer.0: "
            "no module 'loaf' (did you mean 'leaf'?), known: grid, leaf"
        ),
    ),
    "missing implementation": (
        LIMIT + CONSUMER.replace("implementation_id: energy", "implementation_id: power"),
        (
            "site.yaml:7 active_modules.grid.connections.consumer.0: "
            "Leaf 'leaf' provides no 'power', known: energy, meter"
        ),
    ),
    "another interface": (
        LIMIT + CONSUMER.replace("implementation_id: energy", "implementation_id: meter"),
        (
            "site.yaml:7 active_modules.grid.connections.consumer.0: "
            "leaf.meter has interface 'powermeter', needed is 'energy'"
        ),
    ),
}


@pytest.mark.parametrize(("entry", "message"), WRONG_MODULES.values(), ids=WRONG_MODULES)
def test_a_wrong_entry(site: Site, entry: str, message: str) -> None:
    assert problems(site.text(BASE + entry)) == [message]


def test_all_problems_are_told_at_once(site: Site) -> None:
    found = problems(site.text("active_modules:\n  a: {module: Node}\n  b: {module: Node}\n"))
    assert len(found) == 4  # each lacks its fuse limit and its connection


def test_an_unknown_module_type_tells_where_it_was_looked_for(site: Site) -> None:
    (found,) = problems(site.text("active_modules: {a: {module: Nodo}}"))
    assert found.startswith(
        "site.yaml:2 active_modules.a.module: unknown module type 'Nodo', looked for modules/Nodo/"
    )


def test_a_module_that_is_not_in_python_must_be_started_by_somebody_else(site: Site) -> None:
    site.module("Binary", program=None)
    (found,) = problems(site.text("active_modules: {a: {module: Binary}}"))
    assert "modules/Binary/module.py does not exist" in found
    assert "set standalone: true" in found
    assert load(site.text("active_modules: {a: {module: Binary, standalone: true}}")).modules["a"].standalone


def test_modules_to_run_standalone_must_exist(site: Site) -> None:
    path = site.config({"leaf": "Leaf"})
    assert load(path, standalone=frozenset({"leaf"})).modules["leaf"].standalone
    assert problems(path, standalone=frozenset({"lief"})) == [
        "site.yaml:3 active_modules: no module 'lief' to run standalone (did you mean 'leaf'?), known: leaf"
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "site.yaml active_modules: no modules, there is nothing to run"),
        ("active_modules: {}", "site.yaml:1 active_modules: no modules, there is nothing to run"),
        ("[1, 2]", "site.yaml:1: expected object, got list [1, 2]"),
        ("active_modules: {a: {}}", "site.yaml:1 active_modules.a: missing 'module'"),
        ("a: b: c", "site.yaml:1: not YAML: mapping values are not allowed here"),
        (
            "settings: {mqtt_port: 1}\nactive_modules: {a: {module: A}}",
            "site.yaml:1 settings: unknown key 'mqtt_port' (did you mean 'mqtt_broker_port'?)",
        ),
        (
            "settings: {mqtt_broker_host: h, mqtt_broker_socket_path: /s}\nactive_modules: {a: {module: A}}",
            "site.yaml:1 settings.mqtt_broker_socket_path: excludes mqtt_broker_host, keep one of them",
        ),
        (
            "settings: {logging_config_file: no.cfg}\nactive_modules: {a: {module: A}}",
            "site.yaml:1 settings.logging_config_file: no.cfg does not exist",
        ),
        (
            "settings: {mqtt_everest_prefix: e, mqtt_external_prefix: e/}\nactive_modules: {a: {module: A}}",
            "site.yaml:1 settings.mqtt_external_prefix: must differ from mqtt_everest_prefix",
        ),
        (
            "active_modules: {p: {module: ProbeModule}}",
            (
                "site.yaml:1 active_modules.p: a ProbeModule is played by a test and never started: "
                "set standalone: true"
            ),
        ),
        (
            "active_modules:\n  p: {module: ProbeModule, standalone: true}\n  q: {module: ProbeModule}",
            "site.yaml:3 active_modules.q: a second ProbeModule, there can be only one",
        ),
    ],
)
def test_a_wrong_file(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(text)
    (found,) = problems(path)
    assert found.startswith(message)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert problems(tmp_path / "none.yaml") == ["none.yaml: cannot be read: No such file or directory"]


def test_a_problem_that_the_users_changes_bring_is_told_of_their_file(site: Site) -> None:
    path = site.text(BASE + LIMIT + CONSUMER)
    site.file("user-config/site.yaml", "active_modules:\n  grid:\n    config_module: {phases: 4}\n")
    assert problems(path) == [
        "user-config/site.yaml:3 active_modules.grid.config_module.phases: 4 is above the maximum 3"
    ]


WRONG_MANIFESTS = {
    "no description": ({"metadata": METADATA}, "modules/Odd/manifest.yaml:1: missing 'description'"),
    "no author": (
        {"description": "Odd", "metadata": {"license": "https://a/b", "authors": []}},
        "modules/Odd/manifest.yaml:4 metadata.authors: is empty, give at least 1",
    ),
    "a license that is no address": (
        {"description": "Odd", "metadata": {"license": "MIT", "authors": ["me"]}},
        "modules/Odd/manifest.yaml:3 metadata.license: 'MIT' is no uri",
    ),
    "provides nothing": (
        {"description": "Odd", "metadata": METADATA, "provides": {}},
        "modules/Odd/manifest.yaml:6 provides: is empty, give at least 1 or leave it out",
    ),
    "a default of the wrong type": (
        {"description": "Odd", "metadata": METADATA, "config": {"a": number(default="x")}},
        "modules/Odd/manifest.yaml:10 config.a.default: expected number, got string 'x'",
    ),
    "an unknown type": (
        {"description": "Odd", "metadata": METADATA, "config": {"a": {"type": "float", "description": "It"}}},
        "modules/Odd/manifest.yaml:8 config.a.type: 'float' is none of boolean, integer, number, string",
    ),
    "an interface that does not exist": (
        {"description": "Odd", "metadata": METADATA, "provides": {"main": provides("nothing_such")}},
        "interface 'nothing_such' not found, looked for ",
    ),
}


@pytest.mark.parametrize(("manifest", "message"), WRONG_MANIFESTS.values(), ids=WRONG_MANIFESTS)
def test_a_wrong_manifest(site: Site, manifest: dict[str, Any], message: str) -> None:
    site.file("modules/Odd/manifest.yaml", yaml.safe_dump(manifest, sort_keys=False))
    site.file("modules/Odd/module.py", "")
    (found,) = problems(site.text("active_modules: {odd: {module: Odd}}"))
    assert found.startswith(message)


WRONG_INTERFACES = {
    "no description": ("vars: {}", "interfaces/mine.yaml:1: missing 'description'"),
    "null as the type of a result": (
        "description: It\ncmds: {go: {description: Go, result: {type: 'null', description: Nothing}}}",
        "interfaces/mine.yaml:2 cmds.go.result.type: 'null' does not look like ^(?!null).*$",
    ),
    "a schema that is none": (
        "description: It\nvars:\n  x:\n    type: numeric\n    description: A number",
        "interfaces/mine.yaml:3 vars.x: no valid JSON schema at type: ",
    ),
    "an error file that does not exist": (
        "description: It\nerrors:\n  - reference: /errors/none",
        "interfaces/mine.yaml:3 errors.0: error file not found, looked for ",
    ),
    "an error that does not exist": (
        "description: It\nerrors:\n  - reference: /errors/generic#/Fire",
        "interfaces/mine.yaml:3 errors.0: no error 'Fire' in generic, known: CommunicationFault, VendorError",
    ),
    "an error twice": (
        "description: It\nerrors:\n- reference: /errors/generic\n- reference: /errors/generic#/VendorError",
        "interfaces/mine.yaml:4 errors.1: error generic/VendorError is referred to twice, keep one",
    ),
}


@pytest.mark.parametrize(("interface", "message"), WRONG_INTERFACES.values(), ids=WRONG_INTERFACES)
def test_a_wrong_interface(site: Site, interface: str, message: str) -> None:
    site.file("interfaces/mine.yaml", interface)
    site.module("Mine", provides={"main": provides("mine")})
    (found,) = problems(site.config({"mine": "Mine"}, interfaces_dir="interfaces"))
    assert found.startswith(message)
    assert found.endswith("(Mine provides it)")


def test_an_interface_is_distributed_with_defaults_and_without_descriptions(site: Site) -> None:
    site.file(
        "interfaces/mine.yaml",
        """
description: Mine
cmds:
  go:
    description: Goes
    arguments: {way: {type: string, description: Where to}}
vars:
  list:
    description: A list
    type: array
    items: {type: object, properties: {a: {type: string, description: Removed}}}
errors:
  - reference: /errors/generic#/VendorError
""",
    )
    site.module("Mine", provides={"main": provides("mine")})
    interface = load(site.config({"mine": "Mine"}, interfaces_dir="interfaces")).interfaces["mine"]
    assert interface["cmds"] == {"go": {"arguments": {"way": {"type": "string"}}, "result": {"type": "null"}}}
    assert interface["vars"] == {
        "list": {
            "type": "array",
            "qos": 2,
            "items": {"type": "object", "properties": {"a": {"type": "string"}}},
        }
    }
    error = interface["errors"]["generic"]["VendorError"]
    assert (error["namespace"], error["name"], set(error)) == (
        "generic",
        "VendorError",
        {"namespace", "name", "description"},
    )


def test_types_are_read_only_to_validate_schemas(site: Site) -> None:
    assert load(site.config({"leaf": "Leaf"})).types == {}
    types = load(site.config({"leaf": "Leaf"}, validate_schema=True)).types
    assert "EnergyFlowRequest" in types["/energy"]


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("types/mine.yaml", "types: {}", "types/mine.yaml:1: missing 'description'"),
        (
            "types/mine.yaml",
            "description: It\ntypes:\n  A: {type: string, description: An A, minLength: x}",
            "types/mine.yaml:3 types.A.minLength: ",
        ),
        (
            "errors/mine.yaml",
            "description: It\nerrors: [{name: lower, description: No}]",
            "errors/mine.yaml:2 errors.0.name",
        ),
        (
            "interfaces/mine.yaml",
            "description: It\nvars: {a: {type: object, description: An A, $ref: /none#/A}}",
            "interface mine: $ref '/none#/A' leads to no type in types, ",
        ),
    ],
)
def test_what_schemas_need_is_checked_with_validate_schema(
    site: Site, file: str, text: str, message: str
) -> None:
    site.file("interfaces/mine.yaml", "description: It")
    site.file(file, text)
    site.module("Mine", provides={"main": provides("mine")})
    path = site.config(
        {"mine": "Mine"},
        validate_schema=True,
        interfaces_dir="interfaces",
        types_dir="types",
        errors_dir="errors",
    )
    (found,) = problems(path)
    assert found.startswith(message)

"""Interfaces, types and errors: found, checked, and brought into the form that modules get."""

import copy
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bsp.yaml_document import Step, YamlDocument
from bsp.yaml_file import instead
from hil.runtime.manager.problems import ConfigError
from hil.runtime.manager.schemas import problem_of_schema, problems_of
from hil.runtime.wire import Json

_ERROR_REFERENCE = re.compile(r"/errors/(?P<namespace>\w+)(?:#/(?P<name>\w+))?")
_TYPE_REFERENCE = re.compile(r"(?P<file>/[\w/-]+)#/(?P<name>[\w-]+)")
_RETURNS_NOTHING = {"type": "null"}


@dataclass
class Definitions:
    """The interface, type and error files of an installation.

    Attributes
    ----------
    interfaces_dirs, types_dirs, errors_dirs
        Where files are looked for, in this order.
    """

    interfaces_dirs: Sequence[Path]
    types_dirs: Sequence[Path]
    errors_dirs: Sequence[Path]
    _interfaces: dict[str, Json] = field(default_factory=dict)
    _errors: dict[str, dict[str, Json]] = field(default_factory=dict)

    def interface(self, name: str) -> Json:
        """Give an interface as modules get it: defaults filled in, errors resolved, descriptions removed.

        Raises
        ------
        ConfigError
            The file is missing or wrong.
        """
        if name not in self._interfaces:
            file = _find(self.interfaces_dirs, name)
            if file is None:
                raise ConfigError(
                    [f"interface {name!r} not found, looked for {_tried(self.interfaces_dirs, name)}"]
                )
            self._interfaces[name] = self._expanded(file)
        return self._interfaces[name]

    def types(self) -> dict[str, Json]:
        """Give all type files, ``/file`` to ``{type name: schema}``.

        Raises
        ------
        ConfigError
            One of them is wrong.
        """
        types: dict[str, Json] = {}
        problems: list[str] = []
        for file in _all(self.types_dirs):
            wrong = problems_of(file, "type")
            if not wrong:
                types["/" + file.path.stem] = file.data.get("types", {})
                wrong = [
                    f"{file.where('types', name)}: {problem}"
                    for name, schema in file.data.get("types", {}).items()
                    if (problem := problem_of_schema(schema))
                ]
            problems += wrong
        if problems:
            raise ConfigError(problems)
        return types

    def check_errors(self) -> None:
        """Read all error files.

        Raises
        ------
        ConfigError
            One of them is wrong.
        """
        problems = [
            problem
            for file in _all(self.errors_dirs)
            for problem in problems_of(file, "error_declaration_list")
        ]
        if problems:
            raise ConfigError(problems)

    def problems_of_references(self, interface: str, types: dict[str, Json]) -> list[str]:
        """Name each ``$ref`` of an interface that leads to no type, one line each."""
        looked = ", ".join(str(directory) for directory in self.types_dirs)
        problems = []
        for reference in sorted(set(_references(self.interface(interface)))):
            found = _TYPE_REFERENCE.fullmatch(reference)
            if found is None or found["name"] not in types.get(found["file"], {}):
                problems.append(f"interface {interface}: $ref {reference!r} leads to no type in {looked}")
        return problems

    def _expanded(self, file: YamlDocument) -> Json:
        problems = problems_of(file, "interface")
        if problems:
            raise ConfigError(problems)
        interface = copy.deepcopy(file.data)
        schemas: list[tuple[tuple[Step, ...], Json]] = []
        commands = interface.setdefault("cmds", {})
        for name, command in commands.items():
            command.pop("description")
            for argument, schema in command.setdefault("arguments", {}).items():
                schemas.append((("cmds", name, "arguments", argument), schema))
            schemas.append((("cmds", name, "result"), command.setdefault("result", dict(_RETURNS_NOTHING))))
        for name, schema in interface.setdefault("vars", {}).items():
            schema.setdefault("qos", 2)
            schemas.append((("vars", name), schema))
        for way, schema in schemas:
            _remove_descriptions(schema)
            if problem := problem_of_schema(schema):
                problems.append(f"{file.where(*way)}: {problem}")
        if problems:
            raise ConfigError(problems)
        return {"cmds": commands, "vars": interface["vars"], "errors": self._resolved_errors(file)}

    def _resolved_errors(self, file: YamlDocument) -> Json:
        resolved: dict[str, dict[str, Json]] = {}
        for index, entry in enumerate(file.data.get("errors", [])):
            place = file.where("errors", index)
            reference = _ERROR_REFERENCE.fullmatch(entry["reference"])
            assert reference is not None, "the interface schema has checked the form of references"
            namespace, only = reference["namespace"], reference["name"]
            declared = self._errors_of(namespace, place)
            if only is not None and only not in declared:
                raise ConfigError([f"{place}: no error {only!r} in {namespace}{instead(only, declared)}"])
            for name in [only] if only else declared:
                errors = resolved.setdefault(namespace, {})
                if name in errors:
                    raise ConfigError([f"{place}: error {namespace}/{name} is referred to twice, keep one"])
                errors[name] = declared[name]
        return resolved

    def _errors_of(self, namespace: str, place: str) -> dict[str, Json]:
        if namespace not in self._errors:
            file = _find(self.errors_dirs, namespace)
            if file is None:
                raise ConfigError(
                    [f"{place}: error file not found, looked for {_tried(self.errors_dirs, namespace)}"]
                )
            problems = problems_of(file, "error_declaration_list")
            if problems:
                raise ConfigError(problems)
            self._errors[namespace] = {
                error["name"]: {**error, "namespace": namespace} for error in file.data.get("errors", [])
            }
        return self._errors[namespace]


def _find(directories: Sequence[Path], name: str) -> YamlDocument | None:
    paths = (directory / f"{name}.yaml" for directory in directories)
    return next((YamlDocument.load(path) for path in paths if path.exists()), None)


def _tried(directories: Sequence[Path], name: str) -> str:
    return ", ".join(str(directory / f"{name}.yaml") for directory in directories)


def _all(directories: Sequence[Path]) -> list[YamlDocument]:
    """All YAML files, sorted by name; one in an earlier directory hides its namesakes."""
    found: dict[str, Path] = {}
    for directory in reversed(directories):
        found |= {path.stem: path for path in directory.glob("*.yaml")}
    return [YamlDocument.load(found[name]) for name in sorted(found)]


def _remove_descriptions(schema: Json) -> None:
    schema.pop("description", None)
    items = schema.get("items")
    for inner in items.get("properties", {}).values() if isinstance(items, dict) else ():
        inner.pop("description", None)


def _references(schema: Json) -> Iterator[str]:
    if isinstance(schema, dict):
        for key, value in schema.items():
            if key == "$ref" and isinstance(value, str):
                yield value
            yield from _references(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _references(value)

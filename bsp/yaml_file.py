"""YAML files read into typed structures, with errors that name file, line, key and what is allowed.

Profiles and the site file are read by the same few rules: unknown keys are errors, quantities read naturally
(``fuse: 35 A``), and every problem of a file is told at once, one line each.
"""

import difflib
import re
import types
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar, get_args, get_origin

import msgspec
import yaml

from bsp.yaml_document import FileError, Key, YamlDocument, value_of

__all__ = [
    "Amperes",
    "FileError",
    "Key",
    "Seconds",
    "Volts",
    "Watts",
    "YamlFile",
    "instead",
    "quantity",
    "suggest",
]

T = TypeVar("T")

_FEW = 8
"""So many names can be read at a glance."""

_UNITS: Mapping[str, Mapping[str, float]] = {
    "A": {"A": 1.0, "mA": 1e-3},
    "V": {"V": 1.0},
    "W": {"W": 1.0, "kW": 1e3},
    "s": {"s": 1.0, "ms": 1e-3, "min": 60.0, "h": 3600.0},
}
_QUANTITY = re.compile(r"^\s*([-+]?\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*$")


def quantity(unit: str, description: str, *, ge: float | None = 0.0) -> msgspec.Meta:
    """Mark a float field as a quantity: it may be written with its unit (``35 A``, ``500 ms``) or bare.

    Parameters
    ----------
    unit : str
        SI unit of the resulting number: A, V, W or s.
    description : str
        What the field is, for the generated schema.
    ge : float or None
        Smallest value allowed.
    """
    return msgspec.Meta(
        ge=ge, description=description, extra={"unit": unit}, extra_json_schema={"x-unit": unit}
    )


Amperes = Annotated[float, quantity("A", "a current, e.g. 16 A")]
Watts = Annotated[float, quantity("W", "a power, e.g. 11 kW")]
Volts = Annotated[float, quantity("V", "a voltage, e.g. 230 V")]
Seconds = Annotated[float, quantity("s", "a duration, e.g. 10 s or 500 ms")]


class YamlFile(Generic[T]):
    """One YAML file of a given structure.

    Attributes
    ----------
    value : T
        The content. After `problem` was called, call `check` before relying on it.

    Parameters
    ----------
    path : Path
        The file.
    structure : type
        A msgspec ``Struct`` type.
    name : str, optional
        How errors call the file; the file's own name if not given.
    reference : str, optional
        Where all keys of such a file are described.

    Raises
    ------
    FileError
        The file cannot be read, is no YAML or does not have the structure.
    """

    def __init__(
        self, path: Path, structure: type[T], name: str | None = None, reference: str | None = None
    ) -> None:
        self._document = YamlDocument.load(path, name or path.name)
        self._problems: dict[str, int] = {}
        self._reference = reference
        if self._document.root is None:
            raise FileError([f"{self._document.name}:1: the file is empty"])
        value = self._build(self._document.root, structure, ())
        self.check()
        self.value: T = value

    def problem(self, key: Key, reason: str) -> None:
        """Note that the value at `key` is wrong; `check` tells it."""
        self._problems[f"{self._document.where(*key)}: {reason}"] = self._document.line(*key) or 1

    def check(self) -> None:
        """Raise `FileError` with every problem noted so far, from the top of the file to its end."""
        if self._problems:
            raise FileError(sorted(self._problems, key=lambda problem: self._problems[problem]))

    def _build(self, node: yaml.Node, expected: Any, key: Key) -> Any:
        """Make a value of the type `expected`; on a problem note it and give None."""
        expected, unit = _without_annotation(expected)
        if _is_struct(expected):
            return self._build_struct(node, expected, key)
        if get_origin(expected) is dict:
            key_type, value_type = get_args(expected)
            return self._build_dict(node, key_type, value_type, key)
        if get_origin(expected) in (list, tuple):
            return self._build_list(node, expected, key)
        return self._build_leaf(node, expected, unit, key)

    def _build_struct(self, node: yaml.Node, expected: Any, key: Key) -> Any:
        if not isinstance(node, yaml.MappingNode):
            return self.problem(key, "must be a mapping of keys to values")
        fields = {field.encode_name: field for field in msgspec.structs.fields(expected)}
        values = {}
        for key_node, value_node in node.value:
            name = str(key_node.value)
            if name not in fields:
                self.problem((*key, name), f"unknown key{instead(name, fields, self._reference)}")
                continue
            values[fields[name].name] = self._build(value_node, fields[name].type, (*key, name))
        missing = [name for name, field in fields.items() if field.required and field.name not in values]
        for name in missing:
            self.problem((*key, name), "missing")
        return expected(**values) if not missing else None

    def _build_dict(self, node: yaml.Node, key_type: Any, value_type: Any, key: Key) -> Any:
        if not isinstance(node, yaml.MappingNode):
            return self.problem(key, "must be a mapping of keys to values")
        result = {}
        for key_node, value_node in node.value:
            child = (*key, str(key_node.value))
            name = (
                str(key_node.value) if key_type is str else self._build_leaf(key_node, key_type, None, child)
            )
            result[name] = self._build(value_node, value_type, child)
        return result

    def _build_list(self, node: yaml.Node, expected: Any, key: Key) -> Any:
        if not isinstance(node, yaml.SequenceNode):
            return self.problem(key, "must be a list")
        item_type = get_args(expected)[0]
        items = [self._build(item, item_type, (*key, str(index))) for index, item in enumerate(node.value)]
        return get_origin(expected)(items)

    def _build_leaf(self, node: yaml.Node, expected: Any, unit: str | None, key: Key) -> Any:
        value = value_of(node)
        try:
            return msgspec.convert(_number(value, unit) if unit else value, expected)
        except ValueError as error:  # includes msgspec.ValidationError
            given = "" if isinstance(value, dict | list) else f", not {value!r}"
            return self.problem(key, _plain(str(error), expected) + given)


def _without_annotation(expected: Any) -> tuple[Any, str | None]:
    """Strip ``X | None`` off structures and tell the unit of a quantity."""
    if get_origin(expected) in (typing.Union, types.UnionType):
        inner = [_without_annotation(part) for part in get_args(expected)]
        structured = [
            part for part, _ in inner if _is_struct(part) or get_origin(part) in (dict, list, tuple)
        ]
        if structured:
            return structured[0], None
        return expected, next((unit for _, unit in inner if unit), None)
    if get_origin(expected) is Annotated:
        base, *metadata = get_args(expected)
        units = [
            m.extra["unit"] for m in metadata if isinstance(m, msgspec.Meta) and m.extra and "unit" in m.extra
        ]
        structured_base = _is_struct(base) or get_origin(base) in (dict, list, tuple)
        return (base if structured_base else expected), (units[0] if units else None)
    return expected, None


def _is_struct(expected: Any) -> bool:
    return isinstance(expected, type) and issubclass(expected, msgspec.Struct)


def _number(value: Any, unit: str) -> Any:
    if not isinstance(value, str):
        return value
    factors = _UNITS[unit]
    match = _QUANTITY.match(value)
    if match is None or match[2] not in factors:
        raise ValueError(f"must be a number with a unit of {', '.join(factors)} (e.g. '10 {unit}')")
    return float(match[1]) * factors[match[2]]


def _plain(message: str, expected: Any) -> str:
    """Tell what msgspec complains about in words of a site file."""
    parts = get_args(expected) if get_origin(expected) in (typing.Union, types.UnionType) else (expected,)
    literals = [get_args(part) for part in parts if get_origin(part) is typing.Literal]
    alternatives = [alternative for literal in literals for alternative in literal]
    if alternatives:
        return f"must be one of {', '.join(str(a) for a in alternatives)}"
    message = message.split(" - at ", maxsplit=1)[0].replace("`", "")
    return message.replace("Expected", "must be", 1) if message.startswith("Expected") else message


def suggest(name: str, known: Iterable[str]) -> str:
    """Say ``(did you mean ...?)``, with a space before, if one of the known names is close; else nothing."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean '{close[0]}'?)" if close else ""


def instead(name: str, known: Iterable[str], reference: str | None = None) -> str:
    """Say what may have been meant by an unknown name: a close one, and all that are known if they are few.

    Of many, where none is close, the nearest ones are told, and where the others are described.
    """
    names = list(known)
    close = suggest(name, names)
    if len(names) <= _FEW:
        return f"{close}, known: {', '.join(names) or 'none'}"
    if close:
        return close
    nearest = difflib.get_close_matches(name, names, n=_FEW, cutoff=0.0)
    others = f"{len(names) - _FEW} more" + (f", see {reference}" if reference else "")
    return f", known: {', '.join(nearest)} and {others}"

"""YAML files that remember on which line each key stands."""

import re
from dataclasses import dataclass
from pathlib import Path

import yaml

from hil.runtime.wire import Json

Key = str | int


class YamlError(Exception):
    """A file cannot be read as YAML; the message is one line, ``file:line: what is wrong``."""


class _Loader(yaml.SafeLoader):
    """Scalars as in YAML 1.2, which EVerest reads: ``yes`` and ``2026-01-01`` are text."""

    yaml_implicit_resolvers = {}  # noqa: RUF012 (the base class declares it so)


for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)|0x[0-9a-fA-F]+", "-+0123456789"),
    ("float", r"[-+]?(?:[0-9]+\.[0-9]*|\.?[0-9]+)(?:[eE][-+]?[0-9]+)?", "-+.0123456789"),
    ("merge", r"<<", "<"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), list(_first))


@dataclass(frozen=True)
class YamlFile:
    """Content of a YAML file.

    Attributes
    ----------
    path
        The file.
    data
        Its content; ``{}`` for an empty file.
    lines
        Line (from 1) of each key, by the way to it.
    """

    path: Path
    data: Json
    lines: dict[tuple[Key, ...], int]

    @classmethod
    def load(cls, path: Path) -> "YamlFile":
        """Read a file.

        Raises
        ------
        YamlError
            It cannot be read, is no YAML, or has a key twice.
        """
        try:
            loader = _Loader(path.read_text(encoding="utf-8"))
            node = loader.get_single_node()
            lines: dict[tuple[Key, ...], int] = {}
            if node is None:
                return cls(path, {}, lines)
            duplicates = _note_lines(node, (), lines)
            data = loader.construct_document(node)
        except OSError as error:
            raise YamlError(f"{path}: cannot read it: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise YamlError(f"{path}: no UTF-8 text: {error.reason} at byte {error.start}") from error
        except yaml.MarkedYAMLError as error:
            mark = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
            raise YamlError(f"{path}{mark}: no valid YAML: {error.problem}") from error
        for line, keys in duplicates:
            raise YamlError(f"{path}:{line} {_dotted(keys)}: given twice, keep one")
        return cls(path, data, lines)

    def where(self, *keys: Key) -> str:
        """Name a place: ``file:line a.b``, with the line of the nearest enclosing key that the file has."""
        known = keys
        while known and known not in self.lines:
            known = known[:-1]
        line = f":{self.lines[known]}" if known in self.lines else ""
        return f"{self.path}{line} {_dotted(keys)}".rstrip()

    def has(self, *keys: Key) -> bool:
        """Tell whether the file gives this key."""
        return keys in self.lines


def _dotted(keys: tuple[Key, ...]) -> str:
    return ".".join(str(key) for key in keys)


def _note_lines(
    node: yaml.Node, keys: tuple[Key, ...], lines: dict[tuple[Key, ...], int]
) -> "list[tuple[int, tuple[Key, ...]]]":
    duplicates = []
    lines.setdefault(keys, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key_node, value in node.value:
            key = (*keys, str(key_node.value))
            if key in seen:
                duplicates.append((key_node.start_mark.line + 1, key))
            seen.add(key)
            lines[key] = key_node.start_mark.line + 1
            duplicates += _note_lines(value, key, lines)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            duplicates += _note_lines(value, (*keys, index), lines)
    return duplicates

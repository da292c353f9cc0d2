"""YAML files that remember on which line each key stands."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import yaml

Step = str | int
"""Key of a mapping, or index of a list."""

Key = tuple[str, ...]
"""Way from the top of a file to a value; an index as text."""


class FileError(ValueError):
    """A file is not what it must be. The message has one line per problem."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class Loader(yaml.SafeLoader):
    """Scalars as in YAML 1.2, which EVerest reads: ``yes`` and ``2026-01-01`` are text."""

    yaml_implicit_resolvers = {}  # noqa: RUF012 (the base class declares it so)


for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)|0x[0-9a-fA-F]+", "-+0123456789"),
    ("float", r"[-+]?(?:[0-9]+\.[0-9]*|\.?[0-9]+)(?:[eE][-+]?[0-9]+)?", "-+.0123456789"),
    ("merge", r"<<", "<"),
):
    Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), list(_first))


@dataclass(frozen=True)
class YamlDocument:
    """Content of a YAML file.

    Attributes
    ----------
    path : Path
        The file.
    name : str
        How errors call it.
    root : yaml.Node or None
        Its content as it is written; None for an empty file.
    lines : mapping
        Line (from 1) of each key, by the way to it.
    """

    path: Path
    name: str
    root: yaml.Node | None
    lines: Mapping[Key, int]

    @classmethod
    def load(cls, path: Path, name: str | None = None) -> Self:
        """Read a file.

        Parameters
        ----------
        name : str, optional
            How errors call it; its path if not given.

        Raises
        ------
        FileError
            It cannot be read, is no YAML, or has keys twice.
        """
        name = name or str(path)
        try:
            root = Loader(path.read_text(encoding="utf-8")).get_single_node()
        except OSError as error:
            raise FileError([f"{path}: cannot be read: {error.strerror}"]) from error
        except UnicodeDecodeError as error:
            raise FileError([f"{name}: no UTF-8 text: {error.reason} at byte {error.start}"]) from error
        except yaml.MarkedYAMLError as error:
            mark = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
            raise FileError([f"{name}{mark}: not YAML: {error.problem}"]) from error
        lines: dict[Key, int] = {}
        twice = [
            f"{name}:{line} {'.'.join(key)}: given twice, first in line {first}"
            for key, first, line in _note_lines(root, (), lines)
        ]
        if twice:
            raise FileError(twice)
        return cls(path, name, root, lines)

    @cached_property
    def data(self) -> Any:
        """Its content; ``{}`` for an empty file."""
        return {} if self.root is None else value_of(self.root)

    def line(self, *steps: Step) -> int | None:
        """Give the line of a key, or of the nearest enclosing one that the file has."""
        key = _key(steps)
        while key and key not in self.lines:
            key = key[:-1]
        return self.lines.get(key)

    def where(self, *steps: Step) -> str:
        """Name a place: ``file:line a.b``."""
        line = self.line(*steps)
        return f"{self.name}{'' if line is None else f':{line}'} {'.'.join(_key(steps))}".rstrip()

    def has(self, *steps: Step) -> bool:
        """Tell whether the file gives this key."""
        return _key(steps) in self.lines


def value_of(node: yaml.Node) -> Any:
    """Give what a node stands for."""
    return Loader("").construct_document(node)


def _key(steps: tuple[Step, ...]) -> Key:
    return tuple(map(str, steps))


def _note_lines(node: yaml.Node | None, key: Key, lines: dict[Key, int]) -> Iterator[tuple[Key, int, int]]:
    """Note the lines of a node and all below it; yields each key that is there again, with both lines."""
    if node is None:
        return
    lines.setdefault(key, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        seen: dict[Key, int] = {}
        for key_node, value in node.value:
            child, line = (*key, str(key_node.value)), key_node.start_mark.line + 1
            if child in seen:
                yield child, seen[child], line
            seen.setdefault(child, line)
            lines[child] = line
            yield from _note_lines(value, child, lines)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _note_lines(item, (*key, str(index)), lines)

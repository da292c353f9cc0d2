"""The reference of all settings in the documentation, made from the manifest and the site file's structure.

``python -m control.reference > docs/configuration.md`` writes it.
"""

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from control import site_sections
from control.site_schema import json_schema
from control.site_sections import Section, Sections

_INTRODUCTION = """\
# Configuration

Made from `manifest.yaml` and the site file's structure by `python -m control.reference`; do not edit it.

The module is configured in two places: `config_module` of EVerest's config, and, for what that has no place
for, a site file, named there by `site_file`.

## `config_module`
"""

_SITE_FILE = """\

## Site file

Quantities are numbers or read naturally (`35 A`, `500 ms`). Unknown keys are errors. A key without default
must be given. `control/site.schema.json` is the JSON Schema of the file, for editors.
"""

_ATTRIBUTE = re.compile(r"^(?P<names>\w[\w, ]*?)(?: : .*)?$")


def reference(manifest: Mapping[str, Any]) -> str:
    """Give the whole page, as Markdown.

    Parameters
    ----------
    manifest : mapping
        The module's manifest.
    """
    definitions = json_schema()["$defs"]
    parts = [
        _INTRODUCTION,
        _table(("Key", "Takes", "Default", "Meaning"), _manifest_rows(manifest["config"])),
        _SITE_FILE,
    ]
    sections = definitions[Sections.__name__]["properties"]
    for name, field in sections.items():
        title = f"{name}.<name>" if "additionalProperties" in field else name
        referred = str(_referred(field))
        parts += _section(title, referred, definitions)
        for key, inner in definitions[referred]["properties"].items():
            if key not in sections and (within := _referred(inner)):
                parts += _section(f"{title}.{key}", within, definitions)
    return "\n".join(parts)


def _manifest_rows(config: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for key, entry in config.items():
        yield (
            f"`{key}`",
            _takes(entry),
            f"`{entry['default']!r}`".replace("'", '"'),
            " ".join(entry["description"].split()),
        )


def _section(title: str, name: str, definitions: Mapping[str, Any]) -> list[str]:
    definition = definitions[name]
    section: type[Section] = getattr(site_sections, name)
    meanings = _meanings(section)
    rows = (
        (
            f"`{key}`",
            _takes(field),
            f"`{field['default']}`"
            if field.get("default") is not None
            else ("" if key in definition["required"] else "none"),
            meanings[key],
        )
        for key, field in definition["properties"].items()
    )
    summary = (inspect.getdoc(section) or "").split("\n\n")[0]
    return [f"### `{title}`\n", f"{summary}\n", _table(("Key", "Takes", "Default", "Meaning"), rows)]


def _meanings(section: type[Section]) -> dict[str, str]:
    """Tell what each key means, from the "Attributes" of the class and its bases."""
    meanings: dict[str, str] = {}
    for base in reversed(section.__mro__):
        names: list[str] = []
        _, _, attributes = inspect.cleandoc(base.__doc__ or "").partition("Attributes\n----------\n")
        for line in attributes.splitlines():
            if line.startswith("    "):
                for name in names:
                    meanings[name] = f"{meanings.get(name, '')} {line.strip()}".strip()
            elif match := _ATTRIBUTE.match(line):
                names = [name.strip() for name in match["names"].split(",")]
                meanings.update(dict.fromkeys(names, ""))
    return meanings


def _takes(field: Mapping[str, Any]) -> str:
    """Say in words what a key may be set to."""
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if "anyOf" in field:
        choices = [choice for choice in field["anyOf"] if choice.get("type") != "null"]
        return field.get("description") or " or ".join(_takes(choice) for choice in choices)
    if "$ref" in field:
        return "see below"
    bounds = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "to"}
    limits = [f"{word} {field[keyword]:g}" for keyword, word in bounds.items() if keyword in field]
    return " ".join([field["type"], *limits])


def _referred(field: Mapping[str, Any]) -> str | None:
    """Name of the class that a schema refers to, if it is that of a section."""
    choices = field.get("anyOf", [field.get("additionalProperties", field)])
    return next((choice["$ref"].rpartition("/")[2] for choice in choices if "$ref" in choice), None)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


if __name__ == "__main__":
    print(reference(yaml.safe_load(Path("manifest.yaml").read_text())), end="")

"""EVerest's schemas of its file formats, and what they find wrong, in words."""

import re
from functools import cache
from pathlib import Path

import jsonschema
from jsonschema.exceptions import best_match

from bsp.yaml_document import Step, YamlDocument
from bsp.yaml_file import instead
from hil.runtime.wire import Json

NAMES = ("config", "manifest", "interface", "type", "error_declaration_list")

_FORMATS = jsonschema.FormatChecker(["date-time"])
_FORMATS.checks("uri")(
    lambda value: not isinstance(value, str) or "://" in value
)  # all that EVerest asks of one

_FORMS = {
    "minimum": "{instance} is below the minimum {wanted}",
    "maximum": "{instance} is above the maximum {wanted}",
    "minProperties": "is empty, give at least {wanted} or leave it out",
    "minItems": "is empty, give at least {wanted}",
    "minLength": "{instance!r} is too short, give at least {wanted} characters",
    "format": "{instance!r} is no {wanted}",
    "pattern": "{instance!r} does not look like {wanted}",
}
_TYPE_NAMES = {bool: "boolean", int: "integer", float: "number", str: "string", list: "list", dict: "object"}


@cache
def schema(name: str) -> Json:
    """Give the schema of one of the file formats in ``NAMES``."""
    return YamlDocument.load(Path(__file__).with_name("schemas") / f"{name}.yaml").data


def problems_of(file: YamlDocument, name: str) -> list[str]:
    """Check a file against the schema of its format.

    Returns
    -------
    list of str
        A line for each problem, none for a valid file.
    """
    validator = jsonschema.Draft7Validator(schema(name), format_checker=_FORMATS)
    return [
        f"{file.where(*error.absolute_path)}: {in_words(error)}"
        for error in sorted(
            validator.iter_errors(file.data), key=lambda error: list(map(str, error.absolute_path))
        )
    ]


def problem_of_value(value: Json, item_schema: Json) -> str | None:
    """Say what a draft-07 schema finds wrong with a value, or None."""
    error = best_match(jsonschema.Draft7Validator(item_schema, format_checker=_FORMATS).iter_errors(value))
    return in_words(error) if error else None


def problem_of_schema(item_schema: Json) -> str | None:
    """Say what is wrong with a draft-07 schema itself, or None."""
    error = best_match(
        jsonschema.Draft7Validator(jsonschema.Draft7Validator.META_SCHEMA).iter_errors(item_schema)
    )
    if error is None:
        return None
    way: list[Step] = list(error.absolute_path)
    return f"no valid JSON schema at {'.'.join(map(str, way)) or 'its top'}: {in_words(error)}"


def is_of_type(value: Json, item_schema: Json) -> bool:
    """Whether a value has the type of a config item; an integer is a number, too."""
    found, declared = type_name(value), item_schema["type"]
    return found == declared or (found, declared) == ("integer", "number")


def type_name(value: Json) -> str:
    """Name the JSON type of a value as manifests do."""
    return _TYPE_NAMES.get(type(value), "null")


def in_words(error: jsonschema.ValidationError) -> str:
    """Say in one line what a validation error means and what would be right."""
    wanted: Json = error.validator_value
    instance: Json = error.instance
    if error.validator == "additionalProperties":
        return _unknown_keys(instance, error.schema)
    if error.validator == "required":
        return f"missing {', '.join(repr(key) for key in wanted if key not in instance)}"
    if error.validator == "type":
        expected = wanted if isinstance(wanted, str) else " or ".join(wanted)
        return f"expected {expected}, got {type_name(instance)} {instance!r}"
    if error.validator == "enum":
        return f"{instance!r} is none of {', '.join(map(str, wanted))}"
    form = _FORMS.get(str(error.validator))
    return form.format(instance=instance, wanted=wanted) if form else str(error.message)


def _unknown_keys(instance: Json, item_schema: Json) -> str:
    named = sorted(item_schema.get("properties", {}))
    patterns = item_schema.get("patternProperties", {})
    unknown = [
        key
        for key in instance
        if key not in named and not any(re.search(pattern, key) for pattern in patterns)
    ]
    if not named:
        return f"unknown key {', '.join(map(repr, unknown))}, names look like {', '.join(patterns)}"
    return "; ".join(f"unknown key {key!r}{instead(key, named)}" for key in unknown)

"""Checks of values against the schemas of interfaces, where the settings ask for it."""

import re
from collections.abc import Mapping
from typing import Any

from hil.runtime.framework.interfaces import Check
from hil.runtime.wire import Json

try:
    import jsonschema
    import referencing
    from referencing.jsonschema import DRAFT7
except ImportError as missing:
    raise RuntimeError(
        "settings.validate_schema is true, which needs the Python package jsonschema (pip install jsonschema)"
    ) from missing

_TYPE_REFERENCE = re.compile(r"(/[A-Za-z0-9_-]+)+#/[A-Za-z0-9_-]+")


def _is_integer(_checker: object, value: object) -> bool:
    # As in EVerest's validator: 16.0 is no integer.
    return isinstance(value, int) and not isinstance(value, bool)


_Draft7 = jsonschema.validators.extend(  # type: ignore[no-untyped-call]
    jsonschema.Draft7Validator,
    type_checker=jsonschema.Draft7Validator.TYPE_CHECKER.redefine("integer", _is_integer),
)

_formats = jsonschema.FormatChecker()


@_formats.checks("uri")
def _is_uri(value: object) -> bool:
    return not isinstance(value, str) or "://" in value


@_formats.checks("uri-reference")
def _is_type_reference(value: object) -> bool:
    return not isinstance(value, str) or _TYPE_REFERENCE.fullmatch(value) is not None


class Validator:
    """Makes checks of values; schemas may refer to types as ``/file#/Type``.

    Parameters
    ----------
    types
        Schemas by type name, by type file (``/energy``).
    """

    def __init__(self, types: Mapping[str, Json]) -> None:
        self._registry: referencing.Registry[Any] = referencing.Registry().with_resources(
            (file, DRAFT7.create_resource(schemas)) for file, schemas in types.items()
        )

    def checker(self, schema: Json) -> Check:
        """Make a check against one schema."""
        validator = _Draft7(schema, registry=self._registry, format_checker=_formats)

        def check(value: Json) -> None:
            problem = next(iter(validator.iter_errors(value)), None)
            if problem is not None:
                raise ValueError(f"{problem.json_path}: {problem.message}")

        return check

    def arguments_checker(self, schemas: Mapping[str, Json], *, exact: bool) -> Check:
        """Make a check of the arguments of a command, all of which must be there.

        Parameters
        ----------
        exact
            Refuse arguments that the interface does not declare: a caller does, a provider does not.
        """
        checks = {name: self.checker(schema) for name, schema in schemas.items()}

        def check(args: Json) -> None:
            args = args if isinstance(args, dict) else {}
            missing = checks.keys() - args.keys()
            unknown = args.keys() - checks.keys() if exact else set()
            if missing or unknown:
                raise ValueError(f"arguments are {sorted(args)}, the interface has {sorted(checks)}")
            for name, check_value in checks.items():
                try:
                    check_value(args[name])
                except ValueError as problem:
                    raise ValueError(f"argument {name!r}: {problem}") from None

        return check

"""The interfaces that a module provides and requires, and the checks that follow from them."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING

from hil.runtime.framework.definitions import Definitions
from hil.runtime.wire import Json

if TYPE_CHECKING:
    from hil.runtime.framework.validation import Validator

Check = Callable[[Json], None]
"""Raises ``ValueError`` for a value that does not follow its schema."""


def _accept(_value: Json) -> None:
    pass


class Interfaces:
    """Looks up what an interface declares; checks values if the settings ask for it, and accepts all if not.

    Attributes
    ----------
    provided
        Definition of the interface of each implementation.
    required
        Definition of the interface of each requirement, empty where an optional one is not connected.
    """

    def __init__(self, definitions: Definitions) -> None:
        manifest = definitions.manifests[definitions.module_config["module_name"]]
        self.provided = _definitions_of(manifest.get("provides", {}), definitions)
        self.required = _definitions_of(manifest.get("requires", {}), definitions)
        self._validator = _validator(definitions)
        # Checks are made once: publishing and calling happen all the time.
        self.check_published = cache(self._check_published)
        self.check_call = cache(self._check_call)

    def _check_published(self, implementation_id: str, variable: str) -> Check:
        """Check of a variable of an own implementation; ``RuntimeError`` if the interface has none."""
        if self._validator is None:
            return _accept
        return self._validator.checker(_member(self.provided, implementation_id, "vars", variable))

    def check_received(self, requirement_id: str, variable: str) -> Check:
        """Check of a variable of a requirement; ``RuntimeError`` if its interface has none of this name."""
        schema = _member(self.required, requirement_id, "vars", variable)
        return self._validator.checker(schema) if self._validator else _accept

    def checks_of_command(self, implementation_id: str, command: str) -> tuple[Check, Check]:
        """Check of the arguments, and of the result, of an own command; ``RuntimeError`` if it has none."""
        definition = _member(self.provided, implementation_id, "cmds", command)
        if self._validator is None:
            return _accept, _accept
        return (
            self._validator.arguments_checker(definition.get("arguments", {}), exact=False),
            self._validator.checker(definition.get("result", {"type": "null"})),
        )

    def _check_call(self, requirement_id: str, command: str) -> Check:
        """Check of the arguments of a call; ``RuntimeError`` if the interface has no such command."""
        definition = _member(self.required, requirement_id, "cmds", command)
        if self._validator is None:
            return _accept
        return self._validator.arguments_checker(definition.get("arguments", {}), exact=True)

    def descriptions_of_errors(self) -> dict[str, str]:
        """Describe each error type of any interface, own or required."""
        return {
            f"{namespace}/{name}": error.get("description", "")
            for definition in (*self.provided.values(), *self.required.values())
            for namespace, errors in definition.get("errors", {}).items()
            for name, error in errors.items()
        }


def _definitions_of(entries: Mapping[str, Json], definitions: Definitions) -> dict[str, Json]:
    # An interface that is only required, and provided by nobody, is not distributed.
    return {name: definitions.interfaces.get(entry["interface"]) or {} for name, entry in entries.items()}


def _validator(definitions: Definitions) -> "Validator | None":
    if not definitions.settings.get("validate_schema", False):
        return None
    from hil.runtime.framework.validation import Validator  # noqa: PLC0415 - only then is jsonschema needed

    return Validator(definitions.types)


def _member(interfaces: Mapping[str, Json], scope: str, kind: str, name: str) -> Json:
    if scope not in interfaces:
        raise RuntimeError(f"{scope}: not in the manifest, which has {', '.join(interfaces) or 'none'}")
    members = interfaces[scope].get(kind, {})
    if name not in members:
        what = "variable" if kind == "vars" else "command"
        raise RuntimeError(
            f"{scope}: {what} {name!r} is not in the interface, which has {', '.join(members) or 'none'}"
        )
    return members[name]

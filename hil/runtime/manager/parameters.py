"""Values of configuration items: from the file or the manifest's default, of the right type."""

from dataclasses import dataclass, replace

from bsp.yaml_file import instead
from hil.runtime.manager.manifest import Manifest
from hil.runtime.manager.problems import Report
from hil.runtime.manager.schemas import is_of_type, problem_of_value, type_name
from hil.runtime.wire import MODULE_SCOPE, Json

_WIRE_TYPES = {"boolean": "bool"}


@dataclass(frozen=True)
class Parameter:
    """One configuration item with its value.

    Attributes
    ----------
    name, value
        The item; the value's type is the declared one.
    schema
        Its declaration in the manifest.
    """

    name: str
    value: Json
    schema: Json

    @property
    def mutability(self) -> str:
        """``ReadOnly``, ``ReadWrite`` or ``WriteOnly``."""
        return str(self.schema["mutability"])

    @property
    def distributed(self) -> Json:
        """The item as modules get it."""
        declared = self.schema["type"]
        return {
            "name": self.name,
            "value": self.value,
            "characteristics": {
                "datatype": _WIRE_TYPES.get(declared, declared),
                "mutability": self.mutability,
            },
        }

    def with_text(self, text: str) -> "Parameter":
        """Give the item a value that comes as text, as at run time.

        Raises
        ------
        ValueError
            The text does not fit the declaration.
        """
        declared = self.schema["type"]
        value: Json = text
        try:
            if declared == "boolean":
                value = text in ("true", "1")
            elif declared == "integer":
                value = int(text)
            elif declared == "number":
                value = float(text)
        except ValueError:
            raise ValueError(f"{text!r} is no {declared}") from None
        if problem := problem_of_value(value, self.schema):
            raise ValueError(problem)
        return replace(self, value=value)


def parameters_of(
    module_id: str, entry: Json, manifest: Manifest, report: Report
) -> dict[str, list[Parameter]]:
    """Give the value of each item that a manifest declares.

    Parameters
    ----------
    module_id, entry
        An entry of ``active_modules``.
    manifest
        Manifest of its type.
    report
        Hears of items that are missing or wrong, and of undeclared ones, which are ignored.

    Returns
    -------
    dict
        Items sorted by name, of ``!module`` and of each implementation.
    """
    place = ("active_modules", module_id)
    of_implementations = entry.get("config_implementation", {})
    for scope in of_implementations:
        if scope not in manifest.provides:
            meant = instead(scope, sorted(manifest.provides))
            what = f"{manifest.module_type} provides no such implementation{meant}"
            report.error(*place, "config_implementation", scope, what=what)
    parameters: dict[str, list[Parameter]] = {}
    for scope, items in manifest.config_items.items():
        of_module = scope == MODULE_SCOPE
        given = entry.get("config_module", {}) if of_module else of_implementations.get(scope, {})
        where = (*place, "config_module") if of_module else (*place, "config_implementation", scope)
        for name in given:
            if name not in items:
                why = f"{manifest.module_type} has no such item{instead(name, sorted(items))}"
                report.ignored(*where, name, why=why)
        parameters[scope] = []
        for name, schema in sorted(items.items()):
            if problem := _problem(name, given, schema):
                report.error(*where, name, what=problem)
            else:
                value = given.get(name, schema.get("default"))
                value = float(value) if schema["type"] == "number" else value
                parameters[scope].append(Parameter(name, value, schema))
    return parameters


def _problem(name: str, given: Json, schema: Json) -> str | None:
    if name not in given:
        return None if "default" in schema else f"missing and without default, give a {schema['type']}"
    value = given[name]
    if not is_of_type(value, schema):
        return f"expected {schema['type']}, got {type_name(value)} {value!r}"
    return problem_of_value(value, schema)

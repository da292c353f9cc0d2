"""The errors of one module: those of its implementations, and those of what fulfils its requirements."""

from collections.abc import Callable
from functools import partial

from hil.runtime.framework import log
from hil.runtime.framework.definitions import Definitions
from hil.runtime.framework.error import Error, ErrorFactory, ErrorStateMonitor, ImplementationIdentifier
from hil.runtime.framework.errors import ImplementationErrors, RequirementErrors
from hil.runtime.framework.interfaces import Interfaces
from hil.runtime.framework.setup import Fulfillment, Interface, ModuleSetup
from hil.runtime.wire import Json

Publish = Callable[[str, str, Error], None]
"""Sends an error of an implementation: implementation id, message type, error."""
Subscribe = Callable[[Fulfillment, str, Callable[[Json], None]], None]
"""Lets a handler get the errors of one type of a fulfilment."""


class ModuleErrors:
    """Makes and keeps the errors of each implementation and fulfilment; subscribes to those of the latter."""

    def __init__(
        self,
        module_id: str,
        definitions: Definitions,
        interfaces: Interfaces,
        *,
        publish: Publish,
        subscribe: Subscribe,
    ) -> None:
        self._module_id = module_id
        self._mapping = definitions.module_config.get("mapping") or {}
        self._descriptions = interfaces.descriptions_of_errors()
        self._implementations = {
            impl_id: ImplementationErrors(Interface.of(definition).errors, partial(publish, impl_id))
            for impl_id, definition in interfaces.provided.items()
        }
        self._fulfillments: dict[tuple[str, str, str], RequirementErrors] = {}
        requires = definitions.manifests[definitions.module_config["module_name"]].get("requires", {})
        for requirement, fulfillments in ModuleSetup.of(definitions).connections.items():
            if not requires[requirement].get("ignore", {}).get("errors", False):
                types = Interface.of(interfaces.required[requirement]).errors
                for fulfillment in fulfillments:
                    self._add_fulfillment(fulfillment, types, subscribe)

    def _add_fulfillment(self, fulfillment: Fulfillment, types: list[str], subscribe: Subscribe) -> None:
        errors = RequirementErrors(types)
        self._fulfillments[_key(fulfillment)] = errors
        for error_type in types:
            subscribe(fulfillment, error_type, partial(errors.receive, error_type))

    def of_implementation(self, impl_id: str) -> ImplementationErrors:
        """Return the errors of an own implementation.

        Raises
        ------
        RuntimeError
            There is no such implementation.
        """
        if impl_id not in self._implementations:
            raise RuntimeError(
                f"{impl_id}: not in the manifest, which has {', '.join(self._implementations)}"
            )
        return self._implementations[impl_id]

    def of_fulfillment(self, fulfillment: Fulfillment) -> RequirementErrors | None:
        """Return the errors of a fulfilment, ``None`` if the manifest ignores them."""
        errors = self._fulfillments.get(_key(fulfillment))
        if errors is None:
            log.error(f"{fulfillment}: its errors are ignored, as the manifest says")
        return errors

    def factory(self, impl_id: str) -> ErrorFactory | None:
        """Return what makes errors of an implementation, ``None`` if there is no such implementation."""
        if impl_id not in self._implementations:
            log.error(f"Error factory for {impl_id} not found!")
            return None
        # The mapping of the implementation lies over that of the module.
        of_module = self._mapping.get("module") or {}
        of_implementation = (self._mapping.get("implementations") or {}).get(impl_id) or {}
        mapping = {**of_module, **of_implementation} or None
        return ErrorFactory(ImplementationIdentifier(self._module_id, impl_id, mapping), self._descriptions)

    def monitor(self, impl_id: str) -> ErrorStateMonitor | None:
        """Return what tells the active errors of an implementation, ``None`` if there is no such."""
        if impl_id not in self._implementations:
            log.error(f"Error state monitor for {impl_id} not found!")
            return None
        return ErrorStateMonitor(self._implementations[impl_id].active)


def _key(fulfillment: Fulfillment) -> tuple[str, str, str]:
    return (fulfillment.requirement_id, fulfillment.module_id, fulfillment.implementation_id)

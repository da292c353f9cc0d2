"""Which errors are active: those of an own implementation, and those of a requirement."""

import threading
from collections.abc import Callable, Iterable
from copy import deepcopy

from hil.runtime.framework import log
from hil.runtime.framework.error import Error, ErrorCallback, State
from hil.runtime.wire import Json

Key = tuple[str, str]
"""Type and sub-type: at most one error of each is active per implementation."""


class ImplementationErrors:
    """Errors that this module raises and clears for one of its implementations.

    Parameters
    ----------
    allowed
        Error types of the interface.
    publish
        Sends an error with its message type.
    """

    def __init__(self, allowed: Iterable[str], publish: Callable[[str, Error], None]) -> None:
        self.active: dict[Key, Error] = {}
        self._allowed = frozenset(allowed)
        self._publish = publish
        self._lock = threading.Lock()

    def raise_error(self, error: Error) -> None:
        """Raise an error; ignored if its type is not of the interface, or it is active already."""
        if error.type not in self._allowed:
            log.error(
                f"Error type {error.type!r} is not in the interface, known: {sorted(self._allowed)}; ignored"
            )
            return
        with self._lock:
            key = (error.type, error.sub_type)
            if key in self.active:
                log.debug(f"Error {error.type!r}, sub_type {error.sub_type!r} is already active; ignored")
                return
            self.active[key] = deepcopy(error)
            self._publish("RaiseError", error)
        log.error(f"Error raised, type: {error.type}, sub_type: {error.sub_type}, message: {error.message}")

    def clear(self, matches: Callable[[Key], bool]) -> None:
        """Clear the active errors whose type and sub-type match; nothing happens if none does."""
        with self._lock:
            keys = [key for key in self.active if matches(key)]
            for key in keys:
                error = self.active.pop(key)
                error.state = State.ClearedByModule
                self._publish("ClearError", error)
        for error_type, sub_type in keys:
            log.info(f"Cleared error of type {error_type}, sub_type: {sub_type}")


class RequirementErrors:
    """Errors that a fulfilment of a requirement raises and clears.

    Parameters
    ----------
    types
        Error types of the interface.
    """

    def __init__(self, types: Iterable[str]) -> None:
        self.active: dict[Key, Error] = {}
        self._subscribers: dict[str, list[tuple[ErrorCallback, ErrorCallback]]] = {each: [] for each in types}
        self._lock = threading.Lock()

    def subscribe(self, error_type: str, on_raise: ErrorCallback, on_clear: ErrorCallback) -> None:
        """Call back when an error of this type is raised and cleared; an unknown type is ignored."""
        if error_type not in self._subscribers:
            log.error(
                f"Type {error_type!r} is not known, known: {sorted(self._subscribers)}; subscription ignored"
            )
            return
        self._subscribers[error_type].append((on_raise, on_clear))

    def subscribe_all(self, on_raise: ErrorCallback, on_clear: ErrorCallback) -> None:
        """Call back for errors of every type of the interface."""
        for error_type in self._subscribers:
            self.subscribe(error_type, on_raise, on_clear)

    def receive(self, error_type: str, data: Json) -> None:
        """Take what arrived on the topic of ``error_type``."""
        try:
            error = Error.from_json(data)
        except (KeyError, TypeError, AttributeError) as problem:
            log.warning(f"error {error_type} dropped, no error object: {problem!r}")
            return
        if error.type != error_type:
            return
        raised = error.state is State.Active
        if self._is_news(error, raised=raised):
            for on_raise, on_clear in self._subscribers[error_type]:
                (on_raise if raised else on_clear)(deepcopy(error))

    def _is_news(self, error: Error, *, raised: bool) -> bool:
        key = (error.type, error.sub_type)
        with self._lock:
            if raised == (key in self.active):
                problem = "is already raised" if raised else "wasn't raised"
                log.error(f"Error {problem}, type: {error.type}, sub_type: {error.sub_type}; ignored")
                return False
            if raised:
                self.active[key] = error
            else:
                del self.active[key]
        return True

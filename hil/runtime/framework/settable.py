"""Configuration values that are read and set while the runtime runs."""

from collections.abc import Callable
from typing import Any

from hil.runtime.framework import log
from hil.runtime.framework.definitions import ConfigurationClient
from hil.runtime.wire import MODULE_SCOPE, Json

ChangeHandler = Callable[[str], Any]


def _identifier(module_id: str, parameter: str, implementation_id: str | None) -> dict[str, str]:
    identifier = {"module_id": module_id, "configuration_parameter_name": parameter}
    if implementation_id is not None:
        identifier["module_implementation_id"] = implementation_id
    return identifier


def set_value(
    client: ConfigurationClient, module_id: str, parameter: str, value: str, implementation_id: str | None
) -> dict[str, str]:
    """Ask the manager to set a value; the answer has ``status``, ``status_info`` and ``set_status``."""
    request = {"identifier": _identifier(module_id, parameter, implementation_id), "value": value}
    answer = _ask(client, "Set", request)
    return {
        "status": answer["status"],
        "status_info": answer.get("status_info", ""),
        "set_status": (answer.get("response") or {}).get("status", "Rejected"),
    }


def get_value(
    client: ConfigurationClient, module_id: str, parameter: str, implementation_id: str | None
) -> dict[str, Any]:
    """Ask the manager for a value; the answer has ``status``, ``status_info`` and ``value``, else empty."""
    request = {"type": "Value", "identifier": _identifier(module_id, parameter, implementation_id)}
    answer = _ask(client, "Get", request)
    return {
        "status": answer["status"],
        "status_info": answer.get("status_info", ""),
        "value": ((answer.get("response") or {}).get("data") or {}).get("value", ""),
    }


def _ask(client: ConfigurationClient, kind: str, request: Json) -> dict[str, Any]:
    try:
        return client.ask(kind, request)
    except (TimeoutError, RuntimeError) as problem:
        log.info(f"configuration request {request} failed: {problem}")
        return {"status": "Error"}


class ChangeHandlers:
    """Handlers of this module for changes of its own configuration."""

    def __init__(self) -> None:
        self._handlers: dict[tuple[str, str], ChangeHandler] = {}

    def register(self, implementation_id: str, parameter: str, handler: ChangeHandler) -> None:
        """Let ``handler`` decide on new values of a parameter; a later one replaces it."""
        self._handlers[implementation_id, parameter] = handler

    def answer(self, request: Json) -> dict[str, Json]:
        """Decide on a request of the manager, and write the answer that goes back."""
        try:
            identifier = request["identifier"]
            parameter, value = identifier["configuration_parameter_name"], request["value"]
            handler = self._handlers.get(
                (identifier.get("module_implementation_id", MODULE_SCOPE), parameter)
            )
        except (KeyError, TypeError, AttributeError) as problem:
            log.warning(f"configuration change dropped, malformed: {problem!r}: {request}")
            return _answer("Error", f"Exception in config change handler: {problem!r}", "Rejected")
        if handler is None:
            return _answer("Ok", f"No handler registered for parameter: {parameter}", "Rejected")
        return _answer("Ok", *_decide(handler, value))


def _decide(handler: ChangeHandler, value: str) -> tuple[str, str]:
    try:
        result = handler(value)
        status = result.get("status", "Rejected")
        reason = result.get("reason", "")
    except Exception as problem:  # noqa: BLE001 - a handler that raises refuses the value
        return f"{type(problem).__name__}: {problem}", "Rejected"
    if status in ("Accepted", "RebootRequired"):
        return "", status
    return reason, "Rejected"


def _answer(status: str, info: str, set_status: str) -> dict[str, Json]:
    return {
        "status": status,
        "status_info": info,
        "type": "Set",
        "response": {"status": set_status, "status_info": ""},
    }

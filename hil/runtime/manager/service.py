"""Answers to what modules ask of the configuration while they start and run."""

from dataclasses import dataclass

from hil.runtime.manager.config import ModuleConfig, RunConfig
from hil.runtime.manager.distribution import configuration_parameters, module_configuration
from hil.runtime.manager.parameters import Parameter
from hil.runtime.wire import MODULE_SCOPE, Json, ProtocolError


@dataclass(frozen=True)
class Forward:
    """A change that the module it concerns must hear of before it can be answered.

    Attributes
    ----------
    origin
        Who asked.
    target
        Module whose item changes.
    data
        What to send to the target.
    """

    origin: str
    target: str
    data: Json


class ConfigService:
    """Configuration at run time.

    Changes live as long as the run: they are not written to a file.

    Parameters
    ----------
    config
        The run's configuration; changed values are kept in it.
    """

    def __init__(self, config: RunConfig) -> None:
        self._config = config

    def answer(self, request: Json, *, running: bool) -> Json | Forward:
        """Answer a request.

        Parameters
        ----------
        request
            Data of the request: ``type``, ``origin``, ``request``.
        running
            True once all modules are ready.

        Returns
        -------
        Json or Forward
            Data of the response, or a change to pass on first.

        Raises
        ------
        ProtocolError
            The request has no text as origin, so nobody can be answered.
        """
        origin = request.get("origin") if isinstance(request, dict) else None
        if not isinstance(origin, str):
            raise ProtocolError("request without origin")
        if origin not in self._config.modules:
            return {"status": "Error", "status_info": f"Unknown origin module: {origin}", "response": None}
        kind, asked = request.get("type"), request.get("request")
        if kind == "Get" and isinstance(asked, dict):
            return self._get(origin, asked)
        if kind == "Set" and isinstance(asked, dict):
            return self._set(origin, asked, running=running)
        return _error(kind, f"unknown request type {kind!r}, or no request")

    def _get(self, origin: str, request: Json) -> Json:
        what = request.get("type")
        modules = self._config.modules
        match what:
            case "Module":
                data = module_configuration(self._config, origin)
            case "All":
                data = {
                    name: configuration_parameters(module)
                    for name, module in modules.items()
                    if self._may(origin, name, "read")
                }
            case "AllMappings":
                data = {name: module.mapping for name, module in modules.items()}
            case "Value":
                return self._get_value(origin, request.get("identifier"))
            case _:
                return _error("Get", f"unknown request {what!r}, known: Module, All, AllMappings, Value")
        return _ok("Get", {"type": what, "data": data})

    def _get_value(self, origin: str, identifier: Json) -> Json:
        found = self._find(identifier)
        if isinstance(found, str):
            return _error("Get", found)
        module, _, item = found
        if not self._may(origin, module.module_id, "read"):
            return _denied("Get", None, f"{origin} may not read the configuration of {module.module_id}")
        return _ok("Get", {"type": "Value", "data": item.distributed})

    def _set(self, origin: str, request: Json, *, running: bool) -> Json | Forward:
        found, text = self._find(request.get("identifier")), request.get("value")
        if isinstance(found, str) or not isinstance(text, str):
            return _error("Set", found if isinstance(found, str) else f"the value must be text, got {text!r}")
        module, scope, item = found
        target = module.module_id
        if refusal := self._refusal(origin, target, item):
            return _denied("Set", set_result("Rejected"), refusal)
        if not running:
            return _ok("Set", set_result("Rejected", "modules are starting or stopping"))
        try:
            changed = item.with_text(text)
        except ValueError as error:
            return _ok("Set", set_result("Rejected", str(error)))
        items = module.parameters[scope]
        items[items.index(item)] = changed
        if item.mutability != "ReadWrite":
            return _ok("Set", set_result("RebootRequired"))
        return Forward(origin, target, {"identifier": request["identifier"], "value": text})

    def _refusal(self, origin: str, target: str, item: Parameter) -> str | None:
        if not self._may(origin, target, "write"):
            return f"{origin} may not write the configuration of {target}"
        if item.mutability == "ReadOnly" and not self._may_set_read_only(origin, target):
            return f"{item.name} of {target} is ReadOnly"
        return None

    def _find(self, identifier: Json) -> tuple[ModuleConfig, str, Parameter] | str:
        """Find an item, or say why there is none."""
        if not isinstance(identifier, dict):
            return "no identifier"
        module = self._config.modules.get(str(identifier.get("module_id")))
        if module is None:
            return f"unknown module {identifier.get('module_id')!r}"
        scope = identifier.get("module_implementation_id", MODULE_SCOPE)
        name = identifier.get("configuration_parameter_name")
        item = next((item for item in module.parameters.get(scope, []) if item.name == name), None)
        return (module, scope, item) if item else f"{module.module_id} has no item {name!r} in {scope!r}"

    def _may(self, origin: str, target: str, right: str) -> bool:
        config = self._config.modules[origin].entry.get("access", {}).get("config", {})
        of_target = config.get("modules", {}).get(target, {})
        return origin == target or bool(
            config.get(f"allow_global_{right}") or of_target.get(f"allow_{right}")
        )

    def _may_set_read_only(self, origin: str, target: str) -> bool:
        config = self._config.modules[origin].entry.get("access", {}).get("config", {})
        of_target = config.get("modules", {}).get(target, {})
        return bool(config.get("allow_set_read_only") or of_target.get("allow_set_read_only"))


def set_result(status: str, info: str = "") -> Json:
    """Make the inner response to a Set: ``Accepted``, ``Rejected`` or ``RebootRequired``."""
    return {"status": status, "status_info": info}


def answer_to_set(reply: Json) -> Json:
    """Make the answer to a forwarded Set from what the module replied; None when it did not.

    A module without a handler answers ``Rejected``: the value is kept, and takes effect when it starts again.
    """
    response = reply.get("response") if isinstance(reply, dict) else None
    if not isinstance(response, dict) or "status" not in response:
        return _error("Set", "the module did not answer, the value is kept")
    accepted = response["status"] == "Accepted"
    info = str(reply.get("status_info", ""))
    return _ok("Set", set_result("Accepted" if accepted else "RebootRequired", info))


def _ok(kind: str, response: Json) -> Json:
    return {"status": "Ok", "status_info": "", "type": kind, "response": response}


def _error(kind: Json, info: str) -> Json:
    return {"status": "Error", "status_info": info, "type": kind, "response": None}


def _denied(kind: str, response: Json, info: str) -> Json:
    return {"status": "AccessDenied", "status_info": info, "type": kind, "response": response}

"""A module in its runtime: everestpy's class ``Module``."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any, overload

from hil.runtime import wire
from hil.runtime.framework import definitions, log, settable
from hil.runtime.framework.commands import Caller, CommandHandler, Provider
from hil.runtime.framework.error import Error, ErrorCallback, ErrorFactory, ErrorStateMonitor
from hil.runtime.framework.inbox import Inbox
from hil.runtime.framework.interfaces import Check, Interfaces
from hil.runtime.framework.link import Link
from hil.runtime.framework.module_errors import ModuleErrors
from hil.runtime.framework.session import RuntimeSession, required_variable
from hil.runtime.framework.setup import Fulfillment, Interface, ModuleInfo, ModuleSetup
from hil.runtime.wire import Json


class Module:
    """A module: connects, learns its configuration, then publishes, subscribes, calls and is called.

    ``Module(session)`` takes the module id from ``EV_MODULE``, ``Module(module_id, session)`` as given.

    Raises
    ------
    RuntimeError
        No broker, no manager, or a manager that does not know this module.
    """

    @overload
    def __init__(self, session: RuntimeSession, /) -> None: ...

    @overload
    def __init__(self, module_id: str, session: RuntimeSession, /) -> None: ...

    def __init__(self, *values: Any) -> None:
        match values:
            case (RuntimeSession() as session,):
                module_id = required_variable("EV_MODULE")
            case (str() as module_id, RuntimeSession() as session):
                pass
            case _:
                raise TypeError(f"Module(session) or Module(module_id, session) expected, got {values}")
        self._started = time.monotonic()
        self._id: str = module_id
        self._topics = wire.Topics(session.broker.prefix)
        self._inbox = Inbox(self._topics, module_id)
        self._link = Link(session.broker, self._inbox.receive)
        try:
            self._client, self._definitions = definitions.fetch(
                self._link, self._topics, module_id, self._inbox.mailbox
            )
        except RuntimeError:
            self._link.close()
            raise
        self._inbox.start_running()
        self._info = ModuleInfo.of(module_id, self._definitions)
        self._interfaces = Interfaces(self._definitions)
        self._caller = Caller(self._link, self._topics, module_id)
        self._implemented: set[tuple[str, str]] = set()
        self._change_handlers: settable.ChangeHandlers | None = None
        self._on_ready: Callable[[], Any] | None = None
        self._on_shutdown: Callable[[], Any] | None = None
        self._ready_seen = False
        self._shutdown_seen = False
        self._errors = ModuleErrors(
            module_id,
            self._definitions,
            self._interfaces,
            publish=self._publish_error,
            subscribe=self._subscribe_error,
        )
        self._inbox.on_result = self._caller.receive
        self._inbox.on_ready = self._handle_ready
        self._inbox.on_shutdown = self._handle_shutdown
        self._link.subscribe(self._topics.top("ready"), self._topics.top("shutdown"))
        self._publish_metadata()

    # --- what the module is ---

    @property
    def info(self) -> ModuleInfo:
        """Id, type, authors, directories."""
        return self._info

    @property
    def implementations(self) -> dict[str, Interface]:
        """Interface of each implementation that this module provides."""
        return {name: Interface.of(definition) for name, definition in self._interfaces.provided.items()}

    @property
    def requirements(self) -> dict[str, Interface]:
        """Interface of each requirement."""
        return {name: Interface.of(definition) for name, definition in self._interfaces.required.items()}

    @property
    def fulfillments(self) -> dict[str, list[Fulfillment]]:
        """Always empty, as in everestpy: ``say_hello().connections`` has the fulfilments."""
        return {}

    # --- start and stop ---

    def say_hello(self) -> ModuleSetup:
        """Return configuration and connections."""
        return ModuleSetup.of(self._definitions)

    def init_done(self, on_ready: Callable[[], Any] | None = None, /) -> None:
        """Tell the manager that this module is ready; ``on_ready`` runs once all are, in its own thread.

        Raises
        ------
        RuntimeError
            A command of a provided interface has no handler, or the broker refuses a subscription.
        """
        missing = [
            f"{impl_id}->{command}"
            for impl_id, interface in self.implementations.items()
            for command in interface.commands
            if (impl_id, command) not in self._implemented
        ]
        if missing:
            raise RuntimeError(
                f"{self._id} does not implement all commands of its interfaces, missing: {missing}"
            )
        self._on_ready = on_ready
        self._link.wait_until_subscribed()
        duration_ms = (time.monotonic() - self._started) * 1000
        log.info(f"Module {self._id} initialized [{duration_ms:.0f}ms]")
        self._link.publish(self._topics.module(self._id, "ready"), "ModuleReady", data=True)

    def shutdown_handler(self, on_shutdown: Callable[[], Any], /) -> None:
        """Call ``on_shutdown`` when the manager announces the end; the module should then leave."""
        self._on_shutdown = on_shutdown

    def _handle_ready(self) -> None:
        if self._ready_seen:
            log.warning("Ignoring repeated everest ready signal (a standalone module may have started again)")
            return
        self._ready_seen = True
        if self._on_ready is not None:
            self._on_ready()

    def _handle_shutdown(self) -> None:
        if self._shutdown_seen:
            log.warning("Ignoring repeated everest shutdown signal")
            return
        self._shutdown_seen = True
        if self._on_shutdown is not None:
            self._on_shutdown()
        else:
            log.warning(f"No shutdown handler registered for module {self._id}")
        self._caller.shut_down()
        self._link.close()

    def _publish_metadata(self) -> None:
        manifest = self._definitions.manifests[self._info.name]
        metadata: dict[str, Json] = {"module": self._info.name}
        if "provides" in manifest:
            metadata["provides"] = {
                impl_id: {"interface": entry["interface"]} for impl_id, entry in manifest["provides"].items()
            }
        era = self._definitions.era
        self._link.publish(self._topics.module(self._id, "metadata"), era.response, metadata)

    # --- variables ---

    def publish_variable(self, impl_id: str, var_name: str, value: Json, /) -> None:
        """Publish a variable; returns at once.

        Raises
        ------
        RuntimeError
            The value has no JSON form; or the settings validate, and it does not follow the interface.
        """
        try:
            self._interfaces.check_published(impl_id, var_name)(value)
        except ValueError as problem:
            raise RuntimeError(
                f"{impl_id}->{var_name}: value does not follow the interface, {problem}"
            ) from None
        self._link.publish(self._topics.variable(self._id, impl_id, var_name), "Var", {"data": value})

    def subscribe_variable(
        self, fulfillment: Fulfillment, var_name: str, callback: Callable[[Any], Any], /
    ) -> None:
        """Call ``callback`` with each value of a variable; several callbacks for one are fine.

        Raises
        ------
        RuntimeError
            The interface has no such variable.
        """
        topic = self._topics.variable(fulfillment.module_id, fulfillment.implementation_id, var_name)
        check = self._interfaces.check_received(fulfillment.requirement_id, var_name)
        self._handle("Var", topic, partial(_receive_variable, topic, check, callback))

    # --- commands ---

    def implement_command(self, impl_id: str, cmd_name: str, handler: CommandHandler, /) -> None:
        """Answer calls of a command with what ``handler`` makes of the arguments.

        Raises
        ------
        RuntimeError
            The interface has no such command, or it has a handler already.
        """
        check_arguments, check_result = self._interfaces.checks_of_command(impl_id, cmd_name)
        if (impl_id, cmd_name) in self._implemented:
            raise RuntimeError(f"{self._id}->{impl_id}->{cmd_name}: a handler is registered already")
        self._implemented.add((impl_id, cmd_name))
        topic = self._topics.command(self._id, impl_id, cmd_name)
        provider = Provider(
            self._link,
            self._id,
            topic,
            handler,
            check_arguments=check_arguments,
            check_result=check_result,
            forward_exceptions=bool(self._definitions.settings.get("forward_exceptions", False)),
        )
        self._handle("Cmd", topic, provider.receive)

    def call_command(self, fulfillment: Fulfillment, cmd_name: str, args: Json, /) -> Any:
        """Call a command and wait for its result, up to 300 s.

        Raises
        ------
        RuntimeError
            The interface has no such command; the provider answers with an error, or not at all; or the
            settings validate, and the arguments do not follow the interface.
        """
        try:
            self._interfaces.check_call(fulfillment.requirement_id, cmd_name)(args)
        except ValueError as problem:
            raise RuntimeError(f"Call to {fulfillment}->{cmd_name}: {problem}") from None
        return self._caller.call(fulfillment.module_id, fulfillment.implementation_id, cmd_name, args)

    # --- errors ---

    def raise_error(self, impl_id: str, error: Error, /) -> None:
        """Raise an error; ignored if it is active already, or not of the interface."""
        self._errors.of_implementation(impl_id).raise_error(error)

    def clear_error(self, impl_id: str, type: str, sub_type: str = "") -> None:  # noqa: A002 - everestpy's word
        """Clear the error of this type and sub-type; ignored if it is not active."""
        self._errors.of_implementation(impl_id).clear(lambda key: key == (type, sub_type))

    def clear_all_errors_of_impl(self, impl_id: str, type: str | None = None) -> None:  # noqa: A002 - likewise
        """Clear all errors of an implementation, or all of one type."""
        self._errors.of_implementation(impl_id).clear(lambda key: type is None or key[0] == type)

    def get_error_factory(self, impl_id: str, /) -> ErrorFactory | None:
        """Return what makes errors of an own implementation, ``None`` if there is no such."""
        return self._errors.factory(impl_id)

    def get_error_state_monitor_impl(self, impl_id: str, /) -> ErrorStateMonitor | None:
        """Return what tells the active errors of an own implementation, ``None`` if there is no such."""
        return self._errors.monitor(impl_id)

    def get_error_state_monitor_req(self, fulfillment: Fulfillment, /) -> ErrorStateMonitor | None:
        """Return what tells the active errors of a fulfilment, ``None`` if the manifest ignores them."""
        errors = self._errors.of_fulfillment(fulfillment)
        return ErrorStateMonitor(errors.active) if errors else None

    def subscribe_error(
        self,
        fulfillment: Fulfillment,
        type: str,  # noqa: A002 - everestpy's word
        callback: ErrorCallback,
        clear_callback: ErrorCallback,
        /,
    ) -> None:
        """Call back when an error of this type is raised and cleared; an unknown type is ignored."""
        if errors := self._errors.of_fulfillment(fulfillment):
            errors.subscribe(type, callback, clear_callback)

    def subscribe_all_errors(
        self, fulfillment: Fulfillment, callback: ErrorCallback, clear_callback: ErrorCallback, /
    ) -> None:
        """Call back when any error of the interface is raised and cleared."""
        if errors := self._errors.of_fulfillment(fulfillment):
            errors.subscribe_all(callback, clear_callback)

    def _publish_error(self, impl_id: str, msg_type: str, error: Error) -> None:
        self._link.publish(self._topics.error(self._id, impl_id, error.type), msg_type, error.to_json())

    def _subscribe_error(
        self, fulfillment: Fulfillment, error_type: str, handler: Callable[[Json], None]
    ) -> None:
        topic = self._topics.error(fulfillment.module_id, fulfillment.implementation_id, error_type)
        # The error's own state tells whether it is raised or cleared, not the message type.
        self._handle("RaiseError", topic, handler)
        self._handle("ClearError", topic, handler)

    # --- configuration while running ---

    def set_config_value(
        self, module_id: str, param_name: str, value: str, impl_id: str | None = None
    ) -> dict[str, str]:
        """Set a value of any module, as text; answers ``status``, ``status_info``, ``set_status``."""
        return settable.set_value(self._client, module_id, param_name, value, impl_id)

    def get_config_value(self, module_id: str, param_name: str, impl_id: str | None = None) -> dict[str, Any]:
        """Read a value of any module; answers ``status``, ``status_info``, ``value``."""
        return settable.get_value(self._client, module_id, param_name, impl_id)

    def register_config_change_handler(
        self, impl_id: str, param_name: str, handler: settable.ChangeHandler
    ) -> None:
        """Let ``handler(new_value)`` decide on a new value.

        It answers ``{"status": "Accepted"}``, ``"RebootRequired"`` or ``"Rejected"`` with a ``"reason"``.
        """
        if self._change_handlers is None:
            self._change_handlers = settable.ChangeHandlers()
            topic = self._topics.module(self._id, "config/set_request")
            self._handle(self._definitions.era.request, topic, self._answer_change)
        self._change_handlers.register(impl_id, param_name, handler)

    def _answer_change(self, request: Json) -> None:
        assert self._change_handlers is not None
        answer = self._change_handlers.answer(request)
        topic = self._topics.module(self._id, "config/set_response")
        self._link.publish(topic, self._definitions.era.response, answer)

    def _handle(self, msg_type: str, topic: str, handler: Callable[[Json], Any]) -> None:
        if self._inbox.add_handler(msg_type, topic, handler):
            self._link.subscribe(topic)


def _receive_variable(topic: str, check: Check, callback: Callable[[Any], Any], data: Json) -> None:
    if not isinstance(data, dict) or "data" not in data:
        log.warning(f"{topic}: variable dropped, it has no 'data': {data}")
        return
    try:
        check(data["data"])
    except ValueError as problem:
        log.warning(f"{topic}: variable dropped, it does not follow the interface: {problem}")
        return
    callback(data["data"])

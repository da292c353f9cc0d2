"""Commands: calling those of other modules, and answering calls."""

import uuid
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from paho.mqtt.client import MQTTMessageInfo

from hil.runtime.framework import log
from hil.runtime.framework.interfaces import Check
from hil.runtime.framework.link import Link
from hil.runtime.wire import Json, Topics

TIMEOUT_s = 300.0
"""How long a call waits for its result."""

_SENT_TIMEOUT_s = 5.0
"""How long a module that ends waits until its last answer is out."""

ERROR_TYPE = "__everest__error_type"
ERROR_MESSAGE = "__everest__error_msg"
ERROR_TYPES = (
    "MessageParsingError",
    "SchemaValidationError",
    "HandlerException",
    "CmdTimeout",
    "Shutdown",
    "NotReady",
)

CommandHandler = Callable[[Any], Any]


class Caller:
    """Calls commands and waits for their results; any number of threads at a time."""

    def __init__(self, link: Link, topics: Topics, module_id: str) -> None:
        self.timeout_s = TIMEOUT_s
        self._link = link
        self._topics = topics
        self._module_id = module_id
        self._waiting: dict[str, tuple[str, Future[Json]]] = {}
        """What is called and who waits, of each call under way."""
        self._shut_down = False
        # One subscription for the answers of all commands of all modules to this one.
        link.subscribe(topics.response("+", "+", "+", module_id))

    def call(self, module_id: str, implementation_id: str, command: str, args: Json) -> Json:
        """Call a command and wait.

        Raises
        ------
        RuntimeError
            The provider answers with an error, or not within the timeout, or this module shuts down.
        """
        name = f"{module_id}->{implementation_id}->{command}()"
        call_id = str(uuid.uuid4())
        result: Future[Json] = Future()
        self._waiting[call_id] = (name, result)
        if self._shut_down:
            self.shut_down()
        try:
            self._link.publish(
                self._topics.command(module_id, implementation_id, command),
                "Cmd",
                {"id": call_id, "args": args, "origin": self._module_id},
            )
            return result.result(self.timeout_s)
        except TimeoutError:
            raise RuntimeError(f"Timeout while waiting for result of {name}") from None
        finally:
            self._waiting.pop(call_id, None)

    def receive(self, message: Json) -> None:
        """Take a result and wake the caller; results that nobody waits for are dropped."""
        try:
            data = message["data"]
            name, result = self._waiting.pop(data["id"], (None, None))
        except (KeyError, TypeError) as problem:
            log.warning(f"command result dropped, malformed: {problem!r}: {message}")
            return
        if result is None:
            log.debug(f"command result dropped, nobody waits for id {data['id']}")
        elif "error" in data:
            result.set_exception(_error_of(f"{name}", data["error"]))
        else:
            result.set_result(data.get("retval"))

    def shut_down(self) -> None:
        """Wake all callers with an error: no result can come any more."""
        self._shut_down = True
        while self._waiting:
            _, (name, result) = self._waiting.popitem()
            result.set_exception(RuntimeError(f"Shutting down while waiting for result of {name}"))


def _error_of(name: str, error: Json) -> RuntimeError:
    if not isinstance(error, dict):
        error = {}
    kind, message = error.get(ERROR_TYPE), error.get(ERROR_MESSAGE, "")
    if kind not in ERROR_TYPES:
        log.warning(f"{name}: result with unknown error type {kind!r}")
    log.error(f"{kind}: {message} during command call: {name}")
    return RuntimeError(f"{message}")


class Provider:
    """Answers the calls of one command.

    Parameters
    ----------
    topic
        Where the command is called.
    check_arguments, check_result
        Raise ``ValueError`` for what does not follow the schema; without validation they accept everything.
    forward_exceptions
        What the handler raises goes to the caller only, and this module lives on.
    """

    def __init__(
        self,
        link: Link,
        module_id: str,
        topic: str,
        handler: CommandHandler,
        *,
        check_arguments: Check,
        check_result: Check,
        forward_exceptions: bool,
    ) -> None:
        self._link = link
        self._module_id = module_id
        self._topic = topic
        self._handler = handler
        self._check_arguments = check_arguments
        self._check_result = check_result
        self._forward_exceptions = forward_exceptions

    def receive(self, call: Json) -> None:
        """Answer a call.

        Raises
        ------
        Exception
            What the handler raised, once the caller has its answer; unless exceptions are only forwarded.
        """
        if not _is_call(call):
            log.warning(f"{self._topic}: call dropped, it has no 'id' and 'origin': {call}")
            return
        if "args" not in call:
            self._refuse(call, "MessageParsingError", "the call has no 'args'")
            return
        try:
            self._check_arguments(call["args"])
        except ValueError as problem:
            self._refuse(call, "SchemaValidationError", str(problem))
            return
        try:
            value = self._handler(call["args"])
            try:
                self._check_result(value)
            except ValueError as problem:
                self._refuse(call, "SchemaValidationError", f"result: {problem}", retval=value)
            else:
                self._answer(call, retval=value)
        except Exception as problem:
            sent = self._refuse(call, "HandlerException", f"{type(problem).__name__}: {problem}")
            if not self._forward_exceptions:
                sent.wait_for_publish(_SENT_TIMEOUT_s)
                raise

    def _refuse(self, call: Json, kind: str, message: str, **more: Json) -> MQTTMessageInfo:
        log.error(f"{self._topic}: call by {call['origin']} answered with {kind}: {message}")
        return self._answer(call, error={ERROR_TYPE: kind, ERROR_MESSAGE: message}, **more)

    def _answer(self, call: Json, **result: Json) -> MQTTMessageInfo:
        data = {"id": call["id"], "origin": self._module_id, **result}
        return self._link.publish(
            f"{self._topic}/response/{call['origin']}", "CmdResult", {"type": "result", "data": data}
        )


def _is_call(call: Json) -> bool:
    return isinstance(call, dict) and isinstance(call.get("id"), str) and isinstance(call.get("origin"), str)

"""What arrives by MQTT, and who gets it."""

import threading
from collections import defaultdict
from collections.abc import Callable
from functools import partial

from hil.runtime import wire
from hil.runtime.framework import log
from hil.runtime.framework.fatal import run_or_end
from hil.runtime.framework.pool import TopicPool
from hil.runtime.wire import Json, ProtocolError

Handler = Callable[[Json], None]

_KNOWN_TYPES = {"Var", "Cmd", "RaiseError", "ClearError", "ModuleReady", "Heartbeat", "ExternalMQTT"} | {
    name for era in wire.Era for name in era.value
}


class Mailbox:
    """Newest message of each topic, for threads that wait for one."""

    def __init__(self) -> None:
        self._arrived = threading.Condition()
        self._messages: dict[str, tuple[str, Json]] = {}

    def put(self, topic: str, msg_type: str, data: Json) -> None:
        """Leave a message for whoever waits."""
        with self._arrived:
            self._messages[topic] = (msg_type, data)
            self._arrived.notify_all()

    def discard(self, topic: str) -> None:
        """Forget what came so far."""
        with self._arrived:
            self._messages.pop(topic, None)

    def take(self, topic: str, timeout_s: float) -> tuple[str, Json]:
        """Wait for a message and remove it.

        Raises
        ------
        TimeoutError
            None came.
        """
        with self._arrived:
            if not self._arrived.wait_for(lambda: topic in self._messages, timeout_s):
                raise TimeoutError(f"nothing came on {topic} within {timeout_s:g} s")
            return self._messages.pop(topic)


class Inbox:
    """Tells messages apart and runs their handlers in the threads that EVerest promises.

    Variables, commands, errors and configuration changes run in a pool, in order per topic, ``on_ready`` and
    ``on_shutdown`` in threads of their own. Results of commands and configuration answers only wake whoever
    waits, right in the thread that receives. A message that makes no sense is logged and dropped:
    EVerest's C++ would end the process, but nobody gains from that.
    """

    def __init__(self, topics: wire.Topics, module_id: str) -> None:
        self.mailbox = Mailbox()
        self.on_result: Handler = lambda _data: None
        self.on_ready: Callable[[], None] = lambda: None
        self.on_shutdown: Callable[[], None] = lambda: None
        self._interfaces = topics.top("interfaces")
        self._ready = topics.top("ready")
        self._shutdown = topics.top("shutdown")
        self._response = topics.module(module_id, "response")
        self._routes: dict[tuple[str, str], list[Handler]] = defaultdict(list)
        self._pool = TopicPool(log.warning)
        self._running = False

    def add_handler(self, msg_type: str, topic: str, handler: Handler) -> bool:
        """Run ``handler`` with the data of each such message; tells whether it is the first handler."""
        handlers = self._routes[msg_type, topic]
        handlers.append(handler)
        return len(handlers) == 1

    def start_running(self) -> None:
        """Definitions are complete: from here on only configuration answers go to the mailbox."""
        self._running = True

    def receive(self, topic: str, payload: bytes | bytearray) -> None:
        """Take a message from the network thread."""
        if not payload:
            return  # a retained topic is cleared
        if topic == self._shutdown:
            self._start_thread("on-shutdown", self.on_shutdown)
            return
        try:
            msg_type, data = wire.decode(bytes(payload))
        except ProtocolError as error:
            log.warning(f"{topic}: message dropped, {error}: {payload[:200]!r}")
            if topic != self._interfaces:
                return
            msg_type, data = "none", None  # a manager of an old era, which whoever waits will tell
        if not self._running or topic == self._response:
            self.mailbox.put(topic, msg_type, data)
        else:
            self._dispatch(topic, msg_type, data)

    def _dispatch(self, topic: str, msg_type: str, data: Json) -> None:
        handlers = self._routes.get((msg_type, topic))
        if handlers:
            self._pool.submit(topic, partial(_run, topic, tuple(handlers), data))
        elif msg_type == "CmdResult":
            self.on_result(data)
        elif msg_type == "GlobalReady" and topic == self._ready:
            if data is True:
                self._start_thread("on-ready", self.on_ready)
        elif msg_type in _KNOWN_TYPES:
            log.debug(f"{topic}: {msg_type} dropped, nobody handles it")
        else:
            log.warning(f"{topic}: message dropped, unknown msg_type {msg_type!r}")

    def _start_thread(self, name: str, callback: Callable[[], None]) -> None:
        threading.Thread(target=run_or_end, args=(name, callback), name=name, daemon=True).start()


def _run(topic: str, handlers: tuple[Handler, ...], data: Json) -> None:
    def run_all() -> None:
        for handler in handlers:
            handler(data)

    run_or_end(f"the handler of {topic}", run_all)

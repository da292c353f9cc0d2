"""The manager of a run: gives modules their configuration, starts them, and watches over them."""

import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Collection
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import TracebackType

from hil.runtime.broker import BrokerAddress, embedded_broker
from hil.runtime.manager.config import RunConfig
from hil.runtime.manager.connection import Connection
from hil.runtime.manager.distribution import retained_definitions
from hil.runtime.manager.problems import RunError
from hil.runtime.manager.process import ModuleProcess
from hil.runtime.manager.responder import Responder
from hil.runtime.manager.service import ConfigService
from hil.runtime.wire import Era, ProtocolError, Topics, decode, encode

_TICK_s = 0.5


def _print(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


class Manager:
    """Runs a configuration.

    All state belongs to one thread: it starts the modules (they die with it) and handles, one after another,
    what arrives from the broker, from the processes and from callers.

    Parameters
    ----------
    config
        Configuration file.
    broker
        Address of an MQTT broker; without one, that of the settings, or else one is embedded in this process.
    era
        Generation of the wire protocol to speak.
    prefix
        MQTT prefix instead of the configured one.
    standalone
        Modules that somebody else starts, besides those that the configuration names.
    retain_topics
        Keep the definitions retained while the run lasts, so that a standalone module may start again.
    graceful_shutdown
        Before SIGTERM, ask modules over MQTT to end.
    ready_timeout_s
        End the run when a module is not ready by then; EVerest waits for ever, and so does None.
    ready_warning_s
        Tell this often which modules are not ready.
    stop_timeout_s
        How long modules may take to end after SIGTERM, before they are killed.
    status
        Gets the words that EVerest's manager writes to its status fifo, such as ``ALL_MODULES_STARTED``.
    log
        Gets each line of the manager (``manager: …``) and of the modules (``<id>: …``); without, they go to
        stderr.

    Raises
    ------
    ConfigError
        The configuration is wrong.

    Attributes
    ----------
    config
        The configuration as loaded.
    address
        The broker; known once started.
    processes
        Started modules by id.
    failure
        Why the run ended by itself; empty if it did not.
    lacks_broker
        It ended, or did not begin, for want of a broker.
    """

    def __init__(
        self,
        config: Path | str,
        *,
        broker: str | None = None,
        era: Era = Era.MAIN,
        prefix: str | None = None,
        standalone: Collection[str] = (),
        retain_topics: bool = False,
        graceful_shutdown: bool = False,
        ready_timeout_s: float | None = None,
        ready_warning_s: float = 10.0,
        stop_timeout_s: float = 5.0,
        status: Callable[[str], None] | None = None,
        log: Callable[[str], None] | None = None,
    ) -> None:
        self._write = log or _print
        self.config = RunConfig.load(
            Path(config), prefix=prefix, standalone=frozenset(standalone), log=self._log
        )
        self.address = BrokerAddress.parse(broker) if broker else self.config.settings.broker
        self.processes: dict[str, ModuleProcess] = {}
        self.failure = ""
        self.lacks_broker = False
        self._era = era
        self._retain_topics = retain_topics
        self._graceful_shutdown = graceful_shutdown
        self._ready_timeout_s = ready_timeout_s
        self._ready_warning_s = ready_warning_s
        self._stop_timeout_s = stop_timeout_s
        self._status = status or (lambda _word: None)
        self._topics = Topics(self.config.settings.prefix)
        self._events: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._waiting = dict.fromkeys(self.config.modules)  # ids that are not ready yet, in order
        self._retained: list[str] = []
        self._exit_code: int | None = None
        self._started = threading.Event()
        self._ready = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="manager", daemon=True)

    # -- for callers, from any thread

    @property
    def prefix(self) -> str:
        """MQTT prefix of the run, with its slash."""
        return self._topics.prefix

    @property
    def exit_code(self) -> int | None:
        """Exit code of a run that has ended: 0 if it was stopped, or that of the module that ended it."""
        return self._exit_code if self._ended.is_set() else None

    def start(self) -> None:
        """Connect, publish the definitions and start the modules.

        Raises
        ------
        RunError
            That failed.
        """
        self._thread.start()
        self._started.wait()
        if self._ended.is_set() and self.failure:
            raise RunError(self.failure)

    def wait_ready(self, timeout_s: float) -> None:
        """Wait until all modules are ready.

        Raises
        ------
        RunError
            The run ended, or some are not ready in time.
        """
        if not self._ready.wait(timeout_s):
            raise RunError(f"not ready after {timeout_s:g} s: {', '.join(list(self._waiting))}")
        if self._ended.is_set():
            raise RunError(self.failure or "the run was stopped")

    def wait(self, timeout_s: float | None = None) -> int | None:
        """Wait until the run has ended; give its exit code, or None if it has not."""
        self._ended.wait(timeout_s)
        return self.exit_code

    def request_stop(self) -> None:
        """Begin to stop, without waiting for the end."""
        self._events.put(partial(self._end, 0))

    def stop(self) -> int:
        """Stop all modules, clear what is retained, and give the exit code."""
        self.request_stop()
        self._thread.join()
        assert self._exit_code is not None
        return self._exit_code

    def __enter__(self) -> "Manager":
        """Start."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    # -- the manager's thread

    def _run(self) -> None:
        try:
            with ExitStack() as stack:
                address = self.address or BrokerAddress.parse(stack.enter_context(embedded_broker()))
                self.address = address
                self._status("MANAGER_INITIALIZING")
                self._connection = Connection(
                    address,
                    received=lambda topic, payload: self._events.put(
                        partial(self._on_message, topic, payload)
                    ),
                    lost=lambda: self._events.put(self._on_broker_lost),
                )
                stack.callback(self._connection.close)
                stack.callback(self._clear_retained)
                stack.callback(self._stop_modules)
                self.lacks_broker = True  # until we have it
                self._open()
                self.lacks_broker = False
                self._start_modules(address)
                self._started.set()
                while self._exit_code is None:
                    self._handle_next_event()
        except RunError as error:
            self._end(1, str(error))
        finally:
            if self._exit_code is None:
                self._end(1, "the manager failed, see above")
            self._ended.set()
            self._ready.set()
            self._started.set()
            self._status("MANAGER_EXITING")

    def _open(self) -> None:
        topics = self._topics
        self._connection.open(
            [
                topics.config_request,
                topics.module("+", "ready"),
                topics.module("+", "config/set_response"),
            ]
        )
        self._responder = Responder(
            ConfigService(self.config), topics, self._era, publish=self._connection.publish, log=self._log
        )
        definitions = retained_definitions(self.config)
        self._retained = list(definitions)
        messages = [(topic, encode(self._era.response, data)) for topic, data in definitions.items()]
        self._connection.publish_and_wait(messages, retain=True)

    def _start_modules(self, address: BrokerAddress) -> None:
        self._status("MANAGER_STARTING_MODULES")
        self._log(f"{self.config.path}: {len(self._waiting)} modules, broker {address}, prefix {self.prefix}")
        self._began = time.monotonic()
        self._warn_at = self._began + self._ready_warning_s
        for module_id, module in self.config.modules.items():
            if module.standalone:
                self._log(f"{module_id} is standalone: start it yourself")
                continue
            try:
                self.processes[module_id] = ModuleProcess(
                    module,
                    self.config.settings,
                    address,
                    output=partial(self._forward_line, module_id),
                    exited=lambda process: self._events.put(partial(self._on_exit, process)),
                )
            except OSError as error:
                raise RunError(f"cannot start {module_id}: {error}") from error
        self._tell_if_only_standalone_wait()

    def _forward_line(self, module_id: str, line: str) -> None:
        self._write(f"{module_id}: {line}")

    def _handle_next_event(self) -> None:
        try:
            event = self._events.get(timeout=_TICK_s)
        except queue.Empty:
            pass
        else:
            event()
        self._responder.check_time()
        if self._waiting:
            self._check_ready_time()

    def _on_message(self, topic: str, payload: bytes) -> None:
        if topic == self._topics.config_request:
            self._responder.on_request(payload, running=not self._waiting)
            return
        module_id, _, leaf = topic.removeprefix(self._topics.module("", "")[:-1]).partition("/")
        if leaf == "ready":
            self._on_ready(module_id, payload)
        else:
            self._responder.on_set_response(module_id, payload)

    def _on_ready(self, module_id: str, payload: bytes) -> None:
        try:
            msg_type, data = decode(payload)
        except ProtocolError as error:
            self._log(f"ignored the ready of {module_id}: {error}")
            return
        module = self.config.modules.get(module_id)
        if msg_type != "ModuleReady" or data is not True:
            self._log(f"ignored the ready of {module_id}: expected ModuleReady true, got {msg_type} {data!r}")
        elif module is None:
            self._log(f"ignored the ready of {module_id}: no such module in {self.config.path}")
        elif module_id in self._waiting:
            del self._waiting[module_id]
            self._tell_if_only_standalone_wait()
            if not self._waiting:
                self._on_all_ready()
        elif module.standalone and not self._waiting and self._era is Era.MAIN:
            self._log(f"{module_id} is ready again")  # a module of 2026.02 may die of a second global ready
            self._publish_global_ready()

    def _tell_if_only_standalone_wait(self) -> None:
        if self._waiting and all(self.config.modules[module_id].standalone for module_id in self._waiting):
            self._status("WAITING_FOR_STANDALONE_MODULES")

    def _on_all_ready(self) -> None:
        if not self._retain_topics:
            self._clear_retained()
        self._publish_global_ready()
        self._log(f"all modules are ready after {time.monotonic() - self._began:.1f} s")
        self._status("ALL_MODULES_STARTED")
        self._status("MANAGER_RUNNING")
        self._ready.set()

    def _publish_global_ready(self) -> None:
        self._connection.publish(self._topics.top("ready"), encode("GlobalReady", data=True))

    def _check_ready_time(self) -> None:
        now = time.monotonic()
        waited_s = now - self._began
        if self._ready_timeout_s is not None and waited_s > self._ready_timeout_s:
            self._end(1, f"not ready after {self._ready_timeout_s:g} s: {self._waiting_names()}")
        elif now > self._warn_at:
            self._warn_at = now + self._ready_warning_s
            self._log(f"still waiting after {waited_s:.0f} s for ready of {self._waiting_names()}")

    def _waiting_names(self) -> str:
        modules = (self.config.modules[module_id] for module_id in self._waiting)
        return ", ".join(
            f"{module.module_id} ({module.manifest.module_type}{', standalone' if module.standalone else ''})"
            for module in modules
        )

    def _on_exit(self, process: ModuleProcess) -> None:
        module_type = self.config.modules[process.module_id].manifest.module_type
        code = process.exit_code
        if not self._connection.still_there():
            self._on_broker_lost()  # modules end when the broker goes, and some notice it before we do
            return
        lines = "".join(f"\n  | {line}" for line in process.last_lines)
        told = f"; its last lines:{lines}" if lines else " without a word"
        # a module must not end while the run lasts, so even 0 is a failure
        self._end(code or 1, f"module {process.module_id} ({module_type}) exited with code {code}{told}")

    def _on_broker_lost(self) -> None:
        self.lacks_broker = True
        self._end(1, f"broker {self.address} went away")

    def _end(self, exit_code: int, failure: str = "") -> None:
        if self._exit_code is None:
            self._exit_code = exit_code
            self.failure = failure
            self._log(failure or "stopping")

    def _stop_modules(self) -> None:
        self._status("MANAGER_SHUTDOWN_REQUESTED")
        if self._graceful_shutdown and self._connection.alive:
            self._connection.publish(self._topics.top("shutdown"), b"true")
            self._join_modules()
        for number in (signal.SIGTERM, signal.SIGKILL):
            for process in self._running():
                if number is signal.SIGKILL:
                    self._log(f"{process.module_id} does not stop, killing it")
                process.send(number)
            self._join_modules()

    def _running(self) -> list[ModuleProcess]:
        return [process for process in self.processes.values() if process.running]

    def _join_modules(self) -> None:
        deadline = time.monotonic() + self._stop_timeout_s
        for process in self._running():
            process.join(max(0.0, deadline - time.monotonic()))

    def _clear_retained(self) -> None:
        """Remove the definitions from the broker; EVerest does this with QoS 0."""
        topics, self._retained = self._retained, []
        if topics and self._connection.alive:
            self._connection.publish_and_wait([(topic, b"") for topic in topics], retain=True, qos=0)

    def _log(self, text: str) -> None:
        for line in text.splitlines():
            self._write(f"manager: {line}")

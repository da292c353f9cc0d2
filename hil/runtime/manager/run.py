"""Run a configuration until it ends or is told to."""

import signal
import sys
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hil.runtime.manager.manager import Manager
from hil.runtime.manager.problems import ConfigError, RunError
from hil.runtime.wire import Era

_TICK_s = 0.2
_RETRY_s = 2.0


def run_config(
    config: Path | str,
    *,
    broker: str | None = None,
    era: Era = Era.MAIN,
    prefix: str | None = None,
    standalone: Collection[str] = (),
    retain_topics: bool = False,
    graceful_shutdown: bool = False,
    ready_timeout_s: float | None = None,
    status: Callable[[str], None] | None = None,
    log: Callable[[str], None] | None = None,
    stop: threading.Event | None = None,
) -> int:
    """Run a configuration until a module ends, ``stop`` is set, or SIGINT or SIGTERM arrives.

    Modules end when they lose the broker, as EVerest's do, whose service manager then starts all anew. So
    does this: once there is a broker again, the run begins from the start.

    Parameters
    ----------
    stop
        Ends the run when set.
    config, broker, era, prefix, standalone, retain_topics, graceful_shutdown, ready_timeout_s, status, log
        As of `Manager`.

    Returns
    -------
    int
        Exit code: 0 when stopped, that of the module that ended, or 1 for anything else that went wrong.
    """
    stop = stop or threading.Event()

    def new_manager(prefix: str | None) -> Manager:
        return Manager(
            config,
            broker=broker,
            era=era,
            prefix=prefix,
            standalone=standalone,
            retain_topics=retain_topics,
            graceful_shutdown=graceful_shutdown,
            ready_timeout_s=ready_timeout_s,
            status=status,
            log=log,
        )

    with _set_by_signals(stop):
        has_begun = False
        while True:
            try:
                manager = new_manager(prefix)
            except (ConfigError, ValueError) as error:
                for line in str(error).splitlines():
                    (log or _print)(f"manager: {line}")
                return 1
            exit_code = _run(manager, stop)
            has_begun = has_begun or bool(manager.processes)
            if not (has_begun and manager.lacks_broker) or stop.wait(_RETRY_s):
                return exit_code
            prefix = manager.prefix


def _run(manager: Manager, stop: threading.Event) -> int:
    with suppress(RunError):  # it has told why
        manager.start()
        while manager.wait(_TICK_s) is None and not stop.is_set():
            pass
    return manager.stop()


def _print(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


@contextmanager
def _set_by_signals(event: threading.Event) -> Iterator[None]:
    """Set the event on SIGINT and SIGTERM. Only the main thread can; elsewhere somebody else handles them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda *_: event.set()) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)

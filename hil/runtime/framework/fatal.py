"""The one way in which the framework ends the process."""

import os
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

from hil.runtime.framework import log

EXIT_STATUS = 1


def end_process(reason: str) -> NoReturn:
    """Log ``reason`` and end the process at once, from whichever thread.

    EVerest ends a module that raised in a callback or lost its broker, and the manager then takes the rest
    down. Neither exit handlers nor other threads get a say: they might wait for an answer that can't come.
    """
    try:
        log.critical(reason)
        sys.stdout.flush()
    finally:  # also when nobody reads the log any more
        os._exit(EXIT_STATUS)


def run_or_end(what: str, callback: Callable[[], object]) -> None:
    """Call ``callback``; whatever it raises ends the process: EVerest terminates a module for this, too."""
    try:
        callback()
    except BaseException:  # noqa: BLE001 - ends the process
        end_process(f"Exception in {what}, the module ends:\n{traceback.format_exc().rstrip()}")

"""What carries out the work beside the decisions: threads in a module, a virtual clock on the bench."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from control.dispatch import Dispatcher
from control.loop import ControlLoop

if TYPE_CHECKING:
    from bsp.bridge import Bridge


@dataclass(frozen=True, slots=True)
class Workings:
    """How the parts are made that run by themselves; each call gets the arguments of the class it stands for.

    Attributes
    ----------
    loop, dispatcher : callable
        Make the loop that decides and the dispatcher of limits.
    bridge : callable or None
        Makes the bridge; None is that of `bsp`.
    """

    loop: Callable[..., ControlLoop] = ControlLoop
    dispatcher: Callable[..., Dispatcher] = Dispatcher
    bridge: Callable[..., Bridge] | None = None


IN_THREADS = Workings()
"""As a module works."""

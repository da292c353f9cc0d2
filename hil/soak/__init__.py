"""Soaking: hours of random cars, loads, sun and faults on virtual time, with invariants watched all the time.

`window` makes a piece of it from its seed, `violations` runs one, `smallest` finds what of it makes it fail.
"""

from hil.soak.smallest import smallest
from hil.soak.soak import Result, violations
from hil.soak.window import WINDOW_H, Window, window

__all__ = ["WINDOW_H", "Result", "Window", "smallest", "violations", "window"]

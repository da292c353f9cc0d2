"""What shares that do not rise yet are waiting for, so that whoever runs the manager runs it in time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Waits:
    """What could let shares rise.

    Attributes
    ----------
    until_s : float
        When something of that is over by itself, on the monotonic clock; infinite if nothing is.
    falls_A : mapping of str to float
        To what current EVSEs have to fall, by uuid: those that have not answered, or are measured above it.
    """

    until_s: float = math.inf
    falls_A: Mapping[str, float] = field(default_factory=dict)


NO_WAITS = Waits()

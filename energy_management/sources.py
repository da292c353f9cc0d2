"""Who set the limits of nodes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Self

import numpy as np

from energy_management.coverage import Ints


class Sources(NamedTuple):
    """Who set the limits of nodes in slots: by number, since names are looked up only where they count.

    Attributes
    ----------
    numbers : ndarray of int, shape (nodes, slots)
        Limits with the same number have the same source.
    size : int
        All numbers are below.
    names : callable
        Looks up the sources with some numbers.
    """

    numbers: Ints
    size: int
    names: Callable[[list[int]], list[str]]

    @classmethod
    def named(cls, what: str, uuids: Sequence[str], slots: int) -> Self:
        """Let each node be the source of its own limits in all slots."""
        nodes = len(uuids)
        numbers = np.broadcast_to(np.arange(nodes)[:, None], (nodes, slots))
        return cls(numbers, nodes, lambda chosen: [f"{uuids[node]}/{what}" for node in chosen])

    def of(self, node: int, slot: int) -> str:
        """Look up one."""
        return self.names([int(self.numbers[node, slot])])[0]

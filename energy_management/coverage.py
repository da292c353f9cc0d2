"""Which EVSEs each node of the tree covers, and reductions over them.

EVSEs are numbered depth first, so that those below a node are an interval. Arrays have EVSEs or nodes on
their second last axis and slots on the last; any axes may stand before these.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Objects = NDArray[np.object_]


def exists(mask: Bools) -> bool:
    """Whether anything is true in it; for the small arrays of most sites much faster than `mask.any()`."""
    return 1 in mask.tobytes()


def everywhere(mask: Bools) -> bool:
    """Whether all of it is true; much faster than `mask.all()` in the same way."""
    return 0 not in mask.tobytes()


class Coverage:
    """The interval of EVSEs below each node, and for each EVSE the nodes above it, root first.

    Parameters
    ----------
    first, last : sequence of int
        Node k covers the EVSEs first[k] to last[k] - 1, at least one. Nodes stand depth first.
    paths : sequence of sequences of int
        For each EVSE the nodes that cover it, root first, at least one.

    Attributes
    ----------
    pair_node, pair_evse : ndarray of int, shape (pairs,)
        All pairs of an EVSE and a node above it, by EVSE and from the root down.
    shared_pairs : ndarray of int
        Those pairs whose node covers other EVSEs, too.
    pair_start : list of int
        Where the pairs of each EVSE begin, and where the last ones end.
    starts : ndarray of int, shape (evses,)
        Where they begin.
    """

    def __init__(self, first: Sequence[int], last: Sequence[int], paths: Sequence[Sequence[int]]) -> None:
        self.evses = len(paths)
        self.first, self.last = np.array(first, dtype=np.int64), np.array(last, dtype=np.int64)
        lengths = list(map(len, paths))
        self.pair_node = np.array(list(chain.from_iterable(paths)), dtype=np.int64)
        self.pair_evse = np.arange(self.evses).repeat(lengths)
        self.pair_start = list(accumulate(lengths, initial=0))
        self.starts = np.array(self.pair_start[:-1], dtype=np.int64)
        self.shared_pairs = (self.last - self.first > 1).take(self.pair_node).nonzero()[0]
        self._by_node = self.pair_evse.take(self.pair_node.argsort(kind="stable"))
        self._node_starts = np.concatenate(([0], (self.last - self.first).cumsum()[:-1]))

    def total_below(self, values: Floats) -> Floats:
        """Sum over the EVSEs below each node."""
        return self._below(np.add, values)

    def least_below(self, values: Floats) -> Floats:
        """Minimum over the EVSEs below each node."""
        return self._below(np.minimum, values)

    def _below(self, reduction: np.ufunc, values: Floats) -> Floats:
        return reduction.reduceat(values.take(self._by_node, -2), self._node_starts, -2)

    def above(self, reduction: np.ufunc, values: NDArray[Any]) -> NDArray[Any]:
        """Reduce the values of the nodes above each EVSE, such as with `np.minimum`."""
        return self.over_pairs(reduction, values.take(self.pair_node, -2))

    def over_pairs(self, reduction: np.ufunc, values: NDArray[Any]) -> NDArray[Any]:
        """Reduce the values of the pairs of each EVSE."""
        return reduction.reduceat(values, self.starts, -2)

    def nodes_above(self, evse: int) -> Ints:
        """List the nodes above one EVSE, root first."""
        nodes: Ints = self.pair_node[self.pair_start[evse] : self.pair_start[evse + 1]]
        return nodes

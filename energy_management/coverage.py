"""Which EVSEs each node of the tree covers, and reductions over them.

EVSEs are numbered depth first, so that those below a node are an interval. Arrays have EVSEs or nodes on
their second last axis and slots on the last; any axes may stand before these.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Texts = NDArray[np.object_]


class Coverage:
    """The interval of EVSEs below each node, and for each EVSE the nodes above it, root first.

    Parameters
    ----------
    first, last : ndarray of int, shape (nodes,)
        Node k covers the EVSEs first[k] to last[k] - 1, at least one. Nodes stand depth first, and every EVSE
        is covered by at least one of them.
    evses : int
        Number of EVSEs.

    Attributes
    ----------
    sizes : ndarray of int, shape (nodes,)
        How many EVSEs each node covers.
    pair_node, pair_evse : ndarray of int, shape (pairs,)
        All pairs of an EVSE and a node above it, by EVSE and from the root down.
    pair_start : ndarray of int, shape (evses + 1,)
        Where the pairs of each EVSE begin, and where the last ones end.
    """

    def __init__(self, first: Ints, last: Ints, evses: int) -> None:
        self.first, self.last, self.evses = first, last, evses
        self.sizes = sizes = last - first
        ends = sizes.cumsum()
        total = int(ends[-1]) if len(ends) else 0
        node = np.repeat(np.arange(len(first)), sizes)
        evse = np.arange(total) + (first - ends + sizes)[node]
        by_evse = evse.argsort(kind="stable")
        self.pair_node, self.pair_evse = node[by_evse], evse[by_evse]
        self.pair_start = self.pair_evse.searchsorted(np.arange(evses + 1))
        self._starts = self.pair_start[:-1]
        self._bounds = np.array([first, last]).T.ravel()

    def total_below(self, values: Floats) -> Floats:
        """Sum over the EVSEs below each node."""
        sums = np.zeros((*values.shape[:-2], self.evses + 1, values.shape[-1]))
        values.cumsum(axis=-2, out=sums[..., 1:, :])
        return sums.take(self.last, axis=-2) - sums.take(self.first, axis=-2)

    def least_below(self, values: Floats) -> Floats:
        """Minimum over the EVSEs below each node."""
        padded = np.empty((*values.shape[:-2], self.evses + 1, values.shape[-1]))
        padded[..., :-1, :] = values
        padded[..., -1, :] = np.inf
        return np.minimum.reduceat(padded, self._bounds, axis=-2)[..., ::2, :]

    def above(self, reduction: np.ufunc, values: NDArray[Any]) -> NDArray[Any]:
        """Reduce the values of the nodes above each EVSE, such as with `np.minimum`."""
        return self.over_pairs(reduction, values.take(self.pair_node, axis=-2))

    def over_pairs(self, reduction: np.ufunc, values: NDArray[Any]) -> NDArray[Any]:
        """Reduce the values of the pairs of each EVSE."""
        return reduction.reduceat(values, self._starts, axis=-2)

    def nodes_above(self, evse: int) -> Ints:
        """List the nodes above one EVSE, root first."""
        nodes: Ints = self.pair_node[self.pair_start[evse] : self.pair_start[evse + 1]]
        return nodes

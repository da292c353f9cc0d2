"""Which EVSEs each node of the tree covers, and reductions over them.

EVSEs are numbered depth first, so that those below a node are an interval. Arrays have EVSEs or nodes on their
second last axis and slots on the last; any axes may stand before these.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


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
    pair_node, pair_evse : ndarray of int, shape (pairs,)
        All pairs of an EVSE and a node above it, by EVSE and from the root down.
    """

    def __init__(self, first: Ints, last: Ints, evses: int) -> None:
        self.first, self.last, self.evses = first, last, evses
        sizes = last - first
        node = np.repeat(np.arange(len(first)), sizes)
        evse = np.arange(sizes.sum()) - np.repeat(sizes.cumsum() - sizes, sizes) + np.repeat(first, sizes)
        by_evse = np.argsort(evse, kind="stable")
        self.pair_node, self.pair_evse = node[by_evse], evse[by_evse]
        self.pair_start = np.searchsorted(self.pair_evse, np.arange(evses))
        self._bounds = np.column_stack([first, last]).ravel()

    def __len__(self) -> int:
        return len(self.first)

    def total_below(self, values: Floats) -> Floats:
        """Sum over the EVSEs below each node."""
        sums = np.zeros((*values.shape[:-2], self.evses + 1, values.shape[-1]))
        np.cumsum(values, axis=-2, out=sums[..., 1:, :])
        return np.asarray(sums[..., self.last, :] - sums[..., self.first, :])

    def least_below(self, values: Floats) -> Floats:
        """Minimum over the EVSEs below each node."""
        beyond = np.full((*values.shape[:-2], 1, values.shape[-1]), np.inf)
        padded = np.concatenate([values, beyond], axis=-2)
        return np.asarray(np.minimum.reduceat(padded, self._bounds, axis=-2)[..., ::2, :])

    def above(self, reduction: np.ufunc, values: NDArray[Any]) -> NDArray[Any]:
        """Reduce the values of the nodes above each EVSE, such as `np.minimum`."""
        return np.asarray(reduction.reduceat(values[..., self.pair_node, :], self.pair_start, axis=-2))

    def rows_above(self, evse: int) -> Ints:
        """The nodes above one EVSE, root first."""
        start = self.pair_start[evse]
        stop = self.pair_start[evse + 1] if evse + 1 < self.evses else len(self.pair_node)
        return np.asarray(self.pair_node[start:stop])

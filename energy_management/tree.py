"""The tree of an energy flow request, flattened depth first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from energy_management.coverage import Coverage, Ints

Node = dict[str, Any]


class MalformedRequestError(Exception):
    """The request is not what EVerest's types promise; `hardening.sanitise` says where and makes it safe."""


@dataclass(frozen=True)
class Tree:
    """All nodes that have an EVSE below them or are one, depth first.

    Attributes
    ----------
    nodes : list of dict
        As in the request.
    uuids : list of str
        Of the nodes.
    parents : ndarray of int, shape (nodes,)
        Position of each node's parent; -1 for the root.
    evses : ndarray of int, shape (evses,)
        Positions of the EVSEs among the nodes.
    coverage : Coverage
        Which EVSEs are below which node; an EVSE covers itself.
    """

    nodes: list[Node]
    uuids: list[str]
    parents: Ints
    evses: Ints
    coverage: Coverage

    @property
    def evse_uuids(self) -> list[str]:
        """The uuids of the EVSEs, in the order of the results."""
        return [self.uuids[position] for position in self.evses.tolist()]


def flatten(request: Node) -> tuple[list[Node], list[int]]:
    """All nodes of a request depth first, and the position of each one's parent.

    Raises
    ------
    MalformedRequestError
        If a node or a uuid appears twice, an EVSE has children, or a node type is unknown.
    """
    nodes: list[Node] = []
    parents: list[int] = []
    seen: set[int] = set()
    waiting = [(request, -1)]
    while waiting:
        node, parent = waiting.pop()
        position = len(nodes)
        nodes.append(node)
        parents.append(parent)
        children = node.get("children")
        if children:
            if id(node) in seen or node["node_type"] == "Evse":
                raise MalformedRequestError
            seen.add(id(node))
            waiting.extend((child, position) for child in reversed(children))
    uuids = {node["uuid"] for node in nodes}
    if len(uuids) != len(nodes) or not {*map(type, uuids)} <= {str}:
        raise MalformedRequestError
    if not {node["node_type"] for node in nodes} <= {"Evse", "Generic", "Undefined"}:
        raise MalformedRequestError
    return nodes, parents


def build(nodes: list[Node], parents: list[int]) -> Tree:
    """The tree of the nodes that matter: those above or at an EVSE."""
    sizes = [1] * len(nodes)
    for position in range(len(nodes) - 1, 0, -1):
        sizes[parents[position]] += sizes[position]
    is_evse = np.array([node["node_type"] == "Evse" for node in nodes])
    before = np.concatenate([[0], np.cumsum(is_evse)])
    first = before[:-1]
    last = before[np.arange(len(nodes)) + np.array(sizes)]
    kept = np.flatnonzero(last > first)
    renumbered = np.full(len(nodes) + 1, -1)
    renumbered[kept] = np.arange(len(kept))
    remaining = [nodes[position] for position in kept.tolist()]
    return Tree(
        remaining,
        [node["uuid"] for node in remaining],
        renumbered[np.array(parents)[kept]],
        np.flatnonzero(is_evse[kept]),
        Coverage(first[kept], last[kept], int(before[-1])),
    )

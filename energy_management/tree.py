"""The tree of an energy flow request, flattened depth first."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from energy_management.coverage import Bools, Coverage, Ints

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
    parents : list of int
        Position of each node's parent; -1 for the root.
    evses : ndarray of int, shape (evses,)
        Positions of the EVSEs among the nodes.
    coverage : Coverage
        Which EVSEs are below which node; an EVSE covers itself.
    """

    nodes: list[Node]
    uuids: list[str]
    parents: list[int]
    evses: Ints
    coverage: Coverage

    @cached_property
    def is_evse(self) -> Bools:
        """Which of the nodes are EVSEs."""
        found = np.zeros(len(self.nodes), dtype=np.bool_)
        found[self.evses] = True
        return found

    @cached_property
    def chains(self) -> Ints:
        """Where each chain of nodes that cover the same EVSEs begins."""
        covered = list(zip(self.coverage.first.tolist(), self.coverage.last.tolist(), strict=True))
        return np.array([k for k, each in enumerate(covered) if k == 0 or each != covered[k - 1]])

    @cached_property
    def own_chains(self) -> Ints:
        """The chain that ends in each EVSE."""
        return np.flatnonzero(self.coverage.sizes[self.chains] == 1)

    @cached_property
    def shared_chains(self) -> Ints:
        """The chains that cover more than one EVSE, and always that of the root."""
        shared = self.coverage.sizes[self.chains] > 1
        shared[0] = True
        return np.flatnonzero(shared)

    @cached_property
    def rows(self) -> Coverage:
        """Which EVSEs the shared chains cover."""
        starts = self.chains[self.shared_chains]
        return Coverage(self.coverage.first[starts], self.coverage.last[starts], self.coverage.evses)

    @cached_property
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
            waiting.extend([(child, position) for child in reversed(children)])
    uuids = {node["uuid"] for node in nodes}
    if len(uuids) != len(nodes) or not {*map(type, uuids)} <= {str}:
        raise MalformedRequestError
    if not {node["node_type"] for node in nodes} <= {"Evse", "Generic", "Undefined"}:
        raise MalformedRequestError
    return nodes, parents


def build(nodes: list[Node], parents: list[int]) -> Tree:
    """Build the tree of the nodes that matter: those above or at an EVSE."""
    first: list[int] = []
    last: list[int] = []
    evses = 0
    for node in nodes:
        first.append(evses)
        evses += node["node_type"] == "Evse"
        last.append(evses)
    for position in range(len(nodes) - 1, 0, -1):
        parent = parents[position]
        last[parent] = max(last[parent], last[position])
    if any(map(int.__eq__, first, last)):
        kept = [position for position in range(len(nodes)) if last[position] > first[position]]
        renumbered = {position: number for number, position in enumerate(kept)}
        nodes = [nodes[position] for position in kept]
        parents = [renumbered.get(parents[position], -1) for position in kept]
        first = [first[position] for position in kept]
        last = [last[position] for position in kept]
    return Tree(
        nodes,
        [node["uuid"] for node in nodes],
        parents,
        np.array(
            [position for position, node in enumerate(nodes) if node["node_type"] == "Evse"], dtype=np.int64
        ),
        Coverage(np.array(first, dtype=np.int64), np.array(last, dtype=np.int64), evses),
    )

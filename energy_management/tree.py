"""The tree of an energy flow request, flattened depth first."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np

from energy_management.coverage import Coverage, Ints

Node = dict[str, Any]


class MalformedRequestError(Exception):
    """The request is not what EVerest's types promise; `hardening.sanitise` says where and makes it safe."""


class Flat(NamedTuple):
    """All nodes of a request depth first, the position of each one's parent, and what they say they are."""

    nodes: list[Node]
    parents: list[int]
    uuids: list[str]
    kinds: list[str]


class Chains(NamedTuple):
    """Chains of nodes that cover the same EVSEs, and so are one limit.

    Attributes
    ----------
    begins : ndarray of int
        The node with which each chain begins, depth first.
    alone : ndarray of int
        The chain that covers each EVSE alone.
    shared : ndarray of int
        The chains that cover more than one EVSE, and always that of the root.
    rows : Coverage
        Which EVSEs the shared chains cover.
    """

    begins: Ints
    alone: Ints
    shared: Ints
    rows: Coverage


class Tree(NamedTuple):
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
    evse_uuids, evse_states : list of str
        Of the EVSEs, in the order of the results.
    coverage : Coverage
        Which EVSEs are below which node; an EVSE covers itself.
    chains : Chains
        Nodes that cover the same EVSEs.
    """

    nodes: list[Node]
    uuids: list[str]
    parents: list[int]
    evses: Ints
    evse_uuids: list[str]
    evse_states: list[str]
    coverage: Coverage
    chains: Chains


def flatten(request: Node) -> Flat:
    """List all nodes of a request.

    Raises
    ------
    MalformedRequestError
        If a node or a uuid appears twice, an EVSE has children, or a node type is unknown.
    """
    nodes: list[Node] = []
    parents: list[int] = []
    seen: set[int] = set()
    waiting, below = [request], [-1]
    while waiting:
        node = waiting.pop()
        parents.append(below.pop())
        children = node.get("children")
        if children:
            if id(node) in seen or node["node_type"] == "Evse":
                raise MalformedRequestError
            seen.add(id(node))
            waiting += reversed(children)
            below += [len(nodes)] * len(children)
        nodes.append(node)
    uuids = [node["uuid"] for node in nodes]
    if len({*uuids}) != len(nodes) or not {*map(type, uuids)} <= {str}:
        raise MalformedRequestError
    kinds = [node["node_type"] for node in nodes]
    if not {*kinds} <= {"Evse", "Generic", "Undefined"}:
        raise MalformedRequestError
    return Flat(nodes, parents, uuids, kinds)


def build(flat: Flat) -> Tree:
    """Build the tree of the nodes that matter: those above or at an EVSE."""
    shape = shape_of(tuple(flat.parents), tuple(flat.kinds))
    nodes, uuids = flat.nodes, flat.uuids
    if len(shape.kept) < len(nodes):
        nodes = [nodes[position] for position in shape.kept]
        uuids = [uuids[position] for position in shape.kept]
    return Tree(
        nodes,
        uuids,
        shape.parents,
        shape.evses,
        [uuids[position] for position in shape.own],
        [nodes[position].get("evse_state", "Charging") for position in shape.own],
        shape.coverage,
        shape.chains,
    )


class Shape(NamedTuple):
    """What a tree is whatever its nodes are called and ask for.

    `kept` are the nodes that matter, `own` and `evses` are the positions of the EVSEs among these.
    """

    kept: list[int]
    parents: list[int]
    own: list[int]
    evses: Ints
    coverage: Coverage
    chains: Chains


@lru_cache(maxsize=8)
def shape_of(parents: tuple[int, ...], kinds: tuple[str, ...]) -> Shape:
    """Find which nodes cover which EVSEs; a site asks every second, and nearly always has the same shape."""
    is_evse = [kind == "Evse" for kind in kinds]
    counts = list(accumulate(is_evse, initial=0))
    first, last = counts[:-1], counts[1:]
    for position in range(len(parents) - 1, 0, -1):
        parent = parents[position]
        last[parent] = max(last[parent], last[position])
    kept = [position for position in range(len(parents)) if last[position] > first[position]]
    renumbered = {position: number for number, position in enumerate(kept)}
    above = [renumbered.get(parents[position], -1) for position in kept]
    own = [renumbered[position] for position in kept if is_evse[position]]
    first, last = [first[position] for position in kept], [last[position] for position in kept]
    paths = _paths(own, above, {node: node for node in range(len(kept))})
    return Shape(
        kept, above, own, _numbers(own), Coverage(first, last, paths), _chains(first, last, above, own)
    )


def _paths(own: list[int], parents: list[int], numbers: Mapping[int, int]) -> list[list[int]]:
    """For each EVSE, list the numbers of the nodes from the root to itself that have one."""
    above = {
        parent: [numbers[node] for node in _path(parent, parents) if node in numbers]
        for parent in {parents[position] for position in own}
    }
    return [
        [*above[parents[position]], numbers[position]] if position in numbers else above[parents[position]]
        for position in own
    ]


def _path(position: int, parents: list[int]) -> list[int]:
    """List the nodes from the root to a node and itself."""
    path = []
    while position >= 0:
        path.append(position)
        position = parents[position]
    return path[::-1]


def _chains(first: list[int], last: list[int], parents: list[int], own: list[int]) -> Chains:
    begins = [k for k in range(len(first)) if k == 0 or (first[k], last[k]) != (first[k - 1], last[k - 1])]
    alone = [number for number, k in enumerate(begins) if last[k] - first[k] == 1]
    shared = [number for number, k in enumerate(begins) if number == 0 or last[k] - first[k] > 1]
    row_of = {begins[number]: row for row, number in enumerate(shared)}
    rows = Coverage(
        [first[begins[number]] for number in shared],
        [last[begins[number]] for number in shared],
        _paths(own, parents, row_of),
    )
    return Chains(_numbers(begins), _numbers(alone), _numbers(shared), rows)


def _numbers(values: list[int]) -> Ints:
    return np.array(values, dtype=np.int64)

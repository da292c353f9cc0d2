"""The limits of a tree as linear constraints on the currents of its EVSEs."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Literal, NamedTuple

import numpy as np

from energy_management.coverage import Bools, Floats, everywhere, exists
from energy_management.sources import Sources
from energy_management.tree import Tree

TOLERANCE = 1e-9
"""Relative and absolute margin within which a constraint counts as met."""


class Kind(NamedTuple):
    """One kind of limits: at each node, the sum of coefficient x current below it is at most its capacity.

    Attributes
    ----------
    unit : {"A", "W"}
        Of the capacities.
    labels : tuple of str
        What each of its constraints is about, such as ("L1", "L2", "L3"); empty for all phases alike.
    coefficients : sequence of ndarray, each of shape (evses, slots)
        One for each label.
    capacities : sequence of ndarray, each of shape (nodes, slots)
        One for each label; infinite where there is no such limit.
    sources : Sources
        Who set the limits.
    opposing : bool
        Current of one EVSE can make room for another, as between phases that must be balanced.
    is_of_node : bool
        It is a limit of the node itself, for all EVSEs below it.
    is_of_meter : bool
        It is what a meter leaves of another limit.
    """

    unit: Literal["A", "W"]
    labels: tuple[str, ...]
    coefficients: Sequence[Floats]
    capacities: Sequence[Floats]
    sources: Sources
    opposing: bool = False
    is_of_node: bool = True
    is_of_meter: bool = False

    def limits_anything(self) -> bool:
        """Whether there is a limit at any node."""
        return True in [exists(np.isfinite(capacity)) for capacity in self.capacities]


class Network:
    """All constraints on the currents of the EVSEs, in all slots.

    Each label of each kind makes a family of constraints. Limits that concern one EVSE only are its ceiling;
    nodes in a chain that cover the same EVSEs are one row.

    Attributes
    ----------
    kinds : list of Kind
        Those that limit anything.
    coefficient : ndarray, shape (families, evses, slots)
        What 1 A of an EVSE is in each family.
    node_capacity : ndarray, shape (families, nodes, slots)
        The limits of the nodes.
    capacity : ndarray, shape (families, rows, slots)
        What the sum of coefficient x current of the EVSEs in a row may be.
    full_at : ndarray, shape (families, rows, slots)
        The load at which a row counts as exceeded, a little above its capacity.
    concerns : ndarray of bool, shape (families, evses, slots)
        Which EVSEs draw on which family.
    alone : ndarray, shape (families, evses, slots)
        What coefficient x current of one EVSE may be, as far as limits for it alone go.
    ceiling_A : ndarray, shape (evses, slots)
        The greatest current with that.
    rows : Coverage
        Which EVSEs each row covers.
    labelled : list of tuple
        The kind and the label of each family.
    has_opposing : bool
        Current of one EVSE can make room for another.
    powers : list of int
        The families that limit power.
    """

    def __init__(self, tree: Tree, kinds: Sequence[Kind]) -> None:
        self.kinds = list(kinds)
        self.coefficient = np.array([each for kind in self.kinds for each in kind.coefficients])
        self.node_capacity = np.array([each for kind in self.kinds for each in kind.capacities])
        merged = np.minimum.reduceat(self.node_capacity, tree.chains.begins, axis=1)
        self.rows = tree.chains.rows
        self.capacity = merged.take(tree.chains.shared, axis=1)
        self.full_at = _full_at(self.capacity)
        self.alone = merged.take(tree.chains.alone, axis=1)
        current_A = self.alone / self.coefficient
        self.labelled = [(kind, label) for kind in self.kinds for label in kind.labels]
        self.has_opposing = True in [kind.opposing for kind in self.kinds]
        self.powers = [family for family, (kind, _) in enumerate(self.labelled) if kind.unit == "W"]
        self.concerns = self.coefficient > 0.0
        self.ceiling_A = np.minimum.reduce(current_A, where=self.concerns, initial=np.inf)

    def in_slot(self, slot: int, reserved: Floats, floor_A: Floats, ceiling_A: Floats) -> Network:
        """Narrow it to one slot, in which others have taken some room.

        Parameters
        ----------
        reserved : ndarray, shape (families, rows, 1)
            What they take of each row.
        floor_A, ceiling_A : ndarray, shape (evses, 1)
            What each EVSE keeps whatever they take, and may have at most.
        """
        part = copy(self)
        part.coefficient = self.coefficient[..., slot : slot + 1]
        part.concerns = self.concerns[..., slot : slot + 1]
        part.capacity = np.maximum(self.capacity[..., slot : slot + 1] - reserved, part.load(floor_A))
        part.full_at = _full_at(part.capacity)
        part.ceiling_A = ceiling_A
        return part

    def capped(self, current_A: Floats) -> Network:
        """Cap the current of each EVSE beside all other limits, an array over (EVSE, slot)."""
        part = copy(self)
        part.ceiling_A = np.minimum(self.ceiling_A, current_A)
        return part

    @property
    def powers_of_nodes(self) -> list[int]:
        """The families that limit power of nodes themselves."""
        return [family for family in self.powers if self.labelled[family][0].is_of_node]

    @property
    def currents(self) -> list[int]:
        """The families that limit current."""
        return [family for family in range(len(self.coefficient)) if family not in self.powers]

    def allows(self, current_A: Floats) -> Bools:
        """Whether each EVSE could have such a current if it were alone."""
        allowed: Bools = current_A <= self.ceiling_A * (1 + TOLERANCE)
        return allowed

    def has_room_for(self, current_A: Floats) -> bool:
        """Whether all EVSEs can have such currents together."""
        return everywhere(self.load(current_A) <= self.full_at)

    def load(self, current_A: Floats) -> Floats:
        """Sum coefficient x current in each row, shape (families, rows, slots)."""
        return self.rows.total_below(self.coefficient * current_A)

    def concerned(self, rows: Bools) -> Bools:
        """Which EVSEs draw on any of these rows, shape (evses, slots)."""
        concerned: Bools = np.logical_or.reduce(self.rows.above(np.logical_or, rows) & self.concerns)
        return concerned


def _full_at(capacity: Floats) -> Floats:
    """Find the load at which a row counts as exceeded."""
    return capacity * (1 + TOLERANCE) + TOLERANCE

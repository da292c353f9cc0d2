"""The limits of a tree as linear constraints on the currents of its EVSEs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from energy_management.coverage import Bools, Coverage, Floats
from energy_management.schedules import Texts
from energy_management.tree import Tree

TOLERANCE = 1e-9
"""Relative and absolute margin within which a constraint counts as met, or as full."""


@dataclass(frozen=True)
class Family:
    """Constraints of one kind, one at each node: the sum of coefficient x current below it is at most its capacity.

    Attributes
    ----------
    unit : {"A", "W"}
        Of the capacity.
    name : str
        What it is about in words, such as "L1".
    coefficient : ndarray of float, shape (evses, slots)
    capacity : ndarray of float, shape (nodes, slots)
        Infinite where there is no such limit.
    source : ndarray of str, shape (nodes, slots)
        Who set each limit.
    """

    unit: Literal["A", "W"]
    name: str
    coefficient: Floats
    capacity: Floats
    source: Texts


class Network:
    """All constraints on the currents of the EVSEs, in all slots.

    Limits that concern one EVSE only are its ceiling. Nodes in a chain that cover the same EVSEs are one row.

    Attributes
    ----------
    coefficient : ndarray, shape (families, evses, slots)
        What 1 A of an EVSE is in each family of constraints.
    capacity : ndarray, shape (families, rows, slots)
        What the sum of coefficient x current of the EVSEs in a row may be.
    ceiling_A : ndarray, shape (evses, slots)
        Greatest current that an EVSE may draw as far as limits for it alone go.
    rows : Coverage
        Which EVSEs each row covers.
    """

    def __init__(self, tree: Tree, families: Sequence[Family]) -> None:
        covered = tree.coverage
        same = (np.diff(covered.first, prepend=-1) == 0) & (np.diff(covered.last, prepend=-1) == 0)
        starts = np.flatnonzero(~same)
        alone = (covered.last - covered.first)[starts] == 1
        shared = ~alone
        shared[0] = True
        self.families = families
        self.rows = Coverage(covered.first[starts][shared], covered.last[starts][shared], covered.evses)
        self.coefficient = np.stack([family.coefficient for family in families])
        merged = np.minimum.reduceat(np.stack([family.capacity for family in families]), starts, axis=1)
        self.capacity = merged[:, shared]
        self.alone = merged[:, alone]
        self.ceiling_A = self._ceilings()

    def _ceilings(self) -> Floats:
        with np.errstate(divide="ignore", invalid="ignore"):
            ceilings = np.where(self.coefficient > 0, self.alone / self.coefficient, np.inf)
        return np.asarray(ceilings.min(axis=0))

    @cached_property
    def full_at(self) -> Floats:
        """The load at which a row counts as exceeded, a little above its capacity."""
        return self.capacity * (1 + TOLERANCE) + TOLERANCE

    @cached_property
    def has_opposing(self) -> bool:
        """Whether current of one EVSE can make room for another, as between phases that must be balanced."""
        return bool((self.coefficient < 0).any())

    def load(self, current_A: Floats) -> Floats:
        """The sum of coefficient x current in each row, shape (families, rows, slots)."""
        return self.rows.total_below(self.coefficient * current_A)

    def exceeded(self, current_A: Floats) -> Bools:
        """Which rows carry more than their capacity, shape (families, rows, slots)."""
        return np.asarray(self.load(current_A) > self.full_at)

    def concerned(self, rows: Bools) -> Bools:
        """Which EVSEs draw on any of these rows, shape (evses, slots)."""
        return np.asarray((self.rows.above(np.logical_or, rows) & (self.coefficient > 0)).any(axis=0))

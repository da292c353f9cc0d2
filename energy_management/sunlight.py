"""What the modes of EVSEs and the sun change about limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from energy_management.constraints import Kind
from energy_management.coverage import Bools, Floats
from energy_management.sources import Sources
from energy_management.tree import Tree


@dataclass(frozen=True)
class Sunlight:
    """The modes of one run. It only ever takes away: caps, and one more limit beside all others.

    Attributes
    ----------
    surplus_W : float
        What the sun leaves for the EVSEs that charge from surplus, what they draw included.
    shares : ndarray of bool, shape (evses, 1)
        Who shares it: beyond their minimum currents they have only that.
    draws : ndarray of bool, shape (evses, 1)
        Whose minimum current is a part of it; cars that have paused by themselves take nothing from others.
    most_A : ndarray, shape (evses, 1)
        What each may have at most; 0 for those that its mode switches off.
    held : dict of int to str
        Why those have nothing, by position.
    texts : dict of int to str
        The same for people, and what is about to change.
    patience_s : mapping of int to float
        For how long those that charge from surplus stay on their phases when it is short for them.
    max_switches_per_hour : int
        Of their phases; 0 is no limit.
    """

    surplus_W: float
    shares: Bools
    draws: Bools
    most_A: Floats
    held: dict[int, str] = field(default_factory=dict)
    texts: dict[int, str] = field(default_factory=dict)
    patience_s: Mapping[int, float] = field(default_factory=dict)
    max_switches_per_hour: int = 0

    def kind(self, tree: Tree, watts: Floats, slots: int, given_A: Floats | None = None) -> Kind:
        """Limit the power of those that share the surplus, of which each minimum is a part.

        Parameters
        ----------
        watts : ndarray, shape (evses, slots)
            Power at the root for 1 A of each EVSE.
        slots : int
            Of import; those of export follow.
        given_A : ndarray, shape (evses, slots), optional
            Minimum currents that they have even if the surplus is less.
        """
        coefficient = watts * self.shares
        capacity = np.full((len(tree.nodes), watts.shape[1]), np.inf)
        given_W = np.zeros_like(watts) if given_A is None else coefficient * given_A
        drawn_W, paused_W = ((given_W * who).sum(axis=0)[:slots] for who in (self.draws, ~self.draws))
        capacity[0, :slots] = np.maximum(self.surplus_W, drawn_W) + paused_W
        return Kind(
            "W",
            ("power",),
            [coefficient],
            [capacity],
            Sources.named("surplus", tree.uuids, watts.shape[1]),
            is_of_node=False,
        )

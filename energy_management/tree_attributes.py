"""The EVSEs and nodes of a tree as the site describes them, in the order of the tree."""

from __future__ import annotations

import numpy as np

from energy_management.coverage import Bools, Floats
from energy_management.site import ROTATIONS, EvseAttributes, Site
from energy_management.tree import Tree

_UNLISTED = EvseAttributes()


class TreeAttributes:
    """What the site tells of a tree. It stays the same as long as the site and the uuids do.

    Parameters
    ----------
    site : Site
    tree : Tree

    Attributes
    ----------
    site : Site
    ranking : tuple of (int, float)
        Priority and weight of each EVSE.
    modes : list of str
        What each EVSE charges with.
    only_now : bool
        All charge with whatever limits allow.
    knows_rotations : bool
        The wiring of any EVSE is known.
    max_unbalance_A : ndarray, shape (nodes, 1), or None
        How far currents may differ between phases, infinite where that does not matter; None if nowhere.
    """

    def __init__(self, site: Site, tree: Tree) -> None:
        self.site = site
        self._uuids, self._evse_uuids = tree.uuids, tree.evse_uuids
        evses = [site.evses.get(uuid, _UNLISTED) for uuid in tree.evse_uuids]
        self.ranking = tuple([(evse.priority, evse.weight) for evse in evses])
        self.modes = [evse.mode for evse in evses]
        self.only_now = {*self.modes} == {"now"}
        rotations = [evse.phase_rotation for evse in evses]
        self.knows_rotations = any(rotations)
        self._conductors = np.zeros((3, len(evses), 1), dtype=np.int64)
        for evse, rotation in enumerate(rotations):
            if rotation is not None:
                self._conductors[ROTATIONS[rotation], evse, 0] = range(3)
        most_A = [node.max_unbalance_A if node else None for node in map(site.nodes.get, tree.uuids)]
        self.max_unbalance_A: Floats | None = None
        if any(each is not None for each in most_A):
            self.max_unbalance_A = np.array([[np.inf if each is None else each] for each in most_A])

    def is_of(self, site: Site, tree: Tree) -> bool:
        """Whether it would be the same of another site and tree."""
        return (self._uuids, self._evse_uuids) == (tree.uuids, tree.evse_uuids) and self.site is site

    def loaded(self, phases: Floats) -> Bools:
        """Which grid phases EVSEs load that charge on so many, shape (3, evses, slots); all if unknown."""
        loaded: Bools = phases > self._conductors
        return loaded

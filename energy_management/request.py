"""Reads an energy flow request into arrays; what is malformed is made safe first."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from energy_management import hardening
from energy_management.demand import URGENCY
from energy_management.form import Form, Slots
from energy_management.schedules import Schedules, read_schedules
from energy_management.setpoints import read_setpoints
from energy_management.tree import Flat, MalformedRequestError, Node, Tree, build, flatten


class Request(NamedTuple):
    """An energy flow request, read.

    Attributes
    ----------
    tree : Tree
    schedules : Schedules
    setpoints : list
        As `setpoints.read_setpoints` gives them.
    rejected : list of tuple of str
        Uuid and reason of every part that could not be used.
    """

    tree: Tree
    schedules: Schedules
    setpoints: list[tuple[int, list[Node], list[int]]]
    rejected: list[tuple[str, str]]

    def slots(self, now: datetime, interval_min: int, total_h: int) -> Slots:
        """Find the slots that there are now, and what is in force in them."""
        of_setpoints = [stamp for _, _, ladder in self.setpoints for stamp in ladder]
        return self.schedules.form.in_slots(now, interval_min, total_h, of_setpoints)


def read_request(request: Any, flat: Flat | None, known: Form | None) -> Request:
    """Read a request of any content. What EVerest's types do not allow is made safe and reported.

    Parameters
    ----------
    request : object
    flat : Flat or None
        Its nodes, or None if it is no tree.
    known : Form or None
        Which form it probably has.
    """
    if flat is not None:
        try:
            return _read(flat, known, [])
        except hardening.SIGNS_OF_MALFORMED:
            pass
    safe, rejected = hardening.sanitise(request)
    return _read(flatten(safe), known, rejected)


def flatten_if_tree(request: Any) -> Flat | None:
    """List all nodes of a request of any content; None if it is no tree of nodes."""
    try:
        return flatten(request)
    except hardening.SIGNS_OF_MALFORMED:
        return None


def _read(flat: Flat, known: Form | None, rejected: list[tuple[str, str]]) -> Request:
    tree = build(flat)
    if not {*tree.evse_states} <= URGENCY.keys():
        raise MalformedRequestError
    return Request(tree, read_schedules(tree, known), read_setpoints(tree), rejected)

"""Weighted max-min fair shares by progressive filling, in closed form between its events."""

from __future__ import annotations

import numpy as np

from energy_management.constraints import TOLERANCE, Network
from energy_management.coverage import Bools, Floats, exists

Event = tuple[Bools, Floats]
"""Which EVSEs were settled in a pass of the filling, in which slots, and at which levels [A per weight]."""


def fill(
    network: Network,
    weight: Floats,
    floor_A: Floats,
    ceiling_A: Floats,
    sharing: Bools,
    *,
    events: list[Event] | None = None,
) -> Floats:
    """Raise the currents of the EVSEs that share from their floors, all at one level, until limits stop them.

    The share of an EVSE is `clamp(weight * level, floor, ceiling)`, where its level is that of the first
    constraint which became full. A constraint is settled as soon as every EVSE in it would be stopped by no
    other one earlier, which holds for many constraints at once; so the number of passes does not grow with
    the number of EVSEs. This is the bottleneck property of max-min fair shares (Bertsekas and Gallager, Data
    Networks, section 6.5.2), with the floors as further breakpoints.

    Parameters
    ----------
    network : Network
        The constraints; the floors of all EVSEs meet them.
    weight : ndarray, shape (evses, 1)
        Shares are in proportion to these.
    floor_A, ceiling_A : ndarray, shape (evses, slots)
        What each EVSE has at least, and what it may have at most.
    sharing : ndarray of bool, shape (evses, slots)
        Who takes part; the others keep their floors.
    events : list, optional
        Takes up what happened.

    Returns
    -------
    ndarray, shape (evses, slots)
        The currents per phase [A].
    """
    current_A = floor_A
    leaves_floor_at = floor_A / weight
    reaches_ceiling_at = ceiling_A / weight
    concerns = network.concerns
    waiting = sharing & (ceiling_A > floor_A)
    level = least(leaves_floor_at, waiting)
    while exists(waiting):
        rising = waiting & (leaves_floor_at <= level)
        next_to_rise = least(leaves_floor_at, waiting > rising)
        full_at = _levels_when_full(network, current_A, rising, weight)
        stopped_at = least(network.rows.above(np.minimum, full_at), concerns)
        settled_at = np.minimum(stopped_at, reaches_ceiling_at)
        bottleneck = full_at <= network.rows.least_below(np.where(concerns & rising, settled_at, np.inf))
        stopped = network.concerned(bottleneck) | (reaches_ceiling_at <= stopped_at)
        settled = rising & stopped & (settled_at <= next_to_rise)
        share_A = np.minimum(weight * settled_at, ceiling_A)
        current_A = np.where(settled, np.maximum(share_A, current_A), current_A)
        if events is not None:
            events.append((settled, settled_at))
        waiting = waiting > settled
        if exists(waiting):
            changes = np.logical_or.reduce(settled)
            waiting &= changes | (next_to_rise > level)  # without a step forward all keep what they have
            level = np.where(changes, level, next_to_rise)
    return current_A


def least(values: Floats, where: Bools) -> Floats:
    """Take the minimum along the first axis of those values that count, infinite where there are none."""
    least: Floats = np.minimum.reduce(values, where=where, initial=np.inf)
    return least


def _levels_when_full(network: Network, current_A: Floats, rising: Bools, weight: Floats) -> Floats:
    """Find the level at which each constraint is full if nothing but itself stops the EVSEs that rise."""
    fixed = network.load(current_A * ~rising)
    growth = network.load(weight * rising)
    return np.where(growth > TOLERANCE, (network.capacity - fixed) / growth, np.inf)

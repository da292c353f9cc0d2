"""From demand and limits to the current of every EVSE."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from energy_management.admission import Order, admit
from energy_management.balancing import balance, unopposed
from energy_management.constraints import TOLERANCE, Network
from energy_management.coverage import Bools, Floats, exists
from energy_management.demand import Demand
from energy_management.filling import Event, fill, least
from energy_management.limits import Limiter
from energy_management.waits import NO_WAITS, Waits

_NOBODY_HELD: Mapping[int, str] = MappingProxyType({})

_ROUNDS = 50


class Allocation(NamedTuple):
    """What every EVSE gets; arrays over (EVSE, slot).

    Attributes
    ----------
    network : Network
        The constraints that hold with these phases.
    phases : ndarray of float
        On how many phases each EVSE charges.
    loaded : ndarray of bool, shape (3, evses, slots)
        Which grid phases it loads.
    dropped : ndarray of bool
        Who charges on fewer phases because its minimum did not fit on more.
    served : ndarray of bool
        Whose minimum fits.
    current_A : ndarray of float
        Per phase; not negative, whatever the direction.
    events : list of Event
        How the filling went.
    target_A : ndarray of float
        Where the currents are going; the same but while some wait for others to fall.
    held : mapping of int to str
        Why an EVSE, by its position, gets less in the slot that is active now than the limits of nodes allow.
    waits : Waits
        What those who shall have more are waiting for.
    """

    network: Network
    phases: Floats
    loaded: Bools
    dropped: Bools
    served: Bools
    current_A: Floats
    events: list[Event]
    target_A: Floats
    held: Mapping[int, str] = _NOBODY_HELD
    waits: Waits = NO_WAITS


def allocate(
    limiter: Limiter,
    phases: Floats,
    fewer_phases: Floats,
    order: Order,
    wanted_A: Floats | None = None,
    *,
    worth_W: float = 0.0,
) -> Allocation:
    """Allocate on the phases decided; who would have more power on fewer, as one phase is full, is on these.

    Parameters
    ----------
    phases, fewer_phases : ndarray of float, shape (evses, slots)
        On how many phases each EVSE charges, and on how many it would rather than wait.
    order : callable
        In which EVSEs are admitted, if it matters.
    wanted_A : ndarray of float, shape (evses, slots), optional
        What each makes use of. More it gets only of what nobody else wants.
    worth_W : float
        Power for which an EVSE that has some is put on fewer phases.
    """
    found = _allocate_on(limiter, phases, fewer_phases, order, wanted_A)
    if fewer_phases is phases:
        return found
    moved = np.zeros(phases.shape, dtype=np.bool_)
    for _ in range(_ROUNDS):
        rather = _rather_on_fewer(limiter, found, fewer_phases, worth_W) & ~moved
        if not exists(rather):
            break
        moved |= rather
        on_fewer = np.where(moved, fewer_phases, phases)
        found = _allocate_on(limiter, on_fewer, np.minimum(fewer_phases, on_fewer), order, wanted_A)
    return found._replace(dropped=found.dropped | moved)


def _rather_on_fewer(limiter: Limiter, found: Allocation, fewer_phases: Floats, worth_W: float) -> Bools:
    """Who has nothing, or less power than on fewer phases of what others leave, shape (evses, slots)."""
    network, phases = found.network, found.phases
    may = found.served & limiter.demand.with_car & (fewer_phases < phases)
    if not exists(may):
        return may
    fewer = limiter.network(np.where(may, fewer_phases, phases), given_A=found.current_A)
    free = network.rows.above(np.minimum, network.capacity - network.load(found.current_A))
    with_own = free + network.coefficient * found.current_A
    possible_A = np.minimum(least(with_own / fewer.coefficient, fewer.concerns), fewer.ceiling_A)
    possible_W = possible_A * fewer_phases * limiter.nominal_voltage_V
    present_W = found.current_A * phases * limiter.nominal_voltage_V
    has_nothing = found.current_A <= TOLERANCE
    is_worth_it = possible_W * (1 - TOLERANCE) > present_W + worth_W
    return may & np.where(has_nothing, fewer.ceiling_A > TOLERANCE, is_worth_it)


def _allocate_on(
    limiter: Limiter, phases: Floats, fewer_phases: Floats, order: Order, wanted_A: Floats | None
) -> Allocation:
    """Serve minima in an order, then share the rest fairly, class by class."""
    demand = limiter.demand
    network = limiter.network(phases, with_surplus=False)
    may_drop = fewer_phases is not phases and exists(fewer_phases != phases)
    fits = demand.takes_part & network.allows(demand.minimum_A)
    most_A = np.where(fits, network.ceiling_A, 0.0)
    if not may_drop and limiter.sun is None and network.has_room_for(most_A):
        nobody = np.zeros(fits.shape, dtype=np.bool_)
        settled: list[Event] = [(fits, most_A / demand.weight)]
        return Allocation(network, phases, limiter.loaded(phases), nobody, fits, most_A, settled, most_A)
    fewer = limiter.network(fewer_phases, with_surplus=False) if may_drop else None
    nothing = np.zeros(demand.minimum_A.shape)
    admission = admit(network, nothing, demand.minimum_A, demand.with_car, order, fewer=fewer)
    if exists(admission.dropped):
        phases = np.where(admission.dropped, fewer_phases, phases)
        network = limiter.network(phases, with_surplus=False)
    served = admission.served
    events: list[Event] = []
    current_A = np.where(served, demand.minimum_A, 0.0)
    if limiter.sun is not None:
        network = limiter.network(phases, given_A=current_A)
    if wanted_A is not None and np.isfinite(wanted_A).any():
        current_A = share(network.capped(wanted_A), demand, served, current_A, events)
    current_A = share(network, demand, served, current_A, events)
    left = demand.without_car
    if exists(left):
        leftover = admit(network, current_A, demand.minimum_A, left, order)
        floor_A = np.where(leftover.served, demand.minimum_A, current_A)
        current_A = share(network, demand, leftover.served, floor_A, events)
        served = served | leftover.served
    loaded = limiter.loaded(phases)
    return Allocation(
        network, phases, loaded, admission.dropped, served, current_A, events, target_A=current_A
    )


def share(
    network: Network, demand: Demand, sharing: Bools, floor_A: Floats, events: list[Event] | None = None
) -> Floats:
    """Fill class by class, each from where the ones before it have left off."""
    if not network.has_opposing:
        return _fill_classes(network, demand, sharing, floor_A, events)
    found: list[Event] = []
    current_A = _fill_classes(unopposed(network), demand, sharing, floor_A, found)
    unbalanced = np.logical_or.reduce(network.load(current_A) > network.full_at, axis=(0, 1))
    if exists(unbalanced):
        balanced_A = balance(network, demand, sharing, floor_A, unbalanced)
        current_A = np.where(unbalanced, balanced_A, current_A)
        found = [(settled > unbalanced, level) for settled, level in found]
        found.append((sharing & unbalanced, current_A / demand.weight))
    if events is not None:
        events += found
    return current_A


def _fill_classes(
    network: Network, demand: Demand, sharing: Bools, floor_A: Floats, events: list[Event] | None
) -> Floats:
    current_A = floor_A
    for members in demand.classes:
        taking = sharing & members
        if exists(taking):
            current_A = fill(network, demand.weight, current_A, network.ceiling_A, taking, events=events)
    return current_A

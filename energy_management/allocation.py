"""From demand and limits to the current of every EVSE."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from energy_management.admission import Order, admit
from energy_management.constraints import TOLERANCE, Network
from energy_management.coverage import Bools, Floats, exists
from energy_management.demand import Demand
from energy_management.filling import Event, fill
from energy_management.limits import Limiter
from energy_management.waits import NO_WAITS, Waits

_ROUNDS = 50


@dataclass(frozen=True)
class Allocation:
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
    held : dict of int to str
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
    held: dict[int, str] = field(default_factory=dict)
    waits: Waits = NO_WAITS


def allocate(
    limiter: Limiter, phases: Floats, fewer_phases: Floats, order: Order, wanted_A: Floats | None = None
) -> Allocation:
    """Serve minima in an order, then share the rest fairly, class by class.

    Parameters
    ----------
    phases, fewer_phases : ndarray of float, shape (evses, slots)
        On how many phases each EVSE charges, and on how many it would rather than wait.
    order : callable
        In which EVSEs are admitted, if it matters.
    wanted_A : ndarray of float, shape (evses, slots), optional
        What each makes use of. More it gets only of what nobody else wants.
    """
    demand = limiter.demand
    network = limiter.network(phases, with_surplus=False)
    may_drop = fewer_phases is not phases and exists(fewer_phases != phases)
    fits = demand.takes_part & network.allows(demand.minimum_A)
    most_A = np.where(fits, network.ceiling_A, 0.0)
    if not may_drop and limiter.sun is None and network.has_room_for(most_A):
        nobody = np.zeros(fits.shape, dtype=np.bool_)
        events: list[Event] = [(fits, most_A / demand.weight)]
        return Allocation(network, phases, limiter.loaded(phases), nobody, fits, most_A, events, most_A)
    fewer = limiter.network(fewer_phases, with_surplus=False) if may_drop else None
    nothing = np.zeros(demand.minimum_A.shape)
    admission = admit(network, nothing, demand.minimum_A, demand.with_car, order, fewer=fewer)
    if exists(admission.dropped):
        phases = np.where(admission.dropped, fewer_phases, phases)
        network = limiter.network(phases, with_surplus=False)
    served = admission.served
    events = []
    current_A = np.where(served, demand.minimum_A, 0.0)
    if limiter.sun is not None:
        network = limiter.network(phases, given_A=current_A)
    if wanted_A is not None and np.isfinite(wanted_A).any():
        current_A = share(network.capped(wanted_A), demand, served, current_A, events)
    current_A = share(network, demand, served, current_A, events)
    if exists(demand.without_car):
        leftover = admit(network, current_A, demand.minimum_A, demand.without_car, order)
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
    """Fill class by class, each from where the ones before it have left off.

    Where phases must be balanced, what one class takes can make room on another phase: then once more.
    """
    current_A = floor_A
    for _ in range(_ROUNDS):
        before_A = current_A
        for members in demand.classes:
            taking = sharing & members
            if exists(taking):
                current_A = fill(network, demand.weight, current_A, network.ceiling_A, taking, events=events)
        if not network.has_opposing or np.allclose(current_A, before_A, rtol=TOLERANCE, atol=TOLERANCE):
            break
    return current_A

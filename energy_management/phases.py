"""On how many phases each EVSE charges, and when it is switched."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from energy_management.allocation import share
from energy_management.config import ManagerConfig
from energy_management.constraints import Network
from energy_management.coverage import Floats, exists
from energy_management.demand import Demand
from energy_management.limits import Limiter
from energy_management.state import EvseState

NEVER, ONEWAY, BOTH = "Never", "Oneway", "Both"
HOUR_S = 3600.0


class Choice(NamedTuple):
    """Between which numbers of phases EVSEs may change; arrays over (EVSE, slot).

    Attributes
    ----------
    present, low, high : ndarray of float
        As it is, on the fewest and on the most phases. Where an EVSE may not change, all three are the same.
    """

    present: Floats
    low: Floats
    high: Floats

    @property
    def exists(self) -> bool:
        """Whether any EVSE could change."""
        return exists(self.low != self.high)


def choices(demand: Demand, mode: str) -> Choice:
    """Find what the hardware, the limits on phases and the mode leave to choose."""
    present = demand.present_phases
    if mode == NEVER:
        return Choice(present, present, present)
    free = demand.can_switch & demand.has_car[:, None]
    free[:, demand.slots :] = False
    low = np.where(free & (demand.fewest_phases < present), demand.fewest_phases, present)
    high = np.where(free & (mode == BOTH), np.maximum(demand.most_phases, present), present)
    return Choice(present, low, high)


def power_on_most_phases(network: Network, choice: Choice, share_A: Floats, voltage_V: float) -> Floats:
    """Power [W] that an EVSE could have on most phases: its fair share and what others leave.

    Parameters
    ----------
    network : Network
        The constraints when all that may switch are on most phases.
    share_A : ndarray, shape (evses, slots)
        The fair shares then, without regard to minimum currents.
    """
    watts = network.powers
    if not watts:
        return np.full_like(share_A, np.inf)
    coefficient = network.coefficient[watts]
    free = np.maximum(network.capacity[watts] - network.load(share_A)[watts], 0.0)
    more_A = np.where(coefficient > 0, network.rows.above(np.minimum, free) / coefficient, np.inf)
    alone_A = np.where(coefficient > 0, network.alone[watts] / coefficient, np.inf)
    offered_A: Floats = np.minimum(share_A + more_A.min(axis=0), alone_A.min(axis=0))
    return offered_A * choice.high * voltage_V


def choose(choice: Choice, demand: Demand, power_W: Floats, config: ManagerConfig) -> Floats:
    """Choose the best number of phases for a power, without regard to what was before this run.

    Fewer where power is short of the minimum on most phases, more where it exceeds that by the hysteresis,
    and else as it is.
    """
    needed_W = demand.minimum_A * choice.high * config.nominal_ac_voltage
    best = np.where(power_W > needed_W + config.switch_3ph1ph_power_hysteresis_W, choice.high, choice.present)
    return np.where(power_W < needed_W, choice.low, best)


class Switching:
    """Applies the limits on switching that depend on the past, in the slot that is active now.

    It counts switches of a session when they have happened, and measures how long three phases would have
    been possible.
    """

    def __init__(self, config: ManagerConfig, monotonic_s: float) -> None:
        self._config = config
        self._now_s = monotonic_s

    def observe(self, state: EvseState, present: int | None) -> None:
        """Take note of the phases that an EVSE reports; None when its session is over."""
        if state.switched_at:
            state.switched_at = [at_s for at_s in state.switched_at if at_s > self._now_s - HOUR_S]
        if present is None:
            state.active_phases, state.switches, state.one_phase_best_at = None, 0, None
            return
        if state.active_phases is None:
            state.active_phases = present
        elif state.active_phases != present:
            state.active_phases = present
            state.switches += 1
            state.switched_at.append(self._now_s)

    def is_used_up(self, state: EvseState) -> bool:
        """Whether all switches that a session may have are done."""
        allowed = self._config.switch_3ph1ph_max_nr_of_switches_per_session
        return 0 < allowed <= state.switches

    def sticky(self, present: int, low: int, high: int) -> int:
        """Choose the number of phases once no more switches are allowed."""
        wanted = self._config.switch_3ph1ph_switch_limit_stickyness
        return {"SinglePhase": low, "ThreePhase": high}.get(wanted, present)

    def settle(self, state: EvseState, best: int, present: int, low: int) -> int:
        """Down at once, up only when that has been best for long enough."""
        if self.is_short(best, present, low):
            state.one_phase_best_at = self._now_s
        elif best > present and self._now_s < self.may_rise_at(state):
            return present
        return best

    def is_short(self, best: int, present: int, low: int) -> bool:
        """Whether power is too little for more phases."""
        return best < present or best == low == present

    def wait_for_sun(
        self, state: EvseState, best: int, wanted: int, present: int, *, patience_s: float, most_per_hour: int
    ) -> int:
        """Stay on the present phases until the surplus has been short for them for a while.

        Neither are they changed more often than an hour may see. Limits other than the surplus do not wait: a
        minimum that does not fit is given on fewer phases by the admission.

        Parameters
        ----------
        best : int
            What is best by now.
        wanted : int
            What the surplus of this moment is for.
        """
        if wanted >= present:
            state.patient_until = None
        elif state.patient_until is None or not patience_s:
            state.patient_until = self._now_s + patience_s
        if best < present and state.patient_until is not None and self._now_s < state.patient_until:
            return present
        needed = 2 if best > present else 1  # going up needs one for the way back
        return present if best != present and self._left_in_hour(state, most_per_hour) < needed else best

    def fewest(self, state: EvseState, present: int, low: int, high: int, most_per_hour: int) -> int:
        """Find the fewest phases that it can go to."""
        if self.is_used_up(state):
            return self.sticky(present, low, high)
        return low if self._left_in_hour(state, most_per_hour) >= 1 else present

    def _left_in_hour(self, state: EvseState, most_per_hour: int) -> float:
        recent = [at_s for at_s in state.switched_at if at_s > self._now_s - HOUR_S]
        return most_per_hour - len(recent) if most_per_hour else np.inf

    def may_rise_at(self, state: EvseState) -> float:
        """From when on more phases will have been possible for long enough."""
        since = state.one_phase_best_at
        return -np.inf if since is None else since + self._config.switch_3ph1ph_time_hysteresis_s


class Decision(NamedTuple):
    """Numbers of phases of all EVSEs.

    Attributes
    ----------
    phases, fewer : ndarray of float, shape (evses, slots)
        On how many phases each is to charge, and on how many it would rather than wait for its minimum.
    may_change_at : float
        When time alone can change it [s of the monotonic clock].
    short : list of EvseState
        Those for which fewer phases are best.
    """

    phases: Floats
    fewer: Floats
    may_change_at: float
    short: list[EvseState]


def decide(
    limiter: Limiter, states: Sequence[EvseState], active: int, config: ManagerConfig, monotonic_s: float
) -> Decision:
    """Decide on how many phases each EVSE charges, from its fair share of power and from what was before."""
    demand = limiter.demand
    switching = Switching(config, monotonic_s)
    reported = limiter.limits.phases.reported[:, active].tolist()
    for state, is_over, phases in zip(states, _sessions_over(limiter), reported, strict=True):
        switching.observe(state, None if is_over else int(phases))
    choice = choices(demand, config.switch_3ph1ph_while_charging_mode)
    if choice.low is choice.high or not choice.exists:
        return Decision(choice.present, choice.present, np.inf, [])
    network = limiter.network(choice.high)
    share_A = share(network, demand, demand.with_car, np.zeros_like(demand.minimum_A))
    power_W = power_on_most_phases(network, choice, share_A, config.nominal_ac_voltage)
    best = choose(choice, demand, power_W, config)
    fewer = choice.low.copy()
    may_change_at = np.inf
    short = []
    for evse in np.flatnonzero((choice.low != choice.high).any(axis=1)).tolist():
        now_on, low, high = (int(each[evse, active]) for each in (choice.present, choice.low, choice.high))
        if switching.is_used_up(states[evse]):
            best[evse] = switching.sticky(now_on, low, high)
            fewer[evse] = best[evse]
            continue
        wanted = int(best[evse, active])
        if switching.is_short(wanted, now_on, low):
            short.append(states[evse])
        settled = switching.settle(states[evse], wanted, now_on, low)
        if limiter.sun is not None and evse in limiter.sun.patience_s:
            settled = switching.wait_for_sun(
                states[evse],
                settled,
                wanted,
                now_on,
                patience_s=limiter.sun.patience_s[evse],
                most_per_hour=limiter.sun.max_switches_per_hour,
            )
            fewer[evse, active] = switching.fewest(
                states[evse], now_on, low, high, limiter.sun.max_switches_per_hour
            )
        best[evse, active] = settled
        if best[evse, active] != wanted:
            may_change_at = min(may_change_at, switching.may_rise_at(states[evse]))
    return Decision(best, np.minimum(fewer, best), may_change_at, short)


def _sessions_over(limiter: Limiter) -> list[bool]:
    """Tell whose session is over, as EVerest has it: without a car, or finished.

    EVerest calls an EVSE finished, too, while it stops because it has been given nothing. That says nothing
    of those that the sun stops and starts.
    """
    tree, sun = limiter.tree, limiter.sun
    over: list[bool] = (~limiter.demand.has_car).tolist()
    if sun is not None:
        for evse in sun.patience_s:
            over[evse] &= tree.nodes[int(tree.evses[evse])].get("evse_state") != "Finished"
    return over

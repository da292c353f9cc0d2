"""Decides who charges from the surplus: mode by mode, and in mode `pv` with thresholds and delays.

How the surplus is shared is no business of this module: it is one more limit for the filling that shares all
others. Minimum currents are given before, to those in mode `minpv` always, and in mode `pv` while the sun is
enough, in the order of their priority and their turns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from energy_management.config import ManagerConfig
from energy_management.demand import IDLE, WANTS
from energy_management.limits import Limiter
from energy_management.load import PLAIN
from energy_management.measurement import Reading
from energy_management.memory import CHARGING
from energy_management.modes import FROM_SURPLUS, Mode, Thresholds
from energy_management.phases import Switching, choices
from energy_management.state import EvseState, ManagerState
from energy_management.sunlight import Sunlight

_IN_TURN, _IN_QUEUE, _TURN_OVER = 0, 1, 2


def shine(
    limiter: Limiter,
    state: ManagerState,
    readings: Mapping[str, Reading],
    config: ManagerConfig,
    *,
    slot: int,
    monotonic_s: float,
) -> Sunlight | None:
    """Decide what the modes of EVSEs and the sun change about limits; None if all of them charge as ever.

    Parameters
    ----------
    limiter : Limiter
        All other limits.
    state : ManagerState
        What is remembered of EVSEs and meters; the readings of this run have been taken.
    slot : int
        The one that is active now.
    """
    modes = limiter.attributes.modes
    if limiter.attributes.only_now:
        return None
    states = [state.evses[uuid] for uuid in limiter.tree.evse_uuids]
    solar = _Solar(limiter, config, states, modes, slot, monotonic_s)
    return solar.sunlight(_surplus_W(limiter, state, readings, solar.from_surplus, monotonic_s))


def _surplus_W(
    limiter: Limiter,
    state: ManagerState,
    readings: Mapping[str, Reading],
    evses: Sequence[int],
    monotonic_s: float,
) -> float | None:
    """Return the surplus by the meter of the root; None without one that is believed."""
    tree, voltage_V = limiter.tree, limiter.nominal_voltage_V
    nodes = [int(tree.evses[evse]) for evse in evses]
    state.surplus.observe(
        [(tree.uuids[node], tree.nodes[node].get("evse_state", CHARGING)) for node in nodes],
        readings,
        monotonic_s=monotonic_s,
        voltage_V=voltage_V,
    )
    grid = state.memory.nodes.get(tree.uuids[0])
    if grid is None or limiter.meters is None or not limiter.meters.metered[0]:
        return None
    attributes = limiter.attributes.site.nodes.get(tree.uuids[0], PLAIN)
    phases = 1 if (limiter.limits.phases.most_at_root == 1).any() else 3
    state.surplus.take(grid.trust, phases, voltage_V)
    surplus_W = state.surplus.surplus_W(monotonic_s, falls_after_s=attributes.base_load_falls_after_s)
    believed = [
        phase.is_believed(monotonic_s, attributes.stale_after_s) for phase in grid.trust.phases[:phases]
    ]
    return surplus_W if all(believed) else None


@dataclass(frozen=True)
class _Solar:
    """One run's view of modes; EVSEs by their position.

    Attributes
    ----------
    limiter : Limiter
    config : ManagerConfig
    states : sequence of EvseState
    modes : sequence of Mode
    slot : int
    monotonic_s : float
    """

    limiter: Limiter
    config: ManagerConfig
    states: Sequence[EvseState]
    modes: Sequence[Mode]
    slot: int
    monotonic_s: float

    @cached_property
    def from_surplus(self) -> list[int]:
        """Who charges from surplus."""
        exporting = self.limiter.demand.exporting[:, self.slot]
        return [evse for evse, mode in enumerate(self.modes) if mode in FROM_SURPLUS and not exporting[evse]]

    def sunlight(self, surplus_W: float | None) -> Sunlight:
        """Decide what they change, given the surplus; None is not known."""
        demand, count = self.limiter.demand, len(self.modes)
        self._forget()
        left_W = self._follow(surplus_W or 0.0)
        shares, most_A = np.zeros((count, 1), dtype=np.bool_), np.full((count, 1), np.inf)
        shares[self.from_surplus] = True
        held, texts, patience_s = {}, {}, {}
        for evse, mode in enumerate(self.modes):
            if mode == "off":
                most_A[evse], held[evse], texts[evse] = 0.0, "mode off", "mode off"
        for evse, left in left_W.items():
            charges = self.modes[evse] == "minpv" or self.states[evse].is_on
            wants = bool(demand.urgency[evse] == WANTS)
            patience_s[evse] = self._thresholds(evse).disable_after_s if charges and wants else 0.0
            if not charges:
                most_A[evse], held[evse] = 0.0, "waits for sun"
            elif not wants:
                most_A[evse] = demand.minimum_A[evse, self.slot]
            if self.modes[evse] == "pv" and (text := self._text(evse, None if surplus_W is None else left)):
                texts[evse] = text
        most_per_hour = self.limiter.attributes.site.solar.max_switches_per_hour
        draws = shares & (demand.urgency == WANTS)[:, None]
        sun_W = float(int(surplus_W or 0.0))
        return Sunlight(sun_W, shares, draws, most_A, held, texts, patience_s, most_per_hour)

    def _forget(self) -> None:
        """Let all begin anew that do not charge from surplus, or have no car."""
        for evse, state in enumerate(self.states):
            if evse not in self.from_surplus or self.limiter.demand.urgency[evse] == IDLE:
                state.is_on, state.on_off_since, state.differs_since = False, None, None
            elif state.on_off_since is None:
                state.on_off_since = self.monotonic_s

    def _follow(self, surplus_W: float) -> dict[int, float]:
        """Let the sun begin and end charging, one EVSE after the other.

        Returns what those before each leave to it.
        """
        left_W: dict[int, float] = {}
        has_begun = False
        for evse in sorted(self.from_surplus, key=self._rank):
            left_W[evse] = surplus_W
            state, urgency = self.states[evse], self.limiter.demand.urgency[evse]
            if self.modes[evse] == "minpv":
                state.is_on = surplus_W >= self._need_W[evse]
            elif urgency != IDLE:
                has_begun |= self._switch(evse, surplus_W, makes_way=has_begun)
            if urgency == WANTS and (state.is_on or self.modes[evse] == "minpv"):
                surplus_W -= self._need_W[evse]
        return left_W

    def _rank(self, evse: int) -> tuple[int, bool, int, int, float]:
        """Order: minima that are always given, then by priority and turn; who is to draw before who may."""
        demand, state = self.limiter.demand, self.states[evse]
        since = self.monotonic_s if state.on_off_since is None else state.on_off_since
        is_over = self.monotonic_s - since >= self.config.rotation_interval_s
        turn = (_TURN_OVER if is_over else _IN_TURN) if state.is_on else _IN_QUEUE
        return (
            int(demand.urgency[evse]),
            self.modes[evse] != "minpv",
            -int(demand.priority[evse]),
            turn,
            since,
        )

    def _switch(self, evse: int, left_W: float, *, makes_way: bool) -> bool:
        """Begin or end charging if the sun has been for it for long enough; tell whether it has begun.

        Parameters
        ----------
        makes_way : bool
            One before it has just begun: what it takes is no cloud, to be waited for.
        """
        state, thresholds = self.states[evse], self._thresholds(evse)
        if state.is_on:
            differs = left_W < self._need_W[evse] - thresholds.from_grid_W
            after_s = 0.0 if makes_way else thresholds.disable_after_s
        else:
            differs = left_W >= self._enable_W(evse)
            after_s = thresholds.enable_after_s
        if not differs:
            state.differs_since = None
            return False
        if state.differs_since is None:
            state.differs_since = self.monotonic_s
        if self.monotonic_s - state.differs_since < after_s:
            return False
        state.is_on, state.on_off_since, state.differs_since = not state.is_on, self.monotonic_s, None
        return state.is_on

    @cached_property
    def _need_W(self) -> list[float]:
        """Power of the minimum current of each on the fewest phases that it can go to."""
        demand, slot = self.limiter.demand, self.slot
        choice = choices(demand, self.config.switch_3ph1ph_while_charging_mode)
        switching = Switching(self.config, self.monotonic_s)
        most_per_hour = self.limiter.attributes.site.solar.max_switches_per_hour
        numbers = [each[:, slot].astype(int).tolist() for each in (choice.present, choice.low, choice.high)]
        phases = np.array(
            [
                switching.fewest(state, present, low, high, most_per_hour)
                for state, present, low, high in zip(self.states, *numbers, strict=True)
            ],
            dtype=np.float64,
        )
        watts = self.limiter.watts_per_ampere(self.limiter.drawn_on(phases[:, None]))
        need_W = watts[:, 0] * demand.minimum_A[:, slot]
        return [float(watts) for watts in need_W]

    def _thresholds(self, evse: int) -> Thresholds:
        return self.limiter.attributes.site.solar.of(self.limiter.tree.evse_uuids[evse])

    def _enable_W(self, evse: int) -> float:
        return max(self._thresholds(evse).enable_W, self._need_W[evse])

    def _text(self, evse: int, left_W: float | None) -> str:
        """Say what an EVSE in mode `pv` waits for; empty if it charges and will."""
        state, thresholds = self.states[evse], self._thresholds(evse)
        after_s = thresholds.disable_after_s if state.is_on else thresholds.enable_after_s
        sun = "no surplus known" if left_W is None else f"{_rounded(left_W):g} W surplus"
        since = state.differs_since
        remaining = "" if since is None else f"in {_in_tens(since + after_s - self.monotonic_s):g} s"
        if not state.is_on:
            begin = remaining or f"at {self._enable_W(evse):g} W for {after_s:g} s"
            return f"waits for sun: {sun}, starts {begin}"
        return f"{sun}, stops {remaining} without more" if remaining else ""


def _rounded(power_W: float) -> float:
    """Round down to what people care for, and what does not change all the time."""
    return power_W // 50 * 50


def _in_tens(seconds: float) -> float:
    return -(-seconds // 10) * 10

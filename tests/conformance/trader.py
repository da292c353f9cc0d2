"""An optimizer that trades in slices and makes EVerest's known mistakes on purpose, each if it is told to.

It explains recorded answers: where one differs from ours, a set of mistakes explains it if the trader,
making exactly these, gives the recorded answer, without any one of them does not, and without all gives ours.

How it trades: in rounds, each EVSE in turn takes its minimum first, all or nothing, then one slice a round,
as long as every node up to the root has room. Who gets a turn when not all minima fit, and on how many phases
an EVSE charges, it takes from our answer, unless it is told to decide that by a mistake.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tests.conformance.trade import Account, Trade, Traded
from tests.energy_management.problem import (
    DEFAULTS,
    DIRECTIONS,
    IDLE,
    WAITS,
    WANTS,
    Direction,
    Json,
    Setpoint,
    entry_at,
    evse_paths,
    frequency_Hz,
    read_slot,
    setpoint_of,
)

ROUNDS = 100
FINE = 4  # how much finer than a slice an exact trader trades in the end
SIDES = ("limits_to_root", "limits_to_leaves")
MISTAKES = (
    "rounds",
    "from_minimum",
    "first_come",
    "states",
    "flip",
    "netting",
    "export_phases",
    "export_efficiency",
    "never",
    "capability",
    "up_without_watts",
    "phases_by_order",
    "forced_down",
    "switches_counted",
    "active_slot",
    "phase_limits",
    "frequency",
    "priority",
)


@dataclass
class Memory:
    """What is remembered of one EVSE between runs."""

    one_phase_at: datetime | None = None  # when one phase was the best choice the last time
    switches: int = 0
    active: int | None = None


class Trader:
    """Optimizes the steps of a case one after the other."""

    def __init__(self, config: Mapping[str, Any], mistakes: Set[str]) -> None:
        self.settings = {
            **DEFAULTS,
            "switch_3ph1ph_switch_limit_stickyness": "DontChange",
            "switch_3ph1ph_power_hysteresis_W": 200,
            "switch_3ph1ph_time_hysteresis_s": 600,
            **config,
        }
        self.mistakes = mistakes
        self.voltage = float(self.settings["nominal_ac_voltage"])
        self.mode = self.settings["switch_3ph1ph_while_charging_mode"]
        self.memory: dict[str, Memory] = {}
        self.step_A = self.settings["slice_ampere"] / FINE

    def optimize(
        self, request: Json, now: datetime, times: Sequence[datetime], ours: Sequence[Mapping[str, Traded]]
    ) -> list[dict[str, Traded]]:
        """One run: for each slot what each EVSE gets; `ours` is what we give it in that slot."""
        active = max((k for k, time in enumerate(times) if time <= now), default=0)
        if "active_slot" in self.mistakes and now in times:
            active = 0
        return [
            self._slot(request, time, now, given, is_active=k == active)
            for k, (time, given) in enumerate(zip(times, ours, strict=True))
        ]

    def _slot(
        self, request: Json, time: datetime, now: datetime, ours: Mapping[str, Traded], *, is_active: bool
    ) -> dict[str, Traded]:
        opened = trades = self._open(request, time, ours)
        for trade in trades:
            if trade.no_session:  # three phases need not be waited for then
                wait = timedelta(seconds=self.settings["switch_3ph1ph_time_hysteresis_s"])
                self.memory[trade.uuid] = Memory(one_phase_at=now - wait)
            self.memory.setdefault(trade.uuid, Memory())
        if "states" not in self.mistakes:  # whether leftovers go to EVSEs without a car is for us to say
            trades = [trade for trade in trades if trade.urgency != IDLE or trade.ours.amps]
        classes = [(WANTS, WAITS, IDLE)] if "states" in self.mistakes else [(WANTS,), (WAITS,), (IDLE,)]
        if "first_come" not in self.mistakes:  # minima before anything else
            for trade in trades:
                if trade.urgency != IDLE and trade.minimum[trade.asked]:
                    self._trade(trade, now, is_active=is_active)
        for buyers in classes:
            while self._round(trades, buyers, now, is_active=is_active):
                pass
        sign = {"import": 1, "export": -1, None: 0}
        return {
            t.uuid: Traded(
                sign[t.direction] * t.amps,
                sign[t.direction] * t.watts,
                t.phases,
                has_amps=any(t.limited("A", direction) for direction in DIRECTIONS),
            )
            for t in opened
        }

    def _round(self, trades: list[Trade], buyers: tuple[int, ...], now: datetime, *, is_active: bool) -> bool:
        happened = False
        rising = [trade for trade in trades if trade.urgency in buyers and trade.rises and not trade.full]
        lowest = min((self._level(trade) for trade in rising), default=math.inf) + 1e-9
        if "from_minimum" not in self.mistakes:
            self.step_A = self._next_step(trades, rising, lowest)
        for trade in trades:
            if trade.urgency not in buyers and (trade.rises or trade.urgency == IDLE or WANTS not in buyers):
                continue
            if "from_minimum" not in self.mistakes and trade.rises and self._level(trade) > lowest:
                continue
            if "rounds" in self.mistakes and trade.slices >= ROUNDS:
                trade.full = True
                continue
            bought = self._trade(trade, now, is_active=is_active)
            was_full, trade.full = trade.full, trade.rises and not bought
            happened |= bought or (trade.full and not was_full)  # then those above the lowest have their turn
        return happened

    def _next_step(self, trades: Sequence[Trade], rising: Sequence[Trade], lowest: float) -> float:
        """How far all of the lowest can rise at once without taking from anyone: far at first, then a bit."""
        users = Counter(id(account) for trade in trades if not trade.full for account in trade.accounts)
        front = [trade for trade in rising if self._level(trade) <= lowest]
        gap = min((self._level(trade) - lowest for trade in rising if trade not in front), default=math.inf)
        steps = [gap, *(trade.fair_step_A(users, self.voltage, net=self._net()) for trade in front)]
        if "rounds" in self.mistakes:
            steps += [(ROUNDS - trade.slices) * self.settings["slice_ampere"] for trade in front]
        step = min(steps)
        finest: float = self.settings["slice_ampere"] / FINE
        return max(step, finest) if math.isfinite(step) else finest

    def _level(self, trade: Trade) -> float:
        return trade.amps or trade.watts / (3 * self.voltage)

    def _net(self) -> bool:
        return "netting" in self.mistakes

    def _trade(self, trade: Trade, now: datetime, *, is_active: bool) -> bool:
        if trade.direction is None:
            trade.direction = self._direction(trade)
        if trade.direction is None:
            return False
        step_A, step_W = self.settings["slice_ampere"], self.settings["slice_watt"]
        if "from_minimum" not in self.mistakes:
            step_A, step_W = self.step_A, self.step_A * 3 * self.voltage
        if not trade.limited("A", trade.direction):
            return self._buy_watts(trade, step_W)
        minimum = trade.minimum[trade.direction]
        if trade.direction == "export":
            count = 3 if "export_phases" in self.mistakes else min(trade.active, trade.max_phases)
            amps = step_A if trade.started or not minimum else minimum
            return self._buy_amps(trade, amps, count, less=trade.started or not minimum)
        if trade.started or not minimum:
            count = trade.phases or (trade.active if "phase_limits" in self.mistakes else trade.our_phases)
            return self._buy_amps(trade, step_A, count, less=True)
        return self._is_admitted(trade) and self._buy_minimum(trade, minimum, now, is_active=is_active)

    def _is_admitted(self, trade: Trade) -> bool:
        if "first_come" in self.mistakes or (trade.urgency == IDLE and "states" in self.mistakes):
            return True
        return trade.ours.amps > 0

    def _buy_minimum(self, trade: Trade, minimum: float, now: datetime, *, is_active: bool) -> bool:
        count = self._phases(trade, minimum, now, is_active=is_active)
        if self._buy_amps(trade, minimum, count, less=False):
            return True
        may_retry = "phases_by_order" in self.mistakes and self.mode != "Never"
        able = "capability" in self.mistakes or (trade.can_switch and trade.min_phases <= 1)
        return (
            may_retry and able and not self._worn_out(trade) and self._buy_amps(trade, minimum, 1, less=False)
        )

    def _direction(self, trade: Trade) -> Direction | None:
        if "flip" not in self.mistakes:
            return trade.asked
        for direction in DIRECTIONS:
            if all(trade.room(kind, direction, net=self._net()) != 0 for kind in "AW"):
                return direction
        return None

    def _buy_watts(self, trade: Trade, watts: float) -> bool:
        assert trade.direction is not None
        room = trade.room("W", trade.direction, net=self._net())
        if not math.isfinite(room) or room <= 1e-9:
            return False
        trade.buy(0.0, min(watts, room), trade.phases, slices=watts / self.settings["slice_watt"])
        return True

    def _buy_amps(self, trade: Trade, amps: float, count: int, *, less: bool) -> bool:
        assert trade.direction is not None
        per_amp = count * self.voltage
        room = min(
            trade.room("A", trade.direction, net=self._net()),
            trade.room("W", trade.direction, net=self._net()) / per_amp,
        )
        if room <= 1e-6 or (room < amps - 1e-5 and not less):
            return False
        asked, amps = amps, min(amps, room)
        watts = amps * per_amp if trade.limited("W", trade.direction) else 0.0
        slices = asked / self.settings["slice_ampere"] if trade.started else 1.0
        trade.buy(amps, watts, count, slices=slices)
        return True

    def _worn_out(self, trade: Trade) -> bool:
        most = self.settings["switch_3ph1ph_max_nr_of_switches_per_session"]
        return bool(0 < most <= self.memory[trade.uuid].switches)

    def _phases(self, trade: Trade, minimum: float, now: datetime, *, is_active: bool) -> int:
        """On how many phases an EVSE starts to buy import; EVerest counts a switch once that is decided."""
        memory = self.memory[trade.uuid]
        switched = memory.active not in {None, trade.active}
        memory.active = trade.active
        late = "switches_counted" in self.mistakes
        memory.switches += switched and not late
        count = self._wanted_phases(trade, minimum, now, is_active=is_active)
        memory.switches += switched and late
        return count

    def _wanted_phases(self, trade: Trade, minimum: float, now: datetime, *, is_active: bool) -> int:
        up, down = trade.max_phases, trade.min_phases
        if self.mode == "Never":
            return up if "never" in self.mistakes else trade.our_phases
        if "capability" not in self.mistakes and not trade.can_switch:
            return trade.our_phases
        if not trade.limited("W", "import"):
            return up if "up_without_watts" in self.mistakes else trade.our_phases
        if "phases_by_order" not in self.mistakes:
            return trade.our_phases
        room_W = trade.room("W", "import", net=self._net())
        needed_W = minimum * up * self.voltage
        if room_W < needed_W:
            count = down
        elif self.mode == "Both" and room_W > needed_W + self.settings["switch_3ph1ph_power_hysteresis_W"]:
            count = up
        else:
            count = trade.active
        if self._worn_out(trade):
            sticky = self.settings["switch_3ph1ph_switch_limit_stickyness"]
            count = {"SinglePhase": down, "ThreePhase": up}.get(sticky, trade.active)
        return self._delayed(trade, count, now) if is_active else count

    def _delayed(self, trade: Trade, count: int, now: datetime) -> int:
        """The time hysteresis: three phases only after they have been the best choice for a while."""
        memory = self.memory[trade.uuid]
        wait_s = self.settings["switch_3ph1ph_time_hysteresis_s"]
        if memory.one_phase_at is None:
            memory.one_phase_at = now
        if count == trade.min_phases:
            memory.one_phase_at = now
        if wait_s > 0 and count == trade.max_phases:
            stable_s = (now - memory.one_phase_at).total_seconds()
            charging_on_them = trade.active == count and "forced_down" not in self.mistakes
            if stable_s < wait_s and not charging_on_them:
                return trade.min_phases
        return count

    def _open(self, request: Json, time: datetime, ours: Mapping[str, Traded]) -> list[Trade]:
        """All EVSEs with what limits them, before anyone has bought anything."""
        accounts: dict[int, Account] = {}
        slot = read_slot(request, time, self.settings, {})
        trades = []
        for path, evse in zip(evse_paths(request), slot.evses, strict=True):
            way = [accounts.setdefault(id(node), Account()) for node in path]
            capacity: dict[tuple[str, Direction], list[float]] = {}
            minimum: dict[Direction, float] = {}
            for direction in DIRECTIONS:
                limits = [self._capacity(path, depth, direction, time) for depth in range(len(path))]
                capacity["A", direction] = [amps for amps, _ in limits]
                capacity["W", direction] = [watts for _, watts in limits]
                minimum[direction] = max(
                    (v for node in path for v in _named(node, direction, time, "ac_min_current_A")),
                    default=0.0,
                )
            counts = [
                [v for node in path for v in _named(node, "import", time, name)]
                for name in ("ac_min_phase_count", "ac_max_phase_count")
            ]
            own = (entry_at(path[-1]["schedule_import"], time) or {}).get("limits_to_root", {})
            trades.append(
                Trade(
                    uuid=evse.uuid,
                    urgency=evse.urgency,
                    accounts=way,
                    capacity=capacity,
                    asked=evse.direction,
                    minimum=minimum,
                    active=own.get("ac_number_of_active_phases", 3),
                    min_phases=max(counts[0], default=3),
                    max_phases=min(counts[1], default=3),
                    can_switch=evse.can_switch,
                    ours=ours[evse.uuid],
                    no_session=path[-1].get("evse_state") in {"Unplugged", "Finished"},
                )
            )
        return trades

    def _capacity(
        self, path: tuple[Json, ...], depth: int, direction: Direction, time: datetime
    ) -> tuple[float, float]:
        """Amps and watts of one node, infinite where it names no limit."""
        node = path[depth]
        entry = entry_at(node[f"schedule_{direction}"], time)
        if entry is None:
            return 0.0, 0.0
        efficiency = entry.get("conversion_efficiency", 1.0)
        if direction == "export" and "export_efficiency" not in self.mistakes:
            efficiency = 1 / efficiency
        root, leaves = (
            {name: limit["value"] for name, limit in entry[side].items() if isinstance(limit, dict)}
            for side in SIDES
        )
        amps = min(side.get("ac_max_current_A", math.inf) for side in (root, leaves))
        watts = min(root.get("total_power_W", math.inf), leaves.get("total_power_W", math.inf) / efficiency)
        for setpoint in self._setpoints(path, depth, time):
            value = abs(setpoint.value) if (setpoint.value >= 0) == (direction == "import") else 0.0
            if setpoint.kind == "A":
                amps = min(amps, value)
            else:
                watts = min(watts, value)
        return amps, watts

    def _setpoints(self, path: tuple[Json, ...], depth: int, time: datetime) -> list[Setpoint]:
        """The setpoints of one node that limit the EVSE at the end of the path."""
        found = [self._setpoint(path[: end + 1], time) for end in range(len(path))]
        best = min((setpoint.priority for setpoint in found if setpoint is not None), default=0)
        return [
            setpoint
            for setpoint in found
            if setpoint is not None
            and setpoint.depth == depth
            and (setpoint.priority == best or "priority" in self.mistakes)
        ]

    def _setpoint(self, path: tuple[Json, ...], time: datetime) -> Setpoint | None:
        entry = entry_at(path[-1]["schedule_setpoints"], time)
        setpoint = (entry or {}).get("setpoint", {})
        frequency = frequency_Hz(path)
        if "frequency" in self.mistakes and "frequency_table" in setpoint and frequency is not None:
            value = _without_step(setpoint["frequency_table"], frequency)
            return Setpoint(len(path) - 1, setpoint["priority"], "W", value)
        return setpoint_of(path, time)


def _without_step(table: list[Json], frequency: float) -> float:
    """The frequency table as EVerest reads it: the rise to the next point counted per hertz."""
    if not table:
        return 0.0
    below = [point for point in table if point["frequency_Hz"] <= frequency]
    above = [point for point in table if point["frequency_Hz"] > frequency]
    low = below[-1] if below else table[0]
    high = above[0] if above else table[-1]
    rise = high["total_power_W"] - low["total_power_W"]
    return float(low["total_power_W"] + (frequency - low["frequency_Hz"] if below else 0.0) * rise)


def _named(node: Json, direction: Direction, time: datetime, name: str) -> list[Any]:
    entry = entry_at(node[f"schedule_{direction}"], time)
    return [] if entry is None else [entry[side][name]["value"] for side in SIDES if name in entry[side]]

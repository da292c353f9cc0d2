"""Runs a scenario on virtual time: the real decisions, the real bridge, simulated physics.

Where something moves, time goes in steps of a fifth of a second. When everything has been quiet for a while,
it leaps: physics goes on in longer steps, and the module sees no more of it than if nothing had changed. A
leap ends before the next event and before the next change of a load, and as soon as any current has drifted.
"""

import asyncio
import logging
import math
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from control.clock import Instant
from control.manager import Decision
from control.schedules import JsonObject
from control.store.history import SessionRow
from control.tree import limits_now, walk
from hil.scenario.agenda import Agenda
from hil.scenario.claims import ASSERTIONS, Look
from hil.scenario.clock import SiteClock, VirtualLoop
from hil.scenario.module import VirtualModule
from hil.scenario.outcome import Check, Move, Outcome
from hil.scenario.recording import LogEntry, Recorder, States, phase_names
from hil.scenario.scenario import VOLTAGE_V, Scenario
from hil.scenario.stage import Stage
from hil.scenario.words import WordsError
from hil.scenario.world import World

TICK_S = 0.2
CALM_TICK_S = 0.5
QUIET_S = 35.0
"""Longer than anything in the module that goes on unseen: its filters, and what it waits for."""
AFTER_EVENT_S = 75.0
"""The same after an event: watchdogs, and messages that are missed."""
LONGEST_LEAP_S = 60.0
METERED_LEAP_S = 12.0
"""Longest leap where other loads are estimated: what was measured before it must still count after it."""
LEAP_STEP_S = 5.0
SHORTEST_LEAP_S = 4.0
MOMENT_S = 8.0
"""The same after a change that does not matter much."""
CHANGE_A, MOVE_A = 0.05, 1.2
"""Smaller changes of a limit are none; larger ones, of limits and currents, matter."""
DRIFT_A = 0.4
"""Whoever leaps must not sleep through more."""
EXPLAIN_S = 15.0
_DECIMALS = re.compile(r"(\.\d)\d+")
_WAITING = ("turn", "wait")
"""Words of reasons that will not hold for long."""


def run(scenario: Scenario, seed: int | None = None) -> Outcome:
    """Run a scenario on virtual time, as fast as it goes.

    Parameters
    ----------
    scenario : Scenario
        What is to happen.
    seed : int, optional
        In place of the one that the scenario names.

    Returns
    -------
    Outcome
        What happened, and what became of the assertions.
    """
    loop = VirtualLoop()
    with tempfile.TemporaryDirectory(prefix="scenario-") as directory:
        clock = SiteClock(loop, scenario.start)
        running = Run(scenario, scenario.seed if seed is None else seed, clock, Path(directory))
        try:
            with log_of_bridge(running.module.log):
                loop.run_until_complete(running.conduct())
        finally:
            loop.close()
    return running.outcome()


@contextmanager
def log_of_bridge(handler: logging.Handler) -> Iterator[None]:
    """Have a handler take what the bridge logs in Python's way, and nobody else."""
    logger = logging.getLogger("bsp")
    before = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.level, logger.propagate = before


class Run:
    """One run.

    Parameters
    ----------
    scenario, seed
        What is to happen.
    clock : SiteClock
        Tells the time.
    directory : Path
        Where the module keeps its state.
    """

    def __init__(self, scenario: Scenario, seed: int, clock: SiteClock, directory: Path) -> None:
        self._began = time.perf_counter()
        self._scenario = scenario
        self._seed = seed
        self._clock = clock
        self._stage = self._new_stage(scenario, seed)
        self._log: list[LogEntry] = []
        self.module = self._new_module(scenario, directory / "state.db")
        self._world = World(scenario, self._stage, self.module, self._clock)
        self._agenda = Agenda(self._world)
        self._moves: list[Move] = []
        self._sessions: list[SessionRow] = []
        self._phases = {name: evse.point.phase_switches for name, evse in self._stage.evses.items()}
        self._under_load = dict.fromkeys(self._stage.evses, 0)
        self._states = {name: States() for name in self._stage.evses}
        self._reasons = {name: States() for name in self._stage.evses}
        self._decided: Instant | None = None
        self._decisions = 0
        self._explained: dict[str, tuple[str, float]] = {}
        self._grants_A = dict.fromkeys(self._stage.evses, 0.0)
        self._budgets_A = list(self._stage.fuses_A.values())
        self._recorder = self._new_recorder()
        self._has_delays = has_delays(scenario)
        self._quiet_since_s = self._eventful_until_s = self._awake_until_s = 0.0
        self._seen_A: list[float] = []
        self._leap_s = SHORTEST_LEAP_S

    def _new_stage(self, scenario: Scenario, seed: int) -> Stage:
        return Stage(scenario, seed, self._clock.loop_s)

    def _new_module(self, scenario: Scenario, state_file: Path) -> VirtualModule:
        return VirtualModule(scenario, self._stage, self._clock, self._note, state_file)

    async def conduct(self) -> None:
        """Let time pass from the start to the end."""
        self._do_what_is_due()
        self.module.start()
        lasts_s = self._scenario.lasts_s
        while (now_s := self._clock.now_s) < lasts_s - 1e-6:
            leap_s = self._possible_leap_s(now_s)
            if leap_s >= SHORTEST_LEAP_S:
                self._leap(leap_s)
                continue
            tick_s = TICK_S if not self._stage.is_settled else CALM_TICK_S
            tick_s = min(tick_s, self._agenda.next_s - now_s, lasts_s - now_s)
            await asyncio.sleep(max(tick_s, 1e-3))
            self._live(self._clock.now_s - now_s)
        await self._end()

    async def _end(self) -> None:
        """Stop the module, and keep what it has written down."""
        await self.module.end()
        self._sessions = self.module.sessions()

    def _live(self, seconds: float) -> None:
        """Bring everything to the present, after so much time."""
        self._stage.advance(seconds)
        self._do_what_is_due()
        self.module.publish()
        self.module.check()
        self._observe()

    def outcome(self) -> Outcome:
        """Put everything together, and judge it."""
        end_s = self._scenario.lasts_s
        for states in [*self._states.values(), *self._reasons.values()]:
            states.end(end_s)
        times, series = self._recorder.finish()
        stage = self._stage
        outcome = Outcome(
            name=self._scenario.name,
            title=self._scenario.title,
            about=self._scenario.about,
            seed=self._seed,
            start=self._scenario.start,
            lasts_s=end_s,
            times_s=times,
            series=series,
            fuses_A=dict(stage.fuses_A),
            evses=list(stage.evses),
            cars=list(stage.cars),
            states={name: states.spells for name, states in self._states.items()},
            events=self._agenda.events,
            log=self._log,
            reasons={name: states.spells for name, states in self._reasons.items()},
            moves=self._moves,
            sessions=self._sessions,
            opened_under_load={name: evse.point.opened_under_load for name, evse in stage.evses.items()},
            tripped_at_s=dict(stage.tripped_at_s),
            hottest={name: breaker.hottest for name, breaker in stage.breakers.items()},
            decisions=self._decisions,
            took_s=time.perf_counter() - self._began,
            shows=self._scenario.shows,
        )
        outcome.checks = judge(self._scenario, outcome)
        return outcome

    def _do_what_is_due(self) -> None:
        if self._agenda.do_what_is_due():
            self._eventful_until_s = self._clock.now_s + AFTER_EVENT_S

    # -- looking

    def _note(self, level: str, text: str) -> None:
        self._log.append(LogEntry(self._clock.script_s, level, text))
        self._quiet_since_s = self._clock.now_s

    def _new_recorder(self) -> Recorder:
        stage = self._stage
        watched = [
            *(name for node in stage.fuses_A for name in phase_names(f"node/{node}")),
            *(name for node in stage.fuses_A for name in phase_names(f"other/{node}")),
            *(name for evse in stage.evses for name in phase_names(f"draw/{evse}")),
            *(f"{what}/{evse}" for evse in stage.evses for what in ("grant", "offer", "phases", "wants")),
            *(f"budget/{node}" for node in stage.fuses_A),
        ]
        counted = [f"{what}/{car}" for car in stage.cars for what in ("energy", "soc")]
        return Recorder([*watched, *counted], len(watched))

    def _observe(self) -> None:
        """Note what is to be seen; and whether anything has changed."""
        now_s, stage = self._clock.script_s, self._stage
        self._take_decision(now_s)
        currents = [current for node in stage.fuses_A for current in stage.node_A[node]]
        values = [*currents, *(current for node in stage.fuses_A for current in stage.other_A[node])]
        for evse in stage.evses.values():
            values.extend(evse.grid_A)
        for name, evse in stage.evses.items():
            point = evse.point
            wants = float(point.car is not None and point.car.wants_energy)
            values += [self._grants_A[name], point.offer_A, float(point.phases if point.is_fed else 0), wants]
            self._states[name].note(now_s, evse.state)
            self._note_moves(now_s, name)
        values.extend(self._budgets_A)
        for car in stage.cars.values():
            values += [car.energy_Wh, car.soc]
        self._recorder.take(now_s, values)
        if self._has_drifted(currents, MOVE_A):
            self._stir(now_s, is_much=True)
            self._seen_A = currents
        elif not stage.is_settled:
            self._stir(now_s, is_much=False)

    def _stir(self, now_s: float, *, is_much: bool) -> None:
        """Take note that it was not quiet: for a while or, if it was not much, for a moment."""
        since_s = now_s if is_much or self._has_delays else now_s - QUIET_S + MOMENT_S
        self._quiet_since_s = max(self._quiet_since_s, since_s)

    def _has_drifted(self, currents: list[float], least_A: float = DRIFT_A) -> bool:
        if len(self._seen_A) != len(currents):
            return True
        return any(abs(new - old) > least_A for new, old in zip(currents, self._seen_A, strict=True))

    def _take_decision(self, now_s: float) -> None:
        decision = self.module.decision
        if decision is None or decision.at is self._decided:
            return
        self._decided = decision.at
        self._decisions += 1
        self._budgets_A = self._limits_of_nodes(decision)
        for limits in decision.limits:
            name = limits["uuid"]
            limit = limits["limits_root_side"].get("ac_max_current_A", {"value": 0.0, "source": ""})
            change_A = abs(limit["value"] - self._grants_A[name])
            if change_A > CHANGE_A:
                self._stir(now_s, is_much=change_A > MOVE_A)
                self._explained.pop(name, None)
            self._grants_A[name] = limit["value"]
            self._take_reason(now_s, name, str(limit["source"]))

    def _take_reason(self, now_s: float, name: str, source: str) -> None:
        """Ask why an EVSE has what it has, when that is likely to be something else."""
        before, at_s = self._explained.get(name, ("", -math.inf))
        if source != before or now_s - at_s >= EXPLAIN_S:
            self._explained[name] = (source, now_s)
            self._reasons[name].note(now_s, _DECIMALS.sub(r"\1", self.module.explain(name)))

    def _limits_of_nodes(self, decision: Decision) -> list[float]:
        """Limit of each node that is in force, from wherever it comes."""
        nodes = {node["uuid"]: limits_now(node, decision.at) for node in walk(decision.request)}
        return [_least_A(nodes.get(node, {}), fuse_A) for node, fuse_A in self._stage.fuses_A.items()]

    def _note_moves(self, now_s: float, name: str) -> None:
        point = self._stage.evses[name].point
        if point.phase_switches != self._phases[name]:
            under_load = point.switched_under_load > self._under_load[name]
            self._phases[name], self._under_load[name] = point.phase_switches, point.switched_under_load
            self._moves.append(Move(now_s, name, point.phases, under_load))

    # -- leaping

    def _possible_leap_s(self, now_s: float) -> float:
        """Tell how long nothing will happen that the module should see."""
        is_quiet = now_s - self._quiet_since_s >= QUIET_S and now_s >= self._eventful_until_s
        if not is_quiet or not self._stage.is_settled:
            self._leap_s = SHORTEST_LEAP_S
            return 0.0
        if now_s < self._awake_until_s:
            return 0.0
        self._leap_s = min(2.0 * self._leap_s, self._longest_leap_s())
        margin_s = self.module.settles_in_s + 0.5
        until_s = min(self._agenda.next_s, self._scenario.lasts_s, now_s + self._stage.steady_for_s)
        return min(self._leap_s, until_s - now_s - margin_s)

    def _longest_leap_s(self) -> float:
        is_waiting = any(word in (states.now or "") for states in self._reasons.values() for word in _WAITING)
        scenario = self._scenario
        is_metered = bool(scenario.site.bridged_meters) or scenario.has_powermeter or scenario.everest_nodes
        return METERED_LEAP_S if is_metered or is_waiting or self._has_delays else LONGEST_LEAP_S

    def _leap(self, seconds: float) -> None:
        """Let only physics go on for a while."""
        stage, gone_s = self._stage, 0.0
        currents = [current for node in stage.fuses_A for current in stage.node_A[node]]
        self._seen_A = currents
        began_s = self._clock.now_s
        while gone_s < seconds - 1e-6:
            step_s = min(LEAP_STEP_S, seconds - gone_s)
            if self.module.is_running:
                for evse in stage.evses.values():
                    if not evse.is_dead:
                        evse.renew()
            stage.advance(step_s)
            gone_s += step_s
            now = [current for node in stage.fuses_A for current in stage.node_A[node]]
            if not stage.is_settled or self._has_drifted(now):
                break
        self.module.leap(gone_s)
        self._awake_until_s = self._clock.now_s + self.module.settles_in_s + TICK_S
        assert abs(self._clock.now_s - began_s - gone_s) < 1e-6
        self._observe()


def has_delays(scenario: Scenario) -> bool:
    """Tell whether things may happen minutes after what has led to them: phases, or the sun."""
    switches = scenario.settings.get("switch_3ph1ph_while_charging_mode", "Never") != "Never"
    evses = [*scenario.site.evses.values(), *scenario.site.connectors.values()]
    follows = any(evse.mode in ("minpv", "pv") for evse in evses)
    return switches or follows or any(" is set to " in line.text for line in scenario.events)


def _least_A(limits: JsonObject, fuse_A: float) -> float:
    """Express limits in amperes per phase."""
    amperes = limits.get("ac_max_current_A", {}).get("value", fuse_A)
    watts = limits.get("total_power_W", {}).get("value", math.inf)
    return float(min(fuse_A, amperes, watts / (3 * VOLTAGE_V)))


def judge(scenario: Scenario, outcome: Outcome) -> list[Check]:
    """Look at every assertion of a scenario."""
    checks = []
    for line in scenario.assertions:
        sentence, blanks = ASSERTIONS.read(line.text, scenario.names)
        try:
            holds, found = sentence.meaning(Look(outcome, scenario), **blanks)
        except WordsError as error:
            holds, found = False, str(error)
        checks.append(Check(line.text, bool(holds), found, line.line))
    return checks

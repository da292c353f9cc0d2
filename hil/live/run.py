"""Runs a scenario in real time, and ends it in the safe state."""

import asyncio
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from hil.field.target import Target
from hil.live.errands import WITHIN_S
from hil.live.lines import serve
from hil.live.module import LiveModule
from hil.live.safe import bring_to_safety
from hil.live.stage import LiveStage
from hil.live.stop import Stop, listening
from hil.scenario.agenda import visits
from hil.scenario.clock import SiteClock
from hil.scenario.module import VirtualModule
from hil.scenario.outcome import Check, Outcome
from hil.scenario.runner import TICK_S, Run, log_of_bridge
from hil.scenario.scenario import Scenario
from hil.scenario.stage import Stage

MARGIN_S = 60.0
"""So much longer than scenario and people a run may take, if nothing else is said."""
OVERLOAD_S = 10.0
"""A real fuse may carry more than its rating for so long; then the run ends."""
STEP_S = 0.5
"""Physics goes in steps no longer than this, however long the machine has stalled."""


@dataclass
class Live:
    """What is real in a run, and who is told of it.

    Attributes
    ----------
    chargers : mapping of str to Target
        Real connectors.
    others : tuple of str
        Other real devices: meters, relay boards.
    fuses_A : mapping of meter to amperes
        Real fuses behind real meters.
    at_most_s : float or None
        Time limit; None is the length of the scenario, what people may take, and a margin.
    tell : callable
        Takes lines for the person at the bench.
    stop : Stop
        Ends the run.
    """

    chargers: Mapping[str, Target] = field(default_factory=dict)
    others: tuple[str, ...] = ()
    fuses_A: Mapping[str, float] = field(default_factory=dict)
    at_most_s: float | None = None
    tell: Callable[[str], None] = lambda _line: None
    stop: Stop = field(default_factory=Stop)

    @property
    def real(self) -> list[str]:
        """Names of all real devices."""
        return [*self.chargers, *self.others]


def run_live(scenario: Scenario, live: Live, seed: int | None = None) -> Outcome:
    """Run a scenario in real time. Whatever ends it, every real charger is in its safe state then.

    Parameters
    ----------
    scenario : Scenario
        What is to happen, with the addresses of real devices.
    live : Live
        What is real.
    seed : int, optional
        In place of the one that the scenario names.

    Returns
    -------
    Outcome
        What happened, and what became of the assertions: of a run that was ended, that alone.
    """
    loop = asyncio.new_event_loop()
    at_most_s = _longest_s(scenario, live) if live.at_most_s is None else live.at_most_s
    running: LiveRun | None = None
    unsafe: list[str] = []
    with tempfile.TemporaryDirectory(prefix="scenario-") as directory, ExitStack() as stack:
        stack.callback(loop.close)
        stack.enter_context(listening(live.stop, loop))
        loop.call_later(at_most_s, live.stop.now, f"stopped by the time limit of {at_most_s:g} s")
        try:
            clock = SiteClock(loop, scenario.start)
            seed = scenario.seed if seed is None else seed
            running = LiveRun(scenario, seed, clock, Path(directory), live=live, stack=stack)
            with log_of_bridge(running.module.log):
                loop.run_until_complete(running.conduct())
        finally:
            unsafe = loop.run_until_complete(bring_to_safety(live.chargers, live.tell))
    outcome = running.outcome()
    outcome.checks += [
        Check("every real charger is in its safe state", holds=False, found=text) for text in unsafe
    ]
    return outcome


def _longest_s(scenario: Scenario, live: Live) -> float:
    """Give what a run may take: the script, a margin, and all that people may take."""
    errands = 2 * sum(evse in live.chargers for _, evse in visits(scenario))  # to come, and to leave
    return scenario.lasts_s + MARGIN_S + errands * WITHIN_S


class LiveRun(Run):
    """One run in real time.

    Parameters
    ----------
    scenario, seed, clock, directory
        As of `Run`.
    live : Live
        What is real.
    stack : ExitStack
        Ends what is served.
    """

    def __init__(
        self,
        scenario: Scenario,
        seed: int,
        clock: SiteClock,
        directory: Path,
        *,
        live: Live,
        stack: ExitStack,
    ) -> None:
        self._setting = live
        self._stack = stack
        self._over_since_s: dict[str, float] = {}
        super().__init__(scenario, seed, clock, directory)

    async def conduct(self) -> None:
        """Let time pass from the start to the end, or until it is stopped."""
        self._do_what_is_due()
        self.module.start()
        self._observe()
        try:
            while self._clock.script_s < self._scenario.lasts_s and self._setting.stop.reason is None:
                began_s = self._clock.now_s
                await asyncio.sleep(TICK_S)
                self._live(self._clock.now_s - began_s)
                self._watch_fuses()
            if self._setting.stop.reason is not None:
                self._setting.tell(f"{self._setting.stop.reason}; every real charger goes to its safe state")
        finally:
            self._ended_s = min(self._clock.script_s, self._scenario.lasts_s)
            await self._end()

    def outcome(self) -> Outcome:
        """Put everything together, and judge it if it has run to its end."""
        outcome = super().outcome()
        if (reason := self._setting.stop.reason) is not None and self._ended_s < self._scenario.lasts_s:
            outcome.lasts_s = self._ended_s
            outcome.checks = [Check("the scenario runs to its end", holds=False, found=reason)]
        outcome.checks += self._live_stage.errands.undone
        return outcome

    def _new_stage(self, scenario: Scenario, seed: int) -> Stage:
        return LiveStage(scenario, seed, self._clock.loop_s, real=self._setting.real, tell=self._setting.tell)

    @property
    def _live_stage(self) -> LiveStage:
        assert isinstance(self._stage, LiveStage)
        return self._stage

    def _new_module(self, scenario: Scenario, state_file: Path) -> VirtualModule:
        lines, links = serve(self._stage.buses, scenario.site.buses, self._stack)
        return LiveModule(
            scenario, self._live_stage, self._clock, self._note, state_file, lines=lines, links=links
        )

    def _live(self, seconds: float) -> None:
        """Bring everything to the present; while a person does something, all goes on but the script."""
        is_held = self._live_stage.errands.wait(seconds)
        if is_held:
            self._clock.hold(seconds)
        while seconds > STEP_S:
            self._stage.advance(STEP_S)
            seconds -= STEP_S
        if not is_held:
            super()._live(seconds)
            return
        self._stage.advance(seconds)
        self.module.publish()
        self.module.check()

    def _watch_fuses(self) -> None:
        """End the run when a real fuse carries too much, whatever simulation makes of it."""
        now_s = self._clock.now_s
        for meter, fuse_A in self._setting.fuses_A.items():
            measured_A = max(self._live_stage.measured_A(meter) or (0.0,))
            if measured_A <= fuse_A:
                self._over_since_s.pop(meter, None)
            elif now_s - self._over_since_s.setdefault(meter, now_s) > OVERLOAD_S:
                self._setting.stop.now(
                    f"stopped: {meter} shows {measured_A:.1f} A, its fuse has {fuse_A:g} A"
                )


__all__ = ["Live", "LiveRun", "run_live"]

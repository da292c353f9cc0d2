"""Taking the samples: what is done to the installation, in which order, and when it must stop.

A step up is taken only when the meter says that the fuse has room for it, and the largest only after the
meter has seen the smaller one right. Whatever ends the procedure, the charger gets its former limit back.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from hil.wiring.samples import PHASES, Sample, known, middle

EVERY_S = 1.0
QUIET_S = 20.0
SETTLED_S = 4.0
SHORTEST_S = 10.0
"""A plateau lasts at least this long, of which the last `SETTLED_S` count."""
LONGEST_S = 25.0
_STEADY_A = 0.4
_SILENT_SAMPLES = 3
_MARGIN_A = 1.0
_SEEN = 0.7
_FOLLOWED = 0.5
_LEAST_STEP_A = 3.0


class StoppedError(Exception):
    """The procedure had to stop; the message says why. The charger was brought to its minimum."""


class Installation(Protocol):
    """What can be seen and done."""

    def now_s(self) -> float:
        """Seconds, from any start."""
        ...

    async def wait(self, seconds: float) -> None:
        """Let time pass."""
        ...

    async def sample(self) -> Sample:
        """Look at meter and charger, and tell what the charger was told."""
        ...

    async def order(self, limit_A: float, phases: int | None) -> None:
        """Tell the charger a limit and a number of phases; returns when the phases are switched."""
        ...

    async def restore(self, at_most_A: float | None = None) -> None:
        """Give the charger what it had before, or less if that was more than `at_most_A`."""
        ...


@dataclass(frozen=True, slots=True)
class Plan:
    """How far the procedure may go.

    Attributes
    ----------
    fuse_A : float
        Fuse that the meter measures, per phase; never exceeded by a step.
    minimum_A, maximum_A : float
        What charger and cable take.
    top_A : float
        Highest step.
    switch_phases : bool
        Also charge on one phase for a while.
    longest_s : float
        After this time it stops, whatever it has.
    """

    fuse_A: float
    minimum_A: float = 6.0
    maximum_A: float = 16.0
    top_A: float = 16.0
    switch_phases: bool = False
    longest_s: float = 420.0

    @property
    def levels_A(self) -> tuple[float, ...]:
        """Limits in their order: each step more than once, up and down, against the noise of the house."""
        low, top = self.minimum_A, min(self.top_A, self.maximum_A)
        mid = min(low + 4.0, top)
        return (low, mid, top, mid, low, mid, low) if top > mid else (low, mid, low, mid, low, mid, low)

    @property
    def words(self) -> list[str]:
        """What will be done, for the one who must agree."""
        levels = ", ".join(f"{level:g}" for level in self.levels_A)
        lines = [
            f"the charger is told {levels} A, about {SHORTEST_S:.0f} s each; the car must be charging",
            f"no step is taken that could bring a phase above the fuse of {self.fuse_A:g} A",
            f"at the end, or when stopped, the charger gets its former limit; at most {self.longest_s:.0f} s",
        ]
        if self.switch_phases:
            lines.insert(
                1, "then it is switched to one phase, stepped there, and switched back as soon as it may"
            )
        return lines


async def take_quiet(installation: Installation, seconds: float = QUIET_S) -> list[Sample]:
    """Take samples for a while without doing anything."""
    until_s = installation.now_s() + seconds
    samples = [await installation.sample()]
    while installation.now_s() < until_s:
        await installation.wait(EVERY_S)
        samples.append(await installation.sample())
    return samples


async def take_steps(
    installation: Installation, plan: Plan, say: Callable[[str], None] = lambda _: None
) -> list[Sample]:
    """Step the car up and down, and give what was seen; the charger has its former limit afterwards.

    Raises
    ------
    StoppedError
        Going on was not safe, or there is no car.
    """
    steps = _Steps(installation, plan, say)
    try:
        await steps.run()
    except StoppedError:
        await installation.restore(at_most_A=plan.minimum_A)
        raise
    except BaseException:  # also Ctrl-C: whatever it is, it goes on after the charger has its limit back
        await installation.restore()
        raise
    await installation.restore()
    return steps.samples


@dataclass
class _Steps:
    """One run of the procedure."""

    installation: Installation
    plan: Plan
    say: Callable[[str], None]
    samples: list[Sample] = field(default_factory=list)
    _silent: int = 0
    _sees_the_car: bool = False

    async def run(self) -> None:
        self._end_s = self.installation.now_s() + self.plan.longest_s
        first = await self.installation.sample()
        if first.charger is not None and first.charger.state == "A":
            raise StoppedError("no car is connected: plug in one that is not full")
        phases = 3 if self.plan.switch_phases else None
        await self._walk(self.plan.levels_A, phases)
        if self.plan.switch_phases:
            low, mid = self.plan.levels_A[:2]
            self.say("one phase")
            await self._walk((low, mid, low, mid, low), 1)

    async def _walk(self, levels_A: Sequence[float], phases: int | None) -> None:
        at: list[Sample] = []
        for level_A in levels_A:
            now_A = at[-1].limit_A or 0.0 if at else 0.0
            if at and level_A > now_A:
                safe_A = self._allowed(level_A, at)
                # where a step is not safe the one before is taken again: chance agrees with few of them
                level_A = safe_A if safe_A > now_A else self.plan.minimum_A  # noqa: PLW2901
            self.say(f"{level_A:g} A")
            before, at = at, await self._stay(level_A, phases, at)
            self._sees_the_car = self._sees_the_car or _saw(before, at)

    def _allowed(self, level_A: float, at: Sequence[Sample]) -> float:
        """Give the level, or less: what the fuse has room for, and not the top before the car was seen."""
        now_A = at[-1].limit_A or 0.0
        if not self._sees_the_car:
            level_A = min(level_A, self.plan.levels_A[1])
        seen_A = known(abs(s.value("current_A", p)) for s in at for p in PHASES)
        if not seen_A:  # no step up without sight; who is silent for longer stops it
            return now_A
        busiest_A = max(seen_A)
        room_A = self.plan.fuse_A - _MARGIN_A - busiest_A
        if room_A < min(_LEAST_STEP_A, level_A - now_A):
            if now_A > self.plan.minimum_A:  # the smaller step has been seen, and must do
                return now_A
            raise StoppedError(
                f"not enough room: {busiest_A:.0f} A of the fuse of {self.plan.fuse_A:g} A are in use; "
                "switch off large loads and repeat it"
            )
        return min(level_A, now_A + room_A)

    async def _stay(self, level_A: float, phases: int | None, before: Sequence[Sample]) -> list[Sample]:
        """Give a limit and wait until the currents have followed and settled."""
        await self.installation.order(level_A, phases)
        start_s, taken = self.installation.now_s(), []
        while True:
            await self.installation.wait(EVERY_S)
            sample = await self.installation.sample()
            taken.append(sample)
            self.samples.append(sample)
            self._must_be_safe(sample)
            elapsed_s = sample.at_s - start_s
            if elapsed_s >= LONGEST_S or (elapsed_s >= SHORTEST_S and self._has_settled(before, taken)):
                return _late(taken)

    def _has_settled(self, before: Sequence[Sample], taken: Sequence[Sample]) -> bool:
        """Whether the currents have followed; the first of a walk, which may have to start, gets all time."""
        if not before:
            return False
        return _is_settled(taken) and _moved_A(before, _late(taken)) >= _FOLLOWED * _step_A(before, taken)

    def _must_be_safe(self, sample: Sample) -> None:
        self._silent = self._silent + 1 if sample.meter is None or sample.charger is None else 0
        if self._silent >= _SILENT_SAMPLES:
            raise StoppedError("meter or charger does not answer any more")
        for phase in PHASES:
            if abs(sample.value("current_A", phase)) > self.plan.fuse_A:
                raise StoppedError(f"{phase} is above the fuse of {self.plan.fuse_A:g} A")
        if sample.at_s > self._end_s:
            raise StoppedError(f"it took longer than {self.plan.longest_s:.0f} s")


def _late(samples: Sequence[Sample]) -> list[Sample]:
    return [sample for sample in samples if sample.at_s > samples[-1].at_s - SETTLED_S]


def _currents_A(samples: Sequence[Sample], phase: str) -> list[float]:
    """Give the current on a phase over time: the charger's own, or where it does not measure the meter's."""
    if any(sample.charger is not None and sample.charger.current_A for sample in samples):
        return known(s.charger.current_A.get(phase, math.nan) for s in samples if s.charger is not None)
    return known(abs(sample.value("current_A", phase)) for sample in samples)


def _is_settled(samples: Sequence[Sample]) -> bool:
    """Whether no current has moved much lately."""
    values = [_currents_A(_late(samples), phase) for phase in PHASES]
    return all(max(one) - min(one) <= _STEADY_A for one in values if one)


def _moved_A(before: Sequence[Sample], after: Sequence[Sample]) -> float:
    """Give how much the phase that moved most has moved."""
    moved = (abs(middle(_currents_A(after, p)) - middle(_currents_A(before, p))) for p in PHASES)
    return max(known(moved), default=0.0)


def _step_A(before: Sequence[Sample], after: Sequence[Sample]) -> float:
    """Give how much the limit has changed; 0 at the start, and where the number of phases changed."""
    if not before or before[-1].phases != after[-1].phases:
        return 0.0
    return abs((after[-1].limit_A or 0.0) - (before[-1].limit_A or 0.0))


def _saw(before: Sequence[Sample], after: Sequence[Sample]) -> bool:
    """Whether a phase of the meter moved as much as the step."""
    step_A = _step_A(before, after)
    moved = (
        abs(
            middle(abs(s.value("current_A", p)) for s in after)
            - middle(abs(s.value("current_A", p)) for s in before)
        )
        for p in PHASES
    )
    return step_A > 0 and max(known(moved), default=0.0) >= _SEEN * step_A

"""EVerest's limits beside this module's, each difference with its reason."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from hil.replay.transcript import Json, Transcript

SLICE_A = 0.5
"""Default of EVerest's ``slice_ampere``: the steps in which it deals out current."""

TOLERANCE = 1e-6
IDLE = ("Unplugged", "Finished", "Disabled")
WAITING = ("WaitForAuth", "PausedEV")

Answer = dict[str, Json]
"""``EnforcedLimits`` by uuid of the EVSE."""


@dataclass(frozen=True, slots=True)
class Limit:
    """What an EVSE may draw now; NaN-free, 0 A where no current is given.

    Attributes
    ----------
    current_A : float
        Per phase.
    phases : int or None
        Most phases, where said.
    source : str
        What binds the current.
    """

    current_A: float
    phases: int | None = None
    source: str = ""

    @classmethod
    def of(cls, enforced: Json) -> "Limit":
        """Read it out of ``EnforcedLimits``."""
        root: dict[str, Any] = enforced["limits_root_side"]
        current = root.get("ac_max_current_A", {"value": 0.0, "source": ""})
        phases = root.get("ac_max_phase_count", {}).get("value")
        return cls(current["value"], phases, current["source"])

    def same_as(self, other: "Limit") -> bool:
        """Whether both mean the same to the EVSE; at 0 A the phases mean nothing."""
        if abs(self.current_A - other.current_A) > TOLERANCE * max(1.0, self.current_A):
            return False
        return self.phases == other.phases or self.current_A == 0.0

    def __str__(self) -> str:
        """Write it for a table."""
        phases = f" {self.phases}ph" if self.phases and self.current_A else ""
        return f"{self.current_A:.4g} A{phases}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One limit of EVerest beside ours.

    Attributes
    ----------
    at_s : float
        When EVerest gave it.
    uuid, evse_state : str
        Whom, and in which state.
    everest : Limit
        What it gave.
    ours : Limit or None
        What this module gave; None when it gave nothing.
    reason : str
        Why they differ; empty when they do not.
    explained : bool
        False: nothing intended makes this difference.
    """

    at_s: float
    uuid: str
    evse_state: str
    everest: Limit
    ours: Limit | None
    reason: str = ""
    explained: bool = True

    @property
    def equal(self) -> bool:
        """Whether both give the EVSE the same."""
        return self.ours is not None and self.everest.same_as(self.ours)

    @property
    def other_source(self) -> bool:
        """Whether both give the same, but name different limits as the reason."""
        return self.equal and self.ours is not None and self.ours.source != self.everest.source


@dataclass(frozen=True, slots=True)
class Stretch:
    """Consecutive verdicts on one EVSE that say the same."""

    first: Verdict
    until_s: float


def compare(
    transcript: Transcript, answers: Sequence[Answer], *, decisions: Sequence[Answer] | None = None
) -> list[Verdict]:
    """Judge every limit of a recording.

    Parameters
    ----------
    transcript : Transcript
        The recording.
    answers : sequence
        This module's limits, one item for each run of the recording.
    decisions : sequence, optional
        Given where `answers` are of a running module: what it would decide on each run's request alone. A
        running module raises a limit later than it decides to, and may act a round before or after EVerest.
    """
    verdicts = []
    for index, run in enumerate(transcript.runs):
        near = transcript.runs[max(0, index - 1) : index + 2] if decisions else []
        this = _Round(
            states=dict(evse_states(transcript.requests[run.request].data)),
            everest=_limits(run.limits),
            ours=_limits(answers[index]),
            decided=_limits(decisions[index]) if decisions else {},
            near=[_limits(other.limits) for other in near],
        )
        verdicts += [this.verdict(run.at_s, uuid) for uuid in this.everest]
    return verdicts


def stretches(verdicts: Sequence[Verdict]) -> Iterator[Stretch]:
    """Put together what stays the same, one EVSE after the other."""
    by_evse = sorted(verdicts, key=lambda verdict: (verdict.uuid, verdict.at_s))

    def sameness(verdict: Verdict) -> tuple[object, ...]:
        return (verdict.uuid, verdict.evse_state, str(verdict.everest), str(verdict.ours), verdict.reason)

    for _, group in groupby(by_evse, key=sameness):
        same = list(group)
        yield Stretch(same[0], same[-1].at_s)


def evse_states(request: Json) -> Iterator[tuple[str, str]]:
    """Yield uuid and state of each EVSE of a tree; without a state it counts as charging, as in EVerest."""
    if request.get("node_type") == "Evse":
        yield request["uuid"], request.get("evse_state", "Charging")
    for child in request.get("children") or []:
        yield from evse_states(child)


def _limits(enforced: Answer) -> dict[str, Limit]:
    return {uuid: Limit.of(limits) for uuid, limits in enforced.items()}


@dataclass(frozen=True, slots=True)
class _Round:
    """Limits of one round by uuid: EVerest's, this module's, those it decides on, EVerest's around it."""

    states: dict[str, str]
    everest: dict[str, Limit]
    ours: dict[str, Limit]
    decided: dict[str, Limit]
    near: list[dict[str, Limit]]

    def verdict(self, at_s: float, uuid: str) -> Verdict:
        theirs, mine = self.everest[uuid], self.ours.get(uuid)
        state = self.states.get(uuid, "")
        if mine is None:
            return Verdict(at_s, uuid, state, theirs, mine, "no limit from this module", explained=False)
        if theirs.same_as(mine):
            return Verdict(at_s, uuid, state, theirs, mine)
        reason = self._on_its_way(uuid) or self._meant(uuid, self.ours) or self._in_time(uuid)
        return Verdict(at_s, uuid, state, theirs, mine, reason or "unexplained", explained=bool(reason))

    def _on_its_way(self, uuid: str) -> str:
        """Say that a limit is still rising to a decision that equals EVerest's, or differs for a reason."""
        target = self.decided.get(uuid)
        if target is None or self.ours[uuid].current_A >= target.current_A - TOLERANCE:
            return ""
        meant = self.everest[uuid].same_as(target) or self._meant(uuid, self.decided)
        return f"on its way up to {target}" if meant else ""

    def _in_time(self, uuid: str) -> str:
        """Say that EVerest gives the same in the round before or after."""
        mine = self.ours[uuid]
        same = any(uuid in limits and limits[uuid].same_as(mine) for limits in self.near)
        return "a round earlier or later than EVerest" if same else ""

    def _meant(self, uuid: str, ours: dict[str, Limit]) -> str:
        """Say why this module means to differ; empty when it does not mean to."""
        theirs, mine = self.everest[uuid], ours[uuid]
        if mine.phases != theirs.phases and mine.current_A and theirs.current_A:
            return ""
        less = mine.current_A < theirs.current_A
        state = self.states.get(uuid, "")
        if less and state in IDLE:
            return f"{state}: others get the current first"
        if less and state in WAITING:
            return f"{state}: its minimum is kept, others get the rest"
        givers = sorted(
            other
            for other, limit in ours.items()
            if other in self.everest
            and limit.current_A < self.everest[other].current_A - TOLERANCE
            and self.states.get(other, "") in IDLE + WAITING
        )
        if not less and givers:
            return f"gets what {', '.join(givers)} cannot use now"
        if abs(mine.current_A - theirs.current_A) <= SLICE_A:
            return f"exact share; EVerest deals in slices of {SLICE_A} A"
        return ""

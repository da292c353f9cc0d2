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
    count: int


def compare(transcript: Transcript, answers: Sequence[Answer], *, live: bool = False) -> list[Verdict]:
    """Judge every limit of a recording.

    Parameters
    ----------
    transcript : Transcript
        The recording.
    answers : sequence
        This module's limits, one item for each run of the recording.
    live : bool
        The limits are those of a running module, which may act a round earlier or later than EVerest.
    """
    verdicts = []
    for index, run in enumerate(transcript.runs):
        states = dict(evse_states(transcript.requests[run.request].data))
        everest = {uuid: Limit.of(limits) for uuid, limits in run.limits.items()}
        ours = {uuid: Limit.of(limits) for uuid, limits in answers[index].items()}
        near = transcript.runs[max(0, index - 1) : index + 2] if live else []
        for uuid, theirs in everest.items():
            reason, explained = "", True
            mine = ours.get(uuid)
            if mine is None:
                reason, explained = "no limit from this module", False
            elif not theirs.same_as(mine):
                reason = _reason(uuid, everest, ours, states)
                if not reason and any(
                    uuid in r.limits and Limit.of(r.limits[uuid]).same_as(mine) for r in near
                ):
                    reason = "a round earlier or later than EVerest"
                explained = bool(reason)
                reason = reason or "unexplained"
            state = states.get(uuid, "")
            verdicts.append(Verdict(run.at_s, uuid, state, theirs, mine, reason, explained))
    return verdicts


def stretches(verdicts: Sequence[Verdict]) -> Iterator[Stretch]:
    """Put together what stays the same, one EVSE after the other."""
    by_evse = sorted(verdicts, key=lambda verdict: (verdict.uuid, verdict.at_s))

    def sameness(verdict: Verdict) -> tuple[object, ...]:
        return (verdict.uuid, verdict.evse_state, str(verdict.everest), str(verdict.ours), verdict.reason)

    for _, group in groupby(by_evse, key=sameness):
        same = list(group)
        yield Stretch(same[0], same[-1].at_s, len(same))


def evse_states(request: Json) -> Iterator[tuple[str, str]]:
    """Yield uuid and state of each EVSE of a tree; without a state it counts as charging, as in EVerest."""
    if request.get("node_type") == "Evse":
        yield request["uuid"], request.get("evse_state", "Charging")
    for child in request.get("children") or []:
        yield from evse_states(child)


def _reason(uuid: str, everest: dict[str, Limit], ours: dict[str, Limit], states: dict[str, str]) -> str:
    """Say why this module means to differ; empty when it does not mean to."""
    theirs, mine = everest[uuid], ours[uuid]
    if mine.phases != theirs.phases and mine.current_A and theirs.current_A:
        return ""
    less = mine.current_A < theirs.current_A
    state = states.get(uuid, "")
    if less and state in IDLE:
        return f"{state}: others get the current first"
    if less and state in WAITING:
        return f"{state}: its minimum is kept, others get the rest"
    givers = [
        other
        for other, limit in ours.items()
        if other in everest
        and limit.current_A < everest[other].current_A - TOLERANCE
        and states.get(other, "") in IDLE + WAITING
    ]
    if not less and givers:
        return f"gets what {', '.join(givers)} cannot use now"
    if abs(mine.current_A - theirs.current_A) <= SLICE_A:
        return f"exact share; EVerest deals in slices of {SLICE_A} A"
    return ""

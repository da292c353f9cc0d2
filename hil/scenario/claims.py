"""What can be asserted of a run, sentence by sentence, in the words of those who use the site.

Each function looks at an outcome and returns whether it was so, and what was found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from hil.scenario.outcome import Move, Outcome
from hil.scenario.recording import LogEntry, Series, Spell
from hil.scenario.words import Language, When, WordsError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hil.scenario.scenario import Scenario

Verdict = tuple[bool, str]
Claim = Callable[..., Verdict]
ASSERTIONS: Language[Claim] = Language()

METER_A = 0.15
"""What no meter can tell from nothing."""
STEP_S = 0.4
"""What is seen of a moment, in steps of physics."""
_FAULTS = ("warning", "error", "critical")
_BEGUN_S = 10.0
"""By then every meter has been heard."""


class Look:
    """An outcome, with the moments of sentences in seconds."""

    def __init__(self, outcome: Outcome, scenario: Scenario) -> None:
        self.outcome = outcome
        self._scenario = scenario

    def seconds(self, moment: When) -> float:
        """Give a moment in seconds after the start."""
        return self._scenario.seconds(moment)

    def measured_by(self, meter: str) -> list[str]:
        """Names by which the log may call what a meter measures."""
        site = self._scenario.site
        grid = {self._scenario.nodes[0]: site.grid} if site.grid is not None else {}
        return [name for name, part in {**grid, **site.nodes}.items() if part.meter == meter]

    def event(self, text: str) -> Spell:
        """Find the one event with these words."""
        found = [event for event in self.outcome.events if text in event.text]
        if len(found) != 1:
            known = "; ".join(event.text for event in self.outcome.events)
            raise WordsError(f'"{text}" are words of {len(found)} events, not of one; there are: {known}')
        return found[0]


# -- fuses


@ASSERTIONS.add(
    "fuse {node} never above {percent}[ for more than {duration}]", "on any phase, in either direction"
)
def _fuse(look: Look, node: str, percent: float, duration: float = 0.0) -> Verdict:
    outcome = look.outcome
    load = np.abs(outcome.vectors(f"node/{node}"))
    limit_A = percent * outcome.fuses_A[node] + METER_A
    began_s, longest_s, phase = _longest(outcome, load > limit_A)
    peak = f"highest {load.max() / outcome.fuses_A[node]:.0%} ({load.max():.1f} A)"
    if longest_s == 0.0:
        return True, peak
    return (
        longest_s <= duration,
        f"{peak}, above for {longest_s:.1f} s from {outcome.clock(began_s)} on L{phase + 1}",
    )


@ASSERTIONS.add("breaker never trips", "of any node, type B, the most sensitive one that IEC 60898-1 allows")
def _breakers(look: Look) -> Verdict:
    outcome = look.outcome
    hottest = max(outcome.hottest, key=lambda node: outcome.hottest[node])
    if outcome.tripped_at_s:
        node, at_s = next(iter(outcome.tripped_at_s.items()))
        return False, f"{node} may have tripped at {outcome.clock(at_s)}"
    return True, f"nearest: {hottest}, {outcome.hottest[hottest]:.0%} of the way"


@ASSERTIONS.add("breaker of {node} may trip", "shows that a judge can say no")
def _trips(look: Look, node: str) -> Verdict:
    return node in look.outcome.tripped_at_s, f"{look.outcome.hottest[node]:.0%} of the way"


@ASSERTIONS.add(
    "{node} draws at most {power}[ from {moment} to {moment2}][ for more than {duration}]",
    "sum of its phases",
)
def _draws_W(  # noqa: PLR0917 (all by name)
    look: Look,
    node: str,
    power: float,
    moment: When | None = None,
    moment2: When | None = None,
    duration: float = 0.0,
) -> Verdict:
    return _at_most_W(look, look.outcome.vectors(f"node/{node}"), power, (moment, moment2), duration)


@ASSERTIONS.add(
    "cars draw at most {power}[ from {moment} to {moment2}][ for more than {duration}]", "all together"
)
def _cars_draw(
    look: Look, power: float, moment: When | None = None, moment2: When | None = None, duration: float = 0.0
) -> Verdict:
    return _at_most_W(look, _all_draws(look.outcome), power, (moment, moment2), duration)


@ASSERTIONS.add(
    "phases of {node} differ by at most {amperes}[ for more than {duration}]",
    "what cars draw behind it: unbalance",
)
def _unbalance(look: Look, node: str, amperes: float, duration: float = 0.0) -> Verdict:
    outcome = look.outcome
    cars = outcome.vectors(f"node/{node}") - outcome.vectors(f"other/{node}")
    differences = cars.max(axis=1) - cars.min(axis=1)
    began_s, longest_s, _ = _longest(outcome, (differences > amperes + METER_A)[:, np.newaxis])
    found = f"at most {differences.max():.1f} A"
    return longest_s <= duration, found + (
        f", more from {outcome.clock(began_s)} for {longest_s:.0f} s" if longest_s else ""
    )


# -- energy


@ASSERTIONS.add("{car} has {energy} by {moment}", "charged since it came")
def _has(look: Look, car: str, energy: float, moment: When) -> Verdict:
    has_Wh = look.outcome.at(f"energy/{car}", look.seconds(moment))
    return has_Wh >= energy, f"{has_Wh / 1e3:.2f} kWh"


@ASSERTIONS.add("every car has {energy} by {moment}", "charged since it came")
def _all_have(look: Look, energy: float, moment: When) -> Verdict:
    has_Wh = {car: look.outcome.at(f"energy/{car}", look.seconds(moment)) for car in look.outcome.cars}
    least = min(has_Wh, key=lambda car: has_Wh[car])
    return has_Wh[least] >= energy, f"least: {least}, {has_Wh[least] / 1e3:.2f} kWh"


@ASSERTIONS.add("{car} has at most {energy} by {moment}", "charged since it came")
def _has_at_most(look: Look, car: str, energy: float, moment: When) -> Verdict:
    has_Wh = look.outcome.at(f"energy/{car}", look.seconds(moment))
    return has_Wh <= energy, f"{has_Wh / 1e3:.2f} kWh"


@ASSERTIONS.add("{car} is charged to {percent} by {moment}", "state of charge")
def _charged(look: Look, car: str, percent: float, moment: When) -> Verdict:
    soc = look.outcome.at(f"soc/{car}", look.seconds(moment))
    return soc >= percent - 1e-3, f"{soc:.1%}"


@ASSERTIONS.add(
    "everyone charges at least {amperes} for {duration} each hour",
    "every EVSE, in each hour that its car wants energy",
)
def _turns(look: Look, amperes: float, duration: float) -> Verdict:
    outcome = look.outcome
    worst: tuple[float, str] = (np.inf, "nobody was here for an hour")
    for evse in outcome.evses:
        is_wanted = outcome.series[f"wants/{evse}"] > 0
        draws = outcome.vectors(f"draw/{evse}").max(axis=1) >= amperes - METER_A
        for start_s in np.arange(0.0, outcome.lasts_s - 3600.0 + 1.0, 600.0):
            part = outcome.between(start_s, start_s + 3600.0)
            durations_s = _clipped(outcome, start_s, start_s + 3600.0)
            if (durations_s * is_wanted[part]).sum() < 3600.0 - 60.0:
                continue
            charged_s = float((durations_s * draws[part]).sum())
            worst = min(
                worst, (charged_s, f"least: {evse}, {charged_s / 60:.0f} min from {outcome.clock(start_s)}")
            )
    return worst[0] >= duration - 1.0, worst[1]


@ASSERTIONS.add(
    "{evse} draws at least {amperes} from {moment} to {moment2}", "on its strongest phase, all the time"
)
def _draws_at_least(look: Look, evse: str, amperes: float, moment: When, moment2: When) -> Verdict:
    values = look.outcome.vectors(f"draw/{evse}").max(axis=1)[_between(look, moment, moment2)]
    return bool(values.min() >= amperes - METER_A), f"least {values.min():.1f} A"


@ASSERTIONS.add("{evse} draws at most {amperes} from {moment} to {moment2}", "on each phase, all the time")
def _draws_at_most(look: Look, evse: str, amperes: float, moment: When, moment2: When) -> Verdict:
    values = look.outcome.vectors(f"draw/{evse}").max(axis=1)[_between(look, moment, moment2)]
    return bool(values.max() <= amperes + METER_A), f"most {values.max():.1f} A"


@ASSERTIONS.add("{evse} is granted at least {amperes} from {moment} to {moment2}", "its limit, all the time")
def _granted_at_least(look: Look, evse: str, amperes: float, moment: When, moment2: When) -> Verdict:
    values = look.outcome.series[f"grant/{evse}"][_between(look, moment, moment2)]
    return bool(values.min() >= amperes - METER_A), f"least {values.min():.1f} A"


@ASSERTIONS.add("{evse} is granted at most {amperes} from {moment} to {moment2}", "its limit, all the time")
def _granted_at_most(look: Look, evse: str, amperes: float, moment: When, moment2: When) -> Verdict:
    values = look.outcome.series[f"grant/{evse}"][_between(look, moment, moment2)]
    return bool(values.max() <= amperes + METER_A), f"most {values.max():.1f} A"


@ASSERTIONS.add("all grants together are at most {amperes} from {moment} to {moment2}", "sum of the limits")
def _granted_together(look: Look, amperes: float, moment: When, moment2: When) -> Verdict:
    outcome = look.outcome
    values = np.sum([outcome.series[f"grant/{evse}"] for evse in outcome.evses], axis=0)[
        _between(look, moment, moment2)
    ]
    return bool(values.max() <= amperes + METER_A), f"most {values.max():.1f} A"


@ASSERTIONS.add(
    "nobody is paused[ for more than {duration}] from {moment} to {moment2}",
    "every car that wants energy draws some",
)
def _nobody_paused(look: Look, moment: When, moment2: When, duration: float = 0.0) -> Verdict:
    outcome, part = look.outcome, _between(look, moment, moment2)
    paused = np.zeros((len(outcome.times_s), len(outcome.evses)), dtype=bool)
    for column, evse in enumerate(outcome.evses):
        draws = outcome.vectors(f"draw/{evse}").max(axis=1) >= 1.0
        paused[part, column] = ((outcome.series[f"wants/{evse}"] > 0) & ~draws)[part]
    began_s, longest_s, column = _longest(outcome, paused)
    if longest_s == 0.0:
        return True, "nobody"
    found = f"{outcome.evses[column]} at {outcome.clock(began_s)} for {longest_s:.0f} s"
    return longest_s <= duration, found


@ASSERTIONS.add("at most {number} cars charge at a time[ from {moment} to {moment2}]", "more than 5 A")
def _at_a_time(look: Look, number: int, moment: When | None = None, moment2: When | None = None) -> Verdict:
    outcome = look.outcome
    charging = np.sum([outcome.vectors(f"draw/{evse}").max(axis=1) > 5.0 for evse in outcome.evses], axis=0)
    most = int(charging[_between(look, moment, moment2)].max())
    return most <= number, f"at most {most}"


# -- stability


@ASSERTIONS.add(
    "grants change by at most {amperes} per hour[ from {moment} to {moment2}]", "sum of |change| of all"
)
def _settled(look: Look, amperes: float, moment: When | None = None, moment2: When | None = None) -> Verdict:
    outcome, part = look.outcome, _between(look, moment, moment2)
    moved_A = sum(
        float(np.abs(np.diff(outcome.series[f"grant/{evse}"][part])).sum()) for evse in outcome.evses
    )
    hours = (_end(look, moment2) - (look.seconds(moment) if moment else 0.0)) / 3600.0
    return moved_A / hours <= amperes, f"{moved_A / hours:.1f} A per hour"


@ASSERTIONS.add("no limit rises twice within {duration}", "of each EVSE")
def _rises(look: Look, duration: float) -> Verdict:
    outcome = look.outcome
    closest: tuple[float, str] = (np.inf, "none rose twice")
    for evse in outcome.evses:
        at_s = outcome.times_s[1:][np.diff(outcome.series[f"grant/{evse}"]) > 0]
        for first_s, then_s in pairwise(at_s):
            gap_s = float(then_s - first_s)
            closest = min(closest, (gap_s, f"{evse} after {gap_s:.1f} s at {outcome.clock(float(then_s))}"))
    return closest[0] >= duration - STEP_S, closest[1]


@ASSERTIONS.add(
    "{evse} is interrupted at most {number} times", "its pilot goes off while its car wants energy"
)
def _interrupted(look: Look, evse: str, number: int) -> Verdict:
    outcome = look.outcome
    offers = outcome.series[f"offer/{evse}"] > 0
    is_wanted = outcome.series[f"wants/{evse}"] > 0
    count = int(np.sum(offers[:-1] & ~offers[1:] & is_wanted[1:]))
    return count <= number, f"{count} times"


# -- phases and contactors


@ASSERTIONS.add("no contactor moves under load", "of a charger, or of ours before it")
def _no_load(look: Look) -> Verdict:
    outcome = look.outcome
    moves = [move for move in outcome.moves if move.under_load]
    cut_off = {evse: count for evse, count in outcome.opened_under_load.items() if count}
    if moves:
        return False, f"{moves[0].evse} at {outcome.clock(moves[0].at_s)}, {len(moves)} in all"
    return not cut_off, "; ".join(
        f"{evse} cut off a car {n} times" for evse, n in cut_off.items()
    ) or "none did"


@ASSERTIONS.add("at most {number} phase switches", "of all EVSEs")
def _few_switches(look: Look, number: int) -> Verdict:
    return _at_most_switches(number, look.outcome.moves)


@ASSERTIONS.add("at most {number} phase switches per hour", "of all EVSEs, in any hour")
def _few_switches_an_hour(look: Look, number: int) -> Verdict:
    return _at_most_an_hour(number, look.outcome.moves)


@ASSERTIONS.add("{evse} switches phases at most {number} times", "in all")
def _few_switches_of(look: Look, evse: str, number: int) -> Verdict:
    return _at_most_switches(number, [move for move in look.outcome.moves if move.evse == evse])


@ASSERTIONS.add("{evse} switches phases at most {number} times per hour", "in any hour")
def _few_switches_of_an_hour(look: Look, evse: str, number: int) -> Verdict:
    return _at_most_an_hour(number, [move for move in look.outcome.moves if move.evse == evse])


@ASSERTIONS.add("{evse} switches phases at least {number} times", "it is not just left as it is")
def _some_switches(look: Look, evse: str, number: int) -> Verdict:
    count = sum(move.evse == evse for move in look.outcome.moves)
    return count >= number, f"{count} times"


@ASSERTIONS.add("{evse} is on {number} phases? at {moment}", "connected, whether it charges or not")
def _on_phases(look: Look, evse: str, number: int, moment: When) -> Verdict:
    phases = round(look.outcome.at(f"phases/{evse}", look.seconds(moment)))
    return phases == number, f"on {phases}"


# -- what is reported


@ASSERTIONS.add("the log says {text}[ within {duration} of {text2}]", "a line of the log has these words")
def _reported(look: Look, text: str, duration: float | None = None, text2: str | None = None) -> Verdict:
    return _found_in(look, look.outcome.log, text, duration, look.event(text2).began_s if text2 else 0.0)


@ASSERTIONS.add(
    "the log says {text} within {duration} of the end of {text2}", "a line of the log has these words"
)
def _reported_after(look: Look, text: str, duration: float, text2: str) -> Verdict:
    return _found_in(look, look.outcome.log, text, duration, look.event(text2).ended_s)


@ASSERTIONS.add("{evse} fault is reported within {duration} of {text2}", "a warning names the EVSE")
def _fault_reported(look: Look, evse: str, duration: float, text2: str) -> Verdict:
    lines = [entry for entry in look.outcome.log if entry.level in _FAULTS]
    return _found_in(look, lines, evse, duration, look.event(text2).began_s)


@ASSERTIONS.add("meter {meter} is reported within {duration} of {text2}", "a warning names the meter")
def _meter_reported(look: Look, meter: str, duration: float, text2: str) -> Verdict:
    names = [f"meter {meter}", *(f"{node}: meter" for node in look.measured_by(meter))]
    lines = [entry for entry in look.outcome.log if entry.level in _FAULTS]
    lines = [entry for entry in lines if any(name in entry.text for name in names)]
    return _found_in(look, lines, "", duration, look.event(text2).began_s)


@ASSERTIONS.add("nothing is reported", "no warning, no error, once it has begun")
def _silence(look: Look) -> Verdict:
    return _no_lines(look, "", since_s=_BEGUN_S)


@ASSERTIONS.add("the log never says {text}", "no line of the log has these words")
def _never(look: Look, text: str) -> Verdict:
    return _no_lines(look, text)


@ASSERTIONS.add(
    "{evse} says {text}[ from {moment} to {moment2}]", "the reason for its limit has these words, once"
)
def _says(
    look: Look, evse: str, text: str, moment: When | None = None, moment2: When | None = None
) -> Verdict:
    start_s, end_s = look.seconds(moment) if moment else 0.0, _end(look, moment2)
    reasons = [
        spell for spell in look.outcome.reasons[evse] if spell.began_s <= end_s and spell.ended_s >= start_s
    ]
    found = next((spell for spell in reasons if text in spell.text), None)
    if found is None:
        others = {spell.text for spell in reasons}
        return False, f"never; but: {'; '.join(sorted(others)[:4])}"
    return True, f"{look.outcome.clock(found.began_s)}: {found.text}"


# -- recovery


@ASSERTIONS.add(
    "limit of {evse} recovers within {duration} of {text2}", "of the begin of an event: to what it had"
)
def _recovers(look: Look, evse: str, duration: float, text2: str) -> Verdict:
    event = look.event(text2)
    return _recovered(look, [evse], event.began_s, event.began_s, duration)


@ASSERTIONS.add(
    "limit of {evse} recovers within {duration} of the end of {text2}", "to what it had before it began"
)
def _recovers_after(look: Look, evse: str, duration: float, text2: str) -> Verdict:
    event = look.event(text2)
    return _recovered(look, [evse], event.began_s, event.ended_s, duration)


@ASSERTIONS.add(
    "all limits recover within {duration} of the end of {text2}", "to what they were before it began"
)
def _all_recover(look: Look, duration: float, text2: str) -> Verdict:
    event = look.event(text2)
    return _recovered(look, look.outcome.evses, event.began_s, event.ended_s, duration)


# -- helpers


def _end(look: Look, moment: When | None) -> float:
    return look.seconds(moment) if moment is not None else look.outcome.lasts_s


def _between(look: Look, start: When | None, end: When | None) -> slice:
    return look.outcome.between(look.seconds(start) if start else 0.0, _end(look, end))


def _clipped(outcome: Outcome, start_s: float, end_s: float) -> Series:
    """How long each sample held within a span."""
    part = outcome.between(start_s, end_s)
    begins = outcome.times_s[part]
    ends = begins + outcome.durations_s[part]
    clipped: Series = np.minimum(ends, end_s) - np.maximum(begins, start_s)
    return clipped


def _longest(outcome: Outcome, flags: NDArray[np.bool_]) -> tuple[float, float, int]:
    """Begin, length and column of the longest time in which a column is true, shape (samples, columns)."""
    best = (0.0, 0.0, 0)
    ends_s = outcome.times_s + outcome.durations_s
    for column in range(flags.shape[1]):
        edges = np.flatnonzero(np.diff(np.concatenate([[False], flags[:, column], [False]]).astype(np.int8)))
        for first, after in zip(edges[::2], edges[1::2], strict=True):
            began_s = float(outcome.times_s[first])
            best = max(
                best, (began_s, float(ends_s[after - 1]) - began_s, column), key=lambda spell: spell[1]
            )
    return best


def _all_draws(outcome: Outcome) -> Series:
    total: Series = np.sum([outcome.vectors(f"draw/{evse}") for evse in outcome.evses], axis=0)
    return total


def _at_most_W(
    look: Look, current_A: Series, power_W: float, span: tuple[When | None, When | None], duration_s: float
) -> Verdict:
    outcome = look.outcome
    drawn_W = current_A.sum(axis=1) * 230.0
    inside = np.zeros(len(drawn_W), dtype=np.bool_)
    inside[_between(look, *span)] = True
    began_s, longest_s, _ = _longest(
        outcome, ((drawn_W > power_W + 3 * METER_A * 230.0) & inside)[:, np.newaxis]
    )
    found = f"at most {drawn_W[inside].max() / 1e3:.2f} kW"
    return longest_s <= duration_s, found + (
        f", more from {outcome.clock(began_s)} for {longest_s:.0f} s" if longest_s else ""
    )


def _at_most_switches(number: int, moves: Sequence[Move]) -> Verdict:
    return len(moves) <= number, f"{len(moves)} switches"


def _at_most_an_hour(number: int, moves: Sequence[Move]) -> Verdict:
    most = max((sum(m.at_s <= other.at_s < m.at_s + 3600.0 for other in moves) for m in moves), default=0)
    return most <= number, f"at most {most} in an hour, {len(moves)} in all"


def _found_in(
    look: Look, log: Iterable[LogEntry], text: str, duration_s: float | None, since_s: float
) -> Verdict:
    found = next((entry for entry in log if text in entry.text and entry.at_s >= since_s - 1e-6), None)
    if found is None:
        return False, "never"
    after_s = found.at_s - since_s
    is_soon = duration_s is None or after_s <= duration_s
    when = look.outcome.clock(found.at_s) if duration_s is None else f"after {after_s:.1f} s"
    return is_soon, f"{when}: {found.text}"


def _no_lines(look: Look, text: str, since_s: float = 0.0) -> Verdict:
    log = [entry for entry in look.outcome.log if entry.level in _FAULTS and entry.at_s >= since_s]
    found = [entry for entry in log if text in entry.text]
    return not found, f"{look.outcome.clock(found[0].at_s)}: {found[0].text}" if found else "nothing"


def _recovered(look: Look, evses: Sequence[str], before_s: float, since_s: float, within_s: float) -> Verdict:
    """Tell whether limits were back, but for a tenth of what they were, within a time."""
    outcome = look.outcome
    slowest_s, slowest = 0.0, ""
    for evse in evses:
        wanted_A = 0.9 * outcome.at(f"grant/{evse}", before_s - 0.5)
        part = outcome.between(since_s, outcome.lasts_s)
        is_back = outcome.series[f"grant/{evse}"][part] >= wanted_A - METER_A
        if not is_back.any():
            return False, f"{evse} never had {wanted_A:.1f} A again"
        after_s = max(0.0, float(outcome.times_s[part][int(np.argmax(is_back))]) - since_s)
        if after_s >= slowest_s:
            slowest_s, slowest = after_s, evse
    return slowest_s <= within_s, f"{slowest} after {slowest_s:.1f} s"


__all__ = ["ASSERTIONS", "Look"]

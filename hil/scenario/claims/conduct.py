"""Assertions about how it went: how calmly, what switched, what was said, and how soon all was well again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np

from hil.scenario.claims.look import ASSERTIONS, METER_A, Look, Verdict
from hil.scenario.outcome import Move
from hil.scenario.recording import LogEntry
from hil.scenario.words import When

STEP_S = 0.4
"""What is seen of a moment, in steps of physics."""
_ROUNDING_A = 0.001
"""No pilot shows so small a rise."""
_FAULTS = ("warning", "error", "critical")
_BEGUN_S = 10.0
"""By then every meter has been heard."""

# -- stability


@ASSERTIONS.add(
    "grants change by at most {amperes} per hour[ from {moment} to {moment2}]", "sum of |change| of all"
)
def _settled(look: Look, amperes: float, moment: When | None = None, moment2: When | None = None) -> Verdict:
    outcome, part = look.outcome, look.between(moment, moment2)
    moved_A = sum(
        float(np.abs(np.diff(outcome.series[f"grant/{evse}"][part])).sum()) for evse in outcome.evses
    )
    hours = (look.end_s(moment2) - (look.seconds(moment) if moment else 0.0)) / 3600.0
    return moved_A / hours <= amperes, f"{moved_A / hours:.1f} A per hour"


@ASSERTIONS.add("no limit rises twice within {duration}", "of each EVSE")
def _rises(look: Look, duration: float) -> Verdict:
    outcome = look.outcome
    closest: tuple[float, str] = (np.inf, "none rose twice")
    for evse in outcome.evses:
        at_s = outcome.times_s[1:][np.diff(outcome.series[f"grant/{evse}"]) > _ROUNDING_A]
        for first_s, then_s in pairwise(at_s):
            gap_s = round(float(then_s - first_s), 3)
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
    start_s, end_s = look.seconds(moment) if moment else 0.0, look.end_s(moment2)
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

"""Assertions about what flows: through fuses, into cars, and who may draw how much."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hil.scenario.claims.look import ASSERTIONS, METER_A, Look, Verdict
from hil.scenario.outcome import Outcome
from hil.scenario.recording import Series
from hil.scenario.words import When

if TYPE_CHECKING:
    from numpy.typing import NDArray

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
    at_s = look.outcome.tripped_at_s.get(node)
    if at_s is not None:
        return True, f"trips at {look.outcome.clock(at_s)}"
    return False, f"{look.outcome.hottest[node]:.0%} of the way"


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
    values = look.outcome.vectors(f"draw/{evse}").max(axis=1)[look.between(moment, moment2)]
    return bool(values.min() >= amperes - METER_A), f"least {values.min():.1f} A"


@ASSERTIONS.add("{evse} draws at most {amperes} from {moment} to {moment2}", "on each phase, all the time")
def _draws_at_most(look: Look, evse: str, amperes: float, moment: When, moment2: When) -> Verdict:
    values = look.outcome.vectors(f"draw/{evse}").max(axis=1)[look.between(moment, moment2)]
    return bool(values.max() <= amperes + METER_A), f"most {values.max():.1f} A"


@ASSERTIONS.add("{evse} is granted at least {amperes} from {moment} to {moment2}", "its limit, all the time")
def _granted_at_least(look: Look, evse: str, amperes: float, moment: When, moment2: When) -> Verdict:
    values = look.outcome.series[f"grant/{evse}"][look.between(moment, moment2)]
    return bool(values.min() >= amperes - METER_A), f"least {values.min():.1f} A"


@ASSERTIONS.add("{evse} is granted at most {amperes} from {moment} to {moment2}", "its limit, all the time")
def _granted_at_most(look: Look, evse: str, amperes: float, moment: When, moment2: When) -> Verdict:
    values = look.outcome.series[f"grant/{evse}"][look.between(moment, moment2)]
    return bool(values.max() <= amperes + METER_A), f"most {values.max():.1f} A"


@ASSERTIONS.add("all grants together are at most {amperes} from {moment} to {moment2}", "sum of the limits")
def _granted_together(look: Look, amperes: float, moment: When, moment2: When) -> Verdict:
    outcome = look.outcome
    values = np.sum([outcome.series[f"grant/{evse}"] for evse in outcome.evses], axis=0)[
        look.between(moment, moment2)
    ]
    return bool(values.max() <= amperes + METER_A), f"most {values.max():.1f} A"


@ASSERTIONS.add(
    "nobody is paused[ for more than {duration}] from {moment} to {moment2}",
    "every car that wants energy draws some",
)
def _nobody_paused(look: Look, moment: When, moment2: When, duration: float = 0.0) -> Verdict:
    outcome, part = look.outcome, look.between(moment, moment2)
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
    most = int(charging[look.between(moment, moment2)].max())
    return most <= number, f"at most {most}"


# -- helpers


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
    inside[look.between(*span)] = True
    began_s, longest_s, _ = _longest(
        outcome, ((drawn_W > power_W + 3 * METER_A * 230.0) & inside)[:, np.newaxis]
    )
    found = f"at most {drawn_W[inside].max() / 1e3:.2f} kW"
    return longest_s <= duration_s, found + (
        f", more from {outcome.clock(began_s)} for {longest_s:.0f} s" if longest_s else ""
    )

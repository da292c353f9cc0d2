"""What the steps of a charging car tell of meter, contactor and charger. Pure."""

import math
from collections.abc import Iterator, Mapping, Sequence

from hil.wiring.expected import Expected
from hil.wiring.findings import Finding, Severity, fact, problem, undecided
from hil.wiring.response import Response, own_A, own_responses, response_time_s, responses
from hil.wiring.samples import PHASES, Plateau, Sample, answered, middle, plateaus
from hil.wiring.transformers import check_transformers

_DRAWS_A = 1.0
_FOLLOWS = 0.3
"""Share of a step from which a charger's own current counts as following its limit."""
_LEAVES_ORDER = ("ct_reversed", "meter_reversed", "slow")
"""Findings that do not spoil the view on which phase is which."""
_LIKE_A_CAR = (0.5, 1.5)
_SLOW_S = 10.0
"""IEC 61851-1 gives a car 5 s to follow the pilot; the charger and the reading of it take their part."""


def check_active(
    samples: Sequence[Sample], expected: Expected, *, blind: Sequence[str] = ()
) -> list[Finding]:
    """Judge what a charging car's steps show.

    Parameters
    ----------
    samples : sequence of Sample
        Of the whole procedure, with limits and numbers of phases.
    expected : Expected
        What the site file says.
    blind : sequence of str
        Phases of the meter whose power says nothing, since their voltage input is wrong.
    """
    on_all = plateaus(samples, 3) or plateaus(samples)
    if len(on_all) < 3 or len(answered(samples)) < len(samples) / 2:
        return [undecided("too_short", "not enough was measured", "repeat it")]
    own = own_responses(on_all)
    stopped = list(_nothing_to_see(on_all, own))
    if stopped:
        return stopped
    moving = [phase for phase, share in own.items() if share > _FOLLOWS]
    follow = middle(own[phase] for phase in moving) if moving else 1.0
    seen = responses(on_all, blind, follow)
    found = check_transformers(on_all, seen, moving, expected)
    answering = [response for response in seen if response.moves]
    found += _charger_phases(on_all, moving, expected)
    found += _contactor(samples, moving, expected, blind)
    found += _slow(on_all, moving, answering)
    if all(one.severity is Severity.FACT or one.code in _LEAVES_ORDER for one in found):
        is_clear = bool(answering) and all(response.steady for response in seen)
        shown = list(_rotation(samples, moving, answering, expected, blind)) if is_clear else []
        found += shown or [_ROTATION_UNTESTED]
        found += _untested(seen)
    return found


_ROTATION_UNTESTED = fact(
    "rotation_untested",
    "this car does not show which phase of the charger is which: phase_rotation is not tested",
    advice="repeat it with a one- or two-phase car, or where the charger can switch to one phase",
)


def _untested(seen: Sequence[Response]) -> Iterator[Finding]:
    """Say what a car on fewer phases cannot show."""
    names = [response.phase for response in seen if not response.moves]
    if names:
        yield fact(
            "untested",
            f"the transformer of {' and '.join(names)} is not tested: this car does not draw there",
            *names,
            advice="repeat it with a three-phase car",
        )


def _nothing_to_see(on_all: Sequence[Plateau], own: Mapping[str, float]) -> Iterator[Finding]:
    """Find out whether the car charges, and follows its limit, by the charger's own measurement."""
    if not own or max(own.values()) > _FOLLOWS:
        return
    draws_A = max(_level(on_all, phase) for phase in own)
    if draws_A > _DRAWS_A:
        yield problem(
            "limit_ignored",
            f"the car draws {draws_A:.1f} A whatever limit the charger is given",
            "check that the charger lets itself be controlled (its settings, remote mode), and its profile",
        )
    else:
        yield undecided(
            "no_draw", "the car does not charge", "plug in a car that is not full, and let it charge"
        )


def _level(on_all: Sequence[Plateau], phase: str) -> float:
    return middle(own_A(sample, phase) for plateau in on_all for sample in plateau.settled())


def _charger_phases(
    on_all: Sequence[Plateau], moving: Sequence[str], expected: Expected
) -> Iterator[Finding]:
    """Find phases that do not reach the car."""
    if expected.charger_phases < 3:
        return
    volts = {
        phase: middle(
            s.charger.voltage_V.get(phase, math.nan)
            for p in on_all
            for s in p.samples
            if s.charger is not None
        )
        for phase in PHASES
    }
    dead = [phase for phase, voltage_V in volts.items() if voltage_V < 50]
    if 0 < len(dead) < 3:
        yield _no_supply(dead)
    elif moving and expected.car_phases and 1 < len(moving) < expected.car_phases:
        yield _no_supply([phase for phase in PHASES[: expected.car_phases] if phase not in moving])


def _no_supply(phases: Sequence[str]) -> Finding:
    return problem(
        "charger_phase_missing",
        f"{', '.join(phases)} of the charger has no supply",
        "check its fuse and terminals",
        *phases,
    )


def _contactor(
    samples: Sequence[Sample], moving: Sequence[str], expected: Expected, blind: Sequence[str]
) -> Iterator[Finding]:
    """Compare on how many phases the car draws with what the contactor was told."""
    on_one = plateaus(samples, 1)
    if not on_one:
        return
    own = [phase for phase in PHASES if _level(on_one, phase) > _DRAWS_A]
    seen = _alone(on_one, blind)
    count = len(own) if any(math.isfinite(_level(on_one, phase)) for phase in PHASES) else len(seen)
    if count == 0:
        yield undecided(
            "no_draw_on_one", "the car does not charge on one phase", "repeat it with another car"
        )
    elif count > 1:
        yield problem(
            "contactor_stays_closed",
            f"told to charge on one phase, the car still draws on {count}",
            "the phase contactor does not open: welded, wired past, or not controlled. Do not switch phases",
        )
    elif own and own != ["L1"]:
        yield problem(
            "contactor_wrong_phase",
            f"told to charge on one phase, the car draws on {own[0]} in place of L1",
            "the contactor opens L1: put L1 (and N) on the contact that stays closed",
            own[0],
        )
    elif len(moving) == 1 and (expected.car_phases or 0) > 1:
        yield problem(
            "contactor_stays_open",
            "told to charge on three phases, the car draws on one",
            "the phase contactor does not close: check its coil, its wires and the relay",
        )
    else:
        yield fact("contactor_works", "one phase when told one")


def _alone(on_one: Sequence[Plateau], blind: Sequence[str]) -> list[str]:
    """Give the phases of the meter that clearly answer while the charger is told to use one phase."""
    if len(on_one) < 3:
        return []
    return [r.phase for r in responses(on_one, blind, 1.0) if r.moves and _is_car(r)]


def _is_car(response: Response) -> bool:
    """Whether it is the car for certain, where only the meter can tell."""
    low, high = _LIKE_A_CAR
    return response.exact and low <= response.size <= high


def _slow(
    on_all: Sequence[Plateau], moving: Sequence[str], answering: Sequence[Response]
) -> Iterator[Finding]:
    names = [response.phase for response in answering]

    def total_A(sample: Sample) -> float:
        if moving:
            return sum(own_A(sample, phase) for phase in moving)
        return sum(abs(sample.value("current_A", phase)) for phase in names)

    time_s = response_time_s(on_all, total_A)
    if time_s > _SLOW_S and moving:
        yield problem(
            "slow",
            f"the car follows a new limit only after {time_s:.0f} s",
            "fuses are protected that much later: raise `reserve`, or look for a delay in its settings",
        )
    elif not math.isnan(time_s):
        yield fact("response_time", f"the car follows a new limit within {max(time_s, 1.0):.0f} s")


def _rotation(
    samples: Sequence[Sample],
    moving: Sequence[str],
    answering: Sequence[Response],
    expected: Expected,
    blind: Sequence[str],
) -> Iterator[Finding]:
    """Find out which grid phases the charger's L1, L2, L3 hang on."""
    if not moving and not all(map(_is_car, answering)):
        return
    grid = sorted(response.phase for response in answering)
    own = list(moving) or list(PHASES[: len(grid)])
    if len(grid) == 3:
        on_one = plateaus(samples, 1)
        ones = _alone(on_one, blind)
        if len(ones) != 1:
            if not expected.grid_phases:
                yield undecided(
                    "rotation_open",
                    "a car that draws on all phases alike does not show which is which",
                    "repeat it with a one- or two-phase car, or give phase_rotation by hand",
                )
            return
        grid, own = ones, ["L1"]
    said = expected.grid_phases
    if said and sorted(said[PHASES.index(phase)] for phase in own) == grid:
        yield fact("rotation_right", f"phase_rotation {expected.rotation} fits what the meter sees")
        return
    order = _clockwise(own, grid)
    if order is None:
        return
    line = expected.line_with(phase_rotation=order)
    if not said:
        yield fact("rotation_found", f"L1, L2, L3 of the charger hang on {order}", lines=(line,))
        return
    yield problem(
        "rotation_wrong",
        f"{', '.join(own)} of the charger is {', '.join(grid)}, not as {expected.rotation} says",
        f"write `phase_rotation: {order}` into the site file, as below",
        *grid,
        lines=(line,),
    )


def _clockwise(own: Sequence[str], grid: Sequence[str]) -> str | None:
    """Give the clockwise order in which these phases of the charger hang on those of the grid."""
    for turn in range(3):
        order = [PHASES[(index + turn) % 3] for index in range(3)]
        if sorted(order[PHASES.index(phase)] for phase in own) == sorted(grid):
            return " ".join(order)
    return None

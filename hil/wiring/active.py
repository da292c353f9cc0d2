"""What the steps of a charging car tell of meter, transformers, contactor and charger. Pure."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from hil.wiring.findings import Finding, Severity, fact, problem, undecided
from hil.wiring.passive import reversed_transformers
from hil.wiring.response import MOVES, Response, own_A, own_responses, response_time_s, responses
from hil.wiring.samples import PHASES, Plateau, Sample, answered, middle, plateaus

_DRAWS_A = 1.0
_FOLLOWS = 0.3
"""Share of a step from which a charger's own current counts as following its limit."""
_LEAVES_ORDER = ("ct_reversed", "meter_reversed", "slow")
"""Findings that do not spoil the view on which phase is which."""
_SLOW_S = 10.0
"""IEC 61851-1 gives a car 5 s to follow the pilot; the charger and the reading of it take their part."""
_RATIO = (0.8, 1.25)
"""Between these a transformer's ratio counts as right: meters and cars are not that exact."""
_SETPOINT_RATIO = (0.7, 1.2)
"""The same against the limit, which a car need not use up."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What is said of the installation.

    Attributes
    ----------
    connector : str
        Its name in the site file.
    rotation : str or None
        Its ``phase_rotation`` there; None or "unknown" if nothing is said.
    car_phases : int or None
        Phases of the car, as its owner says.
    charger_phases : int
        Phases that the charger has and is connected with.
    """

    connector: str = "connector"
    rotation: str | None = None
    car_phases: int | None = None
    charger_phases: int = 3

    @property
    def grid_phases(self) -> tuple[str, ...]:
        """Grid phases that its L1, L2, L3 are said to hang on; empty if nothing is said."""
        return () if self.rotation in (None, "unknown") else tuple((self.rotation or "").split())


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
    found = list(_unsteady(seen))
    if found:
        return found
    answering = [response for response in seen if response.moves]
    if not answering:
        return [
            *_nobody_answers(on_all, seen, moving, expected),
            *_contactor(samples, moving, expected, blind),
        ]
    found = [
        *_reversed(answering, seen),
        *_wrong_phase(answering, moving or None, expected),
        *_dead(answering, seen, moving, expected),
        *_ratio(answering, measured=bool(moving)),
    ]
    blurred = {response.phase for response in seen if not response.exact}
    found = [one if not blurred & set(one.phases) else _noisy(*one.phases) for one in found]
    found += _charger_phases(on_all, moving, expected)
    found += _contactor(samples, moving, expected, blind)
    found += _slow(on_all, moving, answering)
    if all(one.severity is Severity.FACT or one.code in _LEAVES_ORDER for one in found):
        found += _rotation(samples, moving, answering, expected, blind)
    return found


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


def _unsteady(seen: Sequence[Response]) -> Iterator[Finding]:
    for response in seen:
        if response.size >= MOVES and not response.steady:
            yield _noisy(response.phase)


def _noisy(*phases: str) -> Finding:
    return undecided(
        "too_noisy",
        f"{', '.join(phases)} changes by itself too much to see the car clearly",
        "switch off what switches (oven, heat pump), or repeat it at a quieter time",
        *phases,
    )


def _nobody_answers(
    on_all: Sequence[Plateau], seen: Sequence[Response], moving: Sequence[str], expected: Expected
) -> Iterator[Finding]:
    if not moving:
        yield undecided(
            "no_response",
            "the meter does not see the car",
            "does the car charge, and does the charger follow its limit? Else this meter does not measure it",
        )
        return
    silent = [
        response.phase
        for response in seen
        if max(abs(s.value("current_A", response.phase)) for p in on_all for s in p.samples if s.meter) < 0.05
    ]
    behind = [phase for phase in expected.grid_phases[: len(moving)] if phase in silent]
    if silent and (behind or len(silent) == len(seen)):
        yield _dead_finding(behind or silent)
        return
    if not all(response.exact for response in seen):
        yield from (_noisy(response.phase) for response in seen if not response.exact)
        return
    yield problem(
        "not_behind_meter",
        "the car charges, and the meter does not see it",
        "the charger hangs on another feeder than this meter: correct `meter` and `node` in site.yaml",
    )


def _reversed(answering: Sequence[Response], seen: Sequence[Response]) -> Iterator[Finding]:
    yield from reversed_transformers([r.phase for r in answering if r.is_reversed], len(seen))


def _wrong_phase(
    answering: Sequence[Response], moving: Sequence[str] | None, expected: Expected
) -> Iterator[Finding]:
    """Find transformers that sit on another phase than their voltage input."""
    wrong = [response.phase for response in answering if not response.is_in_line]
    if not wrong:
        return
    car_phases = len(moving) if moving else expected.car_phases or min(len(answering), 3)
    shared = len(answering) > car_phases or (car_phases == 3 and len(wrong) == 1)
    if shared:
        yield problem(
            "ct_same_wire",
            f"the transformer of {', '.join(wrong)} sits on the wire of another phase, beside that one's own",
            f"put it round the wire of {', '.join(wrong)}",
            *wrong,
        )
    elif len(wrong) == 3:
        yield problem(
            "cts_rotated",
            "all three transformers sit one phase further than their voltage inputs",
            "move each to the wire of its own voltage input (or move all voltage inputs by one)",
            *wrong,
        )
    else:
        partner = [p for p in expected.grid_phases[: len(moving or ())] if p not in wrong]
        pair = [*wrong, *(partner if len(wrong) == 1 else [])]
        yield problem(
            "cts_exchanged",
            f"the transformers of {' and '.join(pair) if len(pair) > 1 else pair[0] + ' and another phase'} "
            "are exchanged",
            "exchange them (or the voltage inputs of the same phases)",
            *pair,
        )


def _dead(
    answering: Sequence[Response], seen: Sequence[Response], moving: Sequence[str], expected: Expected
) -> Iterator[Finding]:
    """Find phases on which the car draws and the meter sees nothing."""
    car_phases = len(moving) or (expected.car_phases or 0)
    silent = [response.phase for response in seen if not response.moves]
    if len(answering) >= car_phases or not silent:
        if not moving and not expected.car_phases and len(answering) == 2 and len(seen) == 3:
            yield undecided(
                "two_phases",
                f"only {answering[0].phase} and {answering[1].phase} answer: a two-phase car, "
                f"or the transformer of {silent[0]} is dead",
                "say --car-phases, or use a charger that measures",
                *silent,
            )
        return
    said = [phase for phase in expected.grid_phases[:car_phases] if phase in silent]
    yield _dead_finding(said if len(said) == car_phases - len(answering) else silent)


def _dead_finding(phases: Sequence[str]) -> Finding:
    return problem(
        "ct_dead",
        f"the car draws on {' or '.join(phases)}, and the meter sees no current there",
        f"is the transformer of {', '.join(phases)} closed round the wire, connected, not shorted?",
        *phases,
    )


def _ratio(answering: Sequence[Response], *, measured: bool) -> Iterator[Finding]:
    low, high = _RATIO if measured else _SETPOINT_RATIO
    judged = [response for response in answering if not math.isnan(response.in_line)]
    off = {response.phase: response.size for response in judged if not low <= response.size <= high}
    if not off:
        return
    factors = ", ".join(f"{phase} {size:.2f}" for phase, size in off.items())
    yield problem(
        "ct_ratio",
        f"the meter shows {factors} times what the car draws",
        "set the ratio of the transformers in the meter as printed on them, or change the odd one"
        + ("" if measured else " (if all are off alike, it may be the charger)"),
        *off,
    )


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
    return [r.phase for r in responses(on_one, blind, 1.0) if r.moves and r.size > 0.5]


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
    line = f"connectors: {{{expected.connector}: {{phase_rotation: {order}}}}}"
    if not said:
        yield fact("rotation_found", f"L1, L2, L3 of the charger hang on {order}", lines=(line,))
        return
    yield problem(
        "rotation_wrong",
        f"{', '.join(own)} of the charger is {', '.join(grid)}, not as {expected.rotation} says",
        f"put `phase_rotation: {order}` in site.yaml",
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

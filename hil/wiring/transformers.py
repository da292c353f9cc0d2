"""What the answers of a meter's phases to a car say of its current transformers. Pure."""

import math
from collections.abc import Iterator, Sequence

from hil.wiring.expected import Expected
from hil.wiring.findings import Finding, problem, undecided
from hil.wiring.passive import reversed_transformers
from hil.wiring.response import MOVES, Response
from hil.wiring.samples import Plateau

_RATIO = (0.8, 1.25)
"""Between these a transformer's ratio counts as right: meters and cars are not that exact."""
_SETPOINT_RATIO = (0.7, 1.2)
"""The same against the limit, which a car need not use up."""
_NOTHING_A = 0.05
_ABOUT_ORDER = ("ct_same_wire", "cts_rotated", "cts_exchanged")


def check_transformers(
    on_all: Sequence[Plateau], seen: Sequence[Response], moving: Sequence[str], expected: Expected
) -> list[Finding]:
    """Judge the transformers of a meter.

    Parameters
    ----------
    on_all : sequence of Plateau
        The steps on all phases.
    seen : sequence of Response
        How each phase of the meter has answered.
    moving : sequence of str
        The charger's own phases that have followed, by its own measurement; empty where it does not measure.
    expected : Expected
        What the site file says.
    """
    unsteady = list(_unsteady(seen))
    if unsteady:
        return unsteady
    answering = [response for response in seen if response.moves]
    if not answering:
        return list(_nobody_answers(on_all, seen, moving, expected))
    found = [
        *_reversed(answering, seen),
        *_wrong_phase(answering, moving or None, expected),
        *_dead(on_all, answering, seen, moving, expected),
        *_ratio(answering, moving),
    ]
    return _as_far_as_clear(found, seen, answering)


def _as_far_as_clear(
    found: Sequence[Finding], seen: Sequence[Response], answering: Sequence[Response]
) -> list[Finding]:
    """Leave open what rests on phases that are not clear: their own, and all where it is about their order.

    A current of an odd size counts as about the order, too: it may be that of another phase.
    """
    blurred = {response.phase for response in seen if not response.exact}
    unclear = [response.phase for response in answering if not response.exact]
    low, high = _SETPOINT_RATIO
    odd = {response.phase for response in answering if not low <= response.size <= high}
    clear = []
    for one in found:
        if blurred & set(one.phases):
            clear.append(_noisy(*one.phases))
        elif unclear and (one.code in _ABOUT_ORDER or odd & set(one.phases)):
            clear.append(_noisy(*unclear))
        else:
            clear.append(one)
    return list(dict.fromkeys(clear))


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
    silent = [response.phase for response in seen if _highest_A(on_all, response.phase) < _NOTHING_A]
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


def _highest_A(on_all: Sequence[Plateau], phase: str) -> float:
    return max(abs(s.value("current_A", phase)) for p in on_all for s in p.samples if s.meter)


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
    on_all: Sequence[Plateau],
    answering: Sequence[Response],
    seen: Sequence[Response],
    moving: Sequence[str],
    expected: Expected,
) -> Iterator[Finding]:
    """Find phases on which the car draws and the meter sees nothing.

    Where only the size of a current is known, it may stay the same while the car makes up for generation.
    """
    car_phases = len(moving) or (expected.car_phases or 0)
    silent = [
        response.phase
        for response in seen
        if not response.moves
        and (not math.isnan(response.in_line) or _highest_A(on_all, response.phase) < _NOTHING_A)
    ]
    if len(answering) >= car_phases or not silent:
        if silent and not moving and not expected.car_phases and len(answering) == 2 and len(seen) == 3:
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


def _ratio(answering: Sequence[Response], moving: Sequence[str]) -> Iterator[Finding]:
    measured = bool(moving)
    low, high = _RATIO if measured else _SETPOINT_RATIO
    judged = [response for response in answering if not math.isnan(response.in_line)]
    off = {response.phase: response.size for response in judged if not low <= response.size <= high}
    if not off:
        return
    if measured and len(answering) > len(moving):  # one of them is not the car, but switched in time with it
        yield _noisy(*off)
        return
    factors = ", ".join(f"{phase} {size:.2f}" for phase, size in off.items())
    yield problem(
        "ct_ratio",
        f"the meter shows {factors} times what the car draws",
        "set the ratio of the transformers in the meter as printed on them, or change the odd one"
        + ("" if measured else " (if all are off alike, it may be the charger)"),
        *off,
    )

"""How a meter's phases answer to a car whose current is stepped up and down. Pure.

A meter shows the size of a current, and its power: so one knows how much of it is in line with the voltage
(power over voltage), and how much is across (the rest, by Pythagoras). A car's current is in line with its
own phase. A transformer on that phase sees the step in line; one on another phase, 120 degrees away, sees
minus half of it in line and 0.87 of it across; and a transformer turned round changes the sign in line.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from hil.wiring.samples import PHASES, Plateau, Sample, known, middle

MOVES = 0.12
"""Share of the car's step from which a phase counts as answering."""
_IN_LINE = 0.72
"""Share in line of a step: 1 on the right phase, 0.5 on another; halfway is the square root of a half."""
_UNSTEADY = 0.35
_EXACT = 0.15
_MANY, _MOST = 0.6, 0.9
"""Shares of the steps. The larger one means all: a load that switched in step with five of six was seen."""


@dataclass(frozen=True, slots=True)
class Response:
    """Answer of one phase of the meter, per ampere of the car.

    Attributes
    ----------
    phase : str
        Which.
    size : float
        Change of the current.
    in_line : float
        Change of the part that is in line with the voltage; NaN if that is not known.
    steady : bool
        Most steps agree: it is the car, not the house.
    exact : bool
        Nearly all steps agree closely.
    """

    phase: str
    size: float
    in_line: float
    steady: bool
    exact: bool

    @property
    def moves(self) -> bool:
        """Whether it answers at all."""
        return self.size >= MOVES and self.steady

    @property
    def is_in_line(self) -> bool:
        """Whether current and voltage are of the same phase, as far as that can be seen."""
        return math.isnan(self.in_line) or abs(self.in_line) >= _IN_LINE * self.size

    @property
    def is_reversed(self) -> bool:
        """Whether the transformer is the wrong way round."""
        if math.isnan(self.in_line):
            return False
        return self.in_line < 0 if self.is_in_line else self.in_line > 0


def responses(plateaus: Sequence[Plateau], blind: Sequence[str], follow: float) -> list[Response]:
    """Measure how each phase answers.

    Parameters
    ----------
    plateaus : sequence of Plateau
        The steps, in their order.
    blind : sequence of str
        Phases whose voltage input is wrong, so that their power says nothing.
    follow : float
        Share of each step that the car really takes, by the charger's own measurement; 1 if not known.
    """
    found = []
    for phase in PHASES:
        in_line = steps(plateaus, lambda s, p=phase: _in_line_A(s, p))  # type: ignore[misc]
        if known(in_line) and phase not in blind:
            across = steps(plateaus, lambda s, p=phase: _across_A(s, p))  # type: ignore[misc]
            along, size = middle(in_line), math.hypot(middle(in_line), middle(across))
            # where generation outweighs the house, the unsigned part across may turn round amid the steps
            is_straight = _agreeing(across, _EXACT * max(size, 0.5)) >= _MOST
            found.append(_response(phase, size / follow, along / follow, in_line, is_straight=is_straight))
            continue
        whole = steps(plateaus, lambda s, p=phase: abs(s.value("current_A", p)))  # type: ignore[misc]
        if known(whole):
            found.append(_response(phase, abs(middle(whole)) / follow, math.nan, whole, is_straight=True))
    return found


def _response(
    phase: str, size: float, in_line: float, moved: Sequence[float], *, is_straight: bool
) -> Response:
    scale = max(abs(middle(moved)), 0.5)
    steady = _agreeing(moved, _UNSTEADY * scale) >= _MANY
    exact = is_straight and _agreeing(moved, _EXACT * scale) >= _MOST
    return Response(phase, size, in_line, steady, exact)


def _agreeing(moved: Sequence[float], within: float) -> float:
    """Give the share of steps that are as the middle one."""
    numbers, center = known(moved), middle(moved)
    return sum(abs(number - center) <= within for number in numbers) / max(len(numbers), 1)


def _in_line_A(sample: Sample, phase: str) -> float:
    """Part of the current that is in line with the voltage, positive for import."""
    voltage_V = sample.value("voltage_V", phase)
    return sample.value("power_W", phase) / voltage_V if voltage_V > 50 else math.nan


def _across_A(sample: Sample, phase: str) -> float:
    """Part of the current that is across; its sign only where the meter measures reactive power."""
    voltage_V, reactive_VAR = sample.value("voltage_V", phase), sample.value("reactive_power_VAR", phase)
    if not math.isnan(reactive_VAR):
        return reactive_VAR / voltage_V
    rest = sample.value("current_A", phase) ** 2 - _in_line_A(sample, phase) ** 2
    return math.sqrt(max(rest, 0.0)) if not math.isnan(rest) else math.nan


def own_responses(plateaus: Sequence[Plateau]) -> dict[str, float]:
    """Measure how the charger's own currents answer; empty where it does not measure."""
    found = {}
    for phase in PHASES:
        moved = steps(plateaus, lambda s, p=phase: own_A(s, p))  # type: ignore[misc]
        if known(moved):
            found[phase] = middle(moved)
    return found


def own_A(sample: Sample, phase: str) -> float:
    """Give the charger's own current on a phase; NaN if unknown."""
    return sample.charger.current_A.get(phase, math.nan) if sample.charger is not None else math.nan


def steps(plateaus: Sequence[Plateau], value: Callable[[Sample], float]) -> list[float]:
    """Give how much a value changes from plateau to plateau, per ampere of the limit."""
    levels = [middle(value(sample) for sample in plateau.settled()) for plateau in plateaus]
    return [
        (after - before) / (to.limit_A - at.limit_A)
        for (at, before), (to, after) in pairwise(zip(plateaus, levels, strict=True))
        if to.limit_A != at.limit_A
    ]


def response_time_s(plateaus: Sequence[Plateau], total_A: Callable[[Sample], float]) -> float:
    """Give how long a change of the limit takes until nine tenths of it are there; NaN if nothing changes."""
    times = []
    for before, after in pairwise(plateaus):
        start, end = (middle(total_A(s) for s in p.settled()) for p in (before, after))
        if not abs(end - start) > 1.0:  # also NaN
            continue
        begin_s = before.samples[-1].at_s
        late = [s for s in after.samples if not abs(total_A(s) - end) <= 0.1 * abs(end - start)]
        times.append((late[-1].at_s - begin_s) if late else 0.0)
    return middle(times)

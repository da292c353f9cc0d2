"""What a meter's readings alone tell of its wiring. Pure.

Only what no good installation shows is called a problem: power that flows out may be a reversed
transformer or a PV system, and only a load that is switched (see `active`) tells which.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import mean, pstdev

from hil.wiring.findings import Finding, fact, problem
from hil.wiring.samples import PHASES, Sample, answered, known, middle, pairs

_LOST_SHARE = 0.15
"""Share of polls without an answer that is no accident any more."""
_DEAD_SHARE = 0.2
_OFF_SHARE = 0.15
_LINE_TO_LINE = 3**0.5
_TWIN_V = 0.06
_FLOWS_A = 2.0
_IN_LINE = 0.7
_SHOWS_FACTOR_VA = 50.0
_ALIVE_V = 50.0


def check_passive(
    samples: Sequence[Sample], *, phases: int = 3, nominal_V: float = 230.0, has_generation: bool = True
) -> list[Finding]:
    """Judge a meter by what it says.

    Parameters
    ----------
    samples : sequence of Sample
        Some ten or more, about one a second, while nothing is done to the installation.
    phases : int
        Phases that the meter has.
    nominal_V : float
        Voltage between phase and neutral.
    has_generation : bool
        Power may flow out: there is PV or a battery. If not, outward power is a reversed transformer.

    Returns
    -------
    list of Finding
        Empty if nothing is wrong.
    """
    found = list(_polling(samples))
    heard = answered(samples)
    if any(finding.code in ("no_answer", "frozen") for finding in found) or len(heard) < 2:
        return found
    names = PHASES[:phases]
    voltages = list(_voltages(heard, names, nominal_V))
    found += voltages
    found += _twins(heard, names, nominal_V) if not voltages else []
    found += _frequency(heard)
    found += _sums(heard)
    found += _apparent(heard, names)
    found += _neutral(heard)
    found += check_counters(heard)
    if not has_generation:
        found += _outward(heard, names)
    return found


def _polling(samples: Sequence[Sample]) -> Iterator[Finding]:
    heard = answered(samples)
    lost = len(samples) - len(heard)
    if not heard:
        yield problem("no_answer", "the meter does not answer", "see `hil read` and `hil probe` for the line")
        return
    if lost > _LOST_SHARE * len(samples):
        yield problem(
            "poor_line",
            f"{lost} of {len(samples)} polls had no answer",
            "terminate the line with 120 ohms at both ends, check the shield, shorten stubs, one master only",
        )
    flows = any(abs(heard[0].value("current_A", phase)) > 0.2 for phase in PHASES)
    if len(heard) >= 10 and flows and all(sample.meter == heard[0].meter for sample in heard):
        yield problem(
            "frozen",
            f"the same values for {heard[-1].at_s - heard[0].at_s:.0f} s, to the last digit",
            "restart the meter or the gateway in between: it repeats an old reading",
        )


def _voltages(samples: Sequence[Sample], phases: Sequence[str], nominal_V: float) -> Iterator[Finding]:
    seen = {phase: middle(sample.value("voltage_V", phase) for sample in samples) for phase in phases}
    seen = {phase: value for phase, value in seen.items() if value == value}  # noqa: PLR0124 (NaN is not measured)
    dead = [phase for phase, value in seen.items() if value < _DEAD_SHARE * nominal_V]
    crossed = [p for p, v in seen.items() if abs(v - _LINE_TO_LINE * nominal_V) < 0.06 * nominal_V]
    if len(crossed) == len(seen) - 1 and crossed:
        (straight,) = set(seen) - set(crossed)
        yield problem(
            "neutral_exchanged",
            f"{', '.join(crossed)} show the voltage between two phases",
            f"at the meter, N and {straight} are exchanged: switch off, exchange them",
            straight,
        )
        return
    for phase in dead:
        yield problem(
            "phase_missing",
            f"{phase} has no voltage ({seen[phase]:.0f} V)",
            f"check the fuse and the wire of the meter's voltage input {phase}",
            phase,
        )
    alive = [phase for phase in seen if phase not in dead]
    off = [phase for phase in alive if abs(seen[phase] - nominal_V) > _OFF_SHARE * nominal_V]
    if off:
        shown = ", ".join(f"{phase} {seen[phase]:.0f} V" for phase in alive)
        average = mean(seen[phase] for phase in alive)
        if len(alive) > 1 and abs(average - nominal_V) < 0.1 * nominal_V:
            yield problem(
                "neutral_open",
                f"the phases are far apart: {shown}",
                "N is interrupted or loose: switch off at once, loads are in danger, and find where",
                *off,
            )
        else:
            yield problem(
                "voltage_wrong",
                f"{shown}, expected {nominal_V:.0f} V",
                "check the voltage inputs, and the transformer ratio that is set in the meter",
                *off,
            )


def _twins(samples: Sequence[Sample], phases: Sequence[str], nominal_V: float) -> Iterator[Finding]:
    """Find two voltage inputs that are on one phase."""
    if len(phases) < 3:
        return
    for one, other, third in pairs():
        between = middle(sample.value("voltage_V", f"{one}_{other}") for sample in samples)
        if between == between:  # noqa: PLR0124 (NaN: the meter does not measure it)
            is_twin = between < 0.5 * nominal_V
        else:
            is_twin = _moves_alike(samples, one, other, third)
        if is_twin:
            yield problem(
                "phase_doubled",
                f"{one} and {other} have the same voltage, moment by moment",
                f"two voltage inputs of the meter are on one phase: check {one} and {other}",
                one,
                other,
            )


def _moves_alike(samples: Sequence[Sample], one: str, other: str, third: str) -> bool:
    """Whether two voltages move as one, and the third by itself."""
    u, v, w = ([sample.value("voltage_V", phase) for sample in samples] for phase in (one, other, third))
    if len(known(u)) < 10 or len(known(v)) < len(u) or len(known(w)) < len(u):
        return False
    apart = [a - b for a, b in zip(u, v, strict=True)]
    apart_third = [a - b for a, b in zip(u, w, strict=True)]
    is_alive = pstdev(u) > 0.1
    return is_alive and pstdev(apart) < min(_TWIN_V, 0.25 * pstdev(apart_third)) and abs(mean(apart)) < 1.2


def _frequency(samples: Sequence[Sample]) -> Iterator[Finding]:
    frequency_Hz = middle((sample.meter or {}).get("frequency_Hz", float("nan")) for sample in samples)
    if frequency_Hz > 0 and not 45 <= frequency_Hz <= 65:
        yield problem(
            "frequency_wrong",
            f"{frequency_Hz:.4g} Hz is no mains frequency",
            "the profile does not fit this firmware: see `hil probe`, and the notes of the profile",
        )


def _sums(samples: Sequence[Sample]) -> Iterator[Finding]:
    apart, large = [], []
    for sample in samples:
        parts = known(sample.value("power_W", phase) for phase in PHASES)
        total = (sample.meter or {}).get("power_W.total")
        if total is not None and len(parts) == 3:
            apart.append(abs(sum(parts) - total))
            large.append(sum(map(abs, parts)))
    if apart and middle(apart) > 0.05 * middle(large) + 40:
        yield problem(
            "sum_wrong",
            f"the total differs from the sum of the phases by {middle(apart):.0f} W",
            "the profile does not fit this meter, or the meter adds up absolute values: see its settings",
        )


def _apparent(samples: Sequence[Sample], phases: Sequence[str]) -> Iterator[Finding]:
    for phase in phases:
        excess = [
            abs(s.value("power_W", phase))
            > 1.1 * abs(s.value("voltage_V", phase) * s.value("current_A", phase)) + 30
            for s in samples
        ]
        if sum(excess) > 0.8 * len(excess):
            yield problem(
                "power_wrong",
                f"{phase} shows more power than its voltage and current make",
                "the profile does not fit this meter, or its current and power have different ratios",
                phase,
            )


def _neutral(samples: Sequence[Sample]) -> Iterator[Finding]:
    """Compare the neutral current, where it is measured, with what the phases can make."""
    excess = []
    for sample in samples:
        neutral_A = (sample.meter or {}).get("current_A.N")
        phases_A = known(sample.value("current_A", phase) for phase in PHASES)
        if neutral_A is not None and phases_A:
            excess.append(abs(neutral_A) - sum(map(abs, phases_A)))
    if excess and middle(excess) > 1.0:
        yield problem(
            "neutral_current",
            f"N carries {middle(excess):.1f} A more than all phases together",
            "the current of N is not that of these phases: check its transformer, or another circuit's N",
            "N",
        )


def check_counters(samples: Sequence[Sample]) -> Iterator[Finding]:
    """Compare which counter rises with the direction of the power."""
    wanted_Wh, rises = 0.0, {}
    for before, after in pairwise(samples):
        power_W = (before.meter or {}).get("power_W.total", 0.0)
        wanted_Wh += power_W * (after.at_s - before.at_s) / 3600.0
    for name in ("import", "export"):
        counts = [(sample.meter or {}).get(f"energy_Wh.{name}") for sample in samples]
        numbers = [count for count in counts if count is not None]
        rises[name] = numbers[-1] - numbers[0] if numbers else 0.0
        if any(after < before - 1 for before, after in pairwise(numbers)):
            yield problem(
                "counter_falls", f"the counter of {name} falls", "the profile does not fit this meter"
            )
            return
    against, along = ("export", "import") if wanted_Wh > 0 else ("import", "export")
    if abs(wanted_Wh) > 5 and rises[against] > 0.4 * abs(wanted_Wh) and rises[along] < 0.1 * abs(wanted_Wh):
        yield problem(
            "counters_exchanged",
            f"the counter of {against} rises while the power is that of {along}",
            "import and export are exchanged: in the profile, or as the meter is set",
        )


def _outward(samples: Sequence[Sample], phases: Sequence[str]) -> Iterator[Finding]:
    """Find transformers by power that flows out, where nothing can make any."""
    reversed_ones = []
    for phase in phases:
        loaded = [s for s in samples if _flows(s, phase)]
        if loaded and middle(_factor(s, phase) for s in loaded) < -_IN_LINE:
            reversed_ones.append(phase)
    yield from reversed_transformers(reversed_ones, len(phases))


def _factor(sample: Sample, phase: str) -> float:
    apparent = abs(sample.value("voltage_V", phase) * sample.value("current_A", phase))
    return sample.value("power_W", phase) / apparent if apparent else 0.0


def reversed_transformers(phases: Sequence[str], of: int) -> Iterator[Finding]:
    """Yield the finding that transformers are the wrong way round."""
    if len(phases) == of > 1:
        yield problem(
            "meter_reversed",
            "all phases show import as export",
            "the meter sits the wrong way round: exchange its supply and load side, or turn all transformers",
            *phases,
        )
    elif phases:
        yield problem(
            "ct_reversed",
            f"{', '.join(phases)} shows import as export",
            f"turn the current transformer of {', '.join(phases)} round, or exchange its two wires (k and l)",
            *phases,
        )


def describe(samples: Sequence[Sample], phases: int = 3, *, is_all: bool = True) -> list[Finding]:
    """Give what was measured, as facts.

    Parameters
    ----------
    is_all : bool
        No car was stepped: what only that decides is mentioned as well.
    """
    heard = answered(samples)
    if not heard:
        return []
    facts = [fact("measured", f"{phase}: {_measured(heard, phase)}", phase) for phase in PHASES[:phases]]
    frequency_Hz = middle((sample.meter or {}).get("frequency_Hz", math.nan) for sample in heard)
    shown = "" if math.isnan(frequency_Hz) else f"{frequency_Hz:.2f} Hz; "
    facts.append(fact("polled", f"{shown}{len(heard)} of {len(samples)} polls answered"))
    return [*facts, *(_doubts(heard, PHASES[:phases]) if is_all else [])]


def _measured(samples: Sequence[Sample], phase: str) -> str:
    voltage_V, current_A, power_W = (
        middle(sample.value(quantity, phase) for sample in samples)
        for quantity in ("voltage_V", "current_A", "power_W")
    )
    parts = [f"{voltage_V:.1f} V", f"{abs(current_A):.2f} A", f"{power_W:.0f} W"]
    apparent_VA = abs(voltage_V * current_A)
    if apparent_VA > _SHOWS_FACTOR_VA:
        parts.append(f"power factor {power_W / apparent_VA:.2f}")
    return ", ".join(part for part in parts if not part.startswith("nan"))


def _flows(sample: Sample, phase: str) -> bool:
    """Whether there is anything whose power factor means something."""
    return abs(sample.value("current_A", phase)) > _FLOWS_A and sample.value("voltage_V", phase) > _ALIVE_V


def _doubts(samples: Sequence[Sample], phases: Sequence[str]) -> Iterator[Finding]:
    """Mention what a good installation may show, and a wrong one as well."""
    for phase in phases:
        loaded = [s for s in samples if _flows(s, phase)]
        factor = middle(_factor(s, phase) for s in loaded) if loaded else math.nan
        if factor < -_IN_LINE:
            yield fact(
                "feeds_in",
                f"{phase} feeds in",
                phase,
                advice="if no PV or battery does that (--no-generation), its transformer is reversed",
            )
        elif abs(factor) < _IN_LINE:
            yield fact(
                "low_power_factor",
                f"{phase} has a power factor of {factor:.2f}",
                phase,
                advice="rare in a house: the transformer may sit on the wire of another phase",
            )

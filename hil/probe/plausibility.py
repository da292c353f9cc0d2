"""Whether the values that a profile sees in a device can be those of a power meter. Pure."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bsp.registers import Value

_PHASES = ("L1", "L2", "L3")
_DEAD_V = 10.0
_HIGHEST_A = 1000.0
_HIGHEST_WH = 1e10


@dataclass(frozen=True, slots=True)
class Evidence:
    """One thing about the values that fits a meter, or does not.

    Attributes
    ----------
    weight : float
        How much it says: positive for, negative against, between -1 and 0 merely missing.
    text : str
        What it is, in words.
    """

    weight: float
    text: str

    @property
    def speaks_against(self) -> bool:
        """Whether no meter of this profile would show it."""
        return self.weight <= -1.0


def weigh(
    first: Mapping[str, Value], later: Mapping[str, Value], *, phases: int, nominal_V: float = 230.0
) -> list[Evidence]:
    """Look at two readings of a device through the eyes of one profile.

    Parameters
    ----------
    first, later : mapping of str to Value
        Values by point, the second a moment after the first; None is missing.
    phases : int
        Phases that the profile has.
    nominal_V : float
        Voltage between phase and neutral.
    """
    values = {name: float(value) for name, value in later.items() if isinstance(value, int | float)}
    return [
        *_voltages(values, later, phases, nominal_V),
        *_frequency(values, later),
        *_currents(values, later),
        *_powers(values),
        *_sums(values),
        *_energies(values, later, first),
        *_power_factor(values),
    ]


def _voltages(
    values: Mapping[str, float], shown: Mapping[str, Value], phases: int, nominal_V: float
) -> Iterator[Evidence]:
    for phase in _PHASES[:phases]:
        name = f"voltage_V.{phase}"
        if name not in shown:
            continue
        voltage_V = values.get(name)
        if voltage_V is None:
            yield Evidence(-0.9, f"no voltage on {phase}")
        elif abs(voltage_V - nominal_V) <= 0.15 * nominal_V:
            yield Evidence(2.0, f"{phase} {voltage_V:.0f} V")
        elif 0 <= voltage_V < _DEAD_V:
            yield Evidence(-0.9, f"{phase} {voltage_V:.0f} V: not connected")
        else:
            yield Evidence(-6.0, f"{phase} {voltage_V:.4g} V is no mains voltage")


def _frequency(values: Mapping[str, float], shown: Mapping[str, Value]) -> Iterator[Evidence]:
    if "frequency_Hz" not in shown:
        return
    frequency_Hz = values.get("frequency_Hz", 0.0)
    if 45 <= frequency_Hz <= 65:
        yield Evidence(3.0, f"{frequency_Hz:.1f} Hz")
    elif frequency_Hz == 0:
        yield Evidence(-0.9, "no frequency")
    else:
        yield Evidence(-3.0, f"{frequency_Hz:.4g} Hz is no mains frequency")


def _currents(values: Mapping[str, float], shown: Mapping[str, Value]) -> Iterator[Evidence]:
    for phase in _PHASES:
        name = f"current_A.{phase}"
        current_A = values.get(name)
        if name not in shown:
            continue
        if current_A is None:
            yield Evidence(-0.5, f"no current on {phase}")
        elif abs(current_A) > _HIGHEST_A:
            yield Evidence(-3.0, f"{phase} {current_A:.4g} A is too much")
        elif current_A:
            yield Evidence(0.5, f"{phase} {current_A:.2f} A")


def _powers(values: Mapping[str, float]) -> Iterator[Evidence]:
    """Compare each phase's power with what its voltage and current allow."""
    for phase in _PHASES:
        power_W, current_A = values.get(f"power_W.{phase}"), values.get(f"current_A.{phase}")
        voltage_V = values.get(f"voltage_V.{phase}")
        if power_W is None or current_A is None or voltage_V is None:
            continue
        apparent_VA = abs(voltage_V * current_A)
        if abs(power_W) > 1.05 * apparent_VA + 15:
            yield Evidence(-3.0, f"{phase} {power_W:.4g} W, though {apparent_VA:.4g} VA")
        elif apparent_VA > 50 and abs(power_W) < 0.02 * apparent_VA:
            yield Evidence(-1.0, f"{phase} hardly any power, though {apparent_VA:.4g} VA")
        elif apparent_VA > 50:
            yield Evidence(2.0, f"{phase} {power_W:.0f} W of {apparent_VA:.0f} VA")


def _sums(values: Mapping[str, float]) -> Iterator[Evidence]:
    total_W = values.get("power_W.total")
    parts = [values[f"power_W.{phase}"] for phase in _PHASES if f"power_W.{phase}" in values]
    if total_W is None:
        if "power_W.import" in values and "power_W.export" in values:
            total_W = values["power_W.import"] - values["power_W.export"]
        else:
            return
    if len(parts) == 3:
        signed, unsigned = abs(sum(parts) - total_W), abs(sum(map(abs, parts)) - abs(total_W))
        tolerance_W = 0.02 * sum(map(abs, parts)) + 15
        if min(signed, unsigned) > tolerance_W:
            yield Evidence(-3.0, f"{total_W:.4g} W is not the sum of {sum(parts):.4g} W")
        elif abs(total_W) > 20:
            yield Evidence(3.0, f"{total_W:.0f} W is the sum of the phases")
        return
    apparent = [values.get(f"voltage_V.{p}", 0.0) * values.get(f"current_A.{p}", 0.0) for p in _PHASES]
    apparent_VA = sum(map(abs, apparent))
    if not apparent_VA:
        return
    if abs(total_W) > 1.05 * apparent_VA + 15:
        yield Evidence(-3.0, f"{total_W:.4g} W, though {apparent_VA:.4g} VA")
    elif abs(total_W) > 20:
        yield Evidence(1.5, f"{total_W:.0f} W of {apparent_VA:.0f} VA")


def _energies(
    values: Mapping[str, float], shown: Mapping[str, Value], first: Mapping[str, Value]
) -> Iterator[Evidence]:
    for name, word in (("energy_Wh.import", "imported"), ("energy_Wh.export", "exported")):
        if name not in shown:
            continue
        energy_Wh, before_Wh = values.get(name), first.get(name)
        if energy_Wh is None:
            yield Evidence(-0.5, f"does not say what was {word}")
        elif not -1 <= energy_Wh < _HIGHEST_WH or not _is_whole(energy_Wh):
            yield Evidence(-2.0, f"{energy_Wh:.4g} Wh {word} cannot be")
        elif isinstance(before_Wh, int | float) and energy_Wh < before_Wh - 1:
            yield Evidence(-3.0, f"what was {word} falls")
        elif energy_Wh:
            yield Evidence(1.0, f"{energy_Wh / 1000:.1f} kWh {word}")
        yield from _energy_sums(values, name, word)


def _energy_sums(values: Mapping[str, float], name: str, word: str) -> Iterator[Evidence]:
    parts = [values[f"{name}.{phase}"] for phase in _PHASES if f"{name}.{phase}" in values]
    total_Wh = values.get(name, 0.0)
    if len(parts) < 3 or total_Wh < 1000:
        return
    if not any(parts):
        yield Evidence(-0.5, f"does not say what was {word} per phase")
    elif abs(sum(parts) - total_Wh) <= 0.02 * total_Wh + 100:
        yield Evidence(2.0, f"what was {word} is the sum of the phases")
    else:
        yield Evidence(-1.0, f"what was {word} is not the sum of the phases")


def _power_factor(values: Mapping[str, float]) -> Iterator[Evidence]:
    factor = values.get("power_factor.total")
    if factor is None:
        return
    if abs(factor) > 1.02:
        yield Evidence(-1.0, f"{factor:.4g} is no power factor")
    elif factor:
        yield Evidence(0.5, f"power factor {factor:.2f}")


def _is_whole(energy_Wh: float) -> bool:
    """Whether it is 0 or large enough for a counter: misread floats are often next to nothing."""
    return energy_Wh == 0 or abs(energy_Wh) > 1e-3 or math.isclose(energy_Wh, 0, abs_tol=1e-12)

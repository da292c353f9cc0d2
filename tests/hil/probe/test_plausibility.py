"""What speaks for a profile, and what against: values as a wrong profile would see them."""

import pytest

from bsp.profile import Serial, meter_profile, profile_names
from bsp.registers import Value
from hil.probe import plan
from hil.probe.plausibility import weigh

GOOD: dict[str, Value] = {
    "voltage_V.L1": 231.0, "voltage_V.L2": 229.0, "voltage_V.L3": 233.0,
    "current_A.L1": 10.0, "current_A.L2": 2.0, "current_A.L3": 0.0,
    "power_W.L1": 2300.0, "power_W.L2": -440.0, "power_W.L3": 0.0, "power_W.total": 1860.0,
    "frequency_Hz": 50.02, "energy_Wh.import": 123_456.0, "energy_Wh.export": 0.0,
    "energy_Wh.import.L1": 100_000.0, "energy_Wh.import.L2": 20_000.0, "energy_Wh.import.L3": 3_456.0,
    "power_factor.total": 0.98,
}  # fmt: skip


def against(first: dict[str, Value], **changed: Value) -> list[str]:
    later = {**first, **{name.replace("__", "."): value for name, value in changed.items()}}
    return [evidence.text for evidence in weigh(first, later, phases=3) if evidence.speaks_against]


def test_nothing_speaks_against_a_meter_that_is_read_right() -> None:
    assert against(GOOD) == []
    assert sum(evidence.weight for evidence in weigh(GOOD, GOOD, phases=3)) > 15


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"voltage_V__L2": 1.1e-38}, "L2 -440 W, though 2.2e-38 VA"),  # a float of swapped words
        ({"voltage_V__L1": 2310.0}, "L1 2310 V is no mains voltage"),
        ({"voltage_V__L1": 60.0}, "L1 60 V is no mains voltage"),
        ({"frequency_Hz": 500.2}, "500.2 Hz is no mains frequency"),
        ({"current_A__L1": 65536.0}, "L1 6.554e+04 A is too much"),
        ({"power_W__L1": 23000.0}, "L1 2.3e+04 W, though 2310 VA"),
        ({"power_W__total": 18600.0}, "1.86e+04 W is not the sum of 1860 W"),
        ({"energy_Wh__import": 123_000.0}, "what was imported falls"),
        ({"energy_Wh__import": -5.0}, "-5 Wh imported cannot be"),
        ({"energy_Wh__import": 1e30}, "1e+30 Wh imported cannot be"),
        ({"energy_Wh__import__L1": 5.0}, "what was imported is not the sum of the phases"),
        ({"power_factor__total": 980.0}, "980 is no power factor"),
    ],
)
def test_what_no_meter_shows(changed: dict[str, Value], text: str) -> None:
    assert text in against(GOOD, **changed)


def test_a_total_without_sign_of_a_site_that_exports_is_no_contradiction() -> None:
    unsigned = {**GOOD, "power_W.L2": 440.0, "power_W.total": 1860.0 + 880.0}
    assert against(unsigned) == []


def test_the_most_frequent_line_settings_and_the_factory_units_come_first() -> None:
    profiles = plan.on_lines({name: meter_profile(name) for name in profile_names("meters")})
    settings = plan.line_settings(profiles.values())
    assert settings[0] == Serial(9600, "N", 1)
    assert set(settings) == {p.serial for p in profiles.values() if p.serial is not None}, "no others"
    assert plan.units(profiles.values())[:2] == [1, 126]
    assert max(plan.units(profiles.values(), every=True)) == 247
    assert all("rtu" in profile.transport for profile in profiles.values())


def test_the_likely_comes_before_the_unlikely() -> None:
    profiles = list(plan.on_lines({n: meter_profile(n) for n in profile_names("meters")}).values())
    tried = [(attempt.settings, unit) for attempt in plan.attempts(profiles) for unit in attempt.units]
    rounds = len(plan.line_settings(profiles))
    assert {unit for _, unit in tried[: 2 * rounds]} == {1, 126}
    only = list(plan.attempts(profiles, [Serial(19200, "E", 1)], [5]))
    assert {(attempt.settings, tuple(attempt.units)) for attempt in only} == {(Serial(19200, "E", 1), (5,))}

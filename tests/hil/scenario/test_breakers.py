"""What is dark when a breaker is open, and what is not."""

from pathlib import Path

import pytest

from hil.scenario import Outcome, load_scenario, run

METER = "siemens_pac2200_pac3120_pac3200"
BARN = f"""\
title: A barn with a yard behind it
start: 10:00
lasts: 10 min
site:
  grid: {{fuse: 32 A, meter: house, fallback: 12 A}}
  nodes:
    barn: {{fuse: 25 A, meter: barn_meter}}
    yard: {{fuse: 20 A, meter: yard_meter, parent: barn}}
  buses:
    lan: {{host: 192.0.2.10}}
    far: {{host: 192.0.2.11}}
  meters:
    house: {{profile: {METER}, bus: lan, unit: 1}}
    barn_meter: {{profile: {METER}, bus: lan, unit: 2}}
    yard_meter: {{profile: {METER}, bus: lan, unit: 3}}
    own: {{profile: {METER}, bus: lan, unit: 4}}
  connectors:
    wallbox: {{profile: alfen_eve, bus: far, unit: 1, phase_rotation: L1 L2 L3, node: yard, meter: own}}
  evses:
    gate: {{node: yard, phase_rotation: L2 L3 L1}}
    garage: {{phase_rotation: L1 L2 L3}}
cars:
  one: {{at: wallbox}}
  two: {{at: gate}}
  three: {{at: garage}}
loads:
  pump: {{node: yard, draws: 2 A}}
  lamps: {{node: barn, draws: 1 A}}
house: {{draws: 3 A}}
"""


def outcome_of(text: str, directory: Path) -> Outcome:
    path = directory / "barn.yaml"
    path.write_text(text)
    return run(load_scenario(path))


def failed(outcome: Outcome) -> list[str]:
    return [f"{check.text}: {check.found}" for check in outcome.checks if not check.holds]


def test_all_behind_an_open_breaker_is_dark_until_it_is_reset(tmp_path: Path) -> None:
    outcome = outcome_of(
        BARN
        + """
events:
  10:03: breaker barn is switched off for 2 min
assert:
  - barn draws at most 0 kW from 10:03:01 to 10:05
  - yard draws at most 0 kW from 10:03:01 to 10:05
  - garage draws at least 7 A from 10:01 to the end
  - wallbox fault is reported within 10 s of "breaker barn"
  - meter yard_meter is reported within 15 s of "breaker barn"
  - the log says "meter own" within 15 s of "breaker barn"
  - the log never says "meter barn_meter"
  - the log never says "meter house"
  - wallbox draws at least 6 A from 10:07 to the end
  - gate draws at least 6 A from 10:07 to the end
  - breaker never trips
  - no contactor moves under load
""",
        tmp_path,
    )
    assert not failed(outcome)
    assert outcome.at("node/barn.L1", 170) > 10
    assert outcome.at("node/grid.L1", 240) == pytest.approx(3.0 + outcome.at("draw/garage.L1", 240), abs=0.01)


def test_without_a_person_it_stays_dark(tmp_path: Path) -> None:
    outcome = outcome_of(
        BARN
        + """
events:
  10:03: 42 A more are drawn behind yard on L1
assert:
  - breaker of yard may trip
  - yard draws at most 0 kW from 10:04 to the end
  - wallbox draws at most 0 A from 10:04 to the end
""",
        tmp_path,
    )
    assert not failed(outcome)
    assert [event.text for event in outcome.events][-1] == "breaker yard trips"
    assert outcome.at("node/barn.L2", 590) == pytest.approx(1.0, abs=0.01)
    assert outcome.tripped_at_s == {"yard": pytest.approx(180.4, abs=0.5)}

"""What a run shows, and that its judges can say no."""

import pickle
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from hil.scenario import Outcome, load_scenario, run, runner
from hil.scenario.html import page_of, write_html
from hil.scenario.junit import write_junit

TWO_CARS = """\
title: Two cars & a <house>
start: 18:00
lasts: 15 min
site:
  grid: {fuse: 20 A}
  evses:
    garage: {phase_rotation: L1 L2 L3}
    drive: {phase_rotation: L2 L3 L1}
cars:
  big: {model: 22 kW, at: garage}
  small: {model: 7 kW, at: drive, arrives: 18:01}
house: {draws: 1 A}
events:
  18:02: house draws 30 A more on L2 for 4 min
  18:07: breaker grid is reset
assert:
  - fuse grid never above 100 % for more than 10 s
  - breaker never trips
  - big has 1 kWh by the end
  - no contactor moves under load
"""


def outcome_of(text: str, directory: Path) -> Outcome:
    path = directory / "two_cars.yaml"
    path.write_text(text)
    return run(load_scenario(path))


@pytest.fixture(scope="module")
def blind(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """A site without a meter: nobody sees what the house draws."""
    return outcome_of(TWO_CARS, tmp_path_factory.mktemp("blind"))


def test_without_a_meter_the_fuse_is_overloaded_and_the_judges_say_so(blind: Outcome) -> None:
    holds = {check.text: check.holds for check in blind.checks}
    assert not holds["fuse grid never above 100 % for more than 10 s"]
    assert not holds["breaker never trips"]
    assert holds["big has 1 kWh by the end"]
    assert not blind.holds


def test_the_history_is_what_the_module_has_kept(blind: Outcome, tmp_path: Path) -> None:
    lines = """\
  - the history has 1 session of garage
  - the history has 2 sessions of drive
  - the history has what big charged within 1 %
"""
    path = tmp_path / "two_cars.yaml"
    path.write_text(TWO_CARS.partition("assert:")[0] + "assert:\n" + lines)
    assert [check.holds for check in runner.judge(load_scenario(path), blind)] == [True, False, True]
    assert {session.evse for session in blind.sessions} == {"garage", "drive"}


def test_energy_is_what_flowed(blind: Outcome) -> None:
    draws_A = blind.vectors("draw/garage").sum(axis=1)
    energy_Wh = float((draws_A * blind.durations_s).sum()) * 230 / 3600
    assert blind.at("energy/big", blind.lasts_s) == pytest.approx(energy_Wh, rel=0.01)


def test_nodes_carry_what_evses_and_house_draw(blind: Outcome) -> None:
    parts = blind.vectors("other/grid") + blind.vectors("draw/garage") + blind.vectors("draw/drive")
    np.testing.assert_allclose(blind.vectors("node/grid"), parts, atol=0.05)


def test_the_same_seed_gives_the_same_run(blind: Outcome, tmp_path: Path) -> None:
    again = outcome_of(TWO_CARS, tmp_path)
    np.testing.assert_array_equal(again.times_s, blind.times_s)
    np.testing.assert_array_equal(again.vectors("node/grid"), blind.vectors("node/grid"))


def test_leaps_change_nothing_but_the_time_a_run_takes(
    blind: Outcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "QUIET_S", 1e9)
    slow = outcome_of(TWO_CARS, tmp_path)
    assert slow.decisions > 1.3 * blind.decisions
    for at_s in range(5, 900, 5):
        for name in ("node/grid.L1", "node/grid.L2", "grant/garage", "grant/drive"):
            assert blind.at(name, at_s) == pytest.approx(slow.at(name, at_s), abs=0.3), (name, at_s)
    assert blind.at("energy/big", 900) == pytest.approx(slow.at("energy/big", 900), rel=0.01)


def test_an_outcome_goes_to_another_process_and_back(blind: Outcome) -> None:
    assert pickle.loads(pickle.dumps(blind)).checks == blind.checks


def test_the_page_stands_alone_and_says_the_verdict_first(blind: Outcome) -> None:
    page = page_of(blind)
    assert "<title>Two cars &amp; a &lt;house&gt;</title>" in page
    assert page.index("2 of 4 assertions do not hold") < page.index("<svg")
    assert page.count("<svg") == 5, "grid, house, two EVSEs, states"
    assert "src=" not in page
    assert "http-equiv" not in page
    energy_kWh = blind.at("energy/big", blind.lasts_s) / 1e3
    for text in (f"{energy_kWh:.2f} kWh, from 30%", "fuse grid", "tripped at 18:02"):
        assert text in page
    for text in ("fuse 20 A", "18:05", "grant", "house draws 30 A more on L2 for 4 min", "Charging"):
        assert text in page
    assert len(page) < 400_000


def test_evses_that_nobody_used_are_named_in_place_of_plots(tmp_path: Path) -> None:
    """Unless an assertion asks about them: bay_1 has no car, but a plot."""
    site = TWO_CARS.replace("  evses:", "  evses:\n" + "".join(f"    bay_{n}: {{}}\n" for n in range(1, 5)))
    page = page_of(
        outcome_of(
            site.partition("assert:")[0] + "assert:\n  - bay_1 is granted at most 32 A from 18:00 to 18:10\n",
            tmp_path,
        )
    )
    assert page.count("<svg") == 6, "grid, house, two EVSEs with cars and bay_1, states"
    assert "nobody used them: 3 of 6 EVSEs (bay_2, bay_3, bay_4)" in page


def test_many_pages_have_an_index(blind: Outcome, tmp_path: Path) -> None:
    write_html([blind, blind], tmp_path / "report.html")
    assert 'href="report/two_cars.html"' in (tmp_path / "report.html").read_text()
    assert (tmp_path / "report" / "two_cars.html").exists()


def test_junit_has_a_case_for_each_assertion(blind: Outcome, tmp_path: Path) -> None:
    write_junit([blind], tmp_path / "junit.xml")
    suite = ET.parse(tmp_path / "junit.xml").getroot()[0]
    assert suite.attrib["tests"] == "4"
    assert suite.attrib["failures"] == "2"
    failed = [case.attrib["name"] for case in suite.iter("testcase") if case.find("failure") is not None]
    assert failed == ["fuse grid never above 100 % for more than 10 s", "breaker never trips"]


ORDERED_IN_VAIN = """\
title: Orders while nobody is there
start: 18:00
lasts: 10 min
site:
  grid: {fuse: 32 A}
  evses:
    garage: {phase_rotation: L1 L2 L3}
cars:
  big: {model: 22 kW, at: garage}
events:
  18:02: grid is limited to 8 A for 2 min
  18:03: the module is killed for 3 min
assert:
  - garage draws at most 8 A from 18:02:10 to 18:03
  - nobody is paused for more than 30 s from 18:07 to the end
  - garage draws at least 30 A from 18:07 to the end
"""


def test_who_orders_something_while_the_module_is_dead_does_so_again(tmp_path: Path) -> None:
    outcome = outcome_of(ORDERED_IN_VAIN, tmp_path)
    assert outcome.holds, [check for check in outcome.checks if not check.holds]

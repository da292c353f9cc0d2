"""A cut of the storm: the same site, the same faults, in real time.

Storms pass for ``STORM_SECONDS``, one at least; CI takes two minutes, the command `hil storm` half an hour.
"""

import os
import re

import pytest

from hil.commands.storm import LogLines, summary
from hil.storm.judge import Verdict
from hil.storm.site import FLICKER_A, GRID_FUSE_A, LOT_FUSE_A, ON_THE_LINE, storm_site
from hil.storm.storm import RECOVERS_WITHIN_S, STRIKES, Storm

STORM_SECONDS = float(os.environ.get("STORM_SECONDS", "1"))
CHARGER = "webasto_next"


@pytest.mark.xdist_group("storm")
@pytest.mark.timeout(STORM_SECONDS + 4 * RECOVERS_WITHIN_S)
def test_a_site_of_ten_devices_and_a_relay_board_survives() -> None:
    log = LogLines()
    verdict = Storm(20260601, log).run(STORM_SECONDS)
    assert verdict.failures == [], "\n".join(log.lines[-20:])
    storms = len(verdict.recoveries_s) - 1
    assert storms >= 1
    assert sum(verdict.faults.values()) == storms * STRIKES
    assert verdict.moves >= 2, "the main contactors were open when it began"
    assert 36 < verdict.highest_A["grid"] <= GRID_FUSE_A
    assert 12 <= verdict.highest_A["lot"] <= LOT_FUSE_A


def test_the_judge_sees_a_limit_above_its_fuse() -> None:
    with storm_site() as site:
        for car in site.cars.values():
            car.set_limit(16.0)
        assert site.judge.verdict.failures == [], "not in the manager's hands yet"
        for car in site.cars.values():
            car.set_limit(0.0)
        for name in ON_THE_LINE:
            site.cars[name].set_limit(15.0)
        failures = site.judge.verdict.failures
    assert [failure.split(": ")[:2] for failure in failures] == [["grid", "90 A offered, 80 A fuse"]]


def test_the_judge_counts_a_car_on_one_phase_where_it_is_wired() -> None:
    with storm_site() as site:
        for car in site.cars.values():
            car.set_phases(1)
            car.set_limit(0.0)
        for car in site.cars.values():
            car.set_limit(16.0)
        verdict = site.judge.verdict
    assert verdict.failures == []
    assert verdict.highest_A == {"grid": 3 * 16.0, "lot": 16.0}, "three on each phase, one of each lot"


def test_the_judge_sees_what_is_too_much_for_one_connector() -> None:
    with storm_site() as site:
        for car in site.cars.values():
            car.set_limit(0.0)
        site.cars[CHARGER].set_limit(17.0)
        assert site.judge.verdict.failures == [f"{CHARGER}: 17 A, 16 A allowed"]


def test_the_judge_sees_a_contact_that_moves_under_load() -> None:
    with storm_site() as site:
        car = site.cars[CHARGER]
        site.board.written("relay.3", 1)
        assert site.judge.verdict.failures == []
        car.is_there = True
        car.set_limit(10.0)
        site.board.written("relay.4", 1)
        failures = [re.sub(r"\d\.\d s", "0.0 s", failure) for failure in site.judge.verdict.failures]
    assert failures == [
        f"{CHARGER}: phases closes with 10 A, state C",
        f"{CHARGER}: phases closes while the main contactor is closed",
        f"{CHARGER}: phases closes 0.0 s after the other contact",
    ]


def test_the_judge_knows_who_gave_an_order() -> None:
    with storm_site() as site:
        site.board.written("relay.3", 1)
        site.cars[CHARGER].is_there = True
        site.cars[CHARGER].set_limit(10.0)
        site.cut_power_of_board()
        assert not site.cars[CHARGER].main_is_closed
        assert site.judge.verdict.failures == []


def test_a_jammed_contact_stays_until_it_is_repaired() -> None:
    with storm_site() as site:
        car = site.cars[CHARGER]
        site.jam(CHARGER, "main")
        site.board.written("relay.3", 1)
        assert not car.main_is_closed
        assert site.repair() == [CHARGER]
        assert car.main_is_closed


def test_the_summary_says_what_happened() -> None:
    verdict = Verdict(61.0, {"silent": 2, "noise": 1}, [0.4, 17.1], {"grid": 63.9}, moves=12, repairs=1)
    assert summary(verdict) == [
        "61 s, 3 faults: 1 noise, 2 silent",
        "2 recoveries, the slowest after 17.1 s",
        "no limit above its fuse; highest sums: grid 63.9 A",
        "no contact moved under load; 12 moves, 1 repairs",
    ]
    verdict.failures.append("lot: 41 A offered")
    assert summary(verdict)[2:] == ["lot: 41 A offered"]


def test_cars_draw_what_they_are_offered_and_the_meter_sees_it() -> None:
    with storm_site() as site:
        site.house_A = 5.0
        for name, amperes, is_there in [("alfen_eve", 10.0, True), ("obo_ion", 16.0, False)]:
            site.cars[name].set_limit(amperes)
            site.cars[name].is_there = is_there
        assert site.devices["grid"].values()["current_A.L2"] == pytest.approx(15.0, abs=FLICKER_A)
        site.cars["alfen_eve"].set_phases(1)  # wired L1 L2 L3
        assert site.devices["grid"].values()["current_A.L2"] == pytest.approx(5.0, abs=FLICKER_A)

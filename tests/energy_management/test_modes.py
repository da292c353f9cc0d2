"""What the modes off, now, minpv and pv give an EVSE. Three phases need 4140 W at least, one phase 1380 W."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from energy_management import EnergyManager, EvseAttributes, ManagerConfig, ManagerState, NodeAttributes, Site
from energy_management.measurement import Reading
from energy_management.modes import MODES, Mode, SolarAttributes, Thresholds
from tests.energy_management.site_runs import amps, optimize
from tests.energy_management.sunny_site import FUSE_A, SunnyCar, SunnySite
from tests.energy_management.trees import NOW, evse, node

SEEN_AFTER_S = 35
"""A surplus counts once it has lasted 20 s, decisions are made every 5 s, and cars take a moment."""

ENABLE_S, DISABLE_S = 60, 180


def leaves(*watts: float, every_s: int = 300) -> Callable[[int], float]:
    """A house that leaves so much, one after the other; the last one stays."""
    return lambda now_s: -watts[min(now_s // every_s, len(watts) - 1)]


def one_car(mode: Mode, others_W: Callable[[int], float], **car: object) -> SunnySite:
    return SunnySite({"car": SunnyCar(mode=mode, **car)}, others_W)  # type: ignore[arg-type]


def drawn_W(site: SunnySite, name: str = "car") -> float:
    return site.seconds[-1].drawn_W[name]


class TestOffAndNow:
    def test_off_is_nothing_and_says_so(self) -> None:
        site = one_car("off", leaves(9000)).run(60)
        assert site.limits_A == {"car": 0}
        assert site.explain("car") == "0.0 A: mode off"
        assert site.sources["car"] == "car/mode off"

    def test_now_takes_no_notice_of_the_sun(self) -> None:
        others_W = leaves(0, 5000, 800)
        alone = SunnySite({"car": SunnyCar("now")}, others_W).run(900)
        beside = SunnySite({"car": SunnyCar("now"), "other": SunnyCar("off")}, others_W).run(900)
        assert [second.limits_A["car"] for second in beside.seconds] == [
            second.limits_A["car"] for second in alone.seconds
        ]
        assert alone.limits_A["car"] == 16

    def test_whoever_is_off_leaves_all_to_the_others(self) -> None:
        tree = node("grid", [evse("a"), evse("b")], A=20)
        assert amps(optimize(tree, site={"evses": {"a": {"mode": "off"}}})) == {"a": 0, "b": 20}


class TestPv:
    def test_waits_for_sun_and_says_for_how_much(self) -> None:
        site = one_car("pv", leaves(900)).run(120)
        assert site.limits_A == {"car": 0}
        assert site.explain("car") == "0.0 A: waits for sun: 900 W surplus, starts at 1400 W for 60 s"

    def test_starts_after_its_delay_and_follows_the_sun(self) -> None:
        site = one_car("pv", leaves(3000), can_switch=False, phases=1, most_phases=1).run(300)
        assert ENABLE_S <= site.cars["car"].began_at[0] <= ENABLE_S + SEEN_AFTER_S
        assert drawn_W(site) == pytest.approx(3000, abs=1)
        assert "3000 W surplus used up" in site.explain("car")

    def test_a_gap_starts_the_delay_anew(self) -> None:
        site = one_car("pv", lambda now_s: -1000 if 50 <= now_s < 55 else -3000).run(400)
        assert site.cars["car"].began_at[0] >= 55 + ENABLE_S

    def test_charges_on_with_its_minimum_until_the_delay_has_passed_then_stops(self) -> None:
        site = one_car("pv", leaves(3000, 0)).run(900)
        (ended,) = site.cars["car"].ended_at
        assert ended == pytest.approx(300 + DISABLE_S, abs=10)
        waiting = [second for second in site.seconds if 320 < second.at_s < ended]
        assert {second.limits_A["car"] for second in waiting} == {6}

    def test_a_cloud_shorter_than_the_delay_stops_nobody(self) -> None:
        site = one_car("pv", lambda now_s: -500 if 300 <= now_s < 300 + DISABLE_S - 40 else -3000).run(900)
        assert site.cars["car"].ended_at == []

    def test_a_little_may_come_from_the_grid(self) -> None:
        """1380 W are needed: of 1250 W it lives, of 1100 W it does not."""
        site = one_car("pv", leaves(1500, 1250, 1250, 1250, 1100)).run(1800)
        (ended,) = site.cars["car"].ended_at
        assert ended >= 1200

    def test_thresholds_of_the_site_and_of_an_evse(self) -> None:
        solar = SolarAttributes(Thresholds(enable_after_s=10), {"b": Thresholds(enable_W=2500)})
        cars = {"a": SunnyCar(), "b": SunnyCar(is_there=True)}
        site = SunnySite({"a": cars["a"]}, leaves(2000), solar=solar).run(120)
        assert 10 <= cars["a"].began_at[0] <= 10 + SEEN_AFTER_S
        site = SunnySite({"b": cars["b"]}, leaves(2000), solar=solar).run(120)
        assert "starts at 2500 W for 60 s" in site.explain("b")

    def test_three_fixed_phases_need_three_times_as_much(self) -> None:
        site = one_car("pv", leaves(4000), can_switch=False).run(300)
        assert "4000 W surplus, starts at 4140 W for 60 s" in site.explain("car")
        site = one_car("pv", leaves(4200), can_switch=False).run(300)
        assert drawn_W(site) == pytest.approx(4200, abs=1)

    def test_a_one_phase_car_on_three_phases_has_all_of_the_sun_once_that_is_seen(self) -> None:
        site = one_car("pv", leaves(4300, 3000), can_switch=False, car_phases=1, most_A=32).run(900)
        assert drawn_W(site) == pytest.approx(3000, abs=1)

    def test_a_car_that_comes_waits_like_one_that_is_there(self) -> None:
        site = one_car("pv", leaves(5000), is_there=False).run(300)
        assert site.limits_A == {"car": 0}
        site.cars["car"].is_there = True
        site.run(200)
        assert site.cars["car"].began_at[0] >= 300 + ENABLE_S


class TestMinpv:
    def test_has_its_minimum_at_night(self) -> None:
        site = one_car("minpv", leaves(-400)).run(900)
        assert {second.limits_A["car"] for second in site.seconds[10:]} == {6}
        assert site.cars["car"].phases == 1, "the minimum is that of one phase"

    def test_has_more_only_from_the_sun(self) -> None:
        site = one_car("minpv", leaves(3000), can_switch=False, phases=1, most_phases=1).run(300)
        assert drawn_W(site) == pytest.approx(3000, abs=1)
        site = one_car("minpv", leaves(600), can_switch=False, phases=1, most_phases=1).run(300)
        assert drawn_W(site) == 6 * 230


class TestSharing:
    def test_two_share_the_sun_evenly_beyond_the_minimum(self) -> None:
        cars = {name: SunnyCar(can_switch=False, phases=1, most_phases=1) for name in "ab"}
        site = SunnySite(cars, leaves(4600)).run(600)
        assert [drawn_W(site, name) for name in "ab"] == pytest.approx([2300, 2300], abs=1)

    def test_by_weight(self) -> None:
        a, b = (
            SunnyCar(can_switch=False, phases=1, most_phases=1, most_A=32, weight=weight) for weight in (1, 2)
        )
        site = SunnySite({"a": a, "b": b}, leaves(6900)).run(600)
        assert [drawn_W(site, name) for name in "ab"] == pytest.approx([2300, 4600], abs=1)

    def test_the_minimum_of_minpv_comes_before_all_pv(self) -> None:
        cars = {
            "first": SunnyCar("pv", priority=5, can_switch=False, phases=1, most_phases=1),
            "always": SunnyCar("minpv", can_switch=False, phases=1, most_phases=1),
        }
        site = SunnySite(cars, leaves(2000)).run(300)
        assert site.limits_A["first"] == 0
        assert drawn_W(site, "always") == pytest.approx(2000, abs=1)

    def test_priority_displaces_at_once_when_its_delay_has_passed(self) -> None:
        low, high = (SunnyCar(can_switch=False, phases=1, most_phases=1, priority=p) for p in (0, 1))
        high.is_there = False
        site = SunnySite({"low": low, "high": high}, leaves(2000)).run(300)
        high.is_there = True
        site.run(120)
        assert site.limits_A["high"] > 6
        assert 0 <= high.began_at[0] - low.ended_at[0] <= 10, "no sooner than the other has fallen"

    def test_with_sun_for_one_only_they_take_turns(self) -> None:
        cars = {name: SunnyCar(can_switch=False, phases=1, most_phases=1) for name in "ab"}
        site = SunnySite(cars, leaves(2000), decide_s=10).run(4 * 900)
        charged_s = [sum(second.limits_A[name] > 0 for second in site.seconds) for name in "ab"]
        assert min(charged_s) > 0.35 * 4 * 900
        assert all(min(second.limits_A.values()) == 0 for second in site.seconds[60:])

    def test_what_now_takes_is_no_surplus(self) -> None:
        cars = {"now": SunnyCar("now", most_A=6), "pv": SunnyCar(can_switch=False, phases=1, most_phases=1)}
        site = SunnySite(cars, leaves(7000)).run(300)
        assert drawn_W(site, "pv") == pytest.approx(7000 - 4140, abs=1)

    def test_a_full_car_takes_no_sun_from_the_other(self) -> None:
        """It has a minimum in hand, as it may resume, but draws nothing."""

        class Full(SunnyCar):
            @property
            def state(self) -> str:
                return "PausedEV" if self.limits and self.limits[-1][0] else "PausedEVSE"

            def advance(self) -> None:
                self.drawn_A = 0.0

        cars = {
            "full": Full("minpv", phases=1, most_phases=1),
            "car": SunnyCar(can_switch=False, phases=1, most_phases=1),
        }
        site = SunnySite(cars, leaves(3000)).run(300)
        assert site.limits_A["full"] == 6
        assert drawn_W(site, "car") == pytest.approx(3000, abs=1)


class TestMeter:
    """Never a surplus from a meter that is silent, or not believed."""

    def test_phases_are_netted(self) -> None:
        """A generator on L3 pays for a car on L1, as meters of the grid count."""
        car = SunnyCar(can_switch=False, phases=1, most_phases=1)
        site = SunnySite({"car": car}, leaves(3000))

        def on_l3_only(reading: Reading) -> Reading:
            one = car.drawn_A
            power_W = (one * 230.0, 0.0, -3000.0)
            return replace(reading, power_W=power_W, current_A=(one, 0.0, -3000 / 230))

        site.meter_tells = on_l3_only
        site.run(300)
        assert drawn_W(site) == pytest.approx(3000, abs=5)

    @pytest.mark.parametrize("mode", ["pv", "minpv"])
    def test_a_silent_meter_leaves_no_surplus(self, mode: Mode) -> None:
        site = one_car(mode, leaves(6000)).run(300)
        assert site.limits_A["car"] > 8
        site.meter_tells = lambda _: None
        site.run(20)
        assert site.limits_A["car"] == 6
        site.run(DISABLE_S)
        assert site.limits_A["car"] == (0 if mode == "pv" else 6)
        if mode == "pv":
            assert "no surplus known" in site.explain("car")

    def test_one_phase_missing_leaves_no_surplus(self) -> None:
        site = one_car("pv", leaves(6000)).run(300)

        def without_l2(reading: Reading) -> Reading:
            power_W = reading.power_W or (0.0, 0.0, 0.0)
            current_A = reading.current_A or (0.0, 0.0, 0.0)
            return replace(
                reading,
                power_W=(power_W[0], math.nan, power_W[2]),
                current_A=(current_A[0], math.nan, current_A[2]),
            )

        site.meter_tells = without_l2
        site.run(20 + DISABLE_S)
        assert site.limits_A["car"] == 0

    def test_no_meter_at_all(self) -> None:
        tree = node("grid", [evse("car")], A=32)
        assert amps(optimize(tree, site={"evses": {"car": {"mode": "pv"}}})) == {"car": 0}
        assert amps(optimize(tree, site={"evses": {"car": {"mode": "minpv"}}})) == {"car": 6}


class TestPhases:
    def test_goes_up_with_the_sun_and_down_without(self) -> None:
        site = one_car("pv", leaves(2000, 6000, 6000, 6000, 6000, 2000, 2000)).run(2100)
        up, down = site.cars["car"].switched_at[1:]
        assert 300 + 600 <= up <= 300 + 600 + SEEN_AFTER_S
        assert down == pytest.approx(1500 + DISABLE_S, abs=10)
        assert drawn_W(site) == pytest.approx(2000, abs=1)

    def test_starts_on_one_phase_when_there_is_sun_for_one(self) -> None:
        site = one_car("pv", leaves(2000)).run(200)
        assert site.cars["car"].phases == 1
        assert max(second.grid_W for second in site.seconds) <= 1

    def test_no_more_switches_than_an_hour_may_see_and_one_is_left_for_the_way_down(self) -> None:
        solar = SolarAttributes(Thresholds(), max_switches_per_hour=3)
        site = SunnySite(
            {"car": SunnyCar()},
            lambda now_s: -6000 if now_s % 600 < 350 else -2000,
            solar=solar,
            config={"switch_3ph1ph_time_hysteresis_s": 60},
            decide_s=10,
        ).run(5400)
        switched_at = site.cars["car"].switched_at
        assert len(switched_at) >= 5, "it could not show anything"
        assert most_in_an_hour(switched_at) <= 3
        assert site.cars["car"].ended_at == []

    def test_the_switches_of_a_session_count_too_and_a_pause_begins_no_new_one(self) -> None:
        site = SunnySite(
            {"car": SunnyCar()},
            leaves(6000, 2000, 0, 6000, 2000, 0, 6000, 2000, 0, 6000, 2000, 6000),
            config={
                "switch_3ph1ph_time_hysteresis_s": 60,
                "switch_3ph1ph_max_nr_of_switches_per_session": 2,
            },
            decide_s=10,
        ).run(3600)
        assert len(site.cars["car"].switched_at) == 2
        assert len(site.cars["car"].ended_at) >= 2


def most_in_an_hour(times: list[int]) -> int:
    return max(sum(start <= at < start + 3600 for at in times) for start in times)


class TestRestart:
    def test_goes_on_charging(self) -> None:
        site = one_car("pv", leaves(3000)).run(300)
        site.restart()
        site.run(300)
        assert site.cars["car"].ended_at == []

    def test_switches_of_the_hour_are_remembered(self) -> None:
        site = SunnySite(
            {"car": SunnyCar()},
            lambda now_s: -6000 if now_s % 600 < 350 else -2000,
            config={"switch_3ph1ph_time_hysteresis_s": 60},
            decide_s=10,
        )
        for _ in range(5):
            site.run(900)
            site.restart()
        assert most_in_an_hour(site.cars["car"].switched_at) <= 4

    def test_garbage_is_refused(self) -> None:
        for garbage in ({"is_on": 1}, {"switched_at": ["x"]}, {"on_off_since": "x"}):
            text = json.dumps({"version": 1, "evses": {"e": garbage}})
            with pytest.raises(ValueError, match=next(iter(garbage))):
                ManagerState.from_json(text)


class TestAttributes:
    @pytest.mark.parametrize(
        ("site", "reason"),
        [
            (
                {"evses": {"e": {"mode": "fast"}}},
                "evses.e.mode: 'fast' is not one of off, now, minpv, pv",
            ),
            ({"solar": {"enable_W": -1}}, "solar.enable_W: -1 is not a number from 0 up"),
            ({"solar": {"evses": {"e": {"enable": 1}}}}, "solar.evses.e.enable: unknown attribute"),
            ({"solar": {"max_switches_per_hour": 1.5}}, "solar.max_switches_per_hour: 1.5 is not a whole"),
            ({"solar": {"sun": 1}}, "solar.sun: unknown attribute"),
        ],
    )
    def test_what_is_wrong_is_named(self, site: dict[str, object], reason: str) -> None:
        with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is what is tested
            Site.from_dict(site)
        assert str(caught.value).startswith(reason)

    def test_an_evse_has_what_is_its_own_and_else_what_is_usual(self) -> None:
        solar = Site.from_dict({"solar": {"enable_W": 2000, "evses": {"e": {"enable_after_s": 5}}}}).solar
        assert solar.of("e") == Thresholds(enable_W=2000, enable_after_s=5)
        assert solar.of("f") == Thresholds(enable_W=2000)


def decided(modes: list[Mode], minima_A: list[float], surplus_W: float, fuse_A: float) -> EnergyManager:
    """Runs until all delays have passed, at a steady surplus that nobody draws yet."""
    names = [f"e{number}" for number in range(len(modes))]
    site = Site(
        {name: EvseAttributes("L1 L2 L3", mode=mode) for name, mode in zip(names, modes, strict=True)},
        {"grid": NodeAttributes(fallback_A=fuse_A)},
    )
    manager = EnergyManager(ManagerConfig(), site)
    tree = node(
        "grid", [evse(name, min_A=least) for name, least in zip(names, minima_A, strict=True)], A=fuse_A
    )
    for at_s in range(0, 100, 10):
        current_A = -surplus_W / 690
        grid = Reading(float(at_s), (current_A,) * 3, energy_import_Wh=float(at_s))
        cars = {name: Reading(float(at_s), (0.0, 0.0, 0.0)) for name in names}
        manager.optimize(tree, NOW, {"grid": grid, **cars}, monotonic_s=float(at_s))
    return manager


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.sampled_from(MODES), min_size=1, max_size=4),
    st.floats(0, 30_000),
    st.floats(4, FUSE_A),
    st.data(),
)
def test_no_mode_ever_gives_more_than_now(
    modes: list[Mode], surplus_W: float, fuse_A: float, data: st.DataObject
) -> None:
    """For each EVSE alone; and all together never more than the fuse."""
    minima_A = [data.draw(st.sampled_from([6.0, 8.0, 10.0])) for _ in modes]
    manager = decided(modes, minima_A, surplus_W, fuse_A)
    assert manager.report.violations == []
    assert sum(current_A[0] for current_A in manager.report.grants.values()) <= fuse_A * (1 + 1e-6)
    others: list[Mode] = ["now"] * len(modes)
    everything = decided(others, minima_A, surplus_W, fuse_A).report.grants
    for number, mode in enumerate(modes):
        one = decided([*others[:number], mode, *others[number + 1 :]], minima_A, surplus_W, fuse_A)
        name = f"e{number}"
        assert one.report.grants[name][0] <= everything[name][0] * (1 + 1e-6)


def test_nobody_flickers() -> None:
    """A surplus that wavers around the threshold starts and stops nobody within the delays."""
    site = one_car("pv", lambda now_s: -1500 if now_s // 7 % 2 else -1300).run(1800)
    moments = sorted(site.cars["car"].began_at + site.cars["car"].ended_at)
    assert all(later - earlier >= ENABLE_S for earlier, later in pairwise(moments))

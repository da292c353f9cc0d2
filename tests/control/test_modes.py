"""Modes of EVSEs from the site file, by command and after a restart, as the live half carries them."""

import json
from pathlib import Path

import jsonschema
import pytest

from control.home_assistant import HomeAssistant
from control.installation import installation
from control.mqtt_schema import schema
from control.schedules import JsonObject
from control.settings import Settings, SettingsError
from control.site_file import SiteError, load_site
from energy_management.modes import SolarAttributes, Thresholds
from tests.control.instance import Instance, start
from tests.control.sample import evse

METER = """
grid: {fuse: 35 A, meter: house}
buses: {lan: {host: 127.0.0.1}}
meters: {house: {profile: eastron_sdm630, bus: lan, unit: 1}}
"""


def written(directory: Path, text: str) -> Path:
    path = directory / "site.yaml"
    path.write_text(text)
    return path


class TestSiteFile:
    def test_modes_and_thresholds(self, tmp_path: Path) -> None:
        text = """
solar:
  enable: {surplus: 2 kW, after: 2 min}
  max_switches_per_hour: 6
evses:
  garage: {mode: off}
  carport: {mode: pv, solar: {disable: {from_grid: 0 W}}}
  drive: {}
"""
        site = installation(Settings("grid"), load_site(written(tmp_path, METER + text))).site
        assert {name: found.mode for name, found in site.evses.items()} == {
            "garage": "off",
            "carport": "pv",
            "drive": "now",
        }
        usual = Thresholds(enable_W=2000, enable_after_s=120)
        carport = Thresholds(enable_W=2000, enable_after_s=120, from_grid_W=0)
        assert site.solar == SolarAttributes(usual, {"carport": carport}, 6)

    def test_defaults_are_those_of_the_core(self, tmp_path: Path) -> None:
        assert (
            installation(Settings("grid"), load_site(written(tmp_path, METER))).site.solar
            == SolarAttributes()
        )

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("evses: {a: {mode: fast}}", "evses.a.mode: must be one of off, now, minpv, pv, not 'fast'"),
            (
                "solar: {enable: {surplus: 2 A}}",
                "solar.enable.surplus: must be a number with a unit of W, kW",
            ),
            ("solar: {max_switches_per_hour: -1}", "solar.max_switches_per_hour: "),
        ],
    )
    def test_what_is_wrong_is_named(self, tmp_path: Path, text: str, reason: str) -> None:
        with pytest.raises(SiteError, match=r"site\.yaml:\d+ ") as caught:
            load_site(written(tmp_path, METER + text))
        assert reason in str(caught.value)

    def test_surplus_needs_a_meter(self, tmp_path: Path) -> None:
        site_file = load_site(written(tmp_path, "grid: {fuse: 35 A}\nevses: {a: {mode: minpv}}"))
        with pytest.raises(SettingsError, match=r"grid: a of .* has mode minpv, but there is no meter"):
            installation(Settings("grid"), site_file)
        installation(Settings("grid"), site_file, has_powermeter=True)

    def test_a_mode_that_needs_a_meter_is_refused_without_one(self, tmp_path: Path) -> None:
        metered = load_site(written(tmp_path, METER))
        assert installation(Settings("grid"), metered).knows_surplus
        assert installation(Settings("grid"), None, has_powermeter=True).knows_surplus
        unmetered = load_site(written(tmp_path, "grid: {fuse: 35 A}\nevses: {a: {}}"))
        assert not installation(Settings("grid"), unmetered).knows_surplus
        assert not installation(Settings("grid"), None).knows_surplus

    def test_a_connected_powermeter_is_that_of_the_root_whatever_the_site_file_leaves_out(
        self, tmp_path: Path
    ) -> None:
        site_file = load_site(written(tmp_path, "evses: {a: {mode: pv}}"))
        place = installation(Settings("grid", fuse_limit_A=32.0), site_file, has_powermeter=True)
        assert place.knows_surplus
        assert place.site.nodes["grid"].fallback_A == 0.0, "nothing is free before it is measured"


def order(instance: Instance, uuid: str, mode: object) -> JsonObject:
    return instance.site.commands.call("set_evse", {"uuid": uuid, "mode": mode})


def live(instance: Instance) -> None:
    for name in instance.children:
        instance.ask(name, evse(name))
    if instance.has_powermeter:
        instance.measure(0, 0, 0)
    instance.step()


def allocation(instance: Instance) -> dict[str, JsonObject]:
    states = instance.site._states(instance.clock())
    return {found["uuid"]: found for found in states["allocation"]["evses"]}


class TestCommand:
    def test_a_mode_is_ordered_takes_effect_and_is_shown(self, instances: list[Instance]) -> None:
        site = start(instances, fuse_limit_A=32)
        live(site)
        assert {name: found["mode"] for name, found in allocation(site).items()} == {"a": "now", "b": "now"}
        assert order(site, "a", "off")["status"] == "Accepted"
        live(site)
        shown = allocation(site)["a"]
        assert (shown["mode"], shown["current_A"], shown["reason"]) == ("off", 0, "0.0 A: mode off")
        assert order(site, "a", "pv")["status"] == "Accepted"
        live(site)
        shown = allocation(site)["a"]
        assert (shown["mode"], shown["current_A"]) == ("pv", 0)
        assert shown["reason"].startswith("0.0 A: waits for sun: 0 W surplus, starts at ")

    def test_states_are_as_the_schema_says(self, instances: list[Instance]) -> None:
        site = start(instances, fuse_limit_A=32)
        order(site, "a", "minpv")
        live(site)
        order(site, "a", "minpv")
        live(site)
        states = site.site._states(site.clock())
        for name, definition in (("allocation", "Allocation"), ("node_state", "NodeStates")):
            jsonschema.validate(states[name], {**schema(), "$ref": f"#/$defs/{definition}"})
        assert states["node_state"]["nodes"][0]["surplus_W"] == 0

    def test_an_unknown_mode_is_refused_and_changes_nothing(self, instances: list[Instance]) -> None:
        site = start(instances, fuse_limit_A=32)
        live(site)
        for mode in ("fast", "", 1, False):
            answer = order(site, "a", mode)
            assert answer["status"] == "Rejected"
            assert answer["message"].startswith("set_evse: ")
        live(site)
        assert allocation(site)["a"]["mode"] == "now"

    def test_it_survives_a_restart(self, instances: list[Instance], tmp_path: Path) -> None:
        config = {"fuse_limit_A": 32, "state_file": str(tmp_path / "state")}
        first = start(instances, **config)
        live(first)
        order(first, "a", "off")
        live(first)
        first.site.stop()
        second = start(instances, **config)
        live(second)
        assert (allocation(second)["a"]["mode"], allocation(second)["a"]["current_A"]) == ("off", 0)

    @pytest.mark.parametrize(
        ("mode", "granted_A", "gives"), [("pv", 0.0, "nothing"), ("minpv", 6.0, "its minimum")]
    )
    def test_without_the_meter_that_it_needs_a_stored_mode_gives_no_more_than_the_minimum(
        self, instances: list[Instance], tmp_path: Path, mode: str, granted_A: float, gives: str
    ) -> None:
        """The sun's meter is gone after a restart; that must not let a car charge with all there is."""
        config = {"fuse_limit_A": 32, "state_file": str(tmp_path / "state")}
        first = start(instances, **config)
        live(first)
        order(first, "a", mode)
        live(first)
        assert first.log.at("warning") == []
        first.site.stop()
        second = start(instances, has_powermeter=False, **config)
        for _ in range(5):
            live(second)
        assert allocation(second)["a"]["current_A"] == granted_A
        assert allocation(second)["b"]["current_A"] > 6.0
        said = (
            f"a: mode {mode} gives it {gives}, no meter tells of a surplus any more: "
            "name one as grid.meter, connect powermeter, or order another mode"
        )
        assert second.log.at("warning") == [said], "once"
        assert said in second.site.status()["degraded"]
        assert order(second, "a", mode)["status"] == "Rejected"
        assert order(second, "a", "now")["status"] == "Accepted"
        for _ in range(20):
            live(second)
            second.settle()
        assert second.site.status()["degraded"] == []
        assert allocation(second)["a"]["current_A"] == 16.0

    def test_who_goes_on_whatever_is_decided_counts_whatever_its_mode(
        self, instances: list[Instance]
    ) -> None:
        """A child that fell silent may draw its last limit; its mode lets nobody else have that, too."""
        site = start(instances, fuse_limit_A=32, child_timeout_s=5.0)
        live(site)
        site.settle()
        assert site.newest("b", 1) == 16
        site.children["b"].answers.clear()
        order(site, "b", "off")
        for _ in range(7):
            site.ask("a", evse("a"))
            site.measure(0, 0, 0)
            site.step()
        held = allocation(site)
        site.children["b"].answers.set()
        assert {name: found["current_A"] for name, found in held.items()} == {"a": 16, "b": 16}
        assert held["b"]["mode"] == "off"


def test_home_assistant_can_choose_a_mode() -> None:
    retained: dict[str, JsonObject | None] = {}
    assistant = HomeAssistant("grid", "root/grid", lambda topic, value: retained.update({topic: value}))
    assistant.show("evse/a", {"uuid": "a"})
    (found,) = retained.values()
    assert found is not None
    mode = found["components"]["mode"]
    assert mode["platform"] == "select"
    assert mode["options"] == ["off", "now", "minpv", "pv"]
    assert mode["command_topic"] == "root/grid/command/set_evse"
    sent = json.loads(mode["command_template"].replace("{{ value }}", "pv"))
    assert sent == {"args": {"uuid": "a", "mode": "pv"}}

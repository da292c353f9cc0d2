"""`hil set`: what it writes, what it refuses, and that it asks."""

from pathlib import Path

import pytest

from bsp.profile import ConnectorProfile, connector_profile
from hil.devices import TcpLine, WallboxDevice, serve_tcp
from hil.field.target import connector_base
from tests.bsp.plant import Point
from tests.hil.cli import Outcome, hil

ALFEN = connector_profile("alfen_eve")


def on(line: TcpLine, profile: str, *order: str, answer: str | None = None) -> Outcome:
    place = ["--profile", profile, "--tcp", f"{line.host}:{line.port}"]
    return hil("set", *place, *order, answer=answer)


def test_a_limit_is_shown_asked_for_written_and_read_back() -> None:
    point = Point()
    with serve_tcp({ALFEN.unit: WallboxDevice(ALFEN, point)}) as line:
        outcome = on(line, "alfen_eve", "--current", "10", answer="y\n")
    assert outcome.code == 0, outcome.err
    assert point.limit_A == 10.0
    lines = outcome.out.splitlines()
    assert lines[0] == f"alfen_eve, unit 1 on 127.0.0.1:{line.port}: limit to 10 A"
    assert lines[1] == "  now: state C, limit 32 A, 3 phases"
    assert lines[2] == "  writes limit = 10 (holding 1210)"
    assert "without a manager this holds for about 60 s, then: the safe current" in outcome.out
    assert lines[-1].endswith("done: the charger shows it (limit to 10 A)")


def test_without_consent_nothing_is_written() -> None:
    point = Point()
    with serve_tcp({ALFEN.unit: WallboxDevice(ALFEN, point)}) as line:
        refused = on(line, "alfen_eve", "--current", "10", answer="n\n")
        unanswered = on(line, "alfen_eve", "--current", "10")
    assert (refused.code, unanswered.code) == (1, 1)
    assert point.limit_A == 32.0


@pytest.mark.parametrize("name", ["alfen_eve", "phoenix_em_cp_pp_eth", "delta_ac_max", "innogy_ebox"])
def test_a_pause_however_the_charger_wants_it(name: str) -> None:
    profile, point = connector_profile(name), Point()
    charger = WallboxDevice(profile, point, base=connector_base(profile, 1))
    with serve_tcp({profile.unit: charger}) as line:
        assert on(line, name, "--current", "8", "--yes").code == 0
        assert point.limit_A == pytest.approx(8.0, abs=0.01)
        outcome = on(line, name, "--pause", "--yes")
    assert outcome.code == 0, outcome.out + outcome.err
    assert point.limit_A == 0.0


@pytest.mark.parametrize("current", ["5", "40"])
def test_a_limit_outside_of_what_the_charger_takes_is_refused(current: str) -> None:
    point = Point()
    with serve_tcp({ALFEN.unit: WallboxDevice(ALFEN, point)}) as line:
        outcome = on(line, "alfen_eve", "--current", current, "--yes")
    assert outcome.code == 2
    assert outcome.err == f"{current} A is not possible: this charger takes 6 A to 32 A, or a pause\n"
    assert point.limit_A == 32.0


def test_the_site_file_limits_it_further(tmp_path: Path) -> None:
    point = Point()
    with serve_tcp({ALFEN.unit: WallboxDevice(ALFEN, point)}) as line:
        site = tmp_path / "site.yaml"
        site.write_text(
            "grid: {fuse: 35 A}\n"
            f"buses: {{lan: {{host: {line.host}, port: {line.port}}}}}\n"
            "connectors: {carport: {profile: alfen_eve, bus: lan, max_current: 16 A}}\n"
        )
        much = hil("set", "--site", str(site), "carport", "--current", "20", "--yes")
        fine = hil("set", "--site", str(site), "carport", "--current", "13", "--yes")
    assert (much.code, much.err) == (2, "the site file allows carport 16 A at most\n")
    assert fine.code == 0, fine.err
    assert point.limit_A == 13.0


def test_phases_that_the_site_file_locks_are_left_alone(tmp_path: Path) -> None:
    site = tmp_path / "site.yaml"
    site.write_text(
        "grid: {fuse: 35 A}\n"
        "buses: {lan: {host: 127.0.0.1, port: 1}}\n"
        "connectors: {carport: {profile: alfen_eve, bus: lan, phase_switching: locked}}\n"
    )
    outcome = hil("set", "--site", str(site), "carport", "--phases", "1", "--yes")
    assert outcome.code == 2
    assert outcome.err == "the site file locks the phases of carport (phase_switching: locked)\n"


def test_a_limit_between_two_steps_is_rounded_down_and_said() -> None:
    profile, point = connector_profile("phoenix_charx"), Point()
    with serve_tcp({profile.unit: WallboxDevice(profile, point, base=1000)}) as line:
        outcome = on(line, "phoenix_charx", "--current", "10.7", "--yes")
    assert outcome.code == 0, outcome.err
    assert "steps of 1 A" in outcome.out
    assert point.limit_A == 10.0


def test_phases_of_a_charger_that_sequences_the_switch_itself() -> None:
    point = Point()
    with serve_tcp({ALFEN.unit: WallboxDevice(ALFEN, point)}) as line:
        assert on(line, "alfen_eve", "--phases", "1", "--yes").code == 0
        assert point.phases == 1
        assert on(line, "alfen_eve", "--phases", "3", "--yes").code == 0
        assert point.phases == 3


def sequenced_by_manager() -> tuple[str, ConnectorProfile]:
    name = "mennekes_amtron_compact_2s"
    profile = connector_profile(name)
    assert profile.phase_switching is not None
    assert profile.phase_switching.sequenced_by == "manager"
    return name, profile


def test_a_contactor_is_not_moved_under_load() -> None:
    name, profile = sequenced_by_manager()
    point = Point("C")
    with serve_tcp({profile.unit: WallboxDevice(profile, point)}) as line:
        charging = on(line, name, "--phases", "1", "--yes")
        assert charging.code == 2
        assert "the car is charging: pause it first (--pause)" in charging.err
        assert point.phases == 3
        point.state = "B"
        assert on(line, name, "--phases", "1", "--yes").code == 0
        assert point.phases == 1


@pytest.mark.parametrize(
    ("profile", "order", "message"),
    [
        ("alfen_eve", [], "say one of --current AMPERE, --pause, --phases 1|3"),
        ("alfen_eve", ["--pause", "--current", "6"], "say one of"),
        ("eastron_sdm630", ["--pause"], "eastron_sdm630 is a meter; only chargers can be set"),
    ],
)
def test_an_order_that_makes_no_sense(profile: str, order: list[str], message: str) -> None:
    outcome = hil("set", "--profile", profile, "--tcp", "127.0.0.1:1", *order)
    assert outcome.code == 2
    assert message in outcome.err


def test_a_charger_without_phase_switching() -> None:
    profile = connector_profile("heidelberg_energy_control")
    with serve_tcp({profile.unit: WallboxDevice(profile, Point())}) as line:
        outcome = on(line, "heidelberg_energy_control", "--phases", "1", "--yes")
    assert (outcome.code, outcome.err) == (
        2,
        "this charger cannot be switched between one and three phases by Modbus\n",
    )


def test_a_charger_that_does_not_take_it_is_told_apart() -> None:
    class Stubborn(WallboxDevice):
        def written(self, name: str, value: object) -> None:
            pass

    point = Point()
    with serve_tcp({ALFEN.unit: Stubborn(ALFEN, point)}) as line:
        outcome = on(line, "alfen_eve", "--current", "10", "--yes")
    assert outcome.code == 1
    assert "written, but the charger does not show it" in outcome.err

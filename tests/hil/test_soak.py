"""`hil soak`: windows of random operation, and what is left of one that fails."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import hil.commands.soak as command
from hil.soak import Window, smallest, violations, window
from hil.soak.real import RealSoak
from hil.soak.soak import load_scenario_of
from tests.hil.cli import hil


def test_a_window_is_made_from_its_seed_alone() -> None:
    assert window(7) == window(7)
    assert window(7) != window(8)


def test_every_window_is_a_scenario() -> None:
    kinds = set()
    for seed in range(1, 150):
        load_scenario_of(window(seed))
        kinds |= {fault.kind for fault in window(seed).faults}
    assert len(kinds) == 19


def test_what_has_nothing_to_do_with_a_failure_is_left_out() -> None:
    whole = next(one for one in map(window, range(1, 99)) if len(one.faults) > 4 and len(one.cars) > 3)
    needed, car = whole.faults[3], "car_2"

    def fails(candidate: Window) -> bool:
        return needed in candidate.faults and car in candidate.cars

    least = smallest(whole, fails)
    assert least.faults == (needed,)
    assert list(least.cars) == [car]
    assert least.lasts_s < whole.lasts_s or needed.at_s > 5400


def test_a_window_without_violations_ends_well() -> None:
    done = hil("soak", "--hours", "2", "--seed", "6", "-j", "1")
    assert done.code == 0
    assert "2 simulated hours" in done.out
    assert "no invariant broken" in done.out


def test_the_summary_tells_hours_cars_restarts_and_faults_by_kind() -> None:
    windows = [window(seed) for seed in range(11, 21)]
    told, faults = command.summary(windows)
    assert told.startswith("20 simulated hours, seeds 11 to 20: ")
    assert f"{sum(len(one.cars) for one in windows)} cars" in told
    counts = {kind: int(count) for count, kind in re.findall(r"(\d+) ([a-z A-Z]+)", faults.partition(":")[2])}
    assert sum(counts.values()) == sum(len(one.faults) for one in windows)
    restarts = counts.get("killed module", 0) + counts.get("restart", 0)
    assert f"the module killed or restarted {restarts} times" in told


def test_a_violation_is_printed_with_its_seed_and_written_as_a_scenario(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fuse smaller than the house's own load cannot be kept by anybody."""
    honest: Callable[[int], Window] = window

    def too_small(seed: int) -> Window:
        made = honest(seed)
        site = {**made.site, "grid": {**made.site["grid"], "fuse": "6 A", "fallback": "0 A"}}
        house = {"profile": {"+0 s": ["1 A", "1 A", "1 A"], "+300 s": ["9 A", "1 A", "1 A"]}}
        return replace(made, site=site, house=house, pv=None, lasts_s=900, faults=())

    monkeypatch.setattr(command, "window", too_small)
    done = hil("soak", "--hours", "2", "--seed", "6", "-j", "1", "--out", str(tmp_path))
    assert done.code == 1
    assert "seed 6: fuse grid never above" in done.out
    written = tmp_path / "soak-6.yaml"
    assert f"./dev hil scenario {written}" in done.out
    replayed = hil("scenario", str(written))
    assert replayed.code == 1
    assert "fuse grid never above" in replayed.out


def test_violations_of_a_quiet_window_are_none() -> None:
    quiet = replace(window(5), faults=(), lasts_s=900)
    assert violations(quiet).broken == []


def test_what_is_killed_for_real_comes_back() -> None:
    """Real processes, a real broker and real lines; one thing after another is killed with -9."""
    lines: list[str] = []
    soak = RealSoak(4, lines.append)
    verdict = soak.run(20.0)
    assert verdict.failures == []
    assert len(lines) >= 2
    assert any(kind.startswith("kill -9") for kind in verdict.faults)
    assert verdict.hottest < 1.0

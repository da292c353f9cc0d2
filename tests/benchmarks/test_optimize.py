"""The benchmark runs and tells what it should; how fast things are is not for a test to say."""

from __future__ import annotations

import io

from rich.console import Console

from benchmarks import optimize
from benchmarks.requests import START, changed, flat, levels, scattered
from tests.energy_management.problem import evse_paths, slot_times


def test_requests_have_the_size_they_are_named_for() -> None:
    assert len(evse_paths(levels(50, 2))) == 50
    assert {len(path) for path in evse_paths(levels(50, 2))} == {
        4
    }  # the grid, two levels of groups, the EVSE
    assert {len(path) for path in evse_paths(flat(50, 2))} == {2}
    assert len(slot_times(flat(3, 24), START, {"schedule_total_duration": 24})) == 24
    assert len(slot_times(scattered(20, 48), START, {"schedule_total_duration": 48})) == 1008


def test_a_changed_request_has_other_values_and_nothing_else() -> None:
    request = levels(3, 2)
    other = changed(request, 0.5)
    entry, halved = (tree["children"][0]["schedule_import"][1]["limits_to_root"] for tree in (request, other))
    assert (entry["ac_max_current_A"]["value"], halved["ac_max_current_A"]["value"]) == (48.0, 24.0)
    assert halved["ac_max_phase_count"] == entry["ac_max_phase_count"]
    assert changed(other, 2.0) == request


def test_floors_do_what_they_stand_for() -> None:
    request = flat(3, 2)
    assert optimize.read_every_limit(request) == 3 * 4 * 6 + 3 * 2
    built = optimize.build_results(
        [{"uuid": "a", "schedule": [{"timestamp": "t0"}, {"timestamp": "t1"}]}, {"uuid": "b", "schedule": []}]
    )
    assert [entry["uuid"] for entry in built] == ["a", "b"]
    assert [slot["timestamp"] for slot in built[1]["schedule"]] == ["t0", "t1"]


def test_runs_on_a_small_size_and_shows_every_figure() -> None:
    sizes = [optimize.Size(3, 2, "1 s", "2 s", 1e6), optimize.Size(2, 3, "1 s", "-", 1e6, scattered=True)]
    found = optimize.run(sizes, doublings=[((1, 1), (2, 1))], largest=(3, 2))
    assert [timing["results"] for timing in found["timings"]] == [3 * 2, 2 * 9]
    console = Console(file=io.StringIO(), width=200)
    optimize.show(found, console, sizes)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    for expected in (
        "3 x 2",
        "2 x 3 scattered",
        "1 x 1 to 2 x 1",
        "peak memory",
        "equal request",
    ):
        assert expected in text

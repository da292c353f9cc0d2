"""The slots of the schedule, and what holds in each."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from energy_management import EnergyManager, ManagerConfig
from tests.energy_management.problem import Json, format_time
from tests.energy_management.trees import entry, evse, limits, node

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def fuse(*changes: tuple[float, float]) -> Json:
    """A fuse that changes: pairs of minutes after noon and amperes."""
    schedule = [
        entry(limits("grid", ac_max_current_A=A), time=NOON + timedelta(minutes=minutes))
        for minutes, A in changes
    ]
    return {**node("grid", [{**evse("e", min_A=0)}]), "schedule_import": schedule, "schedule_export": []}


def schedule(request: Json, minutes: float, config: Json | None = None) -> list[tuple[float, float]]:
    """The slots of the result at so many minutes after noon: minutes after noon and amperes."""
    for name in ("schedule_import", "schedule_export"):  # the car's own limits are older than all this
        request["children"][0][name][0]["timestamp"] = "2026-01-01T00:00:00.000Z"
    manager = EnergyManager(ManagerConfig.from_dict(config or {}))
    (result,) = manager.optimize(request, NOON + timedelta(minutes=minutes))
    return [
        (
            (datetime.fromisoformat(slot["timestamp"]) - NOON).total_seconds() / 60,
            slot["limits_to_root"]["ac_max_current_A"]["value"],
        )
        for slot in result["schedule"]
    ]


def now(request: Json, minutes: float) -> float:
    manager = EnergyManager(ManagerConfig())
    (result,) = manager.optimize(request, NOON + timedelta(minutes=minutes))
    value: float = result["limits_root_side"]["ac_max_current_A"]["value"]
    return value


def test_there_is_a_slot_from_the_floor_of_now() -> None:
    assert schedule(fuse((-600, 16)), 59.55) == [(0, 16)]


@pytest.mark.parametrize(
    ("interval", "hours", "expected"),
    [
        (60, 1, [0]),
        (60, 3, [0, 60, 120]),
        (15, 1, [30, 45, 60, 75]),
        (60, 24, [60 * k for k in range(24)]),
        (90, 1, [0]),
    ],
)
def test_the_raster_is_configured(interval: int, hours: int, expected: list[float]) -> None:
    config = {"schedule_interval_duration": interval, "schedule_total_duration": hours}
    assert [start for start, _ in schedule(fuse((-600, 16)), 40, config)] == expected


def test_changes_to_come_are_slots() -> None:
    assert schedule(fuse((-600, 16), (20, 10), (50, 20)), 5) == [(0, 16), (20, 10), (50, 20)]


def test_what_has_changed_already_holds_in_the_slot_that_has_begun() -> None:
    assert schedule(fuse((-600, 16), (20, 10), (50, 20)), 30) == [(0, 10), (50, 20)]


def test_past_entries_are_no_slots() -> None:
    hourly = [(-60.0 * hour, 16.0) for hour in reversed(range(72))]
    assert schedule(fuse(*hourly), 0) == [(0, 16)]


def test_order_does_not_matter() -> None:
    assert schedule(fuse((50, 20), (-600, 16), (20, 10)), 5) == [(0, 16), (20, 10), (50, 20)]


def test_of_entries_at_the_same_time_the_later_counts() -> None:
    assert schedule(fuse((0, 16), (0, 12), (20, 10), (20, 9)), 5) == [(0, 12), (20, 9)]


def test_the_first_entry_holds_before_it_begins() -> None:
    assert schedule(fuse((120, 16), (180, 10)), 5) == [(0, 16), (120, 16), (180, 10)]


@pytest.mark.parametrize(("minutes", "expected"), [(19.99, 16), (20, 10), (20.01, 10), (50, 20), (5_000, 20)])
def test_the_active_limits_change_on_time(minutes: float, expected: float) -> None:
    assert now(fuse((-600, 16), (20, 10), (50, 20)), minutes) == expected


def test_a_schedule_of_setpoints_makes_slots_too() -> None:
    tree = fuse((-600, 16))
    tree["schedule_setpoints"] = [
        {"timestamp": format_time(NOON), "setpoint": None},
        {
            "timestamp": format_time(NOON + timedelta(minutes=10)),
            "setpoint": {"ac_current_A": 7.0, "priority": 0, "source": "x"},
        },
        {"timestamp": format_time(NOON + timedelta(minutes=20))},
    ]
    assert schedule(tree, 0) == [(0, 16), (10, 7), (20, 16)]


def test_every_slot_is_allocated_for_itself() -> None:
    """The car may draw from 12:20 on, and the fuse is small until 12:40."""
    tree = fuse((-600, 8), (40, 20))
    late = evse("late", min_A=0)
    late["schedule_import"] = [
        entry(limits("late", ac_max_current_A=A), time=NOON + timedelta(minutes=minutes))
        for minutes, A in ((0, 0), (20, 32))
    ]
    tree["children"].append(late)
    manager = EnergyManager(ManagerConfig())
    results = manager.optimize(tree, NOON)
    amps = [
        [slot["limits_to_root"]["ac_max_current_A"]["value"] for slot in result["schedule"]]
        for result in results
    ]
    assert amps == [[8, 4, 10], [0, 4, 10]]


def test_timestamps_are_written_as_everest_does() -> None:
    (result,) = EnergyManager(ManagerConfig()).optimize(fuse((20.00005, 16)), NOON)
    assert [slot["timestamp"] for slot in result["schedule"]] == [
        "2026-03-01T12:00:00.000Z",
        "2026-03-01T12:20:00.003Z",
    ]

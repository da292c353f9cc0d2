"""The traffic benchmark at a small size measures what it says. How fast it may be, only a benchmark asks."""

import json

import pytest
from rich.console import Console

from benchmarks import traffic


@pytest.mark.mosquitto
@pytest.mark.usefixtures("shared_mosquitto")  # tells why it is skipped without one
def test_traffic_is_measured_and_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traffic, "START_S", 1.0)
    monkeypatch.setattr(traffic, "FULL_AFTER_S", 5.0)
    story = traffic.Story(quiet_s=2.0, coming_and_going_s=3.0, orders_A=[7.6])
    found = traffic.run([4], story)
    (figures,) = json.loads(json.dumps(found))["traffic"]
    assert figures["evses"] == 4
    assert figures["leaves"]["requests"] > 0
    assert figures["comes"]["requests"] + figures["waits"]["requests"] > 0
    assert 0 < figures["all_worst_ms"] <= traffic.BETWEEN_ORDERS_S * 1e3
    assert figures["messages_per_s"] > 0
    assert figures["sent_share"] >= 0
    assert figures["sent_per_evse_s"] >= 0
    assert figures["cpu_percent"] >= 0
    assert figures["memory_MB"] > 10
    console = Console(record=True, width=200)
    traffic.show(found, console)
    shown = console.export_text()
    assert "4 EVSEs" in shown
    assert "< 100 ms" in shown


@pytest.mark.parametrize(
    ("events", "expected_ms"),
    [
        ([("limit", 0, 16.0), ("Charging", 1.0, None), ("limit", 1.05, 8.0)], [50.0]),
        ([("limit", 0, 16.0), ("Charging", 1.0, None), ("limit", 1.05, 16.0), ("limit", 1.2, 8.0)], [200.0]),
        ([("limit", 0, 16.0), ("Charging", 1.0, None), ("limit", 9.0, 8.0)], [5000.0]),
        ([("Unplugged", 1.0, None), ("limit", 1.05, 8.0)], []),
    ],
    ids=["at once", "a refresh is no answer", "too late", "another kind of request"],
)
def test_answers_to_priority_requests(
    events: list[tuple[str, float, float | None]], expected_ms: list[float]
) -> None:
    assert [took for _, took in traffic.answer_times_ms(recorded(events), "Charging")] == pytest.approx(
        expected_ms
    )


def recorded(events: list[tuple[str, float, float | None]], evse: str = "a") -> list[dict[str, object]]:
    """Events as the process writes them; what is no limit is a state."""
    return [
        {
            "at": at,
            "evse": evse,
            **({"state": kind, "priority": True} if amperes is None else {"current_A": amperes}),
        }
        for kind, at, amperes in events
    ]


@pytest.mark.parametrize(
    ("events", "room_A"),
    [
        ([("Charging", 0, None), ("limit", 1, 16.0), ("limit", 12, 16.0)], 16),
        ([("Charging", 0, None), ("limit", 1, 16.0), ("limit", 19, 8.0)], 16),
        ([("Charging", 0, None), ("limit", 1, 16.0), ("limit", 13, 8.0)], 24),
        ([("Charging", 0, None), ("limit", 1, 16.0), ("Unplugged", 19.5, None)], 32),
        ([("Charging", 0, None), ("limit", 1, 16.0), ("limit", 15, 8.0), ("Charging", 19, None)], 24),
    ],
    ids=["what it has", "it may not have followed yet", "it must have", "it is gone", "a new car"],
)
def test_what_cars_leave(events: list[tuple[str, float, float | None]], room_A: float) -> None:
    now = [{"at": 20.0, "evse": "b", "state": "Charging"}]
    assert traffic.room_A([*recorded(events), *now], 32.0) == room_A

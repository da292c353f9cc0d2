"""The traffic benchmark at a small size measures what it says. How fast it may be, only a benchmark asks."""

import json

import pytest
from rich.console import Console

from benchmarks import traffic


@pytest.mark.mosquitto
@pytest.mark.usefixtures("shared_mosquitto")  # tells why it is skipped without one
def test_traffic_is_measured_and_shown() -> None:
    story = traffic.Story(quiet_s=traffic.START_S + 1, coming_and_going_s=3.0, orders_A=[7.6])
    found = traffic.run([4], story)
    (figures,) = json.loads(json.dumps(found))["traffic"]
    assert figures["evses"] == 4
    assert figures["leaves"]["requests"] == figures["comes"]["requests"] == traffic.PROCESSES
    assert figures["all_worst_ms"] < traffic.BETWEEN_ORDERS_S * 1e3, "every EVSE got its part of every order"
    assert figures["messages_per_s"] >= 4 * 0.5, "each EVSE publishes every second"
    assert 0 <= figures["sent_share"] <= 1
    assert 0 <= figures["cpu_percent"] < 100
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
    recorded = [
        {"at": at, "evse": "a", **({"priority": kind} if amperes is None else {"current_A": amperes})}
        for kind, at, amperes in events
    ]
    assert traffic.answer_times_ms(recorded, "Charging") == pytest.approx(expected_ms)

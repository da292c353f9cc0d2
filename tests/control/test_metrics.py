"""Prometheus sees what happens, and the dashboard asks for nothing that is not there."""

import json
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from bsp.bus import DeviceStatistics
from control.dispatch import Outcome
from control.everest import Outside
from control.manager import Decision
from control.metrics import Metrics
from control.settings import Settings
from control.site import EnergySite
from tests.control.instance import EverestPlayed
from tests.control.sample import Child, RecordingLog, VirtualClock, evse
from tests.patience import WITHIN_S

DASHBOARD = Path(__file__).parents[2] / "examples/grafana/pyenergymanager.json"

Samples = dict[str, dict[tuple[str, ...], float]]


def scrape(port: int) -> Samples:
    """Ask as Prometheus does; values by name and the values of labels, in the order of their names."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=WITHIN_S) as answer:
        text = answer.read().decode()
    samples: Samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            samples.setdefault(sample.name, {})[tuple(dict(sorted(sample.labels.items())).values())] = (
                sample.value
            )
    return samples


class Site:
    """A site of 32 A with two EVSEs and a meter, on a virtual clock."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.log = RecordingLog()
        self.children = {"a": Child(), "b": Child()}
        self.site = EnergySite(
            Settings.from_config("grid", {"fuse_limit_A": 32}),
            None,
            Outside(dict(self.children), EverestPlayed(), self.log, has_powermeter=True),
            self.clock,
        )
        self.devices: dict[int, DeviceStatistics] = {}
        self.metrics = self.new_metrics()
        self.site._observers._metrics = self.metrics
        self.metrics.start()

    def new_metrics(self) -> Metrics:
        return Metrics(
            "127.0.0.1",
            0,
            states=self.site._states,
            notices=self.site._notices,
            statistics=lambda: {"rs485": self.devices},
            clock=self.clock,
        )

    def step(self) -> None:
        for name in self.children:
            measured = {"energy_Wh_import": {"total": 1.0}, "current_A": {"L1": 6.0, "L2": 5.0, "L3": 4.0}}
            self.site.handlers.request(name, {**evse(name), "energy_usage_root": measured})
        self.site.step(self.clock.advance(1))

    def measure(self) -> None:
        currents = {"L1": 16.0, "L2": 12.0, "L3": 8.0}
        powermeter = {
            "timestamp": "2026-11-22T09:30:00.000Z",
            "energy_Wh_import": {"total": 1.0},
            "current_A": currents,
            "power_W": {"total": 8000.0},
        }
        self.site.meters.on_powermeter(powermeter)


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.metrics.stop()
    site.site.stop()


def test_prometheus_sees_grants_loads_and_how_long_things_take(site: Site) -> None:
    site.measure()
    site.step()
    for child in site.children.values():
        child.wait_received(1)
    seen = scrape(site.metrics.port)
    grants = seen["pyenergymanager_grant_amperes"]
    assert grants.keys() == {("a",), ("b",)}
    assert seen["pyenergymanager_evse_measured_amperes"]["L2", "a"] == 5
    assert seen["pyenergymanager_node_limit_amperes"]["grid",] == 32
    budget = seen["pyenergymanager_node_budget_amperes"]["L1", "grid"]
    headroom = seen["pyenergymanager_node_headroom_amperes"]["L1", "grid"]
    assert headroom == pytest.approx(budget - sum(grants.values()), abs=0.11)  # each is rounded
    assert seen["pyenergymanager_node_measured_amperes"]["L3", "grid"] == 8
    assert seen["pyenergymanager_optimize_seconds_count"][()] == 1
    assert seen["pyenergymanager_meter_stale"]["powermeter",] == 0
    site.clock.advance(11)
    assert scrape(site.metrics.port)["pyenergymanager_meter_stale"]["powermeter",] == 1


def test_limits_that_are_answered_or_not_are_counted(site: Site) -> None:
    site.metrics.on_outcome(Outcome("a", 0.03, None))
    site.metrics.on_outcome(Outcome("b", 9.0, RuntimeError("nobody there")))
    seen = scrape(site.metrics.port)
    assert seen["pyenergymanager_dispatch_seconds_bucket"]["0.05",] == 1
    assert seen["pyenergymanager_dispatch_seconds_bucket"]["0.02",] == 0
    # One that begins with its first failure would show Prometheus no increase.
    assert seen["pyenergymanager_dispatch_failures_total"] == {("a",): 0, ("b",): 1}


def test_phase_switches_are_counted_over_sessions(site: Site) -> None:
    site.measure()
    site.step()
    decision = site.site._role.decision
    assert isinstance(decision, Decision)
    metrics = site.new_metrics()
    metrics.start()
    # The first two are from before a restart, and the last one is in a new session.
    for switches in (2, 3, 5, 1):
        metrics.on_decision(decision, {"a": switches})
        if switches == 2:
            assert scrape(metrics.port)["pyenergymanager_phase_switches_total"] == {("a",): 0}
    assert scrape(metrics.port)["pyenergymanager_phase_switches_total"] == {("a",): 4}
    metrics.stop()


def test_errors_on_the_bus_are_counted(site: Site) -> None:
    site.devices[3] = DeviceStatistics(requests=50, timeouts=2, refusals=1)
    seen = scrape(site.metrics.port)
    assert seen["pyenergymanager_modbus_requests_total"] == {("rs485", "3"): 50}
    assert seen["pyenergymanager_modbus_errors_total"] == {
        ("rs485", "timeout", "3"): 2,
        ("rs485", "refusal", "3"): 1,
    }


def test_the_dashboard_asks_for_nothing_that_is_not_there(site: Site) -> None:
    site.measure()
    site.step()
    site.metrics.on_outcome(Outcome("a", 0.03, RuntimeError("nobody there")))
    known = set(re.findall(r"^# TYPE (\w+)", exposition(site.metrics.port), re.MULTILINE))
    asked = set(re.findall(r"pyenergymanager_\w+", json.dumps(json.loads(DASHBOARD.read_text()))))
    assert len(asked) > 10
    assert {re.sub(r"_(bucket|count|sum)$", "", name) for name in asked} <= known


def exposition(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=WITHIN_S) as answer:
        text: str = answer.read().decode()
    return text


def test_the_endpoint_is_there_if_it_is_wanted_and_on_this_machine_only() -> None:
    assert Settings.from_config("grid", {}).metrics_port == 0
    assert Settings.from_config("grid", {"metrics_port": 9180}).metrics_address == "127.0.0.1"


def test_a_port_that_is_taken_stops_nothing_else(site: Site) -> None:
    log = RecordingLog()
    config: dict[str, Any] = {"fuse_limit_A": 32, "metrics_port": site.metrics.port}
    second = EnergySite(
        Settings.from_config("second", config), None, Outside({"a": Child()}, EverestPlayed(), log)
    )
    second.start()
    second.stop()
    assert log.at("error")[0].startswith(
        "metrics: not available, metrics_address or metrics_port does not do:"
    )

"""Figures for Prometheus, at ``http://<metrics_address>:<metrics_port>/metrics``.

Gauges are read when Prometheus asks, from the newest states; only what must not be missed is counted when it
happens.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Histogram, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from control.clock import Clock
from control.dispatch import Outcome
from control.manager import Decision
from control.notices import Notices
from control.schedules import JsonObject
from control.states import SiteStates

PREFIX = "pyenergymanager"
_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


class Requests(Protocol):
    """What happened to the requests of one Modbus device, see `bsp.bus.DeviceStatistics`."""

    requests: int
    timeouts: int
    refusals: int


Statistics = Callable[[], Mapping[str, Mapping[int, Requests]]]
"""Gives them by bus and Modbus address."""


@dataclass(frozen=True, slots=True)
class _Gauge:
    """One figure of each part: its name, its meaning, and the key of the state that has it."""

    name: str
    meaning: str
    key: str


_GAUGES: dict[str, tuple[str, tuple[_Gauge, ...]]] = {
    "evse": (
        "uuid",
        (
            _Gauge("grant_amperes", "Limit of an EVSE per phase", "current_A"),
            _Gauge("grant_watts", "Limit of an EVSE, all phases", "power_W"),
            _Gauge("grant_phases", "Phases an EVSE may use", "phase_count"),
            _Gauge("evse_measured_amperes", "Current of an EVSE", "measured_A"),
            _Gauge("evse_measured_watts", "Power of an EVSE", "measured_W"),
        ),
    ),
    "node": (
        "uuid",
        (
            _Gauge("node_limit_amperes", "Limit in force of a node per phase", "limit_A"),
            _Gauge("node_limit_watts", "Limit in force of a node, all phases", "limit_W"),
            _Gauge("node_budget_amperes", "Part of a node's limit that is there for EVSEs", "budget_A"),
            _Gauge("node_granted_amperes", "What the EVSEs below a node may draw together", "granted_A"),
            _Gauge("node_headroom_amperes", "Part of a node's budget that nobody has", "headroom_A"),
            _Gauge("node_measured_amperes", "Current through a node", "measured_A"),
            _Gauge("node_surplus_watts", "What the sun leaves for charging from surplus", "surplus_W"),
        ),
    ),
    "meter": (
        "name",
        (
            _Gauge("meter_stale", "1 while the readings of a meter do not count", "is_stale"),
            _Gauge("meter_watts", "Power at a meter", "power_W"),
        ),
    ),
}


class Metrics:
    """The endpoint, and the counters behind it.

    Parameters
    ----------
    address, port
        Where it listens.
    states : SiteStates
        Newest states.
    statistics : callable
        What happened on the buses.
    """

    def __init__(
        self,
        address: str,
        port: int,
        *,
        states: SiteStates,
        notices: Notices,
        statistics: Statistics,
        clock: Clock,
    ) -> None:
        self._address = address
        self._port = port
        self._server: Callable[[], None] | None = None
        self._switches_seen: Mapping[str, int] | None = None
        self.registry = CollectorRegistry()
        self.registry.register(_Newest(states, notices, statistics, clock))
        self._optimize = self._histogram("optimize_seconds", "Duration of the computation of all limits")
        self._dispatch = self._histogram("dispatch_seconds", "From sending a limit to its answer")
        self._failures = Counter(
            f"{PREFIX}_dispatch_failures", "Limits that were not taken", ["uuid"], registry=self.registry
        )
        self._switches = Counter(
            f"{PREFIX}_phase_switches", "Changes of the number of phases", ["uuid"], registry=self.registry
        )

    @property
    def port(self) -> int:
        """Where it listens, once it does."""
        return self._port

    def start(self) -> None:
        """Begin to listen.

        Raises
        ------
        OSError
            The port is taken, or the address is not this machine's.
        """
        server, thread = start_http_server(self._port, self._address, self.registry)
        self._port = int(server.server_port)

        def stop() -> None:
            server.shutdown()
            server.server_close()
            thread.join(1.0)

        self._server = stop

    def stop(self) -> None:
        """End."""
        if self._server is not None:
            self._server()

    def on_decision(self, decision: Decision, switches: Mapping[str, int]) -> None:
        """Count a decision, and phases that were switched since the last one.

        Parameters
        ----------
        switches : mapping of uuid to int
            How often each EVSE has switched in its session.
        """
        self._optimize.observe(decision.seconds)
        # What is there at first is from before a restart.
        seen = switches if self._switches_seen is None else self._switches_seen
        for uuid, count in switches.items():
            before = seen.get(uuid, 0)
            new = count - before if count >= before else count  # fewer: a new session
            # Also by 0: Prometheus sees no increase in a series that begins with its first event.
            self._switches.labels(uuid).inc(new)
        self._switches_seen = switches

    def on_outcome(self, outcome: Outcome) -> None:
        """Count a limit that was answered, or was not."""
        failures = self._failures.labels(outcome.uuid)  # there from the beginning, as above
        if outcome.error is None:
            self._dispatch.observe(outcome.seconds)
        else:
            failures.inc()

    def _histogram(self, name: str, meaning: str) -> Histogram:
        return Histogram(f"{PREFIX}_{name}", meaning, buckets=_SECONDS, registry=self.registry)


class _Newest(Collector):
    """Reads the gauges when Prometheus asks."""

    def __init__(self, states: SiteStates, notices: Notices, statistics: Statistics, clock: Clock) -> None:
        self._states = states
        self._notices = notices
        self._statistics = statistics
        self._clock = clock

    def describe(self) -> Iterable[Metric]:
        """Say nothing before the first decision."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Give all gauges."""
        states = self._states(self._clock())
        for kind, (label, gauges) in _GAUGES.items():
            of_kind = [state for name, state in states.items() if name.startswith(f"{kind}/")]
            for gauge in gauges:
                yield _family(gauge, label, of_kind)
        problems = GaugeMetricFamily(f"{PREFIX}_problems", "Things that are wrong at present")
        problems.add_metric([], len(self._notices.active))
        yield problems
        yield from self._of_buses()

    def _of_buses(self) -> Iterator[Metric]:
        requests = CounterMetricFamily(
            f"{PREFIX}_modbus_requests", "Requests to a Modbus device", labels=["bus", "unit"]
        )
        errors = CounterMetricFamily(
            f"{PREFIX}_modbus_errors", "Requests that failed, and how", labels=["bus", "unit", "kind"]
        )
        for bus, devices in self._statistics().items():
            for unit, device in devices.items():
                requests.add_metric([bus, str(unit)], device.requests)
                errors.add_metric([bus, str(unit), "timeout"], device.timeouts)
                errors.add_metric([bus, str(unit), "refusal"], device.refusals)
        yield requests
        yield errors


def _family(gauge: _Gauge, label: str, states: Iterable[JsonObject]) -> Metric:
    """Collect one figure of all parts of a kind; what is per phase has a label for that."""
    states = [state for state in states if gauge.key in state]
    is_per_phase = any(isinstance(state[gauge.key], dict) for state in states)
    labels = [label, "phase"] if is_per_phase else [label]
    family = GaugeMetricFamily(f"{PREFIX}_{gauge.name}", gauge.meaning, labels=labels)
    for state in states:
        value = state[gauge.key]
        for phase, figure in value.items() if is_per_phase else [("", value)]:
            family.add_metric([state[label], phase][: len(labels)], float(figure))
    return family

"""How fast limits arrive, what it costs, and how much is sent: the module process on a real mosquitto.

Many EVSEs, played by two processes, publish once a second. First nothing changes (cost, messages), then cars
come and go (from a priority request to that EVSE's new limit), then limits from outside change the limits of
all EVSEs (from the order to the last of them). Times are taken inside the processes of the EVSEs.

A car that comes where the others may draw all but less than its minimum has to wait until one of them is
measured to have fallen, which an EVSE tells once a second: who gives up goes first. They are shown apart.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import socket
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import psutil

from benchmarks.traffic_figures import ANSWER_S, Answers, Figures, everest_per_s, show
from hil.runtime.broker import BrokerAddress
from hil.runtime.manager import Manager
from hil.runtime.wire import Topics, encode

Json = dict[str, Any]

SIZES = (3, 10, 50, 100)
PROCESSES = 2
START_S = 6.0  # until every EVSE has its first limit and nothing moves
APART_S = 0.7  # cars do not come to both processes at the same moment
FULL_AFTER_S = 30.0  # until all have a car and their share of the fuse, which rises in steps
BETWEEN_ORDERS_S = 1.5
FULL_A = 16.0  # of an EVSE; the fuse is enough for half of them
LEAST_A = 6.0  # of an EVSE
FOLLOWS_WITHIN_S = 6.0  # a car that has been told to draw less


@dataclass(frozen=True)
class Story:
    """What happens during a measurement.

    Attributes
    ----------
    quiet_s, coming_and_going_s : float
        How long nothing changes, and how long cars come and go after that.
    orders_A : sequence of float
        Limits from outside at the end, for each EVSE. Falls for all, since a rise may have to wait: the
        share of each is 8 A, but for up to a deadband.
    """

    quiet_s: float = 30.0
    coming_and_going_s: float = 15.0
    orders_A: Sequence[float] = (7.2, 6.9, 6.6, 6.3, 6.0)


def run(sizes: Sequence[int] = SIZES, story: Story = Story()) -> Json:
    """Take all measurements, as an object for JSON; empty without mosquitto."""
    executable = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if executable is None:
        return {}
    with tempfile.TemporaryDirectory() as directory, mosquitto(executable, Path(directory)) as broker:
        figures = [measure(size, story, broker, Path(directory)) for size in sizes]
    return {"traffic": [asdict(each) for each in figures]}


@contextmanager
def mosquitto(executable: str, directory: Path) -> Iterator[str]:
    """Run a mosquitto with default settings; gives its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = directory / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n", encoding="utf-8")
    process = subprocess.Popen([executable, "-c", str(config)], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 10.0
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def measure(evses: int, story: Story, broker: str, directory: Path) -> Figures:
    """Take the figures of one size."""
    records = [directory / f"{evses}_{number}.jsonl" for number in range(PROCESSES)]
    config = directory / f"{evses}.json"  # JSON is YAML
    config.write_text(json.dumps(configuration(evses, story, records)), encoding="utf-8")
    with Manager(config, broker=broker, log=lambda _: None) as manager:
        manager.wait_ready(60.0)
        let_pass(manager, START_S)
        with listening(broker, manager.prefix) as bystander:
            quiet = watch(manager, bystander, story.quiet_s - START_S)
            let_pass(manager, story.coming_and_going_s + FULL_AFTER_S)
            orders = {amperes: bystander.order(evses * amperes, manager) for amperes in story.orders_A}
    events = sorted((event for record in records for event in read(record)), key=lambda event: event["at"])
    arrivals = [
        (took, room_A(events[:number], FULL_A * evses / 2) >= LEAST_A)
        for number, took in answer_times_ms(events, "Charging")
    ]
    all_ms = [time_to_last_ms(events, amperes, at, evses) for amperes, at in orders.items()]
    return Figures(
        evses=evses,
        comes=Answers.of([took for took, has_room in arrivals if has_room]),
        waits=Answers.of([took for took, has_room in arrivals if not has_room]),
        leaves=Answers.of([took for _, took in answer_times_ms(events, "Unplugged")]),
        all_median_ms=statistics.median(all_ms),
        all_worst_ms=max(all_ms),
        messages_per_s=quiet["messages_per_s"],
        sent_share=quiet["limits_per_s"] / everest_per_s(evses),
        sent_per_evse_s=quiet["limits_per_s"] / evses,
        cpu_percent=quiet["cpu_percent"],
        memory_MB=quiet["memory_MB"],
    )


def configuration(evses: int, story: Story, records: Sequence[Path]) -> Json:
    """Fuse and manager in one instance, and two processes that play the EVSEs."""
    counts = [evses // 2, evses - evses // 2]
    consumers = [
        {"module_id": f"traffic{number}", "implementation_id": f"evse{evse}"}
        for number, count in enumerate(counts)
        for evse in range(1, count + 1)
    ]
    site = {
        "module": "PyEnergyManager",
        "config_module": {"fuse_limit_A": FULL_A * evses / 2},
        "connections": {"energy_consumer": consumers},
    }
    traffic = {
        f"traffic{number}": {
            "module": "Traffic",
            "config_module": {
                "evses": count,
                "quiet_s": story.quiet_s + number * APART_S,
                "coming_and_going_s": story.coming_and_going_s,
                "record": str(record),
            },
        }
        for number, (count, record) in enumerate(zip(counts, records, strict=True))
    }
    return {"active_modules": {"site": site, **traffic}}


class Bystander:
    """Counts what is sent, and sets limits as a module would."""

    def __init__(self, prefix: str, client: mqtt.Client) -> None:
        self.messages = 0
        self.limits = 0
        self._topics = Topics(prefix)
        self._client = client

    def count(self, _client: object, _userdata: object, message: mqtt.MQTTMessage) -> None:
        """Take a message."""
        self.messages += 1
        self.limits += message.topic.endswith("/cmd/enforce_limits")

    def order(self, amperes: float, manager: Manager) -> float:
        """Set a limit for the site and let it take effect; gives when."""
        limits = {"ac_max_current_A": {"value": amperes, "source": "benchmark"}}
        entry = {"timestamp": "2026-01-01T00:00:00.000Z", "limits_to_root": limits, "limits_to_leaves": {}}
        value = {"schedule_import": [entry], "schedule_export": [], "schedule_setpoints": []}
        call = {"id": f"{amperes}", "args": {"value": value}, "origin": "benchmark"}
        at = time.monotonic()
        self._client.publish(
            self._topics.command("site", "external_limits", "set_external_limits"), encode("Cmd", call), qos=2
        )
        let_pass(manager, BETWEEN_ORDERS_S)
        return at


@contextmanager
def listening(broker: str, prefix: str) -> Iterator[Bystander]:
    """Listen to all messages of a run."""
    address = BrokerAddress.parse(broker)
    client = address.new_client()
    bystander = Bystander(prefix, client)
    subscribed = threading.Event()
    client.on_message = bystander.count
    client.on_subscribe = lambda *_: subscribed.set()
    address.connect(client)
    client.subscribe(f"{prefix}#", qos=0)
    client.loop_start()
    try:
        if not subscribed.wait(10.0):
            raise TimeoutError(f"broker {broker} does not answer")
        yield bystander
    finally:
        client.disconnect()
        client.loop_stop()


def watch(manager: Manager, bystander: Bystander, seconds: float) -> Json:
    """Take what the module's process uses and what is sent, over some seconds."""
    process = psutil.Process(manager.processes["site"].pid)
    began, cpu, messages, limits = time.monotonic(), used_s(process), bystander.messages, bystander.limits
    let_pass(manager, seconds)
    passed_s = time.monotonic() - began
    return {
        "cpu_percent": 100.0 * (used_s(process) - cpu) / passed_s,
        "memory_MB": process.memory_info().rss / 1e6,
        "messages_per_s": (bystander.messages - messages) / passed_s,
        "limits_per_s": (bystander.limits - limits) / passed_s,
    }


def let_pass(manager: Manager, seconds: float) -> None:
    """Wait; a run that ends meanwhile is no measurement."""
    if manager.wait(seconds) is not None:
        raise RuntimeError(f"the run ended by itself: {manager.failure}")


def used_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def read(record: Path) -> list[Json]:
    return [json.loads(line) for line in record.read_text(encoding="utf-8").splitlines()]


def answer_times_ms(events: Sequence[Json], state: str) -> list[tuple[int, float]]:
    """Time from each priority request that tells of a state to the EVSE's next limit that is another one.

    Each with the position of the request among the events.
    """
    found = []
    for number, asked in enumerate(events):
        if asked.get("priority") and asked["state"] == state:
            before = newest_limit_A(events[:number], asked["evse"])
            later = (e for e in events[number:] if e["evse"] == asked["evse"] and "current_A" in e)
            took_s = next((e["at"] for e in later if e["current_A"] != before), math.inf) - asked["at"]
            found.append((number, min(took_s, ANSWER_S) * 1e3))
    return found


def room_A(events: Sequence[Json], fuse_A: float) -> float:
    """Return the current that cars leave at the end of the events.

    Each may draw the highest limit of the seconds that it has to follow a lower one.
    """
    now = events[-1]["at"]
    drawn_A: dict[str, float] = {}
    has_car: dict[str, bool] = {}
    limit_A: dict[str, float] = {}
    for event in events:
        evse = event["evse"]
        if "state" in event:
            has_car[evse] = event["state"] == "Charging"
            drawn_A[evse] = limit_A.get(evse, 0.0)
        else:
            lasts = event["at"] < now - FOLLOWS_WITHIN_S
            drawn_A[evse] = event["current_A"] if lasts else max(event["current_A"], drawn_A.get(evse, 0.0))
            limit_A[evse] = event["current_A"]
    return fuse_A - sum(current for evse, current in drawn_A.items() if has_car.get(evse))


def newest_limit_A(events: Sequence[Json], evse: str) -> float | None:
    limits = (e["current_A"] for e in reversed(events) if e["evse"] == evse and "current_A" in e)
    return next(limits, None)


def time_to_last_ms(events: Sequence[Json], amperes: float, ordered_at: float, evses: int) -> float:
    """Time from an order until the last EVSE has its part of it; all the time there is if one has not."""
    arrived = {
        event["evse"]: event["at"]
        for event in reversed(events)  # the first of each EVSE counts
        if abs(event.get("current_A", 0.0) - amperes) < 0.01 and event["at"] >= ordered_at
    }
    return ((max(arrived.values()) - ordered_at) if len(arrived) == evses else BETWEEN_ORDERS_S) * 1e3


__all__ = ["run", "show"]

"""The simulated EVSE as a module: its own process, on a real broker, under the bench's manager."""

import json
import threading
import uuid
from pathlib import Path
from typing import Any

from hil.observer import EnergyMessage, Observer
from hil.runtime.broker import BrokerAddress
from hil.runtime.manager import Manager
from hil.runtime.wire import Topics, encode
from tests.patience import WITHIN_S


class Requests:
    """Collects requests, and lets a test wait for one it describes."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []
        self._changed = threading.Condition()

    def take(self, message: EnergyMessage) -> None:
        if message.kind == "energy_flow_request":
            with self._changed:
                self.seen.append(message.data)
                self._changed.notify_all()

    def wait_for(self, what: str, **expected: Any) -> dict[str, Any]:
        """Wait for a request of a state with a current on L1 in a range."""
        low, high = expected.get("L1_A", (-1.0, 100.0))

        def fits(request: dict[str, Any]) -> bool:
            return bool(request["evse_state"] == what) and low <= L1_A(request) <= high

        with self._changed:
            assert self._changed.wait_for(lambda: any(map(fits, self.seen)), WITHIN_S), self.seen[-3:]
            return next(filter(fits, self.seen))

    def forget(self) -> None:
        with self._changed:
            self.seen.clear()


def L1_A(request: dict[str, Any]) -> float:
    current: float = request["energy_usage_root"]["current_A"]["L1"]
    return current


def config(path: Path, **settings: Any) -> Path:
    path.write_text(
        json.dumps({"active_modules": {"garage": {"module": "SimEvse", "config_module": settings}}})
    )
    return path


def test_it_asks_every_second_and_obeys(shared_amqtt: str, tmp_path: Path) -> None:
    requests = Requests()
    manager = Manager(
        config(tmp_path / "config.json", plug_in_after_s=0.3, auth_after_s=0.2, car_max_current_A=20),
        broker=shared_amqtt,
        log=lambda _: None,
    )
    topic = Topics(manager.prefix).command("garage", "energy_grid", "enforce_limits")
    client = BrokerAddress.parse(shared_amqtt).new_client()
    BrokerAddress.parse(shared_amqtt).connect(client)
    client.loop_start()

    def enforce(current_A: float) -> None:
        root = {"ac_max_current_A": {"value": current_A, "source": "test"}}
        limits = {"uuid": "garage", "valid_for": 600, "limits_root_side": root, "schedule": []}
        call = {"id": str(uuid.uuid4()), "args": {"value": limits}, "origin": "tester"}
        client.publish(topic, encode("Cmd", call), qos=2)

    try:
        with Observer(shared_amqtt, manager.prefix, requests.take) as observer, manager:
            first = requests.wait_for("Unplugged")
            assert first["priority_request"] is True
            assert requests.wait_for("WaitForAuth")["priority_request"] is True
            requests.wait_for("PausedEVSE", L1_A=(0.0, 0.0))  # no limit yet
            enforce(13.0)
            charging = requests.wait_for("Charging", L1_A=(12.9, 13.1))
            assert charging["priority_request"] is False
            requests.forget()
            enforce(0.0)
            requests.wait_for("PausedEVSE", L1_A=(0.0, 0.0))
            assert observer.messages > len(requests.seen)
    finally:
        client.disconnect()
        client.loop_stop()
    assert manager.exit_code == 0

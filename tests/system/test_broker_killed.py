"""The broker is killed and comes back: everything ends, and begins anew by itself."""

import threading
from pathlib import Path
from typing import Any

import yaml

from hil.observer import EnergyMessage, Observer
from hil.runtime.manager import run_config
from tests.brokers import Mosquitto
from tests.patience import WITHIN_S
from tests.system.limits import is_due
from tests.system.test_sites import evse, manager

PREFIX = "killed_broker/"
FUSE_A = 32.0

Json = dict[str, Any]


class Watch:
    """What EVSEs are sent and draw, as seen on one broker in one life."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._limits_A: dict[str, float] = {}
        self._drawn_A: dict[str, float] = {}
        self.highest_drawn_A = 0.0

    def take(self, message: EnergyMessage) -> None:
        with self._changed:
            if message.kind == "enforce_limits":
                self._limits_A[message.module_id] = message.data["limits_root_side"]["ac_max_current_A"][
                    "value"
                ]
            elif message.kind == "energy_flow_request" and message.data["node_type"] == "Evse":
                self._drawn_A[message.module_id] = message.data["energy_usage_root"]["current_A"]["L1"]
                self.highest_drawn_A = max(self.highest_drawn_A, sum(self._drawn_A.values()))
            self._changed.notify_all()

    def wait_for_draw(self, **amperes: float) -> None:
        with self._changed:
            done = self._changed.wait_for(
                lambda: all(is_due(self._drawn_A.get(evse), due_A) for evse, due_A in amperes.items()),
                WITHIN_S,
            )
        assert done, f"drawn {self._drawn_A}, limits {self._limits_A}"


class Run:
    """A run of its own, in a thread."""

    def __init__(self, config: Path, broker: str) -> None:
        self.lines: list[str] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(config, broker))
        self._thread.start()

    def _run(self, config: Path, broker: str) -> None:
        run_config(config, broker=broker, prefix=PREFIX, log=self.lines.append, stop=self._stop)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(WITHIN_S)
        assert not self._thread.is_alive()


def test_a_site_goes_on_by_itself_after_the_broker_was_killed(mosquitto: Mosquitto, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    sites = {"home": manager("home_a", "home_b"), "home_a": evse(), "home_b": evse()}
    config.write_text(yaml.safe_dump({"active_modules": sites}))
    run = Run(config, mosquitto.address)
    try:
        for _ in range(2):
            watch = Watch()
            with Observer(mosquitto.address, PREFIX, watch.take):
                watch.wait_for_draw(home_a=16, home_b=16)
            assert watch.highest_drawn_A <= FUSE_A + 1e-6
            mosquitto.kill()
            mosquitto.start()
    finally:
        run.stop()
    assert f"manager: broker {mosquitto.address} went away" in run.lines

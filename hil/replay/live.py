"""A recording replayed over real MQTT: the module in its own process, the recorded node in another."""

import json
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from hil.observer import EnergyMessage, Observer
from hil.replay.comparison import Answer
from hil.replay.transcript import ANSWER_WITHIN_S, Json, Transcript
from hil.runtime.broker import embedded_broker
from hil.runtime.manager import Manager

START_TIMEOUT_S = 60.0
PATIENCE_S = 30.0
"""How much later than due the last request may come."""

_CHECK_S = 0.5
"""How often to see whether the run has ended early."""


class ReplayError(Exception):
    """The replay did not get to its end; the message says why."""


def live_answers(
    transcript: Transcript,
    path: Path,
    *,
    broker: str | None = None,
    speed: float = 1.0,
    as_child: bool = False,
    log: Callable[[str], None] | None = None,
) -> list[Answer]:
    """Replay a recording to the module and collect its limits.

    Parameters
    ----------
    transcript : Transcript
        The recording.
    path : Path
        Its file.
    broker : str, optional
        Address of a broker; without one, one is embedded in this process.
    speed : float
        How many times faster than recorded.
    as_child : bool
        Connect the recorded node as an ``energy_consumer`` below the module's own node, not as its trunk.
    log : callable, optional
        Gets each line that the runtime and its modules write; stderr without.

    Returns
    -------
    list of dict
        For each run of the recording the limits in force at the module's answer to the same requests.

    Raises
    ------
    ReplayError
        A process ended early, or requests or all limits stay away.
    """
    recorder = _Recorder(transcript)
    recorded_s = transcript.requests[-1].at_s - transcript.requests[0].at_s
    duration_s = recorded_s / speed + (len(transcript.runs) + 1) * ANSWER_WITHIN_S
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="replay-")))
        config = directory / "config.json"  # JSON is YAML
        config.write_text(json.dumps(_config(transcript, path.resolve(), speed, as_child=as_child)))
        address = broker or stack.enter_context(embedded_broker())
        manager = Manager(config, broker=address, log=log)
        stack.enter_context(Observer(address, manager.prefix, recorder.take))
        stack.enter_context(manager)
        manager.wait_ready(START_TIMEOUT_S)
        deadline = time.monotonic() + duration_s + PATIENCE_S
        while not recorder.done.wait(_CHECK_S):
            if manager.wait(0) is not None:
                raise ReplayError(manager.failure)
            if time.monotonic() > deadline:
                raise ReplayError(f"only {recorder.requests} of {len(transcript.requests)} requests came")
    answers = recorder.answers()
    if not any(answers):
        raise ReplayError("the module gave no limits at all")
    return answers


def _config(transcript: Transcript, path: Path, speed: float, *, as_child: bool) -> Json:
    """Configure the run: the module with the recorded settings, and the recorded node beside it."""
    recorded_node = [{"module_id": transcript.trunk_id, "implementation_id": "energy_grid"}]
    settings: dict[str, Any] = dict(transcript.config)
    if as_child:
        settings["fuse_limit_A"] = 1000.0  # wider than any recorded node: the recorded fuses decide
    return {
        "active_modules": {
            transcript.manager_id: {
                "module": "PyEnergyManager",
                "config_module": settings,
                "connections": {"energy_consumer" if as_child else "energy_trunk": recorded_node},
            },
            transcript.trunk_id: {
                "module": "Replay",
                "config_module": {"transcript": str(path), "speed": speed},
            },
        }
    }


class _Recorder:
    """Notes which limits were in force when each request was published."""

    def __init__(self, transcript: Transcript) -> None:
        self.done = threading.Event()
        self._transcript = transcript
        self._in_force: Answer = {}
        self._before_request: list[Answer] = []

    @property
    def requests(self) -> int:
        return len(self._before_request)

    def take(self, message: EnergyMessage) -> None:
        if message.module_id != self._transcript.trunk_id:
            return
        if message.kind == "enforce_limits":
            self._in_force[message.data["uuid"]] = message.data
            return
        if message.kind != "energy_flow_request":
            return  # what somebody of the same name tells on this broker
        self._before_request.append(dict(self._in_force))
        if self.requests > len(self._transcript.requests):  # the last comes again when it has been answered
            self.done.set()

    def answers(self) -> list[Answer]:
        """Pick, for each recorded run, what was in force before the first request that it did not know."""
        return [self._before_request[run.seen] for run in self._transcript.runs]

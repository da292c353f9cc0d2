"""Publishes recorded requests again; run by a manager, never by hand."""

import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from everest.framework import Module, RuntimeSession, log

from hil.replay.transcript import ANSWER_S, load_transcript, moved

FIRST_ANSWER_S = 8.0
"""A manager that has just started may take its time for the first request; the recording waits that long."""


def main() -> None:
    """Join EVerest, replay once, and stay."""
    session = RuntimeSession()
    module = Module(session)
    log.update_process_name(module.info.id)
    config = module.say_hello().configs.module or {}
    transcript = load_transcript(Path(config["transcript"]))
    speed = config["speed"]
    ready, answered = threading.Event(), threading.Event()
    module.implement_command("energy_grid", "enforce_limits", lambda _: answered.set())
    module.init_done(ready.set)
    ready.wait()

    answered_before = {run.seen for run in transcript.runs}
    due = time.monotonic()
    last_s = transcript.requests[0].at_s
    for index, request in enumerate(transcript.requests):
        pause_s = (request.at_s - last_s) / speed
        due += max(pause_s, ANSWER_S) if index in answered_before else pause_s
        last_s = request.at_s
        time.sleep(max(0.0, due - time.monotonic()))
        data = moved(request.data, datetime.now(UTC) - transcript.wall_clock(request.at_s))
        if speed > 1:
            data["priority_request"] = True
        module.publish_variable("energy_grid", "energy_flow_request", data)
        if index == 0:
            answered.wait(FIRST_ANSWER_S)
            due = time.monotonic()
    log.info(f"replayed {len(transcript.requests)} requests")
    threading.Event().wait()  # EVerest takes a module that returns for a crash


if __name__ == "__main__":
    main()

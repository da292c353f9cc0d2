"""Publishes recorded requests again; run by a manager, never by hand."""

import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from everest.framework import Module, RuntimeSession, log

from hil.replay.answers import Answers, marked
from hil.replay.direct import direct_answers
from hil.replay.transcript import ANSWER_WITHIN_S, Json, Transcript, load_transcript, moved


def main() -> None:
    """Join EVerest, replay once, and stay."""
    session = RuntimeSession()
    module = Module(session)
    log.update_process_name(module.info.id)
    config = module.say_hello().configs.module or {}
    transcript = load_transcript(Path(config["transcript"]))
    answers, ready = Answers(), threading.Event()
    module.implement_command("energy_grid", "enforce_limits", lambda args: answers.take(args["value"]))
    module.init_done(ready.set)
    ready.wait()
    replay(module, transcript, answers, config["speed"])
    log.info(f"replayed {len(transcript.requests)} requests")
    threading.Event().wait()  # EVerest takes a module that returns for a crash


def replay(module: Module, transcript: Transcript, answers: Answers, speed: float) -> None:
    """Publish one request after the other, and the last once more, when it has been answered.

    Where the recorded manager had answered before a request, so must this one have.
    """
    count = len(transcript.requests)
    expected = dict(zip((run.seen for run in transcript.runs), direct_answers(transcript), strict=True))
    expected.setdefault(count, {})
    data: Json = {}
    mark = ""
    last_s = transcript.requests[0].at_s
    due = time.monotonic()
    for index, request in enumerate([*transcript.requests, transcript.requests[-1]]):
        due += (request.at_s - last_s) / speed
        last_s = request.at_s
        if index in expected:
            if not answers.wait(data, mark, expected[index], ANSWER_WITHIN_S):
                log.warning(f"request {index} of {count}: not answered within {ANSWER_WITHIN_S:g} s")
            due = max(due, time.monotonic())
        time.sleep(max(0.0, due - time.monotonic()))
        now = datetime.now(UTC)
        data, mark = marked(moved(request.data, now - transcript.wall_clock(request.at_s)), index, now)
        if speed > 1:
            data["priority_request"] = True
        module.publish_variable("energy_grid", "energy_flow_request", data)


if __name__ == "__main__":
    main()

"""Publishes the requests of a file every second, and at once when the file has changed; null is none."""

import json
import threading
import time
from pathlib import Path

from everest.framework import Module, RuntimeSession


def main() -> None:
    session = RuntimeSession()
    module = Module(session)
    config = module.say_hello().configs.module or {}
    path = Path(config["requests"])
    for name in module.implementations:
        module.implement_command(name, "enforce_limits", lambda _: None)
    ready = threading.Event()
    module.init_done(ready.set)
    ready.wait()
    published, text = 0.0, ""
    while True:
        before, text = text, path.read_text()
        if text != before or time.monotonic() >= published + 1.0:
            published = time.monotonic()
            for number, request in enumerate(json.loads(text), start=1):
                if request is not None:
                    module.publish_variable(f"leaf{number}", "energy_flow_request", request)
        time.sleep(0.1)


if __name__ == "__main__":
    main()

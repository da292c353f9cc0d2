"""Publishes the same requests every second."""

import json
import threading
import time
from pathlib import Path

from everest.framework import Module, RuntimeSession


def main() -> None:
    session = RuntimeSession()
    module = Module(session)
    config = module.say_hello().configs.module or {}
    requests = json.loads(Path(config["requests"]).read_text())
    for name in module.implementations:
        module.implement_command(name, "enforce_limits", lambda _: None)
    ready = threading.Event()
    module.init_done(ready.set)
    ready.wait()
    while True:
        for number, request in enumerate(requests, start=1):
            module.publish_variable(f"leaf{number}", "energy_flow_request", request)
        time.sleep(1.0)


if __name__ == "__main__":
    main()

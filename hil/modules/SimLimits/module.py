"""Sets limits from outside; run by a manager, never by hand."""

import threading
import time
from datetime import UTC, datetime
from typing import Any

from everest.framework import Module, RuntimeSession, log

Json = dict[str, Any]
LIMITED = {"A": "ac_max_current_A", "W": "total_power_W"}


def external_limits(value: str, unit: str, source: str) -> Json:
    """``ExternalLimits`` for one value, from now on."""
    schedule = []
    if value != "none":
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        limits = {LIMITED[unit]: {"value": float(value), "source": source}}
        schedule = [{"timestamp": now, "limits_to_root": limits, "limits_to_leaves": {}}]
    return {"schedule_import": schedule, "schedule_export": [], "schedule_setpoints": []}


def main() -> None:
    """Join EVerest, set one limit after the other, and stay."""
    session = RuntimeSession()
    module = Module(session)
    log.update_process_name(module.info.id)
    setup = module.say_hello()
    config = setup.configs.module or {}
    ready = threading.Event()
    module.init_done(ready.set)
    ready.wait()
    time.sleep(config["after_s"])
    for value in config["values"].split(","):
        limits = external_limits(value.strip(), config["unit"], module.info.id)
        for sink in setup.connections["sink"]:
            module.call_command(sink, "set_external_limits", {"value": limits})
        log.info(f"limit: {value.strip()} {config['unit']}")
        time.sleep(config["every_s"])
    threading.Event().wait()  # EVerest takes a module that returns for a crash


if __name__ == "__main__":
    main()

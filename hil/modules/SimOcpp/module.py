"""Sets OCPP's composite schedules as limits; run by a manager, never by hand."""

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import yaml
from everest.framework import Module, RuntimeSession, log

Json = dict[str, Any]


def external_limits(schedule: Json, elapsed_s: float, source: str, now: datetime) -> Json:
    """``ExternalLimits`` of a composite schedule that began some time ago.

    As from EVerest's OCPP modules: only limits on the side of the leaves, times with milliseconds, the period
    in force first and beginning now.
    """
    periods = schedule["chargingSchedulePeriod"]
    started = [period for period in periods if period["startPeriod"] <= elapsed_s]
    ahead = periods[len(started) :]
    entries = [
        {
            "timestamp": _rfc3339(now + timedelta(seconds=max(0.0, period["startPeriod"] - elapsed_s))),
            "limits_to_root": {},
            "limits_to_leaves": _limits(period, schedule["chargingRateUnit"], source),
        }
        for period in [*started[-1:], *ahead]
    ]
    return {"schedule_import": entries, "schedule_export": [], "schedule_setpoints": []}


def _limits(period: Json, unit: str, source: str) -> Json:
    name = {"A": "ac_max_current_A", "W": "total_power_W"}[unit]
    limits: Json = {name: {"value": period["limit"], "source": source}}
    if "numberPhases" in period:
        limits["ac_max_phase_count"] = {"value": period["numberPhases"], "source": source}
    return limits


def _rfc3339(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def main() -> None:
    """Join EVerest and hand over the schedules until the process is ended."""
    session = RuntimeSession()
    module = Module(session)
    log.update_process_name(module.info.id)
    setup = module.say_hello()
    config = setup.configs.module or {}
    path = module.info.paths.etc / config["composite_schedules"]
    schedules = yaml.safe_load(path.read_text(encoding="utf-8"))
    sinks = setup.connections["evse_energy_sink"]
    ready = threading.Event()
    module.init_done(ready.set)
    ready.wait()
    began = time.monotonic()
    while True:
        for schedule in schedules:
            limits = external_limits(
                schedule,
                time.monotonic() - began,
                f"{module.info.id}/OCPP_set_external_limits",
                datetime.now(UTC),
            )
            module.call_command(sinks[schedule["evseId"]], "set_external_limits", {"value": limits})
        time.sleep(config["interval_s"])


if __name__ == "__main__":
    main()

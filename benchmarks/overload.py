"""How long an overload waits: from the meter's answer that shows it to the lower limit in a register.

Meter and charger are simulated, each on a TCP socket of its own; all between them is the real thing: bus,
inbox, decision, dispatch, bus. The car takes all that the house leaves of the fuse, and the house takes more,
step by step. The clock starts when the meter looks at its current to answer, and stops when the charger has
taken the register: two bus transactions are part of the time, that of the meter and that of the limit.
"""

from __future__ import annotations

import statistics
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bsp.profile import connector_profile, meter_profile
from control.everest import Outside
from control.settings import Settings
from control.site import EnergySite
from control.site_file import load_site
from energy_management.measurement import Reading, Vector3
from hil.devices import MeterDevice, WallboxDevice, serve_tcp

Json = dict[str, Any]

GOAL_MS = 100.0
STEPS = 8
STEP_A = 2.5
FUSE_A = 32.0
HOUSE_A = 4.0
APART_S = 6.5
"""Longer than a pilot rests between two moves, see IEC 61851-1."""
FOLLOWS_WITHIN_S = 60.0
METER, CHARGER = "eastron_sdm630", "alfen_eve"


@dataclass
class Place:
    """A house and a car that draws what it is offered, behind one meter."""

    state: str = "C"
    voltage_V: Vector3 = (230.0, 230.0, 230.0)
    energy_Wh: float = 1000.0
    house_A: float = HOUSE_A
    limit_A: float = 0.0
    shown_at: float | None = None
    changed: threading.Condition = field(default_factory=threading.Condition)

    @property
    def current_A(self) -> Vector3:
        """Draw of the car per phase."""
        return (self.limit_A,) * 3

    def set_limit(self, current_A: float) -> None:
        """Take the register of the charger."""
        with self.changed:
            self.limit_A = current_A
            self.changed.notify_all()

    def read(self) -> Reading:
        """Answer as the meter; a bit of noise, since no real current stands still."""
        with self.changed:
            now = time.perf_counter()
            total_A = self.house_A + self.limit_A
            if total_A > FUSE_A + 0.5 and self.shown_at is None:
                self.shown_at = now
        noisy_A = total_A + now % 0.01
        return Reading(
            0.0,
            current_A=(noisy_A,) * 3,
            voltage_V=self.voltage_V,
            power_W=(230.0 * noisy_A,) * 3,
            total_power_W=690.0 * noisy_A,
            energy_import_Wh=2000.0,
            energy_export_Wh=0.0,
            frequency_Hz=50.0,
        )

    def settle(self) -> bool:
        """Wait until the car has all that the house leaves; whether it came to that."""
        left_A = FUSE_A - self.house_A
        with self.changed:
            return self.changed.wait_for(lambda: abs(self.limit_A - left_A) < 0.5, FOLLOWS_WITHIN_S)

    def step(self) -> float | None:
        """Let the house draw more; milliseconds until the charger has a lower limit, None if it never has."""
        with self.changed:
            before_A, self.shown_at = self.limit_A, None
            self.house_A += STEP_A
            if not self.changed.wait_for(lambda: self.limit_A < before_A, FOLLOWS_WITHIN_S):
                return None
            return None if self.shown_at is None else (time.perf_counter() - self.shown_at) * 1e3


class _Silent:
    """EVerest, and its log, where nobody listens."""

    def publish(self, implementation: str, variable: str, value: object) -> None: ...

    def raise_error(self, implementation: str, error_type: str, message: str, sub_type: str = "") -> None: ...

    def clear_error(self, implementation: str, error_type: str, sub_type: str = "") -> None: ...

    def debug(self, message: str, /) -> None: ...

    info = warning = error = debug


def run(steps: int = STEPS, apart_s: float = APART_S) -> Json:
    """Take the times, as an object for JSON."""
    place, nobody = Place(), _Silent()
    with (
        serve_tcp({1: MeterDevice(meter_profile(METER), place.read)}) as meter,
        serve_tcp({1: WallboxDevice(connector_profile(CHARGER), place)}) as charger,
        tempfile.TemporaryDirectory() as directory,
    ):
        path = Path(directory, "site.yaml")
        path.write_text(
            f"""
grid: {{fuse: {FUSE_A} A, meter: house}}
buses:
  cabinet: {{host: {meter.host}, port: {meter.port}}}
  lan: {{host: {charger.host}, port: {charger.port}}}
meters: {{house: {{profile: {METER}, bus: cabinet, unit: 1}}}}
connectors: {{carport: {{profile: {CHARGER}, bus: lan, unit: 1, phase_rotation: L1 L2 L3}}}}
""",
            encoding="utf-8",
        )
        settings = Settings.from_config("site", {"site_file": str(path)})
        site = EnergySite(settings, load_site(path), Outside({}, nobody, nobody))
        site.start()
        try:
            times_ms = _times_ms(place, steps, apart_s)
        finally:
            site.stop()
    answered = [took for took in times_ms if took is not None]
    return {
        "steps": steps,
        "missing": steps - len(answered),
        "median_ms": statistics.median(answered) if answered else None,
        "worst_ms": max(answered, default=None),
    }


def _times_ms(place: Place, steps: int, apart_s: float) -> list[float | None]:
    if not place.settle():
        return [None] * steps
    times_ms = []
    for _ in range(steps):
        threading.Event().wait(apart_s)
        times_ms.append(place.step())
    return times_ms


def show(found: Json, console: Console) -> None:
    """Print what `run` found."""
    table = Table(title="overload", box=None)
    for heading in ("", "measured", "goal"):
        table.add_column(heading, justify="left" if not heading else "right", no_wrap=True)
    table.add_row(
        f"lower limits after {found['steps']} steps of {STEP_A:g} A", f"{found['steps'] - found['missing']}"
    )
    for name in ("median", "worst"):
        took_ms = found[f"{name}_ms"]
        text = "none came" if took_ms is None else f"{took_ms:.1f} ms"
        is_met = took_ms is not None and took_ms < GOAL_MS and not found["missing"]
        table.add_row(
            f"meter's answer to charger's register, {name}",
            f"[{'green' if is_met else 'red'}]{text}[/]",
            f"< {GOAL_MS:g} ms",
        )
    console.print(table)

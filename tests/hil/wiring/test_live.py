"""`hil wiring` on real sockets and a pseudo-terminal: simulated devices, time running faster."""

import asyncio
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from bsp.profile import DIRECTORY, connector_profile, meter_profile
from energy_management.measurement import Reading, Vector3
from hil.commands import wiring as command
from hil.devices import MeterDevice, WallboxDevice, serve_rtu_pty, serve_tcp
from hil.wiring import live, procedure
from hil.wiring.check import judge
from hil.wiring.findings import Severity
from hil.wiring.procedure import StoppedError, take_quiet, take_steps
from tests.hil.cli import hil
from tests.patience import WITHIN_S

SPEED = 40.0
METER, CHARGER = meter_profile("eastron_sdm630"), connector_profile("alfen_eve")
PROFILE = (DIRECTORY / "connectors" / "alfen_eve.yaml").read_text(encoding="utf-8")


def fast_clock() -> float:
    """Time of the loop, which does not count stalls: they would be very long ones."""
    try:
        return SPEED * asyncio.get_running_loop().time()
    except RuntimeError:
        return SPEED * time.monotonic()


async def fast_sleep(seconds: float) -> None:
    await asyncio.sleep(seconds / SPEED)


class Site:
    """A car on a charger that is behind a meter, whose L1 and L2 transformers may be turned round."""

    def __init__(self, car_phases: int = 3, ct: Vector3 = (1.0, 1.0, 1.0)) -> None:
        self.state = "C"
        self.voltage_V = (230.0, 231.0, 229.0)
        self.energy_Wh = 1000.0
        self.limit_A = 32.0
        self.limits: list[float] = []
        self.car_phases, self.phases, self.ct = car_phases, 3, ct
        self.jitter = 0

    def set_limit(self, current_A: float) -> None:
        if not self.limits or self.limits[-1] != current_A:
            self.limits.append(current_A)
        self.limit_A = current_A
        self.state = "C" if current_A >= 6 else "B"

    def set_phases(self, phases: int) -> None:
        self.phases = phases

    @property
    def current_A(self) -> Vector3:
        drawn = min(self.limit_A, 16.0) if self.limit_A >= 6 else 0.0
        count = min(self.phases, self.car_phases)
        return (drawn, drawn if count > 1 else 0.0, drawn if count > 2 else 0.0)

    def reading(self) -> Reading:
        self.jitter = (self.jitter + 1) % 7
        house, car = (1.0, 2.0, 0.5), self.current_A
        current = [h + c + 0.01 * self.jitter for h, c in zip(house, car, strict=True)]
        power = [u * i * d for u, i, d in zip(self.voltage_V, current, self.ct, strict=True)]
        return Reading(
            taken_at=0.0,
            current_A=(current[0], current[1], current[2]),
            voltage_V=(230.0 + 0.1 * self.jitter, 231.0, 229.0),
            power_W=(power[0], power[1], power[2]),
            total_power_W=sum(power),
            energy_import_Wh=5000.0,
            energy_export_Wh=10.0,
            frequency_Hz=50.0,
        )


@contextmanager
def site_of(
    plant: Site, directory: Path, clock: Callable[[], float] = fast_clock
) -> Iterator[tuple[Path, WallboxDevice, MeterDevice]]:
    charger, meter = WallboxDevice(CHARGER, plant, clock=clock), MeterDevice(METER, plant.reading)
    with serve_tcp({1: charger}) as lan, serve_rtu_pty({1: meter}) as rs485:
        path = directory / "site.yaml"
        quick = PROFILE.replace("sequenced_by: device}", "sequenced_by: device, hold_off: 90 s}")
        (directory / "quick.yaml").write_text(quick, encoding="utf-8")
        path.write_text(
            "grid: {fuse: 35 A, meter: house}\n"
            f"buses: {{lan: {{host: {lan.host}, port: {lan.port}}}, rs485: {{serial: {rs485.path}}}}}\n"
            "meters: {house: {profile: eastron_sdm630, bus: rs485}}\n"
            "connectors: {carport: {profile: quick.yaml, bus: lan, phase_rotation: L1 L2 L3}}\n"
        )
        plant.limits.clear()
        charger.written("limit", 20.0)
        yield path, charger, meter


def check(path: Path, *, switch_phases: bool = False) -> Any:
    async def run() -> Any:
        job = command.job_of_site(path, None, "carport", None, 16.0, switch_phases=switch_phases)
        assert job.plan is not None
        async with live.live_installation(
            job.meter, job.charger, clock=fast_clock, sleep=fast_sleep
        ) as installation:
            quiet = await take_quiet(installation, 12.0)
            stepped = await take_steps(installation, job.plan)
        return judge(quiet, stepped, job.expected)

    return asyncio.run(asyncio.wait_for(run(), WITHIN_S))


def test_a_good_installation_with_phase_switching(tmp_path: Path) -> None:
    plant = Site()
    with site_of(plant, tmp_path) as (path, _, _):
        found = check(path, switch_phases=True)
    assert [f.code for f in found if f.severity is not Severity.FACT] == []
    assert {"contactor_works", "rotation_right", "response_time"} <= {f.code for f in found}
    assert max(plant.limits[1:]) <= 20.0
    assert plant.limits[-1] == 20.0, "the former limit"
    assert plant.phases == 3


def test_a_reversed_transformer(tmp_path: Path) -> None:
    plant = Site(ct=(1.0, -1.0, 1.0))
    with site_of(plant, tmp_path) as (path, _, _):
        found = check(path)
    assert [(f.code, f.phases) for f in found if f.severity is Severity.PROBLEM] == [("ct_reversed", ("L2",))]
    assert plant.limits[-1] == 20.0


def test_the_corrected_line_makes_the_check_green(tmp_path: Path) -> None:
    with site_of(Site(car_phases=1), tmp_path) as (path, _, _):
        right = path.read_text()
        path.write_text(right.replace("L1 L2 L3", "L2 L3 L1"))
        (wrong,) = [finding for finding in check(path) if finding.severity is Severity.PROBLEM]
        assert wrong.code == "rotation_wrong"
        (line,) = wrong.lines
        path.write_text(re.sub(r"carport: \{.*?\}", line, path.read_text()))
        found = check(path)
    assert yaml.safe_load(path.read_text()) == yaml.safe_load(right)
    assert {finding.severity for finding in found} == {Severity.FACT}
    assert "rotation_right" in {finding.code for finding in found}


def test_a_meter_that_falls_silent_ends_it_at_the_minimum(tmp_path: Path) -> None:
    plant = Site()
    with site_of(plant, tmp_path) as (path, _, meter):
        plant_set = plant.set_limit

        def cut(current_A: float) -> None:
            plant_set(current_A)
            meter.faults.silent = meter.faults.silent or current_A == 10.0

        plant.set_limit = cut  # type: ignore[method-assign]
        with pytest.raises(StoppedError, match="does not answer"):
            check(path)
    assert plant.limits[-1] == 6.0


def test_passive_on_the_command_line(tmp_path: Path) -> None:
    with site_of(Site(), tmp_path) as (path, charger, _):
        before = charger.requests
        outcome = hil("wiring", "--site", str(path), "--seconds", "1")
        shown = hil("wiring", "--site", str(path), "--seconds", "1", "--json")
        assert charger.requests == before, "a passive check leaves the charger alone"
    assert outcome.code == 0, outcome.out + outcome.err
    assert "nothing wrong is to be seen" in outcome.out
    assert "L1: 230." in outcome.out
    assert {finding["severity"] for finding in json.loads(shown.out)} == {"fact"}


def test_a_silent_meter_on_the_command_line(tmp_path: Path) -> None:
    with serve_rtu_pty({}) as line:
        outcome = hil(
            "wiring", "--profile", "eastron_sdm630", "--serial", line.path,
            "--timeout", "0.05", "--seconds", "1", "--json",
        )  # fmt: skip
    (finding,) = json.loads(outcome.out)
    assert outcome.code == 1
    assert finding["code"] == "no_answer"
    assert finding["advice"].startswith("nothing is heard on the line: check power")


def test_nothing_is_switched_without_consent(tmp_path: Path) -> None:
    plant = Site()
    with site_of(plant, tmp_path) as (path, _, _):
        outcome = hil("wiring", "--site", str(path), "--connector", "carport", answer="n\n")
        assert outcome.code == 1
        assert "the charger is told 6, 10, 16, 10, 6, 10, 6 A" in outcome.err
        assert "above the fuse of 35 A" in outcome.err
        assert plant.limit_A == 20.0


@pytest.mark.parametrize("signals", [[signal.SIGINT], [signal.SIGTERM, signal.SIGTERM]])
def test_who_is_stopped_gives_the_charger_its_limit_back(
    tmp_path: Path, signals: list[signal.Signals]
) -> None:
    plant = Site()
    with site_of(plant, tmp_path, time.monotonic) as (path, _, _):
        process = subprocess.Popen(
            [sys.executable, "-m", "hil", "wiring", "--site", str(path), "--connector", "carport",
             "--no-phases", "--seconds", "1", "--yes"],
            cwd=Path(__file__).resolve().parents[3],
            env={"PYTHONPATH": ":".join(sys.path), "PATH": ""},
            stderr=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        assert process.stderr is not None
        seen = [process.stderr.readline()]
        while seen[-1] and seen[-1].strip(" …\n") != "6 A":
            seen.append(process.stderr.readline())
        deadline = time.monotonic() + WITHIN_S
        while plant.limit_A != 6.0 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert plant.limit_A == 6.0, seen
        for number in signals:
            process.send_signal(number)
        _, rest = process.communicate(timeout=WITHIN_S)
    assert process.returncode == 1, rest
    assert "Traceback" not in rest
    assert "stopping: the charger gets its former limit" in rest
    assert plant.limits[-1] == 20.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "missing: --site FILE, or --profile"),
        (["--profile", "alfen_eve", "--tcp", "127.0.0.1:1"], "alfen_eve is no meter"),
    ],
)
def test_what_is_missing_is_said(arguments: list[str], message: str) -> None:
    outcome = hil("wiring", *arguments)
    assert outcome.code == 2
    assert message in outcome.err


def test_the_longest_time_is_bounded() -> None:
    assert procedure.Plan(fuse_A=35.0).longest_s < 600

"""The demo as a user starts it: a process of its own, watched from outside."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from hil.demo.files import example_site, rotations
from tests.patience import WITHIN_S

ROOT = Path(__file__).resolve().parents[2]


def start_demo(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "hil", "demo", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # all it starts is in this session: what is left can be found
    )


def left_over(session: int) -> list[psutil.Process]:
    def is_there(process: psutil.Process) -> bool:
        try:
            return os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE
        except (ProcessLookupError, psutil.NoSuchProcess):
            return False

    return [process for process in psutil.process_iter() if is_there(process)]


def check(report: dict[str, Any], output: str) -> None:
    assert report["ok"] is True, output
    assert report["problems"] == []
    grid = report["fuses"]["grid"]
    assert grid["fuse_A"] == 35
    assert grid["violations"] == []
    assert set(report["evses"]) == {"garage", "drive", "carport", "yard"}


def test_a_short_day_on_the_embedded_broker(tmp_path: Path) -> None:
    seconds = 20
    path = tmp_path / "report.json"
    process = start_demo("--seconds", str(seconds), "--report", str(path))
    output, _ = process.communicate(timeout=seconds + WITHIN_S)
    assert process.returncode == 0, output
    assert left_over(process.pid) == []
    report = json.loads(path.read_text())
    check(report, output)
    for name, evse in report["evses"].items():
        assert evse["energy_Wh"] > 1, (name, output)
        assert any(current_A >= 6 for _, current_A in evse["grants"]), name
    assert max(report["fuses"]["grid"]["peak_A"]) > 25  # the fuse was worth sharing
    assert report["messages_per_s"] > 2
    assert 0 < report["module"]["cpu_percent"] < 100
    assert 10 < report["module"]["memory_MB"] < 500
    # no terminal, no animation: plain lines with time, then the summary
    assert "\x1b" not in output
    assert "00:03  grid " in output
    assert output.splitlines()[-1] == "ok"


@pytest.mark.mosquitto
def test_ctrl_c_ends_it_cleanly_on_mosquitto(shared_mosquitto: str, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    process = start_demo("--broker", shared_mosquitto, "--report", str(path))
    assert process.stdout is not None
    first = process.stdout.readline()
    assert " grid " in first, first + process.stdout.read()
    second = process.stdout.readline()  # three seconds later
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=WITHIN_S)
    assert process.returncode == 0, first + second + output
    assert left_over(process.pid) == []
    check(json.loads(path.read_text()), output)


def test_a_broker_that_is_not_there_is_said_in_one_line() -> None:
    process = start_demo("--broker", "127.0.0.1:1", "--seconds", "5")
    output, _ = process.communicate(timeout=WITHIN_S)
    assert process.returncode == 1
    assert "127.0.0.1:1" in output
    assert "Traceback" not in output


def test_the_example_says_how_each_evse_is_wired() -> None:
    assert rotations(example_site()) == {
        "garage": (0, 1, 2),
        "drive": (1, 2, 0),
        "carport": (1, 2, 0),
        "yard": (2, 0, 1),
    }


def test_a_module_that_dies_makes_it_fail_and_leaves_nothing_behind() -> None:
    process = start_demo("--seconds", "30")
    assert process.stdout is not None
    first = process.stdout.readline()
    assert " grid " in first, first + process.stdout.read()
    (module,) = [child for child in left_over(process.pid) if child.environ().get("EV_MODULE") == "grid"]
    module.kill()
    output, _ = process.communicate(timeout=WITHIN_S)
    assert process.returncode == 1
    assert "PROBLEM: module grid (PyEnergyManager) exited with code 137" in output
    assert output.splitlines()[-1] == "NOT OK"
    assert left_over(process.pid) == []

"""The demo as a user starts it: a process of its own, watched from outside."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
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


LATE_S = 20.0
"""How much longer than tolerated an overload may last because the machine, not the manager, was late."""


def check(report: dict[str, Any], output: str) -> None:
    assert report["problems"] == []
    grid = report["fuses"]["grid"]
    assert grid["fuse_A"] == 35
    for violation in grid["violations"]:
        assert violation["duration_s"] < grid["tolerated_s"] + LATE_S, output
    assert report["ok"] is (grid["violations"] == []), output
    assert set(report["evses"]) == {"garage", "drive", "carport", "yard"}


def lines_until(process: subprocess.Popen[str], condition: Callable[[list[str]], bool]) -> list[str]:
    """Lines of a demo until they are as wanted."""
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line)
        if condition(lines):
            return lines
    pytest.fail("the demo ended: " + "".join(lines))


def stop(process: subprocess.Popen[str]) -> str:
    """Press Ctrl-C; gives the rest of what it says."""
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=WITHIN_S)
    assert left_over(process.pid) == []
    return output


def exit_code(report: dict[str, Any]) -> int:
    return 0 if report["ok"] else 1


def test_a_short_day_on_the_embedded_broker(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    process = start_demo("--report", str(path))

    def all_charge(lines: list[str]) -> bool:
        return sum(line.count("Charging") == 4 for line in lines) >= 3  # three seconds lie between two lines

    output = "".join(lines_until(process, all_charge))
    output += stop(process)
    report = json.loads(path.read_text())
    assert process.returncode == exit_code(report), output
    check(report, output)
    for name, evse in report["evses"].items():
        assert evse["energy_Wh"] > 1, (name, output)
        assert any(current_A >= 6 for _, current_A in evse["grants"]), name
    assert max(report["fuses"]["grid"]["peak_A"]) > 25  # the fuse was worth sharing
    assert report["messages_per_s"] > 0
    assert report["module"]["cpu_percent"] > 0
    assert report["module"]["memory_MB"] > 0
    # no terminal, no animation: plain lines with time, then the summary
    assert "\x1b" not in output
    assert "00:00  grid " in output
    assert output.splitlines()[-1] == ("ok" if report["ok"] else "NOT OK")


def test_its_time_ends_it(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    process = start_demo("--seconds", "1", "--report", str(path))
    output, _ = process.communicate(timeout=WITHIN_S)
    assert process.returncode == 0, output
    assert left_over(process.pid) == []
    assert json.loads(path.read_text())["seconds"] >= 1


@pytest.mark.mosquitto
def test_ctrl_c_ends_it_cleanly_on_mosquitto(shared_mosquitto: str, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    process = start_demo("--broker", shared_mosquitto, "--report", str(path))
    output = "".join(lines_until(process, lambda lines: len(lines) == 2))
    assert " grid " in output
    output += stop(process)
    report = json.loads(path.read_text())
    assert process.returncode == exit_code(report), output
    check(report, output)


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
    process = start_demo()
    lines_until(process, lambda lines: " grid " in lines[-1])
    (module,) = [child for child in left_over(process.pid) if child.environ().get("EV_MODULE") == "grid"]
    module.kill()
    output, _ = process.communicate(timeout=WITHIN_S)
    assert process.returncode == 1
    assert "PROBLEM: module grid (PyEnergyManager) exited with code 137" in output
    assert output.splitlines()[-1] == "NOT OK"
    assert left_over(process.pid) == []

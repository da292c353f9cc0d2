"""The command line as a user meets it: what it offers, and what it says when something is wrong."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.patience import WITHIN_S

ROOT = Path(__file__).resolve().parents[2]


def hil(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hil", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "120"},
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )


def test_help_lists_the_commands() -> None:
    result = hil("--help")
    assert result.returncode == 0
    for command in ("demo", "run", "join", "replay-transcript"):
        assert command in result.stdout


def test_run_starts_a_configuration(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"active_modules": {"garage": {"module": "SimEvse"}}}))
    process = subprocess.Popen(
        [sys.executable, "-m", "hil", "run", str(config)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert any("all modules are ready" in line for line in process.stderr)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=WITHIN_S)
    assert process.returncode == 0


def test_run_ends_after_its_time(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"active_modules": {"garage": {"module": "SimEvse"}}}))
    result = hil("run", str(config), "--seconds", "0.5")
    assert result.returncode == 0, result.stderr


def test_run_says_what_is_wrong_with_a_configuration(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("active_modules:\n  garage:\n    module: SimEvsee\n")
    result = hil("run", str(config))
    assert result.returncode == 1
    assert "SimEvsee" in result.stderr
    assert "Traceback" not in result.stderr


def test_join_needs_a_module_to_run(tmp_path: Path) -> None:
    result = hil("join", "energy_manager", "--broker", "localhost:1", "--module-dir", str(tmp_path))
    assert result.returncode == 2
    assert result.stderr.strip() == f"{tmp_path}: no module.py in this directory"

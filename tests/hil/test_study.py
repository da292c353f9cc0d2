"""`hil study`: all combinations on all days, kept as they come, on processes here or on a Dask cluster."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from bsp.yaml_file import YamlFile
from hil.study import Case, EngineError, Results, load_study, run_cases
from hil.study.document import Document
from hil.study.habits import cars_of
from tests.hil.cli import hil

ROOT = Path(__file__).resolve().parents[2]
STUDY = """
title: Two cars on a small fuse
scenario:
  start: "17:00"
  lasts: 30 min
  site: {grid: {fuse: 16 A}}
chargers: 1
cars:
  models: {11 kW: 1}
  arrive: ["17:00", "17:01"]
  leave: ["17:28", "17:29"]
  want: [3 kWh, 4 kWh]
vary:
  chargers: [1, 4]
  scenario.site.grid.fuse: [16 A, 63 A]
days: 2
"""


@pytest.fixture
def study(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(STUDY)
    return path


def test_a_study_tells_what_fits(study: Path, tmp_path: Path) -> None:
    # 16 A on three phases are 5.5 kWh in half an hour: enough for one car, not for four
    done = hil("study", str(study), "--out", str(tmp_path / "out"), "-j", "2")
    assert done.code == 0
    assert "fuse 16 A: chargers 1 will do" in done.out
    assert "fuse 63 A: chargers 1, 4 will do" in done.out
    rows = pq.read_table(tmp_path / "out" / "results.parquet").to_pylist()
    assert len(rows) == 8
    crowded = [row for row in rows if row["chargers"] == 4 and row["fuse"] == "16 A"]
    assert all(row["least_share"] < 0.5 and row["peak_load"] <= 1.01 for row in crowded)
    assert "<svg" in (tmp_path / "out" / "plot.svg").read_text()


def test_a_study_that_was_killed_goes_on_where_it_was(study: Path, tmp_path: Path) -> None:
    study.write_text(STUDY.replace("days: 2", "days: 30"))
    out = tmp_path / "out"
    command = [sys.executable, "-m", "hil", "study", str(study), "--out", str(out), "-j", "2"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, start_new_session=True) as process:
        deadline = time.monotonic() + 200
        while not list(out.glob("part-*.parquet")) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGKILL)
    kept = Results(out, load_study(study)).done
    assert 0 < len(kept) < 120
    study.write_text(STUDY.replace("days: 2", "days: 1"))  # fewer days: the first ones are the same
    again = hil("study", str(study), "--out", str(out), "-j", "2")
    assert again.code == 0
    there = len(kept & {case.key for case in load_study(study).cases})
    assert (f"{there} of 4 cases are there already" in again.out) == (there > 0)
    assert len(pq.read_table(out / "results.parquet")) == len(kept) + 4 - there


def test_a_cluster_runs_it_just_the_same(study: Path, tmp_path: Path) -> None:
    program = (
        "from distributed import LocalCluster\n"
        "if __name__ == '__main__':\n"
        "    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster:\n"
        "        print(cluster.scheduler_address, flush=True)\n"
        "        input()\n"
    )
    script = tmp_path / "cluster.py"
    script.write_text(program)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, str(script)],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as cluster:
        assert cluster.stdout is not None
        address = cluster.stdout.readline().strip()
        done = hil("study", str(study), "--out", str(tmp_path / "out"), "--scheduler", address)
        cluster.communicate("\n", timeout=60)
    assert done.code == 0
    assert "fuse 63 A: chargers 1, 4 will do" in done.out


def test_who_comes_to_a_charger_does_not_depend_on_how_many_there_are(study: Path) -> None:
    habits = YamlFile(study, Document).value.cars
    few, many = cars_of(habits, 2, day=3), cars_of(habits, 9, day=3)
    assert few == {name: many[name] for name in few}
    assert cars_of(habits, 2, day=4) != few


@pytest.mark.parametrize(
    ("wrong", "right", "told"),
    [
        ("chargers: [1, 4]", "chargres: [1, 4]", "small.yaml:14 vary.chargres: no such key in this file"),
        (
            "{11 kW: 1}",
            "{12 kW: 1}",
            "small.yaml:9 cars.models.12 kW: unknown model (did you mean '22 kW'?), known: 11 kW, 22 kW",
        ),
        ("[3 kWh, 4 kWh]", "[3 kWh]", "small.yaml:12 cars.want: must be two values like [5 kWh, 20 kWh]"),
        ('"17:01"', '"27:01"', "small.yaml:10 cars.arrive: must be two values like"),
        ("[16 A, 63 A]", "[16 A, 63 V]", "small.yaml:15 vary.scenario.site.grid.fuse: must be a number with"),
        ("  lasts: 30 min", "  last: 30 min", "small.yaml:5 scenario.last: unknown key"),
        ("days: 2", "days: 2\nenough: 95", "small.yaml:17 enough: must be like 95 %, not '95'"),
        ("days: 2", "days: 0", "small.yaml:16 days: must be int >= 1, not 0"),
    ],
)
def test_what_is_wrong_is_told_in_a_line(study: Path, wrong: str, right: str, told: str) -> None:
    assert wrong in STUDY
    study.write_text(STUDY.replace(wrong, right))
    done = hil("study", str(study))
    assert done.code == 2
    assert told in done.err


def test_a_case_that_cannot_be_run_is_named() -> None:
    case = Case({"chargers": 4, "fuse": "16 A"}, 2, "title: no scenario")
    with pytest.raises(EngineError, match=r"chargers 4, fuse 16 A, day 2: .*missing"):
        list(run_cases([case], scheduler=None, workers=1))


def test_a_scheduler_that_is_not_there_is_told(study: Path, tmp_path: Path) -> None:
    done = hil("study", str(study), "--out", str(tmp_path / "out"), "--scheduler", "tcp://127.0.0.1:1")
    assert done.code == 2
    assert "scheduler tcp://127.0.0.1:1: no connection" in done.err

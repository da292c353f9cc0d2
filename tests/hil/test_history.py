"""`hil history`: what was charged."""

import csv
import io
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from control.notices import Notices
from control.store import Sample, Session, Store
from tests.control.sample import RecordingLog
from tests.hil.cli import hil

NOW = datetime.now(UTC)


@pytest.fixture
def state_file(tmp_path: Path) -> Path:
    path = tmp_path / "state.db"
    log = RecordingLog()
    store = Store(path, log, Notices(log))
    store.put_sessions(
        [
            Session(1, "carport", NOW - timedelta(days=9), NOW - timedelta(days=8.9), True, 11_000.0),
            Session(
                2,
                "yard",
                NOW - timedelta(days=2),
                NOW - timedelta(days=1.9),
                is_over=True,
                energy_Wh=22_000.4,
                is_estimated=True,
                max_current_A=15.9,
                phases=3,
                mode="pv",
            ),
            Session(3, "carport", NOW - timedelta(hours=1), NOW),
        ]
    )
    store.put_samples([Sample(NOW, "carport", granted_A=16.0, power_W=7000.0)])
    store.close(60)
    assert log.lines == []
    return path


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_csv_is_for_programs(state_file: Path) -> None:
    outcome = hil("history", str(state_file), "--csv")
    assert outcome.code == 0, outcome.err
    one, two, three = rows(outcome.out)
    assert (one["evse"], one["energy_Wh"], one["is_estimated"]) == ("carport", "11000.0", "false")
    assert (two["max_current_A"], two["phases"], two["mode"], two["is_estimated"]) == (
        "15.9",
        "3",
        "pv",
        "true",
    )
    assert datetime.fromisoformat(two["start"]) == pytest.approx(
        NOW - timedelta(days=2), abs=timedelta(seconds=1)
    )
    assert (three["end"], three["energy_Wh"]) == ("", ""), "a car that is there, and not measured"


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["--since", "7d"], ["yard", "carport"]),
        (["--since", "2h"], ["carport"]),
        (["--since", (NOW - timedelta(days=3)).date().isoformat()], ["yard", "carport"]),
        (["--evse", "yard"], ["yard"]),
        (["--evse", "carport", "--since", "7d"], ["carport"]),
        (["--evse", "nobody"], []),
    ],
)
def test_one_asks_for_a_part(state_file: Path, options: list[str], found: list[str]) -> None:
    assert [row["evse"] for row in rows(hil("history", str(state_file), "--csv", *options).out)] == found


def test_a_table_is_for_people(state_file: Path) -> None:
    outcome = hil("history", str(state_file))
    assert outcome.code == 0, outcome.err
    assert "22000.4" in outcome.out
    assert "3 sessions, 33.0 kWh" in outcome.out
    assert f"{NOW - timedelta(days=9):%Y-%m-%d}" in outcome.out, "no terminal is too narrow for the date"


def test_samples(state_file: Path) -> None:
    (sample,) = rows(hil("history", str(state_file), "--samples", "--csv").out)
    assert (sample["granted_A"], sample["power_W"], sample["current_A"]) == ("16.0", "7000.0", "")


def test_a_file_is_read_while_it_is_written(state_file: Path) -> None:
    log = RecordingLog()
    running = Store(state_file, log, Notices(log))
    running.put_sessions([Session(4, "yard", NOW, NOW)])
    assert running.flush(60)
    assert len(rows(hil("history", str(state_file), "--csv").out)) == 4
    running.put_sessions([Session(5, "yard", NOW, NOW)])
    assert running.flush(60)
    assert log.lines == []
    running.close(60)


def test_the_configuration_names_the_file(state_file: Path) -> None:
    config = state_file.parent / "config.yaml"
    config.write_text(
        "active_modules: {grid: {module: PyEnergyManager, config_module: {state_file: state.db}}}\n"
    )
    assert len(rows(hil("history", str(config), "--csv").out)) == 3


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["nowhere.db"], "nowhere.db: cannot be read"),
        (["--since", "yesterday"], "--since yesterday: expected a date, a time, or an age as 12h or 7d"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(state_file: Path, arguments: list[str], problem: str) -> None:
    file = [] if arguments[0].endswith(".db") else [str(state_file)]
    outcome = hil("history", *file, *arguments)
    assert outcome.code == 2
    assert outcome.err.startswith(problem)
    assert outcome.err.count("\n") == 1


def test_a_file_of_another_version_is_refused(state_file: Path) -> None:
    with sqlite3.connect(state_file) as later:
        later.execute("PRAGMA user_version = 99")
    later.close()
    outcome = hil("history", str(state_file))
    assert outcome.code == 2
    assert "schema 99" in outcome.err

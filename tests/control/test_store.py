"""What was kept is there after a restart, whatever happened to process, power and file in between."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from control.notices import Notices
from control.store import Retention, Sample, Session, Store
from control.store.history import samples, sessions
from control.store.schema import MIGRATIONS
from tests.control.sample import START, RecordingLog

ROOT = Path(__file__).parents[2]
WRITTEN_S = 60.0


class Instance:
    """One start of a module, as far as its state file is concerned."""

    def __init__(self, path: Path | None, retention: Retention | None = None) -> None:
        self.log = RecordingLog()
        self.notices = Notices(self.log)
        self.store = Store(path, self.log, self.notices, retention)

    def write(self, **state: str) -> None:
        for part, document in state.items():
            self.store.put_state(part, document)
        assert self.store.flush(WRITTEN_S)

    def stop(self) -> Instance:
        self.store.close(WRITTEN_S)
        return self


def found(path: Path) -> dict[str, str]:
    """What the next start finds, without complaint."""
    instance = Instance(path).stop()
    assert instance.log.lines == []
    return dict(instance.store.state)


def session(number: int, days: float = 0.0, *, is_over: bool = True) -> Session:
    at = START + timedelta(days=days)
    return Session(number, "carport", at, at + timedelta(hours=1), is_over, energy_Wh=7400.0)


class TestState:
    def test_the_newest_of_each_part_is_there_after_a_restart(self, tmp_path: Path) -> None:
        first = Instance(tmp_path / "state.db")
        assert first.store.state == {}
        for switches in range(50):
            first.store.put_state("phases", str(switches))
            first.store.put_state("orders", "[]")
        first.stop()
        assert found(tmp_path / "state.db") == {"phases": "49", "orders": "[]"}
        assert [file.name for file in tmp_path.iterdir()] == ["state.db"], "one file, nothing left beside it"

    def test_nobody_waits_for_a_disk_that_is_busy(self, tmp_path: Path) -> None:
        """Somebody else holds the file: what is handed over meanwhile is one document, the newest."""
        path = tmp_path / "state.db"
        instance = Instance(path)
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        for number in range(10_000):
            instance.store.put_state("number", str(number))
        assert not instance.store.flush(0.0)
        other.execute("ROLLBACK")
        other.close()
        assert instance.store.flush(WRITTEN_S)
        instance.stop()
        assert found(path) == {"number": "9999"}

    def test_without_a_file_nothing_is_kept(self) -> None:
        nothing = Instance(None)
        nothing.write(turn="1")
        assert nothing.stop().store.state == {}
        assert nothing.log.lines == []

    def test_a_directory_that_is_not_there_is_told_and_survived(self, tmp_path: Path) -> None:
        lost = Instance(tmp_path / "nowhere" / "state.db")
        lost.store.put_state("turn", "1")
        lost.stop()
        assert "not written, a restart would forget" in lost.log.at("warning")[0]
        assert len(lost.notices.active) == 1
        assert len(lost.log.lines) == 1, "once"

    def test_what_could_not_be_written_is_written_when_it_can_be(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("control.store.store.AGAIN_AFTER_S", 0.05)
        late = Instance(tmp_path / "later" / "state.db")
        late.store.put_state("turn", "1")
        assert late.log.wait_for("not written", WRITTEN_S)
        (tmp_path / "later").mkdir()
        assert late.store.flush(WRITTEN_S)
        assert late.notices.active == []
        late.stop()
        assert found(tmp_path / "later" / "state.db") == {"turn": "1"}


class TestDamage:
    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b'{"format": 1, "state": {"swi',
            b'{"format": 99, "state": {}}',
            b'{"format": 1}',
            b"[]",
            b"\xff\xfe",
            b"SQLite format 3\0" + bytes(4000),
            b"SQLite format 3\0" + b"\x5a" * 10_000,
        ],
    )
    def test_what_is_no_state_file_is_set_aside_with_one_clear_line(
        self, tmp_path: Path, content: bytes
    ) -> None:
        path = tmp_path / "state.db"
        path.write_bytes(content)
        damaged = Instance(path)
        assert damaged.store.state == {}
        (line,) = damaged.log.at("warning")
        assert str(path) in line
        assert "starting without it" in line
        assert (tmp_path / "state.db.aside").read_bytes() == content
        damaged.write(turn="1")
        damaged.stop()
        assert found(path) == {"turn": "1"}

    @pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
    def test_a_file_that_was_cut_short_is_set_aside(self, tmp_path: Path, share: float) -> None:
        path = tmp_path / "state.db"
        whole = Instance(path)
        whole.store.put_sessions([session(number) for number in range(500)])
        whole.write(orders="x" * 20_000)
        whole.stop()
        os.truncate(path, round(path.stat().st_size * share))
        cut = Instance(path).stop()
        assert cut.store.state == {}
        assert "starting without it" in cut.log.at("warning")[0]
        assert found(path) == {}

    def test_a_file_of_a_later_version_is_kept_for_it(self, tmp_path: Path) -> None:
        path = tmp_path / "state.db"
        Instance(path).stop()
        with sqlite3.connect(path) as later:
            later.execute("PRAGMA user_version = 99")
        later.close()
        assert "another version of this software" in Instance(path).stop().log.at("warning")[0]
        assert (tmp_path / "state.db.aside").exists()

    def test_a_file_that_is_damaged_under_way_is_replaced_with_all_that_is_known(
        self, tmp_path: Path
    ) -> None:
        path = tmp_path / "state.db"
        instance = Instance(path)
        instance.write(orders="limits", phases="three")
        with sqlite3.connect(path) as vandal:
            vandal.execute("DROP TABLE state")
        vandal.close()
        instance.write(phases="one")
        assert "it is kept as state.db.aside" in instance.log.at("warning")[0]
        instance.stop()
        assert found(path) == {"orders": "limits", "phases": "one"}

    def test_a_log_that_was_cut_at_any_byte_gives_what_was_before(self, tmp_path: Path) -> None:
        """A power cut leaves a part of what was last written; here each part there can be."""
        path = tmp_path / "state.db"
        instance = Instance(path)
        for number in range(1, 21):
            instance.store.put_sessions([session(number)])
            instance.write(number=str(number))
        files = {end: path.with_name(path.name + end).read_bytes() for end in ("", "-wal")}
        instance.stop()
        seen = set()
        for cut in random.Random(1).sample(range(len(files["-wal"])), 60):
            copy = tmp_path / "copy.db"
            copy.write_bytes(files[""])
            copy.with_name("copy.db-wal").write_bytes(files["-wal"][:cut])
            copy.with_name("copy.db-shm").unlink(missing_ok=True)
            number = int(found(copy).get("number", 0))
            assert len(sessions(copy)) == number, "both or none of what belongs together"
            seen.add(number)
        assert len(seen) > 10


class TestKilled:
    def test_at_any_moment_the_last_committed_state_is_there(self, tmp_path: Path) -> None:
        path = tmp_path / "state.db"
        moment = random.Random(7)
        for _ in range(8):
            confirmed = killed(path, after=moment.randrange(60), delay_s=moment.uniform(0.0, 0.02))
            here = tmp_path / "here.db"
            for end in ("", "-wal"):  # looked at in a copy: the next process finds what this one left
                if (part := path.with_name(path.name + end)).exists():
                    shutil.copy(part, here.with_name(here.name + end))
            number = int(found(here).get("number", 0))
            assert number >= confirmed
            rows = sessions(here)
            assert [row.energy_Wh for row in rows] == [float(each + 1) for each in range(number)]
            assert len(samples(here)) == number
        assert confirmed > 0


def killed(path: Path, *, after: int, delay_s: float) -> int:
    """Let a process write, kill it amid that, and return the last number that it had confirmed."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.control.store_process", str(path)]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "opened 0\n", "without complaint"
        for _ in range(after):
            process.stdout.readline()
        threading.Event().wait(delay_s)
    finally:
        os.kill(process.pid, signal.SIGKILL)
    rest = process.stdout.read()
    process.wait(30)
    process.stdout.close()
    numbers = rest.split("\n")[:-1]
    return int(numbers[-1]) if numbers else after


class TestVersions:
    @pytest.mark.parametrize("version", range(1, len(MIGRATIONS)))
    def test_a_file_of_any_earlier_version_is_taken_over(self, tmp_path: Path, version: int) -> None:
        path = tmp_path / "state.db"
        old = sqlite3.connect(path)
        for statements in MIGRATIONS[:version]:
            for statement in statements:
                old.execute(statement)
        old.execute("INSERT INTO state VALUES ('orders', 'kept')")
        old.execute(f"PRAGMA user_version = {version}")
        old.commit()
        old.close()
        new = Instance(path)
        new.store.put_sessions([session(1)])
        new.stop()
        assert found(path) == {"orders": "kept"}
        assert len(sessions(path)) == 1

    def test_a_state_file_of_json_is_taken_over_once(self, tmp_path: Path) -> None:
        path = tmp_path / "state.json"
        state = {"orders": {"limits": {}}, "phases": {}, "allocation": '{"version": 1, "evses": {}}'}
        path.write_text(json.dumps({"format": 1, "state": state}))
        first = Instance(path)
        assert first.store.state == {
            "orders": '{"limits": {}}',
            "phases": "{}",
            "allocation": '{"version": 1, "evses": {}}',
        }
        assert first.log.at("warning") == []
        first.write(orders="newer")
        first.stop()
        assert found(path)["orders"] == "newer"
        assert [file.name for file in tmp_path.iterdir()] == ["state.json"]


class TestSize:
    KEPT = Retention(sessions=200, session_age=timedelta(days=30), samples=1000, sample_age=timedelta(days=3))

    def test_years_of_charging_fit_in_a_small_file(self, tmp_path: Path) -> None:
        """Ten sessions a day for two years, on a virtual clock, and a sample every ten minutes."""
        path = tmp_path / "state.db"
        instance = Instance(path, self.KEPT)
        sizes = []
        for day in range(2 * 365):
            now = START + timedelta(days=day)
            instance.store.put_sessions([session(10 * day + each + 1, day) for each in range(10)])
            instance.store.put_samples(
                [Sample(now + timedelta(minutes=10 * each), "carport", power_W=7000.0) for each in range(144)]
            )
            instance.store.prune(now)
            if day % 10 == 9:
                assert instance.store.flush(WRITTEN_S)
                sizes.append(sum(file.stat().st_size for file in tmp_path.iterdir()))
        instance.stop()
        assert max(sizes) < 250_000
        assert sizes[-1] <= 1.2 * sizes[10], "it does not grow"
        assert [row.start for row in sessions(path)][-1] > "2028-11-19"
        assert len(sessions(path)) == 200
        assert len(samples(path)) <= 1000 + 144

    def test_age_counts_where_there_is_little(self, tmp_path: Path) -> None:
        instance = Instance(tmp_path / "state.db", self.KEPT)
        instance.store.put_sessions([session(1, 0), session(2, 0, is_over=False), session(3, 40)])
        instance.store.prune(START + timedelta(days=50))
        instance.stop()
        left = sessions(tmp_path / "state.db")
        assert [row.end is None for row in left] == [True, False], "a car that is still there stays"

    def test_space_is_given_back(self, tmp_path: Path) -> None:
        path = tmp_path / "state.db"
        instance = Instance(path, self.KEPT)
        instance.store.put_samples([Sample(START, "carport", power_W=1.0)] * 9000)
        assert instance.store.flush(WRITTEN_S)
        instance.store.prune(START)
        instance.stop()
        assert path.stat().st_size < 200_000

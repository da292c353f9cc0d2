"""State survives a restart; a damaged file is no reason not to start."""

from pathlib import Path

import pytest

from control.state_store import StateStore
from tests.control.sample import RecordingLog


def store(path: Path | None) -> tuple[StateStore, RecordingLog]:
    log = RecordingLog()
    return StateStore(path, log), log


def test_what_was_saved_last_is_there_after_a_restart(tmp_path: Path) -> None:
    first, _ = store(tmp_path / "state.json")
    assert first.load() == {}
    for switches in range(50):
        first.save({"switches": switches})
    first.close()
    second, log = store(tmp_path / "state.json")
    assert second.load() == {"switches": 49}
    assert log.lines == []
    assert [file.name for file in tmp_path.iterdir()] == ["state.json"]
    second.close()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b'{"format": 1, "state": {"swi',
        b"[]",
        b"\xff\xfe",
        b'{"format": 99, "state": {}}',
        b'{"format": 1}',
    ],
)
def test_a_damaged_file_is_set_aside_with_one_clear_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "state.json"
    path.write_bytes(content)
    damaged, log = store(path)
    assert damaged.load() == {}
    (line,) = log.at("warning")
    assert str(path) in line
    assert "starting without it" in line
    assert (tmp_path / "state.json.damaged").read_bytes() == content
    damaged.save({"turn": 1})
    damaged.close()
    again, _ = store(path)
    assert again.load() == {"turn": 1}
    again.close()


def test_a_directory_that_is_not_there_is_told_and_survived(tmp_path: Path) -> None:
    lost, log = store(tmp_path / "nowhere" / "state.json")
    lost.save({"turn": 1})
    lost.close()
    assert "not written, a restart would forget" in log.at("error")[0]


def test_without_a_file_nothing_is_kept() -> None:
    nothing, log = store(None)
    nothing.save({"turn": 1})
    nothing.close()
    assert nothing.load() == {}
    assert log.lines == []

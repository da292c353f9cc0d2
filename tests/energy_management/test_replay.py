"""The replay command."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from energy_management.replay import main
from tests.energy_management.problem import Json
from tests.energy_management.trees import evse, node

START = "2026-03-01T10:00:00.000Z"


def cases() -> list[Json]:
    two = node("grid", [evse("a", phases=1), evse("b", phases=1)], A=16)
    wired = {"evses": {"a": {"phase_rotation": "L1 L2 L3"}, "b": {"phase_rotation": "L2 L3 L1"}}}
    return [
        {"name": "one", "start_time": START, "request": two, "repeat": 3, "config": {"update_interval": 2}},
        {"name": "wired", "start_time": START, "request": two, "site": wired},
        {"name": "two steps", "steps": [{"start_time": START, "request": two}] * 2},
    ]


@pytest.mark.parametrize("zipped", [False, True])
def test_every_line_is_answered_by_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], zipped: bool
) -> None:
    text = "\n".join(map(json.dumps, cases())) + "\n\n"
    path = tmp_path / ("cases.jsonl.gz" if zipped else "cases.jsonl")
    path.write_bytes(gzip.compress(text.encode()) if zipped else text.encode())
    assert main([str(path)]) == 0
    one, wired, steps = map(json.loads, capsys.readouterr().out.splitlines())
    assert one.keys() == wired.keys() == {"name", "result", "seconds"}
    assert [entry["valid_for"] for entry in one["result"]] == [20, 20]
    assert [entry["limits_root_side"]["ac_max_current_A"]["value"] for entry in one["result"]] == [8, 8]
    assert [entry["limits_root_side"]["ac_max_current_A"]["value"] for entry in wired["result"]] == [16, 16]
    assert steps["name"] == "two steps"
    assert len(steps["results"]) == 2
    assert 0 < one["seconds"] < 1


def test_a_wrong_line_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "cases.jsonl"
    path.write_text(
        json.dumps(cases()[0]) + '\n{"name": "no request", "start_time": "2026-03-01T10:00:00Z"}\n'
    )
    assert main([str(path)]) == 1
    assert capsys.readouterr().err.startswith(f"{path}:2: ")


def test_without_files_the_usage_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "usage: " in capsys.readouterr().err

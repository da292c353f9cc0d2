"""Recordings of real EVerest runs, given to this module again."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from energy_management import EnergyManager, ManagerConfig
from hil.observer import EnergyMessage
from hil.replay.answers import Answers, marked
from hil.replay.comparison import Limit, Verdict, compare, stretches
from hil.replay.direct import direct_answers
from hil.replay.live import _Recorder, live_answers
from hil.replay.transcript import (
    Request,
    Run,
    Transcript,
    TranscriptError,
    load_transcript,
    moved,
    parse_time,
)
from tests.patience import WITHIN_S

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "tests" / "data" / "transcripts"
ONE_EVSE = DATA / "replay_one_evse.jsonl"
TWO_EVSE = DATA / "replay_two_evse_and_probe.jsonl"
NOON = parse_time("2026-03-01T12:00:00Z")


def test_a_recording_is_read_from_its_energy_managers_side() -> None:
    transcript = load_transcript(TWO_EVSE)
    assert (transcript.manager_id, transcript.trunk_id) == ("energy_manager", "grid")
    assert transcript.config["update_interval"] == 1
    assert len(transcript.requests) == 9
    first, second = transcript.runs[:2]
    assert set(first.limits) == {"evse_manager_1", "evse_manager_2", "probe_3"}
    assert str(Limit.of(first.limits["probe_3"])) == "16 A 3ph"
    assert str(Limit.of(second.limits["probe_3"])) == "13 A 3ph"
    # sent 2.132 s after the start, right after the request stamped 09:02:36.706
    assert transcript.wall_clock(first.at_s).isoformat()[:21] == "2026-11-22T09:02:36.7"


def test_a_run_answers_the_request_whose_timestamps_it_repeats(tmp_path: Path) -> None:
    """The next request may already be on the wire when EVerest sends the limits for the last."""
    lines = ONE_EVSE.read_text().splitlines()
    kinds = ["req" if "/var/" in line else "cmd" for line in lines]
    at = next(i for i in range(len(lines)) if kinds[i : i + 3] == ["req", "cmd", "req"])
    lines[at + 1], lines[at + 2] = lines[at + 2], lines[at + 1]
    swapped = tmp_path / "swapped.jsonl"
    swapped.write_text("\n".join(lines))
    before, after = load_transcript(ONE_EVSE), load_transcript(swapped)
    assert [run.request for run in after.runs] == [run.request for run in before.runs]
    assert after.runs[0].seen == before.runs[0].seen + 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("nonsense\n", r"x\.jsonl:1: no recorded message"),
        ('{"t": 0}\n', r"x\.jsonl:1: no recorded message"),
        ("", r"no module of type EnergyManager with an energy_trunk"),
    ],
)
def test_what_is_no_recording_is_refused_with_its_place(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(content)
    with pytest.raises(TranscriptError, match=message):
        load_transcript(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TranscriptError, match=r"gone\.jsonl: No such file"):
        load_transcript(tmp_path / "gone.jsonl")


def test_moving_a_request_moves_every_timestamp_in_it() -> None:
    request = load_transcript(TWO_EVSE).requests[-1].data
    later = moved(request, NOON - parse_time("2026-03-01T10:00:00Z"))
    before, after = json.dumps(request), json.dumps(later)
    assert before.count("2026-11-22T09:") == after.count("2026-11-22T11:") > 0
    assert "T08:" not in after
    assert "T09:" not in after


def limits(uuid: str, current_A: float, phases: int | None = 3, source: str = "fuse") -> dict[str, Any]:
    root: dict[str, Any] = {"ac_max_current_A": {"value": current_A, "source": source}}
    if phases:
        root["ac_max_phase_count"] = {"value": phases, "source": source}
    return {"uuid": uuid, "valid_for": 10, "limits_root_side": root, "schedule": []}


def judged(states: dict[str, str], everest: dict[str, float], ours: dict[str, float]) -> dict[str, Verdict]:
    """Compare one run with three-phase limits of these currents."""
    children = [{"uuid": u, "node_type": "Evse", "evse_state": s, "children": []} for u, s in states.items()]
    tree = {"uuid": "grid", "node_type": "Generic", "children": children}
    run = Run(1.0, 0, 1, {u: limits(u, a) for u, a in everest.items()})
    transcript = Transcript(NOON, "energy_manager", "grid", {}, [Request(0.5, tree)], [run])
    verdicts = compare(transcript, [{u: limits(u, a) for u, a in ours.items()}])
    return {verdict.uuid: verdict for verdict in verdicts}


@pytest.mark.parametrize(
    ("states", "everest", "ours", "reasons"),
    [
        ({"a": "Charging"}, {"a": 16}, {"a": 16}, {"a": ""}),
        (
            {"a": "Unplugged", "b": "Charging"},
            {"a": 10, "b": 10},
            {"a": 4, "b": 16},
            {"a": "Unplugged: others get the current first", "b": "gets what a cannot use now"},
        ),
        (
            {"a": "WaitForAuth", "b": "Charging"},
            {"a": 10, "b": 10},
            {"a": 6, "b": 14},
            {"a": "WaitForAuth: its minimum is kept, others get the rest", "b": "gets what a cannot use now"},
        ),
        (
            {"a": "Charging", "b": "Charging"},
            {"a": 13.5, "b": 13.0},
            {"a": 13.25, "b": 13.25},
            {
                "a": "exact share; EVerest deals in slices of 0.5 A",
                "b": "exact share; EVerest deals in slices of 0.5 A",
            },
        ),
        ({"a": "Charging"}, {"a": 16}, {"a": 12}, {"a": "unexplained"}),
        ({"a": "Charging"}, {"a": 12}, {"a": 16}, {"a": "unexplained"}),
        ({"a": "Charging"}, {"a": 12}, {}, {"a": "no limit from this module"}),
    ],
)
def test_each_difference_has_its_reason(
    states: dict[str, str], everest: dict[str, float], ours: dict[str, float], reasons: dict[str, str]
) -> None:
    verdicts = judged(states, everest, ours)
    assert {uuid: verdict.reason for uuid, verdict in verdicts.items()} == reasons
    for verdict in verdicts.values():
        assert verdict.explained == (verdict.reason not in ("unexplained", "no limit from this module"))


def test_a_running_module_may_still_be_rising_but_never_beyond_its_decision() -> None:
    tree = {"uuid": "a", "node_type": "Evse", "evse_state": "Charging", "children": []}
    run = Run(1.0, 0, 1, {"a": limits("a", 16)})
    transcript = Transcript(NOON, "energy_manager", "grid", {}, [Request(0.5, tree)], [run])
    decisions = [{"a": limits("a", 16)}]
    (rising,) = compare(transcript, [{"a": limits("a", 10)}], decisions=decisions)
    assert (rising.explained, rising.reason) == (True, "on its way up to 16 A 3ph")
    (beyond,) = compare(transcript, [{"a": limits("a", 20)}], decisions=decisions)
    assert (beyond.explained, beyond.reason) == (False, "unexplained")


def test_other_phases_are_never_explained_away() -> None:
    transcript = Transcript(
        NOON,
        "energy_manager",
        "grid",
        {},
        [Request(0.5, {"uuid": "a", "node_type": "Evse"})],
        [Run(1.0, 0, 1, {"a": limits("a", 10)})],
    )
    assert not compare(transcript, [{"a": limits("a", 10, phases=1)}])[0].explained


def test_what_stays_the_same_is_one_stretch() -> None:
    def verdict(at_s: float, ours_A: float) -> Verdict:
        return Verdict(at_s, "a", "Charging", Limit(10, 3), Limit(ours_A, 3))

    found = list(stretches([verdict(1, 10), verdict(2, 10), verdict(3, 9), verdict(4, 10)]))
    assert [(s.first.at_s, s.until_s) for s in found] == [(1, 2), (3, 3), (4, 4)]


def test_alone_at_its_fuse_an_evse_gets_what_everest_gives_it() -> None:
    transcript = load_transcript(ONE_EVSE)
    verdicts = compare(transcript, direct_answers(transcript))
    assert [verdict for verdict in verdicts if not verdict.equal] == []
    assert {str(verdict.ours) for verdict in verdicts} == {
        "0 A",
        "20 A 3ph",
    }  # before and after it is enabled


def test_among_others_each_difference_to_everest_is_meant() -> None:
    transcript = load_transcript(TWO_EVSE)
    verdicts = compare(transcript, direct_answers(transcript))
    check_two_evses(verdicts)
    while_all_charge = [v.ours.current_A for v in verdicts if v.ours and 29 < v.at_s < 30.5]
    assert while_all_charge == pytest.approx([40 / 3] * 3)


def check_two_evses(verdicts: list[Verdict]) -> None:
    """Two EVSEs and a probe that wants 16 A, on 40 A. EVerest gives 13.5, 13.5 and 13 A, whoever charges."""
    assert [verdict for verdict in verdicts if not verdict.explained] == []
    before_cars = [v for v in verdicts if v.uuid == "probe_3" and 3 < v.at_s < 8]
    assert [str(v.ours) for v in before_cars] == ["16 A 3ph"]  # nobody else is there: it has all it wants
    (while_all_charge,) = [v for v in verdicts if v.uuid == "probe_3" and 29 < v.at_s < 30.5]
    assert while_all_charge.ours is not None
    assert while_all_charge.ours.current_A == pytest.approx(40 / 3)
    assert while_all_charge.reason == "exact share; EVerest deals in slices of 0.5 A"


def test_the_answers_to_a_request_are_told_from_those_to_others() -> None:
    """By a timestamp of the request that its limits repeat, as the decisions give them."""
    request = moved(load_transcript(TWO_EVSE).requests[-1].data, NOON - parse_time("2026-11-22T09:03:12Z"))
    first, first_mark = marked(request, 0, NOON)
    second, second_mark = marked(request, 1, NOON)
    manager = EnergyManager(ManagerConfig())
    old = {item["uuid"]: item for item in manager.optimize(first, NOON)}
    new = {item["uuid"]: item for item in manager.optimize(second, NOON)}
    assert {u: Limit.of(item) for u, item in old.items()} == {u: Limit.of(item) for u, item in new.items()}
    answers = Answers()
    for item in old.values():
        answers.take(item)
    assert answers.wait(first, first_mark, {}, 0)
    assert not answers.wait(second, second_mark, {}, 0)
    for item in list(new.values())[1:]:
        answers.take(item)
    assert not answers.wait(second, second_mark, {}, 0), "one has not answered yet"
    assert answers.wait(second, second_mark, new, 0), "what it has is what it shall have"
    answers.take(next(iter(new.values())))
    assert answers.wait(second, second_mark, {}, 0)


def test_what_others_of_the_same_name_tell_is_no_request() -> None:
    transcript = load_transcript(ONE_EVSE)
    recorder = _Recorder(transcript)
    recorder.take(EnergyMessage(transcript.trunk_id, "allocation", {"evses": []}))
    assert recorder.requests == 0
    recorder.take(EnergyMessage(transcript.trunk_id, "energy_flow_request", transcript.requests[0].data))
    assert recorder.requests == 1


def live_verdicts(file: Path, broker: str, *, as_child: bool) -> list[Verdict]:
    """Give the real EnergyNode's recorded traffic to the module's own process, under the bench's manager."""
    transcript = load_transcript(file)
    answers = live_answers(
        transcript, file, broker=broker, speed=100.0, as_child=as_child, log=lambda _: None
    )
    return compare(transcript, answers, decisions=direct_answers(transcript))


def test_the_module_process_gives_the_same_with_the_recorded_node_as_its_trunk(shared_amqtt: str) -> None:
    verdicts = live_verdicts(ONE_EVSE, shared_amqtt, as_child=False)
    assert [verdict for verdict in verdicts if not verdict.equal] == []


@pytest.mark.mosquitto
def test_the_module_process_gives_the_same_with_the_recorded_node_as_its_child(shared_mosquitto: str) -> None:
    verdicts = live_verdicts(TWO_EVSE, shared_mosquitto, as_child=True)
    check_two_evses(verdicts)


def run_command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "160"},
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )


def test_the_command_prints_every_difference_with_its_reason() -> None:
    result = run_command("hil", "replay-transcript", str(TWO_EVSE), "--direct")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "exact share; EVerest deals in slices of 0.5 A" in result.stdout
    assert "27 limits: " in result.stdout


def test_a_recording_becomes_a_case_for_the_replay_of_decisions(tmp_path: Path) -> None:
    case = tmp_path / "case.jsonl"
    written = run_command("hil", "replay-transcript", str(ONE_EVSE), "--export-jsonl", str(case))
    assert written.returncode == 0, written.stderr
    result = run_command("energy_management.replay", str(case))
    assert result.returncode == 0, result.stderr
    steps = json.loads(result.stdout)["results"]
    transcript = load_transcript(ONE_EVSE)
    assert [step[0]["limits_root_side"]["ac_max_current_A"]["value"] for step in steps] == [
        run.limits["evse_manager_1"]["limits_root_side"]["ac_max_current_A"]["value"]
        for run in transcript.runs
    ]


def test_the_command_refuses_what_is_no_recording_in_one_line(tmp_path: Path) -> None:
    result = run_command("hil", "replay-transcript", str(tmp_path / "gone.jsonl"))
    assert result.returncode == 2
    assert result.stderr.strip().endswith("gone.jsonl: No such file or directory")
    assert "Traceback" not in result.stderr

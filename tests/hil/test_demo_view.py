"""What the demo shows, and what it notes for its report."""

import io
import json

import pytest
from rich.console import Console

from hil.demo.ledger import Ledger
from hil.demo.report import EvseSummary, ProcessUse, Report
from hil.demo.view import EvseRow, NodeRow, Snapshot, line, live
from hil.observer import EnergyMessage
from hil.plant import FuseWatch

SNAPSHOT = Snapshot(
    elapsed_s=73.0,
    evses=[
        EvseRow(
            "garage", "EVerest", "Charging", 32.0, 11.3, (11.2, 11.3, 11.1), 3, 152.4, "fuse grid 35 A, L1"
        ),
        EvseRow("carport", "TCP", "PrepareCharging", 32.0, 16.0, (0.0, 0.0, 0.0), 0, 0.0, "its own maximum"),
    ],
    nodes=[NodeRow("grid", (34.9, 22.1, 36.4), 35.0), NodeRow("house", (9.5, 2.0, 3.0), note="kettle, oven")],
    messages_per_s=88.0,
    violations=0,
)


def rendered(width: int) -> str:
    out = io.StringIO()
    Console(file=out, width=width).print(live(SNAPSHOT))
    return out.getvalue()


def test_the_live_table_fits_100_columns_and_loses_nothing() -> None:
    text = rendered(100)
    assert max(map(len, text.splitlines())) <= 100
    garage = next(row for row in text.splitlines() if "garage" in row)
    assert garage.split() == [
        *("garage", "EVerest", "Charging", "32.0", "11.3", "3", "11.2", "11.3", "11.1", "152"),
        *("fuse", "grid", "35", "A,", "L1"),
    ]
    assert "…" not in text
    for shown in ("PrepareCharging", "its own maximum", "36.4", "kettle, oven", "01:13", "0 fuse violations"):
        assert shown in text


def test_a_log_line_says_the_same_in_one_line() -> None:
    text = line(SNAPSHOT)
    assert "\n" not in text
    assert text.startswith("01:13  grid 34.9/22.1/36.4 of 35.0 A  house 9.5/2.0/3.0")
    assert "garage 11.3 A 11.2/11.3/11.1 Charging" in text


def limits(uuid: str, current_A: float) -> EnergyMessage:
    root = {"ac_max_current_A": {"value": current_A, "source": "grid/module_config"}}
    return EnergyMessage(uuid, "enforce_limits", {"uuid": uuid, "limits_root_side": root})


def test_the_ledger_learns_the_reasons_of_all_evses_from_the_managers_allocation() -> None:
    ledger = Ledger(["garage", "yard"], lambda: 0.0)
    reasons = {
        "garage": "8.5 A on 3 phases: grid 35 A full on L3",
        "yard": "8.4 A on 1 phase: the car takes no more",
    }
    evses = [{"uuid": uuid, "reason": reason} for uuid, reason in {**reasons, "else": "6.0 A: x"}.items()]
    ledger.take(EnergyMessage("grid", "allocation", {"evses": evses}))
    assert {name: record.reason for name, record in ledger.records.items()} == {
        "garage": "grid 35 A full on L3",
        "yard": "the car takes no more",
    }


def test_the_ledger_notes_each_change_of_a_grant_once() -> None:
    now = 0.0
    ledger = Ledger(["garage"], lambda: now)
    for now, current_A in enumerate([6.0, 6.0, 6.01, 10.0, 10.0, 6.0]):  # noqa: B007 - the clock
        ledger.take(limits("garage", current_A))
        ledger.take(limits("somebody else", 99.0))
    assert ledger.records["garage"].grants == [(0, 6.0), (3, 10.0), (5, 6.0)]


def report(watch: FuseWatch, problems: list[str]) -> Report:
    return Report(
        seconds=30.04,
        seed=1,
        broker="embedded",
        evses={"garage": EvseSummary("EVerest", 52.34, [(0.5, 6.0)], (11.234, 0.0, 0.0))},
        fuses={"grid": watch},
        messages_per_s=87.65,
        module=ProcessUse(1.234, 45.678),
        problems=problems,
    )


def overloaded(seconds: float) -> FuseWatch:
    watch = FuseWatch(35.0, grace_s=10.0)
    for tick in range(400):
        now = tick * 0.1
        watch.observe(now, (36.0 if 5 <= now < 5 + seconds else 30.0, 0.0, 0.0))
    return watch


@pytest.mark.parametrize(
    ("watch", "problems", "ok"),
    [
        (overloaded(0), [], True),
        (overloaded(6), [], True),
        (overloaded(12), [], False),
        (overloaded(0), ["module garage (SimEvse) exited with code 1"], False),
    ],
)
def test_a_report_is_good_when_no_fuse_was_violated_and_nothing_died(
    watch: FuseWatch, problems: list[str], ok: bool
) -> None:
    result = report(watch, problems)
    assert result.ok is ok
    assert (result.lines()[-1] == "ok") is ok


def test_a_report_is_plain_json_with_short_overloads_apart_from_violations() -> None:
    written = json.loads(json.dumps(report(overloaded(6), []).to_json()))
    fuse = written["fuses"]["grid"]
    assert fuse["overloads"] == [{"phase": "L1", "started_s": 5.0, "duration_s": 6.0, "peak_A": 36.0}]
    assert fuse["violations"] == []
    assert written["evses"]["garage"] == {
        "link": "EVerest",
        "energy_Wh": 52.3,
        "peak_current_A": [11.23, 0.0, 0.0],
        "grants": [[0.5, 6.0]],
    }
    assert written["module"] == {"cpu_percent": 1.2, "memory_MB": 45.7}
    assert written["messages_per_s"] == pytest.approx(87.65, abs=0.1)

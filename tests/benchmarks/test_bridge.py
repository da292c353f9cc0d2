"""The benchmark runs and tells what it should; how fast things are is not for a test to say."""

from __future__ import annotations

import io

from rich.console import Console

from benchmarks import bridge


def test_runs_on_a_small_site_and_shows_every_figure() -> None:
    found = bridge.run(line_s=1.0, tcp_s=0.5, devices=2)
    assert 0 < found["line"]["cycles_per_s"] <= found["line"]["limit_per_s"]
    assert found["tcp"]["readings_per_s"] >= 0
    assert found["tcp"]["cpu"] > 0
    console = Console(file=io.StringIO(), width=200)
    bridge.show(found, console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    for expected in ("9600 baud", "of what the line can carry", ">= 80%", "2 devices on TCP", "< 25%"):
        assert expected in text

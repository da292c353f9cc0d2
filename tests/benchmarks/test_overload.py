"""The benchmark finds a time for each step; how long it may be is not for a test to say."""

import io

from rich.console import Console

from benchmarks import overload


def test_every_step_finds_its_lower_limit() -> None:
    found = overload.run(steps=1, apart_s=1.0)
    assert found["missing"] == 0
    assert 0 < found["median_ms"] <= found["worst_ms"]
    console = Console(file=io.StringIO(), width=200)
    overload.show(found, console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    for expected in ("1 steps of 2.5 A", "worst", "< 100 ms"):
        assert expected in text

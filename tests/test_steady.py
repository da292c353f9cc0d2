"""Time that the machine lost is no time for those who wait on a loop."""

import asyncio
import time

import pytest

from tests.steady import SteadyLoop


def test_tests_run_on_steady_loops() -> None:
    async def loop() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    assert isinstance(asyncio.run(loop()), SteadyLoop)


def test_a_stall_is_not_counted() -> None:
    async def work() -> tuple[float, float]:
        loop = asyncio.get_running_loop()
        began, really_began = loop.time(), time.monotonic()
        time.sleep(0.3)  # noqa: ASYNC251 (nothing else shall run)
        await asyncio.sleep(0)
        return loop.time() - began, time.monotonic() - really_began

    counted_s, really_s = asyncio.run(work())
    assert 0 <= counted_s <= really_s - 0.3 + 1e-3


def test_time_goes_on_however_late_everything_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look at the clock takes longer than anybody waits."""
    now_s = [0.0]

    def slow() -> float:
        now_s[0] += 1.0
        return now_s[0]

    monkeypatch.setattr("tests.steady.time.monotonic", slow)
    loop = SteadyLoop()
    loop.run_until_complete(asyncio.sleep(0.01))
    loop.close()

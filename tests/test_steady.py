"""Time that the machine lost is no time for those who wait on a loop."""

import asyncio
import time

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

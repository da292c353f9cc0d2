"""A bus that asks at once, remembers every answer, and never writes."""

import asyncio
import termios

from bsp.bus import Answer, Bus, Priority
from bsp.transport import (
    GATEWAY_CODES,
    BusError,
    DisconnectedError,
    NoAnswerError,
    RefusedError,
    Request,
    Transport,
    Write,
)


class WouldWriteError(AssertionError):
    """Something tried to write while searching. That is a defect: nobody knows what the device is."""


class ReadOnlyBus(Bus):
    """A line of which nothing is known yet.

    Unlike the `Bus` of a site it has no queue and needs no owner: one asks after the other. Of many profiles
    that look at the same registers only the first asks.

    Attributes
    ----------
    asked : int
        Requests on the line so far.
    """

    def __init__(self, name: str, transport: Transport) -> None:
        super().__init__(name, transport)
        self.asked = 0
        self._known: dict[tuple[int, Request], Answer | BusError] = {}
        self._present: set[int] = set()

    async def open(self) -> bool:
        """Open the line; False if that fails, or if the port does not know these settings."""
        try:
            return self._transport.connected or await self._transport.connect()
        except (termios.error, ValueError):
            return False

    def forget(self) -> None:
        """Ask again from now on; what was refused stays refused."""
        self._known = {key: value for key, value in self._known.items() if isinstance(value, BusError)}

    async def request(
        self,
        unit: int,
        request: Request,
        *,
        priority: Priority = Priority.POLL,  # noqa: ARG002 (there is no queue)
        gap_s: float = 0.0,
    ) -> Answer:
        """Read, or give what was read before; see `Bus.request`."""
        if isinstance(request, Write):
            raise WouldWriteError(f"unit {unit}: {request}")
        key = (unit, request)
        if key not in self._known:
            self._known[key] = await self._ask(unit, request, gap_s)
        known = self._known[key]
        if isinstance(known, BusError):
            raise known
        return known

    async def is_present(self, unit: int, request: Request) -> bool:
        """Tell whether anybody answers, be it with a refusal."""
        try:
            await self.request(unit, request)
        except RefusedError as error:
            return error.code not in GATEWAY_CODES
        except NoAnswerError:
            return False
        return True

    async def _ask(self, unit: int, request: Request, gap_s: float) -> Answer | BusError:
        if not await self.open():
            raise DisconnectedError(f"'{self.name}' cannot be opened")
        await asyncio.sleep(max(gap_s, self._transport.frame_gap_s))
        self.asked += 1
        asked_at = self._clock()
        try:
            answer = Answer(await self._transport.transact(unit, request), asked_at)
        except DisconnectedError:
            raise
        except NoAnswerError as error:
            if unit in self._present:  # a late answer must not be taken for that of the next request
                await asyncio.sleep(self._transport.late_answer_s)
            return error
        except BusError as error:
            self._present.add(unit)
            return error
        self._present.add(unit)
        return answer

    def close(self) -> None:
        """Close the line."""
        self._transport.close()

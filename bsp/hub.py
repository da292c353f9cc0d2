"""A line that another module owns: EVerest's ``serial_communication_hub`` as transport of a bus."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from bsp.transport import BusError, DisconnectedError, NoAnswerError, Read, Request, Write

HubCall = Callable[[str, Mapping[str, Any]], Any]
"""Calls a command of the hub with its arguments and blocks until it is answered."""

ANSWER_WITHIN_S = 5.0
"""The hub tries three times, 0.5 s each, with its default settings; much later it hangs."""


@dataclass(frozen=True, slots=True)
class HubLink:
    """A line that EVerest's serial hub owns; which hub, the connections of the module say."""


class HubTransport:
    """Requests as commands of the hub.

    The hub retries by itself, and tells neither a refusal from noise nor any reason. It knows no discrete
    inputs and writes coils one by one only.

    Parameters
    ----------
    call : callable
        Calls a command of the hub; called in a thread of the transport's own.
    answer_within_s : float
        How long to wait for the hub.
    """

    late_answer_s = 0.0
    frame_gap_s = 0.0

    def __init__(self, call: HubCall, *, answer_within_s: float = ANSWER_WITHIN_S) -> None:
        self._call = call
        self._answer_within_s = answer_within_s
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="serial hub")
        self._under_way: asyncio.Future[Any] | None = None

    @property
    def connected(self) -> bool:
        """Whether the hub may be asked: not while it still owes an answer."""
        return self._under_way is None or self._under_way.done()

    async def connect(self) -> bool:
        """Tell whether the hub may be asked; there is nothing to open."""
        return self.connected

    def close(self) -> None:
        """Do nothing: the line is the hub's."""

    async def transact(self, unit: int, request: Request) -> Sequence[int]:
        """Have the hub send a request; see `Transport`."""
        if not self.connected:
            raise DisconnectedError("the serial hub has not answered yet")
        command, arguments = _command(unit, request)
        self._under_way = asyncio.get_running_loop().run_in_executor(
            self._thread, self._call, command, arguments
        )
        try:
            result = await asyncio.wait_for(asyncio.shield(self._under_way), self._answer_within_s)
        except TimeoutError as error:
            raise DisconnectedError(
                f"the serial hub does not answer within {self._answer_within_s:g} s"
            ) from error
        return _values(request, result)


def _command(unit: int, request: Request) -> tuple[str, dict[str, Any]]:
    """Give the hub's command for a request, and its arguments."""
    if isinstance(request, Read):
        if request.table == "discrete":
            raise BusError("EVerest's serial hub cannot read discrete inputs")
        if request.table == "coil":
            return "modbus_read_coils", {
                "target_device_id": unit,
                "first_coil_address": request.address,
                "num_coils_to_read": request.count,
            }
        return f"modbus_read_{request.table}_registers", {
            "target_device_id": unit,
            "first_register_address": request.address,
            "num_registers_to_read": request.count,
        }
    return _write_command(unit, request)


def _write_command(unit: int, request: Write) -> tuple[str, dict[str, Any]]:
    if request.table == "coil":
        if len(request.values) > 1:
            raise BusError("EVerest's serial hub cannot write several coils at once")
        data: dict[str, Any] = {"coil_address": request.address, "data": bool(request.values[0])}
        return "modbus_write_single_coil", {"target_device_id": unit, **data}
    if request.multiple:
        data = {"first_register_address": request.address, "data_raw": {"data": list(request.values)}}
        return "modbus_write_multiple_registers", {"target_device_id": unit, **data}
    data = {"register_address": request.address, "data": request.values[0]}
    return "modbus_write_single_register", {"target_device_id": unit, **data}


def _values(request: Request, result: Any) -> Sequence[int]:
    """Take the values out of the hub's answer."""
    status = result.get("status_code") if isinstance(result, Mapping) else result
    if status != "Success":
        raise NoAnswerError(f"the serial hub reports {status}")
    if isinstance(request, Write):
        return ()
    values = [int(value) for value in result.get("value", ())]
    if len(values) < request.count:
        raise NoAnswerError(f"the serial hub gave {len(values)} values instead of {request.count}")
    return values[: request.count]

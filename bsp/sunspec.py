"""SunSpec: a device describes itself by a chain of models, and a model is found by walking it."""

from bsp.device import Device
from bsp.transport import RefusedError, WrongDeviceError

MARKER = (0x5375, 0x6E53)
"""The letters SunS, with which the chain begins."""
STARTS = (40000, 50000, 0)
"""Addresses at which the chain may begin."""
END = 0xFFFF
_MODELS_MAX = 100


async def find_model(device: Device, model: int) -> int:
    """Walk the chain to a model.

    Parameters
    ----------
    device : Device
        Who is asked.
    model : int
        ID of the model.

    Returns
    -------
    int
        Address of the model's ID register, from which SunSpec counts.

    Raises
    ------
    WrongDeviceError
        It is no SunSpec device, or one without this model.
    BusError
        It gave no answer.
    """
    address = await _start(device)
    found: list[int] = []
    for _ in range(_MODELS_MAX):
        identifier, length = await device.registers(address, 2)
        if identifier == model:
            return address
        if identifier == END:
            break
        found.append(identifier)
        address += 2 + length
    shown = ", ".join(str(identifier) for identifier in found) or "none"
    raise WrongDeviceError(f"no SunSpec model {model}; the device has: {shown}")


async def _start(device: Device) -> int:
    for start in STARTS:
        try:
            if tuple(await device.registers(start, 2)) == MARKER:
                return start + 2
        except RefusedError:
            continue
    raise WrongDeviceError(f"no SunSpec device: no marker at {', '.join(str(start) for start in STARTS)}")

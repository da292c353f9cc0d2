"""SunSpec meters are found by walking the chain of models."""

import asyncio

import pytest

from bsp.device import Device
from bsp.meter import Meter
from bsp.profile import meter_profile
from bsp.sunspec import find_model
from bsp.transport import TcpLink, WrongDeviceError
from energy_management.measurement import Reading
from hil.devices import MeterDevice, RegisterDevice, serve_tcp
from tests.bsp.plant import House, VirtualClock, on_bus

PROFILE = meter_profile("sunspec_203")


def find(device: RegisterDevice, model: int) -> int:
    async def work(client: Device) -> int:
        return await find_model(client, model)

    with serve_tcp({1: device}) as line:
        found: int = on_bus(TcpLink(line.host, line.port), PROFILE, 1, work)
    return found


class Chain(RegisterDevice):
    """Nothing but a chain of models without content, that starts where it is told."""

    def __init__(self, start: int, *models: tuple[int, int]) -> None:
        super().__init__(PROFILE, base=30000)
        registers = [0x5375, 0x6E53]
        for identifier, length in models:
            registers += [identifier, length, *[0] * length]
        self.fixed = {start + offset: word for offset, word in enumerate([*registers, 0xFFFF, 0])}

    def values(self) -> dict[str, None]:
        return {}


@pytest.mark.parametrize("start", [40000, 50000, 0])
def test_a_model_is_found_wherever_the_chain_starts(start: int) -> None:
    assert find(Chain(start, (1, 66), (103, 50), (203, 105)), 203) == start + 2 + 68 + 52


def test_a_device_without_the_model_says_what_it_has() -> None:
    with pytest.raises(WrongDeviceError, match="no SunSpec model 203; the device has: 1, 103"):
        find(Chain(40000, (1, 66), (103, 50)), 203)


def test_a_device_that_is_none_is_told() -> None:
    with pytest.raises(WrongDeviceError, match="no marker at 40000, 50000, 0"):
        find(MeterDevice(meter_profile("eastron_sdm630"), House()), 203)


def test_scale_factors_may_change_from_reading_to_reading() -> None:
    served = MeterDevice(PROFILE, House())
    factors = {"scale_factor.power": 0}

    def values() -> dict[str, object]:
        return {**MeterDevice.values(served), **factors}

    served.values = values  # type: ignore[method-assign, assignment]

    async def work(device: Device) -> list[Reading]:
        meter, readings = Meter(device, PROFILE, VirtualClock()), []
        for exponent in (0, 1):
            factors["scale_factor.power"] = exponent
            readings.append(await meter.poll())
            await asyncio.sleep(0)
        return readings

    with serve_tcp({1: served}) as line:
        fine, coarse = on_bus(TcpLink(line.host, line.port), PROFILE, 1, work)
    assert fine.total_power_W == 2811.0
    assert coarse.total_power_W == 2810.0

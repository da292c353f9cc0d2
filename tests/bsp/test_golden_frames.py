"""Whole frames, request and answer, written down by hand from the devices' documents.

The simulated devices are made from the profiles, so they could share a mistake with the code that reads them.
These frames cannot: they are bytes, and the values beside them were worked out on paper.
"""

import asyncio
from typing import Any

import pytest

from bsp.device import Device
from bsp.profile import meter_profile
from bsp.registers import Value
from bsp.transport import TcpLink
from tests.bsp.plant import on_bus, run

FRAMES: list[tuple[str, list[str], str, str, dict[str, Value]]] = [
    (
        # SDM630: function 04, 6 registers from 0; 230.2 = 4366 3333, 229.6 = 4365 999A, 231 = 4367 0000
        "eastron_sdm630",
        ["voltage_V.L1", "voltage_V.L2", "voltage_V.L3"],
        "01 04 00 00 00 06",
        "01 04 0C 43 66 33 33 43 65 99 9A 43 67 00 00",
        {"voltage_V.L1": 230.2, "voltage_V.L2": 229.6, "voltage_V.L3": 231.0},
    ),
    (
        # SDM630: import 0x0048 and export 0x004A in kWh; 1234.5 = 449A 5000, 0.25 = 3E80 0000
        "eastron_sdm630",
        ["energy_Wh.import", "energy_Wh.export"],
        "01 04 00 48 00 04",
        "01 04 08 44 9A 50 00 3E 80 00 00",
        {"energy_Wh.import": 1_234_500.0, "energy_Wh.export": 250.0},
    ),
    (
        # EM340: currents from 0x000C in mA, low word first; 16 000 = 0000 3E80, -5 000 = FFFF EC78, 0
        "carlo_gavazzi_em330_em340_em530_em540",
        ["current_A.L1", "current_A.L2", "current_A.L3"],
        "01 04 00 0C 00 06",
        "01 04 0C 3E 80 00 00 EC 78 FF FF 00 00 00 00",
        {"current_A.L1": 16.0, "current_A.L2": -5.0, "current_A.L3": 0.0},
    ),
    (
        # B23: function 03 from 0x5B14, four powers in 0.01 W; -1500 W = FFFD B610, missing = 7FFF FFFF
        "abb_b23_b24",
        ["power_W.total", "power_W.L1", "power_W.L2", "power_W.L3"],
        "01 03 5B 14 00 08",
        "01 03 10 FF FD B6 10 FF FD B6 10 7F FF FF FF 7F FF FF FF",
        {"power_W.total": -1500.0, "power_W.L1": -1500.0, "power_W.L2": None, "power_W.L3": None},
    ),
    (
        # B23: import 0x5000, export 0x5004, u64 in 0.01 kWh; 123 456.78 kWh = BC 614E, missing = ones
        "abb_b23_b24",
        ["energy_Wh.import", "energy_Wh.export"],
        "01 03 50 00 00 08",
        "01 03 10 00 00 00 00 00 BC 61 4E FF FF FF FF FF FF FF FF",
        {"energy_Wh.import": 123_456_780.0, "energy_Wh.export": None},
    ),
    (
        # PAC (address 126): import of tariff 1 at 0x0321 as double in Wh; 1.5e6 = 4136 E360 0000 0000
        "siemens_pac2200_pac3120_pac3200",
        ["energy_Wh.import"],
        "7E 04 03 21 00 04",
        "7E 04 08 41 36 E3 60 00 00 00 00",
        {"energy_Wh.import": 1_500_000.0},
    ),
    (
        # iEM3155: total power at 0x0BF3 in kW; -2.5 kW = C020 0000
        "schneider_iem3xxx",
        ["power_W.total"],
        "01 03 0B F3 00 02",
        "01 03 04 C0 20 00 00",
        {"power_W.total": -2500.0},
    ),
    (
        # iEM3155: import at 0x0C83 as i64 in Wh; 5 000 000 = 4C 4B40
        "schneider_iem3xxx",
        ["energy_Wh.import"],
        "01 03 0C 83 00 04",
        "01 03 08 00 00 00 00 00 4C 4B 40",
        {"energy_Wh.import": 5_000_000},
    ),
    (
        # EEM: voltages from 0x8006, floats with the low word first; 230.0 = 4366 0000
        "phoenix_eem_xm3xx",
        ["voltage_V.L1"],
        "01 03 80 06 00 02",
        "01 03 04 00 00 43 66",
        {"voltage_V.L1": 230.0},
    ),
    (
        # DTSU666: frequency at 0x2044 is a float that holds hundredths; 5001 = 459C 4800
        "chint_dtsu666",
        ["frequency_Hz"],
        "01 03 20 44 00 02",
        "01 03 04 45 9C 48 00",
        {"frequency_Hz": 50.01},
    ),
    (
        # ORNO 514: voltage at 0x0131 in 0.01 V as 16 bit; 23012 = 59E4
        "orno_we514_we515",
        ["voltage_V.L1"],
        "01 03 01 31 00 01",
        "01 03 02 59 E4",
        {"voltage_V.L1": 230.12},
    ),
]


async def _serve(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes, answer: bytes
) -> None:
    """Answer one Modbus TCP request, if it is the expected one; hang up otherwise."""
    header = await reader.readexactly(6)
    asked = await reader.readexactly(int.from_bytes(header[4:6], "big"))
    if asked == request:
        writer.write(header[:4] + len(answer).to_bytes(2, "big") + answer)
        await writer.drain()
    writer.close()


@pytest.mark.parametrize(
    ("name", "points", "request_hex", "answer_hex", "values"),
    FRAMES,
    ids=[f"{frame[0]} {frame[1][0]}" for frame in FRAMES],
)
def test_a_frame_means(
    name: str, points: list[str], request_hex: str, answer_hex: str, values: dict[str, Value]
) -> None:
    request, answer = bytes.fromhex(request_hex), bytes.fromhex(answer_hex)
    profile = meter_profile(name)

    async def read(device: Device) -> Any:
        return (await device.read(points)).values

    async def work() -> Any:
        server = await asyncio.start_server(
            lambda reader, writer: _serve(reader, writer, request, answer), "127.0.0.1", 0
        )
        port = server.sockets[0].getsockname()[1]
        try:
            return await asyncio.to_thread(
                on_bus, TcpLink("127.0.0.1", port, timeout_s=1.0), profile, profile.unit, read
            )
        finally:
            server.close()

    seen = run(work())
    assert set(seen) == set(values)
    for point, value in values.items():
        assert seen[point] == (None if value is None else pytest.approx(value, rel=1e-6)), point

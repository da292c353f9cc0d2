"""A whole site through a storm of faults: nobody gets more than granted, and everybody comes back."""

import random
import threading
import time
from contextlib import ExitStack

from bsp.bridge import Bridge, ConnectorConfig, MeterConfig
from bsp.connector import ConnectorLimit
from bsp.profile import connector_profile, meter_profile
from bsp.transport import SerialLink, TcpLink
from hil.devices import Faults, MeterDevice, RegisterDevice, WallboxDevice, serve_rtu_pty, serve_tcp
from tests.bsp.plant import Heard, House, Point

GRANTED_A = 10.0
STORM_S = 10.0
ON_THE_LINE = (
    "heidelberg_energy_control",
    "evse_din_wb",
    "smartevse_v2_v3_modbus",
    "phoenix_ev_cc_ac1_m_ser",
    "mennekes_amtron_compact_2s",
    "obo_ion",
)
ON_THE_LAN = ("alfen_eve", "keba_p30_p40", "webasto_next")


class Witness(Point):
    """Remembers the highest limit that it was given since it was first told to pause."""

    highest_A = 0.0
    is_controlled = False

    def set_limit(self, current_A: float) -> None:
        super().set_limit(current_A)
        self.is_controlled = self.is_controlled or current_A == 0.0
        if self.is_controlled:
            self.highest_A = max(self.highest_A, current_A)


def weather(random_: random.Random) -> Faults:
    return random_.choice(
        [
            Faults(),
            Faults(silent=True),
            Faults(corrupt=True, times=3),
            Faults(delay_s=0.08),
            Faults(delay_s=0.25, times=5),
            Faults(exception=6, times=4),
            Faults(noise=b"\x00\x55\xff", times=4),
        ]
    )


def test_a_site_of_ten_devices_survives_a_storm() -> None:
    random_ = random.Random(20260601)
    points: dict[str, Witness] = {}
    devices: list[RegisterDevice] = []
    connectors: dict[str, ConnectorConfig] = {}
    statuses, readings = Heard(), Heard()

    def wallbox(name: str, bus: str, unit: int) -> WallboxDevice:
        profile = connector_profile(name)
        points[name] = Witness(state="B")
        device = WallboxDevice(profile, points[name])
        devices.append(device)
        connectors[name] = ConnectorConfig(bus, unit, profile, every_s=0.3)
        return device

    with ExitStack() as stack:
        meter_device = MeterDevice(meter_profile("eastron_sdm630"), House())
        devices.append(meter_device)
        on_line: dict[int, RegisterDevice] = {1: meter_device}
        on_line.update({unit: wallbox(name, "rs485", unit) for unit, name in enumerate(ON_THE_LINE, start=2)})
        line = stack.enter_context(serve_rtu_pty(on_line))
        hosts = {name: stack.enter_context(serve_tcp({1: wallbox(name, name, 1)})) for name in ON_THE_LAN}
        bridge = Bridge(
            {
                "rs485": SerialLink(line.path, timeout_s=0.1),
                **{name: TcpLink(host.host, host.port, timeout_s=0.2) for name, host in hosts.items()},
            },
            {"house": MeterConfig("rs485", 1, meter_profile("eastron_sdm630"), every_s=0.3)},
            connectors,
            on_reading=readings,
            on_status=statuses,
        )
        bridge.start()
        stack.callback(bridge.stop)

        ended = threading.Event()

        def grant() -> None:
            while not ended.wait(0.2):
                for name in connectors:
                    bridge.enforce(name, ConnectorLimit(GRANTED_A, valid_for_s=2.0))

        granting = threading.Thread(target=grant)
        granting.start()
        stack.callback(granting.join)
        stack.callback(ended.set)

        end = time.monotonic() + STORM_S
        while time.monotonic() < end:
            random_.choice(devices).faults = weather(random_)
            if random_.random() < 0.05:
                line.unplug()
                ended.wait(0.3)
                line.plug()
            if random_.random() < 0.05:
                host = random_.choice(list(hosts.values()))
                host.unplug()
                ended.wait(0.2)
                host.plug()
            ended.wait(0.1)
        for device in devices:
            device.faults = Faults()

        for name in connectors:
            statuses.wait_for(
                lambda heard, status, name=name: (
                    heard == name and status.fault is None and status.limit_A == 10.0
                ),
                timeout_s=25.0,
            )
        readings.wait_for(lambda *_: True, timeout_s=25.0)

    assert {
        name: point.highest_A for name, point in points.items() if point.highest_A > GRANTED_A + 0.01
    } == {}
    assert all(point.is_controlled for point in points.values())

"""The plant of a scenario: EVSEs and cars, loads, nodes and fuses, and the devices that show them."""

import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from random import Random
from typing import TypeVar

from bsp.bridge import ConnectorConfig
from energy_management.measurement import Reading, Vector3
from hil.breaker import NON_TRIPPING, Breaker
from hil.devices import ChargerDevice, MeterDevice, RegisterDevice, WallboxDevice
from hil.plant import Car, ChargePoint, House
from hil.plant.house import FAMILY, LIVELY
from hil.plant.load import ZERO, Load, ProfileLoad, SwitchedLoad
from hil.plant.site import total
from hil.plant.sun import Roof
from hil.scenario.contactors import ContactorBoard
from hil.scenario.evse import Evse
from hil.scenario.scenario import MODULE, VOLTAGE_V, CarPlan, LoadPlan, Scenario

T = TypeVar("T")

NOISE_A = 0.01
NOISE_V = 0.2
"""Standard deviations of what meters show: no two readings of a real one are the same."""
_NO_FUSE_A = 63.0
"""Where the site file gives none, there is one all the same."""
HEATING_S = 0.05
"""Of breakers in a row, those that get hot within so short a time open together."""
_MODELS = {"family": FAMILY, "lively": LIVELY}


class Stage:
    """All that is simulated, driven by `advance`.

    Parameters
    ----------
    scenario : Scenario
        What there is.
    seed : int
        Of everything that is random.
    clock : callable
        Time of the devices, for their watchdogs.

    Attributes
    ----------
    now_s : float
        Seconds since the start.
    evses : dict of str to Evse
        EVerest's and bridged ones.
    cars : dict of str to Car
        All cars, here or not.
    devices : dict of str to RegisterDevice
        Meters, chargers and relay boards.
    buses : dict of str to dict of int to RegisterDevice
        The same by bus and Modbus address.
    loads : dict of str to (node, Load)
        What nobody controls.
    breakers : dict of str to Breaker
        Of each node's fuse. One that trips opens, and all behind it is dark until it is reset.
    tripped_at_s : dict of str to float
        When each may have tripped for the first time.
    """

    def __init__(self, scenario: Scenario, seed: int, clock: Callable[[], float]) -> None:
        self.now_s = 0.0
        self._scenario = scenario
        self._random = Random(f"{seed} meters")
        site = scenario.site
        self.fuses_A = {
            MODULE: site.grid.fuse if site.grid else _NO_FUSE_A,
            **{name: node.fuse for name, node in site.nodes.items()},
            **{name: node.fuse for name, node in scenario.everest_nodes.items()},
        }
        self.breakers = {name: Breaker(fuse_A) for name, fuse_A in self.fuses_A.items()}
        self.tripped_at_s: dict[str, float] = {}
        self._trips: list[str] = []
        self._dark: frozenset[str] = frozenset()
        self._parents = dict.fromkeys(scenario.everest_nodes, MODULE)
        self._parents |= {name: node.parent for name, node in site.nodes.items()}
        self.evses = {name: self._everest_evse(name) for name in site.evses}
        self.evses |= {
            name: self._connector(name, config) for name, config in site.bridged_connectors.items()
        }
        self.cars = {
            name: Car(plan.model, soc=plan.soc, target_soc=plan.target_soc)
            for name, plan in scenario.cars.items()
        }
        self.loads: dict[str, tuple[str, Load]] = {}
        for name, plan in scenario.loads.items():
            self.loads |= {
                f"{name}{part}": (plan.node, load) for part, load in _loads_of(plan, f"{seed} {name}")
            }
        if scenario.sun is not None:
            self.loads["pv"] = (scenario.sun.node, sun_load(scenario, seed))
        self.steps = {node: SwitchedLoad() for node in self.fuses_A}
        self._members = {
            node: [name for name, evse in self.evses.items() if self._is_below(evse.node, node)]
            for node in self.fuses_A
        }
        self._load_members = {
            node: [name for name, (at, _) in self.loads.items() if self._is_below(at, node)]
            for node in self.fuses_A
        }
        self._step_members = {
            node: [name for name in self.fuses_A if self._is_below(name, node)] for node in self.fuses_A
        }
        self._imported_Wh = dict.fromkeys(self.fuses_A, 0.0)
        self._exported_Wh = dict.fromkeys(self.fuses_A, 0.0)
        self.node_A: dict[str, Vector3] = {}
        self.other_A: dict[str, Vector3] = {}
        self.devices: dict[str, RegisterDevice] = {}
        self.buses: dict[str, dict[int, RegisterDevice]] = {name: {} for name in site.buses}
        self._add_devices(clock)
        self._measure()

    def advance(self, dt_s: float) -> None:
        """Let time pass."""
        self.now_s += dt_s
        for _, load in self.loads.values():
            load.advance(dt_s)
        for evse in self.evses.values():
            evse.advance(dt_s)
        for device in self.devices.values():
            if device.is_powered:
                device.tick()
        self._measure()
        self._count(dt_s)

    @property
    def is_settled(self) -> bool:
        """Whether nothing moves while limits and loads stay as they are."""
        return all(evse.is_settled for evse in self.evses.values())

    @property
    def steady_for_s(self) -> float:
        """How long all loads stay as they are for certain."""
        return min((load.steady_for_s for _, load in self.loads.values()), default=math.inf)

    def plug_in(self, car: str, evse: str) -> None:
        """Have a car come to an EVSE; whoever is there leaves."""
        self.unplug(car)
        place = self.evses[evse]
        place.point.unplug()
        place.point.plug_in(self.cars[car], self._scenario.cars[car].cable_A)
        place.car = car

    def unplug(self, car: str) -> None:
        """Have a car leave, if it is here."""
        for place in self.evses.values():
            if place.car == car:
                place.point.unplug()
                place.car = None

    def open_breaker(self, node: str) -> None:
        """Break the circuit of a node."""
        self.breakers[node].open()
        self._supply()

    def reset_breaker(self, node: str) -> None:
        """Close it again, if it is open."""
        self.breakers[node].reset()
        self._supply()

    def take_trips(self) -> list[str]:
        """Give the nodes whose breakers have tripped since this was called last."""
        trips, self._trips = self._trips, []
        return trips

    def read_meter(self, name: str) -> Reading:
        """Give what a meter measures now."""
        for node, meter in self._metered_nodes().items():
            if meter == name:
                return self.read_node(node)
        for evse, meter in self._metered_evses().items():
            if meter == name:
                point = self.evses[evse].point
                return self._reading(point.current_A, point.energy_Wh, 0.0, point.fed_V)
        return self._reading(ZERO, 0.0, 0.0)

    def read_node(self, node: str) -> Reading:
        """Give what a meter of a node measures now."""
        return self._reading(self.node_A[node], self._imported_Wh[node], self._exported_Wh[node])

    def _metered_nodes(self) -> Mapping[str, str | None]:
        site = self._scenario.site
        return {
            MODULE: site.grid.meter if site.grid else None,
            **{name: node.meter for name, node in site.nodes.items()},
        }

    def _metered_evses(self) -> Mapping[str, str | None]:
        site = self._scenario.site
        return {name: evse.meter for name, evse in {**site.evses, **site.connectors}.items()}

    def _is_below(self, name: str, node: str) -> bool:
        while name != node:
            if name == MODULE:
                return False
            name = self._parents[name]
        return True

    def _measure(self) -> None:
        """Add up what flows where."""
        self._add_up({name: evse.grid_A for name, evse in self.evses.items()})

    def _add_up(self, draws: Mapping[str, Vector3]) -> None:
        dark = self._dark
        loads = {name: ZERO if at in dark else load.current_A for name, (at, load) in self.loads.items()}
        for node in self.fuses_A:
            steps = [self.steps[name].current_A for name in self._step_members[node] if name not in dark]
            other = total([*(loads[name] for name in self._load_members[node]), *steps])
            self.other_A[node] = other
            self.node_A[node] = total([other, *(draws[name] for name in self._members[node])])

    def _count(self, dt_s: float) -> None:
        for node, current_A in self.node_A.items():
            power_W = sum(current_A) * VOLTAGE_V
            counter = self._imported_Wh if power_W >= 0 else self._exported_Wh
            counter[node] += abs(power_W) * dt_s / 3600.0
        self._heat(dt_s)

    def _heat(self, dt_s: float) -> None:
        """Have breakers carry what flows, until one of them is hot enough to open."""
        warm, is_overload = {}, False
        for node, breaker in self.breakers.items():
            is_above = max(map(abs, self.node_A[node])) > NON_TRIPPING * breaker.rated_A
            is_overload |= is_above
            if is_above or breaker.is_warm:
                warm[node] = breaker
        while warm and dt_s > 0.0:
            step_s = min(dt_s, HEATING_S) if is_overload else dt_s
            for node, breaker in warm.items():
                breaker.carry(self.node_A[node], step_s)
            for node in [node for node, breaker in warm.items() if breaker.must_open]:
                self.tripped_at_s.setdefault(node, self.now_s)
                self._trip(node)
                dt_s = 0.0
            dt_s -= step_s

    def _trip(self, node: str) -> None:
        """Let a breaker act that is hot enough."""
        self._trips.append(node)
        self.open_breaker(node)

    def _supply(self) -> None:
        """Give voltage to whoever is not behind an open breaker, and to nobody else.

        Relay boards and the energy manager have a supply of their own. The meter of a node sits before its
        breaker, that of an EVSE beside the EVSE.
        """
        opened = [node for node, breaker in self.breakers.items() if breaker.is_open]
        self._dark = frozenset(
            node for node in self.fuses_A if any(self._is_below(node, above) for above in opened)
        )
        for evse in self.evses.values():
            evse.point.is_supplied = evse.node not in self._dark
        for name, device in self.devices.items():
            if self._feeder(name) in self._dark:
                device.lose_power()
            else:
                device.regain_power()

    def _feeder(self, device: str) -> str | None:
        """Name the node that feeds a device, if there is one."""
        if device in self.evses:
            return self.evses[device].node
        for evse, meter in self._metered_evses().items():
            if meter == device:
                return self.evses[evse].node
        measured = next((node for node, meter in self._metered_nodes().items() if meter == device), MODULE)
        return self._parents.get(measured)

    def _reading(
        self, current_A: Vector3, imported_Wh: float, exported_Wh: float, true_V: Vector3 = (VOLTAGE_V,) * 3
    ) -> Reading:
        gauss = self._random.gauss
        u1, u2, u3 = true_V
        voltage = (u1 + gauss(0, NOISE_V), u2 + gauss(0, NOISE_V), u3 + gauss(0, NOISE_V))
        one, two, three = (i + gauss(0, NOISE_A) for i in current_A)
        power = (one * voltage[0], two * voltage[1], three * voltage[2])
        return Reading(
            taken_at=0.0,
            current_A=(one, two, three),
            voltage_V=voltage,
            power_W=power,
            total_power_W=sum(power),
            energy_import_Wh=imported_Wh,
            energy_export_Wh=exported_Wh,
            frequency_Hz=50.0,
        )

    def _everest_evse(self, name: str) -> Evse:
        hardware = self._scenario.everest.get(name)
        node = self._scenario.node_of(name)
        feed_ohm = self._scenario.feeds_ohm.get(name, 0.0)
        return Evse.of_everest(name, node, self._scenario.rotations[name], hardware, feed_ohm)

    def _connector(self, name: str, config: ConnectorConfig) -> Evse:
        section = self._scenario.site.connectors[name]
        point = ChargePoint(
            max_current_A=min(config.maximum_A, config.profile.current_limit.maximum),
            phases=config.profile.phases,
            feed_ohm=self._scenario.feeds_ohm.get(name, 0.0),
        )
        return Evse(name, section.node, self._scenario.rotations[name], point)

    def _add_devices(self, clock: Callable[[], float]) -> None:
        site = self._scenario.site
        for name, meter in self._simulated(site.bridged_meters):
            read = partial(self.read_meter, name)
            self._add(name, meter.bus, meter.unit, MeterDevice(meter.profile, read))
        for name, relay in self._simulated(site.bridged_relays):
            self._add(name, relay.bus, relay.unit, ContactorBoard(relay.profile))
        boxes: dict[tuple[str, int], dict[str, WallboxDevice]] = {}
        for name, config in self._simulated(site.bridged_connectors):
            point = self.evses[name].point
            box = WallboxDevice(config.profile, point, clock=clock, base=config.profile.base(config.number))
            boxes.setdefault((config.bus, config.unit), {})[name] = box
            if config.contactors is not None:
                board = self.devices[config.contactors.board]
                assert isinstance(board, ContactorBoard)
                main = config.contactors.main
                board.wire(point, config.contactors.phases.relay, main.relay if main is not None else None)

        for (bus, unit), connectors in boxes.items():
            several = list(connectors.values())
            charger = several[0] if len(several) == 1 else ChargerDevice(several)
            for name in connectors:
                self._add(name, bus, unit, charger)

    def _simulated(self, devices: Mapping[str, T]) -> Iterator[tuple[str, T]]:
        """Give the devices that are to be simulated: all, where none is real."""
        yield from devices.items()

    def _add(self, name: str, bus: str, unit: int, device: RegisterDevice) -> None:
        self.devices[name] = self.buses[bus][unit] = device


def sun_load(scenario: Scenario, seed: int) -> Load:
    """Make the generation of a day by the seeded model."""
    plan, start = scenario.sun, scenario.start
    if plan is None:
        raise ValueError(f"{scenario.name} has no generation by a model")
    return Roof(
        plan.peak_W,
        start_s=start.hour * 3600 + start.minute * 60 + start.second,
        day_of_year=start.timetuple().tm_yday,
        weather=plan.weather,
        seed=seed,
        phases=plan.phases,
        voltage_V=VOLTAGE_V,
    )


def _loads_of(plan: LoadPlan, seed: str) -> list[tuple[str, Load]]:
    """Make the parts of a load."""
    parts: list[tuple[str, Load]] = []
    if plan.model is not None:
        parts.append(
            ("", House(_MODELS[plan.model], base_A=plan.constant_A, seed=Random(seed).randrange(1 << 30)))
        )
    elif plan.constant_A != ZERO or not plan.points:
        parts.append(("" if not plan.points else " base", ProfileLoad([(0.0, plan.constant_A)])))
    if plan.points:
        parts.append(("" if not parts else " profile", ProfileLoad(plan.points, is_smooth=plan.is_smooth)))
    return parts


__all__ = ["CarPlan", "Stage"]

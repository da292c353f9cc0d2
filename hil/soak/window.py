"""Windows: pieces of a soak, each a random scenario made from its seed alone."""

from dataclasses import dataclass, replace
from random import Random
from typing import Any

from hil.soak.faults import Fault, fault

WINDOW_H = 2
MINIMUM_A = 6.0
PAUSE_S = 30
"""A cloud may take away faster than pilots may move: who then has to pause comes back as soon as they may."""
RECOVERS_WITHIN_S = 600
"""After the last fault and the last arrival, until everybody charges."""
CALM_S = 1200
"""Nothing is disturbed at the end of a window, so that all must be well again."""

DRIFT_PERCENT = 105
"""A load that grows for minutes is followed by cars that take 5 s each time: all the while the fuse carries a
little more than its rating, which no breaker minds."""
FROZEN_S = 60
"""For so long the values of a frozen meter are believed: `frozen_after` of the site file."""

_METERS = (
    "eastron_sdm630",
    "abb_b23_b24",
    "carlo_gavazzi_em330_em340_em530_em540",
    "siemens_pac2200_pac3120_pac3200",
)
_WALLBOXES = (
    "alfen_eve",
    "keba_p30_p40",
    "abb_terra_ac",
    "mennekes_amtron_compact_2s",
    "heidelberg_energy_control",
    "phoenix_charx",
)
_CARS = ("11 kW", "11 kW", "22 kW", "7 kW", "two phases", "plug-in hybrid", "slow")
_ROTATIONS = ("L1 L2 L3", "L2 L3 L1", "L3 L1 L2")
_METER_ROUND = 5
"""Amperes of the house are round numbers of this, so that a window reads well."""

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Window:
    """A random scenario, in parts that can be left out.

    Attributes
    ----------
    seed : int
        What it was made from, and the seed of its run.
    site, settings : dict
        As in the file of a scenario.
    house : dict
        Profile of the other loads.
    cars : dict
        By name.
    faults : tuple of Fault
        What goes wrong, in order of time.
    lasts_s : int
        Length.
    """

    seed: int
    site: Json
    settings: Json
    house: Json
    pv: Json | None
    cars: Json
    faults: tuple[Fault, ...]
    lasts_s: int = WINDOW_H * 3600

    @property
    def document(self) -> Json:
        """The scenario, as its file has it, with the invariants as its assertions."""
        events: dict[str, list[str]] = {}
        for one in self.faults:
            events.setdefault(f"+{one.at_s} s", []).append(one.text)
        document: Json = {
            "title": f"Window {self.seed} of a soak",
            "start": "10:00",
            "lasts": f"{self.lasts_s} s",
            "seed": self.seed,
            "settings": self.settings,
            "site": self.site,
            "house": self.house,
            "cars": self.cars,
            "events": events,
            "assert": self._invariants(),
        }
        if self.pv:
            document["pv"] = self.pv
        return document

    def _invariants(self) -> list[str]:
        nodes = ["grid", *self.site.get("nodes", {})]
        arrivals_s = [int(car.get("arrives", "+0 s")[1:-2]) for car in self.cars.values()]
        calm_s = max([*(one.ends_s for one in self.faults), *arrivals_s], default=0) + RECOVERS_WITHIN_S
        blind_s = FROZEN_S if any(one.kind == "frozen meter" for one in self.faults) else 0
        invariants = [
            *(f"fuse {node} never above {DRIFT_PERCENT} % for more than {blind_s + 15} s" for node in nodes),
            "breaker never trips",
            "no contactor moves under load",
        ]
        if calm_s < self.lasts_s - 60:
            invariants.append(f"nobody is paused for more than {PAUSE_S} s from +{calm_s} s to the end")
        return invariants

    def without_fault(self, index: int) -> "Window":
        """Leave out one of the faults."""
        return replace(self, faults=self.faults[:index] + self.faults[index + 1 :])

    def without_car(self, name: str) -> "Window":
        """Leave out one of the cars."""
        return replace(self, cars={other: car for other, car in self.cars.items() if other != name})


def window(seed: int) -> Window:
    """Make the window of a seed: always the same one."""
    random = Random(seed)
    most_A = _METER_ROUND * random.randint(1, 4)
    evses = random.randint(1, 5)
    # minimum currents fit beside the house whatever it draws, so that nobody has to wait for a turn
    least_A = int(most_A + MINIMUM_A * evses) + 2
    fuse_A = random.choice([rating for rating in (16, 20, 25, 32, 35, 40, 50, 63, 80) if rating >= least_A])
    names = [f"evse_{n}" for n in range(1, evses + 1)]
    bridged = random.randint(0, min(evses, 3))
    site = _site(random, fuse_A, most_A, names[:bridged], names[bridged:])
    return Window(
        seed=seed,
        site=site,
        settings={},
        house={"profile": _profile(random, most_A)},
        pv={"peak": f"{random.randint(3, 12)} kW", "weather": "cloudy"} if random.random() < 0.3 else None,
        cars={f"car_{n}": _car(random, name) for n, name in enumerate(names, start=1)},
        faults=_faults(random, site),
    )


def _site(random: Random, fuse_A: int, most_A: int, bridged: list[str], everest: list[str]) -> Json:
    site: Json = {
        "grid": {"fuse": f"{fuse_A} A", "meter": "house", "fallback": f"{fuse_A - most_A} A"},
        "buses": {
            "line": {
                "serial": "/dev/serial/by-id/usb-line",
                "baudrate": 19200,
                "parity": "N",
                "stop_bits": 1,
            },
            "lan": {"host": "192.0.2.40"},
        },
        "meters": {"house": {"profile": random.choice(_METERS), "bus": "line", "unit": 1}},
    }
    place = {}
    if len(everest) + len(bridged) > 2 and random.random() < 0.5:
        site["nodes"] = {"row": {"fuse": f"{min(fuse_A, random.choice((25, 32)))} A"}}
        place = {"node": "row"}
    if bridged:
        site["connectors"] = {
            name: {
                "profile": random.choice(_WALLBOXES),
                "bus": "lan",
                "unit": unit,
                "phase_rotation": random.choice(_ROTATIONS),
                "fallback_current": "6 A",
                **(place if unit % 2 else {}),
            }
            for unit, name in enumerate(bridged, start=2)
        }
    site["evses"] = {
        name: {"phase_rotation": random.choice(_ROTATIONS), **(place if n % 2 else {})}
        for n, name in enumerate(everest)
    }
    return site


def _profile(random: Random, most_A: int) -> Json:
    """Draw steps of the house at random times, each phase for itself."""
    times = sorted(random.sample(range(60, WINDOW_H * 3600, 30), random.randint(4, 30)))
    return {f"+{at} s": [f"{random.randint(0, most_A)} A" for _ in range(3)] for at in (0, *times)}


def _car(random: Random, evse: str) -> Json:
    car: Json = {"at": evse, "model": random.choice(_CARS), "soc": f"{random.randint(10, 50)} %"}
    arrives_s = random.choice((0, random.randint(10, 3600)))
    if arrives_s:
        car["arrives"] = f"+{arrives_s} s"
    if random.random() < 0.3:
        car["leaves"] = f"+{random.randint(arrives_s + 300, WINDOW_H * 3600 - 300)} s"
    return car


def _faults(random: Random, site: Json) -> tuple[Fault, ...]:
    latest_s = WINDOW_H * 3600 - CALM_S
    starts = sorted(random.randint(120, latest_s - 300) for _ in range(random.randint(2, 8)))
    return tuple(fault(random, site, at_s, min(600, latest_s - at_s)) for at_s in starts)

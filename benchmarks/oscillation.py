"""How much grants move, and what the fuse has to bear: ten unlike cars beside a house.

Three rules on the same half hour:

- EVerest's: the optimiser on the fuse, without any meter. Grants stand still, and the house comes on top.
- naive: the optimiser on the fuse less whatever the meter shows beside the newest samples of the EVSEs, once
  a second. This is what a manager without memory does.
- ours.

"breaker" is how near the most sensitive breaker of type B came to tripping. "needless" are pauses while the
minima of all cars fit beside the house; cars that follow only after 8 s are slower than IEC 61851-1 allows.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

from rich.console import Console
from rich.table import Table

from energy_management import EnergyManager, EvseAttributes, ManagerConfig, NodeAttributes, Site
from hil.plant import Appliance, CarModel, House
from hil.virtual_site import Frame, LivelyCar, VirtualEvse, VirtualSite

FUSE_A = 63.0
SECONDS = 1800
CARS = 10
NOISE_A = 0.1
WIRING = (("L1 L2 L3", (0, 1, 2)), ("L2 L3 L1", (1, 2, 0)), ("L3 L1 L2", (2, 0, 1)))

KITCHEN = (
    Appliance("fridge", (0.0, 0.6, 0.0), on_s=300.0, off_s=600.0),
    Appliance("kettle", (8.7, 0.0, 0.0), on_s=120.0, off_s=400.0),
    Appliance("oven", (0.0, 7.0, 7.0), on_s=40.0, off_s=60.0),
    Appliance("heat pump", (9.0, 9.0, 9.0), on_s=400.0, off_s=500.0),
)


def run() -> list[dict[str, Any]]:
    """Run all three; one row of figures each."""
    return [
        _figures("EVerest's rule", _site(closed_loop=False, meter_s=None)),
        _figures("naive subtraction", _site(closed_loop=False, meter_s=None, limit_A=_left_by_the_house)),
        _figures("ours", _site(closed_loop=True, meter_s=1.0)),
    ]


def show(rows: list[dict[str, Any]], console: Console) -> None:
    """Print the figures."""
    table = Table(title=f"{CARS} cars with lags of 0 to 8 s on {FUSE_A:.0f} A, {SECONDS // 60} minutes")
    for title in (
        "rule",
        "|change|",
        "pauses",
        "needless",
        "overloaded",
        "longest overload",
        "breaker",
        "charged",
    ):
        table.add_column(title, justify="left" if title == "rule" else "right")
    for row in rows:
        table.add_row(
            row["rule"],
            f"{row['changes_A_per_h']:.0f} A/h",
            str(row["pauses"]),
            str(row["needless_pauses"]),
            f"{row['overloaded_s']:.0f} s",
            f"{row['longest_overload_s']:.0f} s",
            f"{row['breaker_percent']:.1f} %",
            f"{row['charged_kWh']:.1f} kWh",
        )
    console.print(table)


def _site(
    *, closed_loop: bool, meter_s: float | None, limit_A: Callable[[VirtualSite], float] | None = None
) -> VirtualSite:
    names = [f"evse{position}" for position in range(CARS)]
    site = Site(
        {name: EvseAttributes(WIRING[position % 3][0]) for position, name in enumerate(names)},
        {"grid": NodeAttributes(fallback_A=10.0)} if meter_s else {},
    )
    evses = [
        VirtualEvse(name, _car(position), 3.0 * position, rotation=WIRING[position % 3][1])
        for position, name in enumerate(names)
    ]
    manager = EnergyManager(ManagerConfig(closed_loop=closed_loop), site)
    house = House(KITCHEN, seed=7)
    return VirtualSite(manager, FUSE_A, evses, house, meter_s=meter_s, limit_A=limit_A, noise_A=NOISE_A).run(
        SECONDS
    )


def _car(position: int) -> LivelyCar:
    """One of ten: another lag, charger, battery and state of charge each."""
    model = CarModel(
        phases=(3, 1, 3, 2)[position % 4],
        max_current_A=(16.0, 32.0, 11.0)[position % 3],
        reaction_s=8.0 * position / (CARS - 1),
        ramp_A_per_s=(8.0, 4.0, 2.0)[position % 3],
        capacity_Wh=30_000.0,
    )
    return LivelyCar(model, soc=0.5 + 0.04 * position, wander_A=0.3, seed=position)


def _left_by_the_house(site: VirtualSite) -> float:
    """Return the fuse less what the meter shows beside the newest samples, on the worst phase."""
    drawn = [0.0, 0.0, 0.0]
    for evse in site.evses:
        sample = evse.request["energy_usage_root"]["current_A"]
        for conductor, name in enumerate(("L1", "L2", "L3")):
            drawn[evse.rotation[conductor]] += sample[name]
    house = [max(0.0, grid - evses) for grid, evses in zip(site.grid_A, drawn, strict=True)]
    return max(0.0, site.fuse_A - max(house))


def _figures(rule: str, site: VirtualSite) -> dict[str, Any]:
    settled = list(site.since(60.0))
    changes_A = sum(
        abs(later.grants_A[name] - earlier.grants_A[name])
        for earlier, later in pairwise(settled)
        for name in earlier.grants_A
    )
    paused = [
        later
        for earlier, later in pairwise(settled)
        for name in earlier.states
        if earlier.states[name] == "Charging" and later.states[name] in ("PausedEVSE", "Finished")
    ]
    durations_s = [overload.duration_s for overload in site.watch.overloads]
    return {
        "rule": rule,
        "changes_A_per_h": changes_A * 3600.0 / (SECONDS - 60.0),
        "pauses": len(paused),
        "needless_pauses": sum(_minima_fit(site, frame) for frame in paused),
        "overloaded_s": sum(durations_s),
        "longest_overload_s": max(durations_s, default=0.0),
        "breaker_percent": 100.0 * site.breaker.hottest,
        "charged_kWh": sum(evse.manager.point.energy_Wh for evse in site.evses) / 1000.0,
    }


def _minima_fit(site: VirtualSite, frame: Frame) -> bool:
    """Whether all cars could have drawn their minimum beside the house."""
    needed = list(frame.house_A)
    for evse in site.evses:
        if evse.car is not None:
            for phase in evse.rotation[: evse.car.model.phases]:
                needed[phase] += evse.car.model.min_current_A
    return max(needed) <= site.fuse_A

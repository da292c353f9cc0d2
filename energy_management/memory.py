"""What the last seconds have shown of EVSEs and meters."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from energy_management.base_load import BaseLoad, Measured
from energy_management.draws import NOTHING, REMEMBERED_S, Bounds, Draw, InForce, currents_of, on_grid
from energy_management.measurement import Reading, Vector3
from energy_management.site import ROTATIONS, Site
from energy_management.tree import Tree
from energy_management.trust import MeterTrust
from energy_management.usage import Usage
from energy_management.wiring import Learner

CHARGING = "Charging"
"""The `evse_state` in which an EVSE counts as drawing its grant, where nobody measures it."""

WITHOUT_CAR = ("Unplugged", "Disabled", "Finished")
"""In these an EVSE has nothing that could draw its grant."""

CAR_HAS_LEFT = ("Unplugged", "Disabled")
"""The same without Finished, which is also what EVerest calls an EVSE that is just being paused."""


@dataclass
class NodeMemory:
    """What is remembered of one node with a meter."""

    trust: MeterTrust = field(default_factory=MeterTrust)
    base_load: BaseLoad = field(default_factory=BaseLoad)


@dataclass
class Memory:
    """What is remembered of all, by uuid.

    Attributes
    ----------
    draws : dict
        Of EVSEs.
    usages : dict
        What cars make of their grants.
    learners : dict
        Of EVSEs whose wiring is not known.
    nodes : dict
        Of nodes with a meter.
    in_force : mapping
        Of EVSEs whose answers are known: what may still be in force there.
    """

    draws: dict[str, Draw] = field(default_factory=dict)
    usages: dict[str, Usage] = field(default_factory=dict)
    learners: dict[str, Learner] = field(default_factory=dict)
    nodes: dict[str, NodeMemory] = field(default_factory=dict)
    in_force: Mapping[str, InForce] = field(default_factory=dict)

    def base_loads_A(self) -> dict[str, list[float | None]]:
        """Return the base loads that count at present, by node; None on phases never measured."""
        return {
            uuid: [None if math.isnan(current) else current for current in node.base_load.counting_A]
            for uuid, node in self.nodes.items()
        }

    def begin_with(self, base_loads_A: Mapping[str, Sequence[float | None]], monotonic_s: float) -> None:
        """Begin with base loads that another run knew: they count as if they had just been seen."""
        for uuid, values in base_loads_A.items():
            one, two, three = (math.nan if value is None else value for value in values)
            estimate = Measured(monotonic_s, (one, two, three))
            self.nodes[uuid] = NodeMemory(
                base_load=BaseLoad(estimate.current_A, estimates=[estimate], counting_A=estimate.current_A)
            )

    def observe(
        self,
        tree: Tree,
        site: Site,
        readings: Mapping[str, Reading],
        granted_A: Sequence[Vector3],
        own_A: Sequence[float],
        *,
        monotonic_s: float,
        voltage_V: float,
    ) -> None:
        """Take the newest samples of all EVSEs, and what they may do from now on; others are forgotten.

        Parameters
        ----------
        granted_A : sequence of Vector3
            The grants in force, per grid phase.
        own_A : sequence of float
            The most that each EVSE could be granted.
        """
        known = self.draws
        self.draws = {uuid: known.get(uuid) or Draw() for uuid in tree.evse_uuids}
        for position, granted, own, (uuid, draw) in zip(
            tree.evses.tolist(), granted_A, own_A, self.draws.items(), strict=True
        ):
            draw.forget_before(monotonic_s - REMEMBERED_S)
            state = tree.nodes[position].get("evse_state", CHARGING)
            if state == "Unplugged":
                self.usages.pop(uuid, None)
            draw.note_car(monotonic_s, is_there=state not in CAR_HAS_LEFT)
            is_limited = max(granted) < own
            most_A = self._most_A(uuid, granted, draw)
            draw.allow(_allowed(state, granted, most_A, monotonic_s, is_limited=is_limited))
            reading = readings.get(uuid)
            if reading is not None:
                attributes = site.evses.get(uuid)
                rotation = attributes.phase_rotation if attributes else None
                currents_A = currents_of(reading, voltage_V)
                if not any(map(math.isnan, currents_A)):
                    wiring = None if rotation is None else ROTATIONS[rotation]
                    draw.sample(on_grid(currents_A, wiring, reading.taken_at))

    def _most_A(self, uuid: str, granted_A: Vector3, draw: Draw) -> Vector3:
        """Return what an EVSE may draw: its grant, or more while a higher limit may still be in force."""
        in_force = self.in_force.get(uuid)
        if in_force is None or in_force.current_A <= max(granted_A):
            return granted_A
        before_A = draw.allowed[-1].most_A if draw.allowed else NOTHING
        return before_A if max(before_A) >= in_force.current_A else (in_force.current_A,) * 3


def _allowed(state: str, granted_A: Vector3, most_A: Vector3, now_s: float, *, is_limited: bool) -> Bounds:
    """Bounds of what an EVSE may draw by its state and its limits, of which export is negative.

    One that charges counts with its grant, but only a grant that limits it tells what a car can draw.
    """
    if state in WITHOUT_CAR:
        return Bounds(now_s, NOTHING, NOTHING)
    if min(granted_A) < 0.0:
        return Bounds(now_s, granted_A, NOTHING)
    return Bounds(now_s, granted_A if state == CHARGING and is_limited else NOTHING, most_A)

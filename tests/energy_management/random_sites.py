"""Random sites: trees of nodes and EVSEs with all that a request may hold, of any size."""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from tests.energy_management.problem import Json
from tests.energy_management.trees import NOW, dc_evse, entry, evse, limits, node

FEATURES = (
    "minima",  # EVSEs that need 6 A or more
    "states",  # unplugged, waiting, paused
    "single_phase",  # one and two phases, with and without a known rotation
    "rotation",
    "watts",  # power limits on nodes and EVSEs
    "leaves",  # limits on both sides of a node
    "efficiency",
    "dc",
    "export",
    "setpoints",
    "priorities",
    "weights",
    "schedules",  # limits that change over time
    "pass_through",  # nodes without any schedule
    "phase_limits",
    "switching",
    "unbalance",  # limits of the difference between phases
)


@dataclass(frozen=True)
class Case:
    """A request with its settings; `origin` says how to make it again, and is all that is printed of it."""

    request: Json = field(repr=False)
    config: dict[str, Any] = field(repr=False)
    site: Json = field(repr=False)
    origin: str = ""


def random_case(seed: int, evses: int, depth: int, features: Collection[str]) -> Case:
    """A site with up to `evses` EVSEs and `depth` levels of nodes, using only the features named."""
    rng = random.Random(seed)
    maker = _Maker(rng, features)
    request = maker.node(evses, depth)
    config: dict[str, Any] = {"nominal_ac_voltage": rng.choice([230.0, 240.0, 120.0])}
    if "schedules" in features:
        config |= {
            "schedule_interval_duration": rng.choice([15, 30, 60]),
            "update_interval": rng.choice([1, 5]),
        }
    if "switching" in features:
        config |= {
            "switch_3ph1ph_while_charging_mode": rng.choice(["Never", "Oneway", "Both"]),
            "switch_3ph1ph_time_hysteresis_s": rng.choice([0, 600]),
        }
    origin = f"random_case({seed}, {evses}, {depth}, {sorted(features)})"
    return Case(request, config, {"evses": maker.attributes, "nodes": maker.node_attributes}, origin)


class _Maker:
    """Draws nodes and EVSEs with serial uuids."""

    def __init__(self, rng: random.Random, features: Collection[str]) -> None:
        self.rng = rng
        self.features = features
        self.nodes = 0
        self.evses = 0
        self.attributes: dict[str, Json] = {}
        self.node_attributes: dict[str, Json] = {}

    def happens(self, feature: str, chance: float = 0.4) -> bool:
        return feature in self.features and self.rng.random() < chance

    def tenths(self, low: float, high: float) -> float:
        return self.rng.randint(round(low * 10), round(high * 10)) / 10

    def node(self, evses: int, depth: int) -> Json:
        """A node over so many EVSEs, some of them behind further nodes."""
        children = []
        left = evses
        while left > 0:
            if depth > 1 and self.rng.random() < 0.6:
                share = self.rng.randint(1, left)
                children.append(self.node(share, depth - 1))
                left -= share
            else:
                children.append(self.evse())
                left -= 1
        self.rng.shuffle(children)
        self.nodes += 1
        made = node(f"n{self.nodes}", children, **self.node_limits(evses))
        if self.happens("unbalance"):
            self.node_attributes[made["uuid"]] = {"max_unbalance_A": self.rng.choice([0.0, 5.0, 20.0])}
        if self.happens("pass_through", 0.15):
            return {**made, "schedule_import": [], "schedule_export": []}
        return self.over_time(made)

    def node_limits(self, evses: int) -> dict[str, Any]:
        scale = self.rng.choice([4, 8, 12, 20, 40]) * evses
        found: dict[str, Any] = {
            "A": self.tenths(0, scale) if self.rng.random() < 0.9 else None,
            "export_A": self.tenths(0, scale),
        }
        if self.happens("watts"):
            found["W"] = self.tenths(0, scale * 600)
        if self.happens("leaves"):
            found["leaves_A"] = self.tenths(0, scale)
        if self.happens("leaves", 0.2):
            found["leaves_W"] = self.tenths(0, scale * 600)
        if self.happens("efficiency", 0.3):
            found["efficiency"] = self.rng.choice([0.8, 0.9, 0.95])
        if self.happens("phase_limits", 0.1):
            found["phases"] = self.rng.choice([1, 2])
        if self.happens("setpoints", 0.15):
            found["setpoint"] = {
                "priority": self.rng.choice([0, 0, 5]),
                "source": "setpoint",
            } | self.rng.choice(
                [
                    {"ac_current_A": self.tenths(-10, scale)},
                    {"total_power_W": self.tenths(-5_000, scale * 500)},
                ]
            )
        return found

    def evse(self) -> Json:
        self.evses += 1
        uuid = f"e{self.evses}"
        self.attributes[uuid] = self.attributes_of_evse()
        if self.happens("dc", 0.3):
            made = dc_evse(
                uuid,
                W=self.tenths(0, 60_000),
                A=self.rng.choice([None, 250.0]),
                efficiency=self.rng.choice([0.9, 0.95]) if self.happens("efficiency") else None,
            )
            return self.over_time(made)
        phases = self.rng.choice([1, 1, 2, 3]) if "single_phase" in self.features else 3
        switches = phases == 3 and self.happens("switching", 0.6)
        made = evse(
            uuid,
            A=self.tenths(0, 40),
            min_A=self.rng.choice([0.0, 6.0, 6.0, 8.0]) if "minima" in self.features else 0.0,
            W=self.tenths(0, 12_000) if self.happens("watts", 0.2) else None,
            phases=phases,
            active=self.rng.choice([1, 3]) if switches else phases,
            can_switch=switches,
        )
        if self.happens("states"):
            made["evse_state"] = self.rng.choice(
                [
                    "Unplugged",
                    "Finished",
                    "Disabled",
                    "WaitForAuth",
                    "PausedEV",
                    "PausedEVSE",
                    "WaitForEnergy",
                ]
            )
        if self.happens("export", 0.3):
            self.make_bidirectional(made)
        return self.over_time(made)

    def make_bidirectional(self, made: Json) -> None:
        export = made["schedule_export"][0]["limits_to_root"]
        export["ac_max_current_A"] = {"value": self.tenths(0, 20), "source": "export"}
        if self.rng.random() < 0.5:  # asks for nothing but export
            made["schedule_import"][0]["limits_to_root"]["ac_max_current_A"] = {
                "value": 0.0,
                "source": "import",
            }

    def attributes_of_evse(self) -> Json:
        found: Json = {}
        if self.happens("rotation", 0.7):
            found["phase_rotation"] = self.rng.choice(["L1 L2 L3", "L2 L3 L1", "L3 L1 L2", "L1 L3 L2"])
        if "priorities" in self.features:
            found["priority"] = self.rng.choice([0, 0, 1, 2])
        if "weights" in self.features:
            found["weight"] = self.rng.choice([0.5, 1.0, 1.0, 2.0, 3.0])
        return found

    def over_time(self, made: Json) -> Json:
        """The same node with limits that change, from an entry of the past to two of the future."""
        if not self.happens("schedules"):
            return made
        first = made["schedule_import"][0]
        scaled = [first]
        for minutes in (-20, 10, 40):
            changed = entry({}, first["limits_to_leaves"], NOW + timedelta(minutes=minutes))
            changed["limits_to_root"] = dict(first["limits_to_root"])
            current = first["limits_to_root"].get("ac_max_current_A")
            if current is not None:
                changed["limits_to_root"] |= limits(
                    made["uuid"], ac_max_current_A=round(current["value"] * self.rng.random(), 1)
                )
            if "conversion_efficiency" in first:
                changed["conversion_efficiency"] = first["conversion_efficiency"]
            scaled.append(changed)
        self.rng.shuffle(scaled)
        return {**made, "schedule_import": scaled}


def shuffled(request: Json, rng: random.Random) -> Json:
    """The same tree with the children of every node in another order."""
    children = [shuffled(child, rng) for child in request["children"]]
    rng.shuffle(children)
    return {**request, "children": children}

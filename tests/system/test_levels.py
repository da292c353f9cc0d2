"""Three levels of module instances decide as one instance does that is handed the whole tree at once."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.system.bench import Bench, running, to

Json = dict[str, Any]
NOW = "2026-01-01T00:00:00.000Z"


def leaf(uuid: str, most_A: float, least_A: float = 6.0, phases: int = 3, **more: Any) -> Json:
    root = {
        "ac_max_current_A": {"value": most_A, "source": uuid},
        "ac_min_current_A": {"value": least_A, "source": uuid},
        "ac_max_phase_count": {"value": phases, "source": uuid},
        "ac_min_phase_count": {"value": 1, "source": uuid},
        "ac_number_of_active_phases": phases,
        "ac_supports_changing_phases_during_charging": False,
        **more,
    }
    return {
        "uuid": uuid,
        "node_type": "Evse",
        "evse_state": "Charging",
        "children": [],
        "schedule_import": [{"timestamp": NOW, "limits_to_root": root, "limits_to_leaves": {}}],
        "schedule_export": [],
        "schedule_setpoints": [],
    }


LEAVES = [
    leaf("back_bay", 32),
    leaf("corner_bay", 9),  # its cable takes no more
    leaf("lift", 32, phases=1),
    leaf("ramp", 32, total_power_W={"value": 5520, "source": "ramp"}),  # 8 A
    leaf("street", 32, least_A=10),
]
FUSES_A = {"site": 50.0, "house": 30.0, "garage": 13.0}


def node(uuid: str, *children: Json) -> Json:
    limits = {
        "ac_max_current_A": {"value": FUSES_A[uuid], "source": f"{uuid}/module_config"},
        "ac_max_phase_count": {"value": 3, "source": f"{uuid}/module_config"},
    }
    fuse = [{"timestamp": NOW, "limits_to_root": limits, "limits_to_leaves": limits}]
    return {
        "uuid": uuid,
        "node_type": "Generic",
        "children": list(children),
        "schedule_import": fuse,
        "schedule_export": fuse,
        "schedule_setpoints": [],
    }


def as_levels(requests: Path) -> Json:
    """Manager, three nodes, five leaves."""

    def instance(uuid: str, *children: Json) -> Json:
        return {
            "module": "PyEnergyManager",
            "config_module": {"role": "node", "fuse_limit_A": FUSES_A[uuid]},
            "connections": {"energy_consumer": list(children)},
        }

    bay, corner, lift, ramp, street = (to("leaves", f"leaf{number}") for number in range(1, 6))
    return {
        "manager": {"module": "PyEnergyManager", "connections": {"energy_trunk": [to("site")]}},
        "site": instance("site", to("house"), street),
        "house": instance("house", to("garage"), lift, ramp),
        "garage": instance("garage", bay, corner),
        "leaves": {"module": "Leaves", "config_module": {"requests": str(requests)}},
    }


def as_one(request: Path) -> Json:
    return {
        "manager": {"module": "PyEnergyManager", "connections": {"energy_trunk": [to("leaves", "leaf1")]}},
        "leaves": {"module": "Leaves", "config_module": {"requests": str(request)}},
    }


def test_three_levels_give_the_limits_of_one_instance(shared_mosquitto: str, tmp_path: Path) -> None:
    leaves, whole = tmp_path / "leaves.json", tmp_path / "whole.json"
    leaves.write_text(json.dumps(LEAVES))
    bay, corner, lift, ramp, street = LEAVES
    tree = node("site", node("house", node("garage", bay, corner), lift, ramp), street)
    whole.write_text(json.dumps([tree]))

    def settled(modules: Json) -> dict[str, Json]:
        with running({"active_modules": modules}, shared_mosquitto, tmp_path) as bench:
            # garage: 13 A for two; house: what garage and ramp leave is the lift's; site: the rest
            bench.wait_for_limits(corner_bay=6.5, back_bay=6.5, ramp=8, lift=9, street=20)
            assert bench.warnings() == []
            return limits(bench)

    with ThreadPoolExecutor() as pool:
        levels, one = pool.map(settled, [as_levels(leaves), as_one(whole)])
    assert levels.keys() == one.keys()
    for uuid in one:
        assert levels[uuid] == pytest.approx(one[uuid], rel=1e-6), uuid


def limits(bench: Bench) -> dict[str, Json]:
    """Newest limits of each EVSE: value by name, of each slot."""
    return {
        evse: {
            f"{slot} {name}": limit["value"]
            for slot, entry in enumerate(sent[-1].limits["schedule"])
            for name, limit in entry["limits_to_root"].items()
        }
        for evse, sent in bench.book.sent.items()
    }

"""Hardware of other EVerest modules: a serial hub with meter and charger, and the board of a charger."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.system.bench import Bench, running, to

pytestmark = pytest.mark.xdist_group("hardware")

CABLE_A = 20.0
SITE: dict[str, dict[str, Any]] = {
    "grid": {"fuse": "63 A", "meter": "house"},
    "buses": {"rs485": {"everest_hub": True}},
    "meters": {"house": {"profile": "eastron_sdm630", "bus": "rs485", "unit": 1}},
    "connectors": {
        "yard": {"profile": "phoenix_em_cp_pp_eth", "bus": "rs485", "unit": 2, "phase_rotation": "L1 L2 L3"},
        "carport": {
            "profile": "phoenix_em_cp_pp_eth",
            "bus": "carport",
            "unit": 1,
            "bsp": "board",
            "phase_rotation": "L1 L2 L3",
        },
    },
}


def site_file(directory: Path, line: Path) -> Path:
    path = directory / "site.yaml"
    buses = {
        **SITE["buses"],
        "carport": {"serial": str(line), "baudrate": 9600, "parity": "N", "stop_bits": 1},
    }
    path.write_text(yaml.safe_dump({**SITE, "buses": buses}), encoding="utf-8")
    return path


def config(site: Path, line: Path) -> dict[str, Any]:
    manager = {
        "module": "PyEnergyManager",
        "config_module": {"site_file": str(site), "switch_3ph1ph_while_charging_mode": "Both"},
        "connections": {"serial_hub": [to("hub", "main")], "bsp": [to("board", "board")]},
    }
    station = {"line": str(line), "ampacity": "A_20"}
    return {
        "active_modules": {
            "manager": manager,
            "hub": {"module": "SimSerialHub"},
            "board": {"module": "SimBoard", "config_module": station},
        }
    }


def one_phase(bench: Bench) -> None:
    """Have the grid connection of the manager charge on one phase only."""
    limits = {"ac_max_phase_count": {"value": 1, "source": "tester"}}
    entry = {"timestamp": "2026-01-01T00:00:00.000Z", "limits_to_root": limits, "limits_to_leaves": {}}
    value = {"schedule_import": [entry], "schedule_export": [], "schedule_setpoints": []}
    bench.call("manager", "external_limits", "set_external_limits", value=value)


def said(bench: Bench, module: str, text: str) -> bool:
    return any(module in line and text in line for line in bench.lines)


def test_a_hub_and_a_board_of_other_modules_are_driven(shared_mosquitto: str, tmp_path: Path) -> None:
    line = tmp_path / "rs485"

    def wait_for(module: str, text: str) -> None:
        bench.wait_for(lambda: said(bench, module, text), f"{module}: {text}")

    with running(config(site_file(tmp_path, line), line), shared_mosquitto, tmp_path) as bench:
        wait_for("hub", "draws 16, 16, 16 A")  # what the car takes
        wait_for("board", "draws 20, 20, 20 A")  # what the cable carries
        one_phase(bench)
        wait_for("board", "switched to 1 phases")
        wait_for("board", "draws 20, 0, 0 A")
        drawn_A = [
            float(found[1]) for told in bench.lines if (found := re.search(r"board.*draws (\d+),", told))
        ]
        assert max(drawn_A) <= CABLE_A
    assert not said(bench, "board", "A flow"), "the board was told under load"
    assert not said(bench, "manager", "meter house:"), "the meter was lost"

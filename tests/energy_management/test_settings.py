"""Settings and attributes are checked when they are read, with one line that says what to change."""

from __future__ import annotations

from typing import Any

import pytest

from energy_management import EvseAttributes, ManagerConfig, NodeAttributes, Site


def test_settings_have_everests_defaults() -> None:
    config = ManagerConfig.from_dict({})
    assert (config.nominal_ac_voltage, config.update_interval) == (230.0, 1)
    assert (config.schedule_interval_duration, config.schedule_total_duration) == (60, 1)
    assert (config.slice_ampere, config.slice_watt, config.debug) == (0.5, 500, False)
    assert config.switch_3ph1ph_while_charging_mode == "Never"
    assert config.switch_3ph1ph_max_nr_of_switches_per_session == 0
    assert config.switch_3ph1ph_switch_limit_stickyness == "DontChange"
    assert config.switch_3ph1ph_power_hysteresis_W == 200
    assert config.switch_3ph1ph_time_hysteresis_s == 600


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"nominal_voltage": 230}, "nominal_voltage: unknown setting, known: "),
        ({"nominal_ac_voltage": 0}, "nominal_ac_voltage: must be above 0"),
        ({"nominal_ac_voltage": "230"}, "nominal_ac_voltage: '230' is not a number"),
        ({"update_interval": 0}, "update_interval: 0 is not a whole number from 1 up"),
        ({"schedule_interval_duration": 1.5}, "schedule_interval_duration: 1.5 is not a whole number"),
        ({"switch_3ph1ph_while_charging_mode": "Sometimes"}, "'Sometimes' is not one of Never, Oneway, Both"),
        ({"rotation_interval_s": -1}, "rotation_interval_s: -1 is not a number from 0 up"),
        ({"debug": "yes"}, "debug: 'yes' is not true or false"),
        ({"switch_3ph1ph_time_hysteresis_s": float("nan")}, "nan is not a number"),
    ],
)
def test_impossible_settings_are_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as raised:
        ManagerConfig.from_dict(settings)
    assert "\n" not in str(raised.value)


def test_a_site_is_read() -> None:
    site = Site.from_dict(
        {
            "evses": {"a": {"phase_rotation": "L2 L3 L1", "priority": 2}},
            "nodes": {"grid": {"max_unbalance_A": 20}},
        }
    )
    assert site.evses["a"] == EvseAttributes(phase_rotation="L2 L3 L1", priority=2)
    assert site.nodes["grid"] == NodeAttributes(max_unbalance_A=20)


@pytest.mark.parametrize(
    ("site", "message"),
    [
        ({"evse": {}}, "evse: unknown section"),
        ({"evses": {"a": {"rotation": "L1"}}}, "evses.a.rotation: unknown attribute, known: "),
        (
            {"evses": {"a": {"phase_rotation": "L1 L2"}}},
            "evses.a.phase_rotation: 'L1 L2' is not one of L1 L2 L3, ",
        ),
        ({"evses": {"a": {"priority": 1.5}}}, "evses.a.priority: 1.5 is not a whole number"),
        ({"evses": {"a": {"weight": 0}}}, "evses.a.weight: 0 is not between"),
        ({"evses": {"a": {"weight": "2"}}}, "evses.a.weight: '2' is not a number"),
        ({"nodes": {"grid": {"reserve_A": -1}}}, "nodes.grid.reserve_A: -1 is not a number"),
        ({"nodes": {"grid": {"reserve_A": None}}}, "nodes.grid.reserve_A: None is not a number"),
    ],
)
def test_impossible_attributes_are_named(site: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as raised:
        Site.from_dict(site)
    assert "\n" not in str(raised.value)

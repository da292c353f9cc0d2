"""A configuration that cannot work is refused at start, with what to change."""

from typing import Any

import pytest

from control.settings import Role, Settings, SettingsError, Wiring, check


def settings(**config: Any) -> Settings:
    return Settings.from_config("grid", config)


@pytest.mark.parametrize(
    ("config", "wiring"),
    [
        pytest.param({}, Wiring(trunks=1), id="as EnergyManager"),
        pytest.param({"role": "node", "fuse_limit_A": 63}, Wiring(consumers=2), id="as EnergyNode"),
        pytest.param({"fuse_limit_A": 63}, Wiring(consumers=2), id="node and manager in one"),
        pytest.param({"fuse_limit_A": 63}, Wiring(bridged_connectors=1), id="only connectors of its own"),
        pytest.param({"fuse_limit_A": 63}, Wiring(trunks=1), id="a fuse above the trunk"),
    ],
)
def test_what_makes_sense(config: dict[str, Any], wiring: Wiring) -> None:
    check(settings(**config), wiring, has_fuse="fuse_limit_A" in config)


@pytest.mark.parametrize(
    ("config", "wiring", "complaint"),
    [
        ({}, Wiring(consumers=1), "grid: no fuse for this node: set fuse_limit_A"),
        ({"role": "node"}, Wiring(consumers=1), "grid: no fuse for this node: set fuse_limit_A"),
        (
            {"role": "node", "fuse_limit_A": 16},
            Wiring(trunks=1),
            "grid: role node has no energy_trunk: connect",
        ),
        (
            {"fuse_limit_A": 16},
            Wiring(trunks=1, consumers=1),
            "grid: energy_trunk is connected and so are children",
        ),
        (
            {},
            Wiring(trunks=1, nodes=1),
            "grid: energy_trunk is connected, which brings its own tree, and the site file has nodes: ",
        ),
        ({}, Wiring(), "grid: nothing to manage: connect energy_trunk or energy_consumer"),
        ({"role": "node", "fuse_limit_A": 16}, Wiring(), "grid: nothing to manage: connect energy_consumer"),
    ],
)
def test_what_makes_none(config: dict[str, Any], wiring: Wiring, complaint: str) -> None:
    with pytest.raises(SettingsError) as refused:
        check(settings(**config), wiring, has_fuse="fuse_limit_A" in config)
    (line,) = str(refused.value).splitlines()
    assert line.startswith(complaint)


def test_a_config_that_everest_filled_in_and_an_empty_one_mean_the_same() -> None:
    assert settings() == settings(
        role="manager", update_interval=1, fuse_limit_A=0.0, phase_count=3, site_file=""
    )
    assert settings().role is Role.MANAGER


def test_a_loop_without_a_period_is_refused() -> None:
    with pytest.raises(SettingsError, match="grid: update_interval: 0 is not a whole number from 1 up"):
        settings(update_interval=0)

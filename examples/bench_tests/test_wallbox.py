"""Bench tests of a manufacturer: how a site with this charger behaves."""

import pytest


@pytest.fixture
def site():
    return {
        "grid": {"fuse": "20 A", "meter": "house", "fallback": "6 A"},
        "buses": {"lan": {"host": "192.0.2.40"}, "cabinet": {"serial": "/dev/ttyUSB0"}},
        "meters": {"house": {"profile": "eastron_sdm630", "bus": "cabinet", "unit": 1}},
        "connectors": {"wallbox": {"profile": "alfen_eve", "bus": "lan", "phase_rotation": "L1 L2 L3"}},
    }


def test_the_car_makes_room_for_the_oven(bench, car):
    car("id3", at="wallbox", model="11 kW")
    run = bench.run(
        "6 min",
        events={"+3 min": "house draws 12 A more on L2"},
        asserts=["fuse grid never above 100 % for more than 10 s", "id3 has 0.5 kWh by the end"],
    )
    assert run.at("draw/wallbox.L2", 170) > 12
    assert run.at("draw/wallbox.L2", 350) <= 8.5


def test_a_silent_meter_leaves_the_fallback(bench, car):
    car("zoe", at="wallbox", model="zoe")
    run = bench.run("6 min", events={"+2 min": "house is silent for 2 min"})
    assert run.at("grant/wallbox", 230) <= 6


@pytest.mark.hardware("wallbox")
def test_the_real_charger_follows_its_limits(bench, car):
    car("id3", at="wallbox")
    bench.run(
        "2 min",
        events={"+60 s": "wallbox is limited to 8 A"},
        asserts=["wallbox draws at most 8.5 A from +75 s to the end", "no contactor moves under load"],
    )

"""What is wrong with a scenario is told with its line."""

from pathlib import Path

import pytest

from hil.scenario import ScenarioError, load_scenario

GOOD = """\
title: A car
lasts: 10 min
start: 18:00
site:
  grid: {fuse: 35 A}
  evses:
    garage: {phase_rotation: L1 L2 L3}
cars:
  zoe: {at: garage, arrives: 18:02, wants: 7 kWh}
house: {profile: {18:00: [1 A, 2 A, 3 A], +5 min: 3 kW}}
events:
  18:05: house draws 20 A more on L1 for 30 s
assert:
  - fuse grid never above 100 % for more than 10 s
"""


def problems(text: str, directory: Path) -> list[str]:
    path = directory / "home.yaml"
    path.write_text(text)
    with pytest.raises(ScenarioError) as error:
        load_scenario(path)
    return str(error.value).splitlines()


def test_times_and_quantities_are_read_as_they_are_written(tmp_path: Path) -> None:
    path = tmp_path / "home.yaml"
    path.write_text(GOOD)
    scenario = load_scenario(path)
    assert scenario.lasts_s == 600
    assert scenario.cars["zoe"].arrives_s == 120
    assert scenario.events[0].at_s == 300
    assert scenario.loads["house"].points[0] == (0.0, (1.0, 2.0, 3.0))
    assert scenario.loads["house"].points[1][0] == 300


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (
            "at: garage",
            "at: garge",
            "home.yaml:9 cars.zoe.at: unknown evse 'garge' (did you mean 'garage'?), known: garage",
        ),
        ("18:02", "soon", "home.yaml:9 cars.zoe.arrives: must be a moment like 06:00"),
        (
            "7 kWh",
            "7 kW",
            "home.yaml:9 cars.zoe.wants: must be a number with its unit, like 7 kWh, not '7 kW'",
        ),
        ("10 min", "long", "home.yaml:2 lasts: must be a duration like 90 s"),
        ("10 min", "10", "home.yaml:2 lasts: must be a duration like 90 s, 20 min or 1 h 30 min, not '10'"),
        (
            "18:05: house",
            "18:50: house",
            "home.yaml:12 events.18:50: it is after the end, which is at 18:10:00: see start and lasts",
        ),
        (
            "fuse grid never above 100 % for more than 10 s",
            "zoe has 1 kWh by 19:00",
            "home.yaml:14 assert.0: 19:00 is after the end, which is at 18:10:00: see start and lasts",
        ),
        ("wants: 7 kWh", "soc: 130 %", "home.yaml:9 cars.zoe.soc: must be between 0 % and 100 %"),
        (
            "start: 18:00",
            "settings: {update_intervall: 1}",
            "home.yaml:3 settings.update_intervall: no setting of the module (did you mean 'update_",
        ),
        (
            "start: 18:00",
            "settings: {update_interval: fast}",
            "home.yaml:3 settings.update_interval: must be integer, not 'fast'",
        ),
        ("fuse: 35 A", "fuse: 35 V", "home.yaml:5 grid.fuse: must be a number with a unit of A, mA"),
        (
            "fuse grid",
            "fuse gird",
            "home.yaml:14 assert.0: unknown node 'gird' (did you mean 'grid'?), known: grid",
        ),
        (
            "draws 20 A more",
            "eats 20 A",
            "home.yaml:12 events.18:05: 'house eats 20 A on L1 for 30 s' is not understood",
        ),
        (
            "wants: 7 kWh",
            "cable: 16 A",
            "home.yaml:9 cars.zoe.cable: must be one of 13 A, 20 A, 32 A, 63 A, as cables are coded",
        ),
        (
            "house: {",
            "everest_nodes: {barn: {fuse: 20 A, evses: [drive]}}\nhouse: {",
            "home.yaml:10 everest_nodes.barn.evses: unknown evse 'drive', known: garage",
        ),
        (
            "house: {",
            "everest_nodes: {grid: {fuse: 20 A, evses: [garage]}}\nhouse: {",
            "home.yaml:10 everest_nodes.grid: there is a node of this name in the site file",
        ),
        (
            "house: {",
            "cables: {garage: 6 mm2}\nhouse: {",
            "home.yaml:10 cables.garage: must be a cable like 40 m of 6 mm2, not '6 mm2'",
        ),
        (
            "house draws 20 A more on L1",
            "the contactor of garage welds",
            "home.yaml:12 events.18:05: garage has no contactors in the site file",
        ),
        ("house:", "hose:", "home.yaml:10 hose: unknown key (did you mean 'house'?)"),
    ],
)
def test_an_error_names_its_line(old: str, new: str, problem: str, tmp_path: Path) -> None:
    assert problems(GOOD.replace(old, new, 1), tmp_path)[0].startswith(problem)


def test_all_errors_are_told_at_once(tmp_path: Path) -> None:
    text = GOOD.replace("fuse grid", "fuse gird").replace("draws 20 A", "eats 20 A")
    assert [line.split()[0] for line in problems(text, tmp_path)] == ["home.yaml:12", "home.yaml:14"]


def test_a_time_of_day_is_the_next_one(tmp_path: Path) -> None:
    path = tmp_path / "home.yaml"
    path.write_text(GOOD.replace("10 min", "13 h").replace("18:02", "06:00"))
    assert load_scenario(path).cars["zoe"].arrives_s == 12 * 3600

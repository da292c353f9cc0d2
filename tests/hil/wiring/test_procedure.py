"""What the procedure does to an installation, and when it stops: always with the former limit restored."""

import asyncio

import pytest

from hil.wiring.procedure import Installation, Plan, StoppedError, take_quiet, take_steps
from hil.wiring.samples import Sample
from tests.hil.wiring.installation import Simulated, faulty, wired


def run_steps(installation: Installation, plan: Plan) -> list[Sample]:
    return asyncio.run(take_steps(installation, plan))


def test_a_quiet_look_gives_no_orders() -> None:
    installation = Simulated()
    samples = asyncio.run(take_quiet(installation, 10.0))
    assert len(samples) == 11
    assert installation.orders == []
    assert installation.restored == []


def test_the_steps_of_a_good_installation() -> None:
    installation = Simulated()
    run_steps(installation, Plan(fuse_A=35.0))
    assert [limit for limit, _ in installation.orders] == [6, 10, 16, 10, 6, 10, 6]
    assert installation.restored == [None]
    assert installation.now < 180


def test_one_phase_comes_last_and_is_restored() -> None:
    installation = Simulated()
    run_steps(installation, Plan(fuse_A=35.0, switch_phases=True))
    assert [phases for _, phases in installation.orders] == [3] * 7 + [1] * 5
    assert installation.restored == [None]


def test_no_step_above_what_the_fuse_has_room_for() -> None:
    installation = Simulated(house_A=(7.0, 1.0, 1.0), house_factor=1.0, limit_A=6.0)
    run_steps(installation, Plan(fuse_A=20.0))
    assert installation.peak_A <= 20.0
    top = max(limit for limit, _ in installation.orders)
    assert top == 10.0


def test_no_step_at_all_where_there_is_no_room() -> None:
    installation = Simulated(house_A=(24.5, 0.5, 0.5), house_factor=1.0)
    with pytest.raises(StoppedError, match=r"not enough room: 3[01] A of the fuse of 35 A are in use"):
        run_steps(installation, Plan(fuse_A=35.0))
    assert [limit for limit, _ in installation.orders] == [6.0]
    assert installation.restored == [6.0]


def test_an_overload_stops_it_at_the_minimum() -> None:
    installation = Simulated(surge=(45.0, 25.0))
    with pytest.raises(StoppedError, match="above the fuse of 35 A"):
        run_steps(installation, Plan(fuse_A=35.0))
    assert installation.now < 50.0
    assert installation.restored == [6.0], "not the former limit, which may have been higher"


def test_a_silent_meter_stops_it() -> None:
    installation = Simulated(meter_dies_after_s=50.0)
    with pytest.raises(StoppedError, match="does not answer any more"):
        run_steps(installation, Plan(fuse_A=35.0))
    assert installation.now < 55.0
    assert installation.restored == [6.0]


def test_the_top_is_not_tried_while_the_meter_does_not_see_the_car() -> None:
    """A meter with a wrong ratio, or of another feeder, would not see an overload."""
    for wiring in (wired(ct_ratio=(0.2, 0.2, 0.2)), wired(is_behind=False)):
        installation = Simulated(wiring)
        run_steps(installation, Plan(fuse_A=35.0))
        assert [limit for limit, _ in installation.orders] == [6, 10, 6, 10, 6, 10, 6], "as many steps"


def test_it_ends_in_time_whatever_happens() -> None:
    installation = Simulated(device=faulty(ignores_limit=True))
    with pytest.raises(StoppedError, match="longer than 60 s"):
        run_steps(installation, Plan(fuse_A=35.0, longest_s=60.0))
    assert installation.now < 65.0


def test_without_a_car_it_does_not_begin() -> None:
    installation = Simulated(has_car=False)
    with pytest.raises(StoppedError, match="no car is connected"):
        run_steps(installation, Plan(fuse_A=35.0))
    assert installation.orders == []


@pytest.mark.parametrize("error", [asyncio.CancelledError, RuntimeError, KeyboardInterrupt])
def test_whatever_ends_it_the_charger_gets_its_limit_back(error: type[BaseException]) -> None:
    class Broken(Simulated):
        async def sample(self) -> Sample:
            if self.now > 40:
                raise error
            return await super().sample()

    installation = Broken()

    async def steps() -> None:
        with pytest.raises(error):
            await take_steps(installation, Plan(fuse_A=35.0))

    asyncio.run(steps())
    assert installation.restored == [None]


def test_a_small_charger_is_never_told_more_than_it_takes() -> None:
    installation = Simulated()
    run_steps(installation, Plan(fuse_A=35.0, maximum_A=13.0))
    assert max(limit for limit, _ in installation.orders) == 13.0

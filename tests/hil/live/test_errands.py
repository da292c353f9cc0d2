"""What people are asked to do, and how long a script waits for them."""

from hil.live.errands import GRACE_S, WITHIN_S, Errands


class Bench:
    """A person with a charger."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.state: str | None = None
        self.errands = Errands(self.told.append, lambda _: self.state)


def test_who_was_asked_before_the_run_is_not_asked_again_while_the_charger_is_read() -> None:
    bench = Bench()
    bench.errands.plug_in("zoe", "drive", at_start=True)
    assert bench.errands.wait(GRACE_S / 2)
    bench.state = "C"
    assert not bench.errands.wait(1.0)
    assert bench.told == []


def test_a_car_that_was_forgotten_is_asked_for() -> None:
    bench = Bench()
    bench.errands.plug_in("zoe", "drive", at_start=True)
    bench.state = "A"
    assert bench.errands.wait(GRACE_S)
    assert bench.told == ["plug in zoe at drive now; the script waits for it, at most 5 min"]


def test_one_thing_at_a_time() -> None:
    bench = Bench()
    bench.state = "A"
    bench.errands.plug_in("zoe", "drive", at_start=False)
    bench.errands.plug_in("id3", "carport", at_start=False)
    bench.errands.wait(1.0)
    assert len(bench.told) == 1


def test_who_does_not_come_is_not_waited_for_for_ever_and_named() -> None:
    bench = Bench()
    bench.errands.plug_in("zoe", "drive", at_start=False)
    bench.state = "F"
    assert bench.errands.wait(WITHIN_S - 1.0)
    assert not bench.errands.wait(1.0)
    assert bench.told[-1] == "drive shows state F after 300 s: the script goes on without that"
    (undone,) = bench.errands.undone
    assert (undone.text, undone.holds) == ("plug in zoe at drive", False)

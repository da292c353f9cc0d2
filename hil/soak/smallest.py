"""Finds what of a window is needed for it to fail, so that a person has little to look at."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from hil.soak.window import Window

_END_S = (900, 1800, 2700, 3600, 5400)


def smallest(window: Window, is_broken: Callable[[Window], bool], most_runs: int = 40) -> Window:
    """Leave out faults and cars, and shorten, as long as it still fails.

    Parameters
    ----------
    window : Window
        One that fails.
    is_broken : callable
        Runs a window and tells whether it fails.
    most_runs : int
        How many runs this may take.

    Returns
    -------
    Window
        One that fails, and would not if any single part of it were left out, unless the runs were used up.
    """
    runs = 0
    found = True
    while found:
        found = False
        for candidate in _smaller(window):
            if runs == most_runs:
                return window
            runs += 1
            if is_broken(candidate):
                window, found = candidate, True
                break
    return window


def _smaller(window: Window) -> Iterator[Window]:
    """Give the window with one thing less each, what saves most first."""
    for end_s in _END_S:
        if end_s < window.lasts_s:
            yield _shortened(window, end_s)
    for index in range(len(window.faults)):
        yield window.without_fault(index)
    for name in window.cars:
        yield window.without_car(name)


def _shortened(window: Window, end_s: int) -> Window:
    def is_before(moment: object) -> bool:
        return not isinstance(moment, str) or int(moment[1:-2]) < end_s

    cars = {name: dict(car) for name, car in window.cars.items() if is_before(car.get("arrives"))}
    for car in cars.values():
        if not is_before(car.get("leaves")):
            del car["leaves"]
    profile = {at: draws for at, draws in window.house["profile"].items() if is_before(at)}
    faults = tuple(one for one in window.faults if one.at_s < end_s)
    return replace(window, lasts_s=end_s, cars=cars, house={"profile": profile}, faults=faults)

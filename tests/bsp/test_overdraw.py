"""Cars that draw more than they may."""

import pytest

from bsp.overdraw import OverdrawGuard


def watch(currents: list[float | None], limit_A: float = 10.0, *, connected: bool = True) -> str | None:
    """Show the guard a current each second; give the fault at the end."""
    guard, fault = OverdrawGuard(overdraw_s=7.0), None
    for second, current_A in enumerate(currents):
        fault = guard.watch(float(second), current_A=current_A, limit_A=limit_A, is_connected=connected)
    return fault


@pytest.mark.parametrize(
    ("currents", "fault"),
    [
        ([10.0] * 60, None),
        ([11.5] * 60, None),  # (10 + 0.5) * 1.1 = 11.55
        ([11.6] * 60, "draws 11.6 A, 10 A are allowed"),
        ([16.0] * 8, None),  # it may take a while to follow
        ([16.0] * 9, "draws 16.0 A, 10 A are allowed"),
        ([16.0] * 6 + [9.0] + [16.0] * 6, None),
        ([None] * 60, None),
        ([16.0] * 9 + [0.0] * 60, "draws 16.0 A, 10 A are allowed"),  # it stays until the car has left
    ],
)
def test_what_is_too_much(currents: list[float | None], fault: str | None) -> None:
    assert watch(currents) == fault


def test_a_paused_car_may_draw_next_to_nothing() -> None:
    assert watch([0.5] * 60, limit_A=0.0) is None
    assert watch([1.0] * 60, limit_A=0.0) == "draws 1.0 A, 0 A are allowed"


def test_the_next_car_starts_anew() -> None:
    guard = OverdrawGuard(overdraw_s=7.0)
    for second in range(10):
        guard.watch(float(second), current_A=16.0, limit_A=10.0, is_connected=True)
    assert guard.fault is not None
    assert guard.watch(10.0, current_A=0.0, limit_A=0.0, is_connected=False) is None

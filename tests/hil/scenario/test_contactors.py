"""Contactors on a board that loses its power, or is repaired: what hangs on them feels it."""

from bsp.relay_profile import relay_profile
from hil.plant import Car, ChargePoint
from hil.scenario.contactors import ContactorBoard

BOARD = "waveshare_modbus_rtu_relay_d_8ch"
PHASES, MAIN = 1, 2


def charging() -> tuple[ContactorBoard, ChargePoint]:
    board = ContactorBoard(relay_profile(BOARD))
    point = ChargePoint(max_current_A=16.0, car=Car())
    board.wire(point, PHASES, MAIN)
    point.set_limit(16.0)
    for _ in range(50):
        point.advance(0.2)
    assert point.current_A == (16.0, 16.0, 16.0)
    return board, point


def test_a_board_without_power_cuts_the_car_off_and_that_counts_as_under_load() -> None:
    board, point = charging()
    board.power_cycle()
    point.advance(0.2)
    assert point.current_A == (0.0, 0.0, 0.0)
    assert point.phases == 1
    assert point.opened_under_load == 1


def test_a_contactor_that_sticks_keeps_the_car_charging_and_falls_when_it_is_repaired() -> None:
    board, point = charging()
    board.stuck.add(MAIN)
    board.power_cycle()
    point.advance(0.2)
    assert point.current_A[0] == 16.0
    board.repair()
    point.advance(0.2)
    assert point.current_A[0] == 0.0


def test_a_welded_contactor_closes_and_does_not_open() -> None:
    board, point = charging()
    board.welded.add(PHASES)
    board.written(f"relay.{PHASES}", relay_profile(BOARD).off)
    assert point.phases == 3
    board.repair()
    assert point.phases == 1, "the relay has let go long since"
    board.welded.add(PHASES)
    board.written(f"relay.{PHASES}", relay_profile(BOARD).on)
    board.written(f"relay.{PHASES}", relay_profile(BOARD).off)
    assert point.phases == 3

"""Faults of bridged connectors reach EVerest, and a person can clear them."""

from typing import Any

from control.clock import system_clock
from control.commands import Commands
from control.connector_faults import ConnectorFaults
from control.notices import Notices
from control.orders import Orders
from control.tree import Rating
from tests.control.sample import RecordingLog

CONTACTOR = "evse_board_support/MREC17EVSEContactorFault"
OVERCURRENT = "evse_manager/MREC4OverCurrentFailure"


class Errors:
    """Errors that are active, as EVerest sees them, by type and sub-type."""

    def __init__(self) -> None:
        self.active: dict[tuple[str, str], str] = {}
        self.raised = 0

    def publish(self, implementation: str, variable: str, value: object) -> None:
        raise AssertionError("faults are errors, not variables")

    def raise_error(self, implementation: str, error_type: str, message: str, sub_type: str = "") -> None:
        assert implementation == "control"
        assert (error_type, sub_type) not in self.active, "EVerest refuses an error that is active already"
        self.active[error_type, sub_type] = message
        self.raised += 1

    def clear_error(self, implementation: str, error_type: str, sub_type: str = "") -> None:
        del self.active[error_type, sub_type]


def test_a_fault_is_an_error_while_it_lasts_and_is_said_once() -> None:
    errors, log = Errors(), RecordingLog()
    faults = ConnectorFaults(Notices(log), errors)
    for _ in range(3):
        faults.note("carport", "overcurrent", "draws 20.0 A, 10 A are allowed")
    assert errors.active == {(OVERCURRENT, "carport"): "carport: draws 20.0 A, 10 A are allowed"}
    assert errors.raised == 1
    faults.note("carport", "contactor", "stuck")
    assert errors.active == {(CONTACTOR, "carport"): "carport: stuck"}
    faults.note("carport", "charger", None)
    assert errors.active == {}
    assert log.at("warning") == ["carport: draws 20.0 A, 10 A are allowed", "carport: stuck"]
    assert log.at("info") == ["carport: well again"]


def test_each_connector_has_its_own_error_named_by_the_sub_type() -> None:
    errors = Errors()
    faults = ConnectorFaults(Notices(RecordingLog()), errors)
    faults.note("yard", "communication", "does not answer")
    faults.note("carport", "communication", "does not answer")
    silent = "evse_board_support/CommunicationFault"
    assert errors.active.keys() == {(silent, "yard"), (silent, "carport")}
    faults.note("carport", "charger", "E17")
    assert errors.active == {(silent, "yard"): "yard: does not answer"}, "EVerest has no error for that"
    faults.note("carport", "charger", None)
    assert errors.active.keys() == {(silent, "yard")}


def test_without_the_control_interface_faults_are_in_log_and_status_only() -> None:
    notices = Notices(RecordingLog())
    ConnectorFaults(notices, None).note("carport", "contactor", "stuck")
    assert notices.active == ["carport: stuck"]


def test_a_latched_fault_is_cleared_by_order() -> None:
    cleared: list[str] = []
    commands = Commands(
        orders=Orders(),
        clock=system_clock,
        ratings=lambda: {"carport": Rating(16.0), "grid": Rating(63.0)},
        evses=lambda: ["carport"],
        fuses_A={},
        explain=str,
        resets={"carport": lambda: cleared.append("carport")},
    )
    answer: dict[str, Any] = commands.call("reset_fault", {"uuid": "carport"})
    assert (answer["status"], cleared) == ("Accepted", ["carport"])
    answer = commands.call("reset_fault", {"uuid": "grid"})
    assert answer["message"] == "reset_fault: 'grid' is no bridged connector: carport"

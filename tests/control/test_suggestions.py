"""What was measured and is not in the site file is said once, and shown until it is."""

from control.suggestions import Suggestions
from energy_management import EvseAttributes
from tests.control.sample import RecordingLog

CARPORT = (
    "carport: draws on L2 L3 L1; write phase_rotation: L2 L3 L1 into connectors.carport of the site file"
)
LEFT = "left: draws on L3 L1 L2; write phase_rotation: L3 L1 L2 into evses.left of the site file"


def test_a_learnt_rotation_is_said_once_and_shown_until_it_is_written_down() -> None:
    attributes = {"carport": EvseAttributes(priority=1)}
    log = RecordingLog()
    suggestions = Suggestions(lambda: attributes, {"carport"}, log)
    for learnt in ({}, {"carport": "L2 L3 L1"}, {"carport": "L2 L3 L1", "left": "L3 L1 L2"}):
        for _ in range(2):
            suggestions.learnt(learnt)
    assert log.lines == [("info", CARPORT), ("info", LEFT)]
    assert suggestions.lines == [CARPORT, LEFT]
    attributes["carport"] = EvseAttributes("L2 L3 L1")  # by set_evse, or in the site file after a restart
    assert suggestions.lines == [LEFT]


def test_another_result_is_said_again() -> None:
    log = RecordingLog()
    suggestions = Suggestions(dict, {"carport"}, log)
    suggestions.learnt({"carport": "L1 L2 L3"})
    suggestions.learnt({"carport": "L2 L3 L1"})
    assert suggestions.lines == [CARPORT]
    assert len(log.at("info")) == 2

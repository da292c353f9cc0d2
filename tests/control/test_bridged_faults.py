"""What a connector with a fault draws all the same is taken off what the others get."""

from math import nan
from typing import Any

import pytest

from bsp.connector_registers import ConnectorStatus
from control.bridged import _still_drawn_A

LOST: Any = {"fault": "no answer", "fault_kind": "communication"}
GREEDY: Any = {"fault": "draws 20.0 A, 10 A are allowed", "fault_kind": "overcurrent"}


@pytest.mark.parametrize(
    ("status", "drawn_A"),
    [
        (ConnectorStatus(0.0, "C", (16.0, 16.0, 16.0), limit_A=16.0), 0.0),  # no fault: it asks by itself
        (ConnectorStatus(0.0, "F", limit_A=13.0, **LOST), 13.0),
        (ConnectorStatus(0.0, "F", limit_A=None, **LOST), 0.0),
        (ConnectorStatus(0.0, "C", (20.0, nan, 19.0), limit_A=0.0, **GREEDY), 20.0),
        (ConnectorStatus(0.0, "B", (0.0, 0.2, 0.0), limit_A=0.0, **GREEDY), 0.0),
        (ConnectorStatus(0.0, "B", (0.0, 0.0, 0.0), limit_A=11.0, fault="does not take its limit"), 11.0),
        (ConnectorStatus(0.0, "F", (0.0, 0.0, 0.0), limit_A=16.0, fault="the charger reports F"), 0.0),
    ],
)  # fmt: skip
def test_what_is_still_drawn(status: ConnectorStatus, drawn_A: float) -> None:
    assert _still_drawn_A(status) == drawn_A

"""What is wrong with bridged connectors, told in the log, in the status and as errors of EVerest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from control.everest import Everest
from control.notices import Notices

if TYPE_CHECKING:
    from bsp.connector_registers import FaultKind

ERRORS: dict[FaultKind, str] = {
    "communication": "evse_board_support/CommunicationFault",
    "contactor": "evse_board_support/MREC17EVSEContactorFault",
    "overcurrent": "evse_manager/MREC4OverCurrentFailure",
}
"""EVerest's errors for them, which the control interface has; a charger's own faults are in the log only."""


class ConnectorFaults:
    """Keeps track of the faults of all connectors; the sub-type of an error is the name of its connector.

    Parameters
    ----------
    notices : Notices
        Told in any case.
    everest : Everest or None
        Where errors are raised, if the control interface is provided.
    """

    def __init__(self, notices: Notices, everest: Everest | None) -> None:
        self._notices = notices
        self._everest = everest
        self._raised: dict[str, str] = {}

    def note(self, connector: str, kind: FaultKind, text: str | None) -> None:
        """Take note of what is wrong with a connector; None is nothing."""
        if text is None:
            self._notices.clear(f"connector/{connector}", f"{connector}: well again")
        else:
            self._notices.raise_(f"connector/{connector}", f"{connector}: {text}")
        error = ERRORS.get(kind) if text is not None else None
        before = self._raised.pop(connector, None)
        if error is not None:
            self._raised[connector] = error
        if self._everest is None or error == before:
            return
        if before is not None:
            self._everest.clear_error("control", before, connector)
        if error is not None:
            self._everest.raise_error("control", error, f"{connector}: {text}", connector)

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
    """Keeps track of the faults of all connectors.

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
        self._faults: dict[str, tuple[FaultKind, str]] = {}

    def note(self, connector: str, kind: FaultKind, text: str | None) -> None:
        """Take note of what is wrong with a connector; None is nothing."""
        before = self._faults.pop(connector, None)
        if text is None:
            self._notices.clear(f"connector/{connector}", f"{connector}: well again")
        else:
            self._notices.raise_(f"connector/{connector}", f"{connector}: {text}")
            self._faults[connector] = kind, text
        if before != self._faults.get(connector):
            for changed in {kind, before[0] if before is not None else kind}:
                self._show(changed)

    def _show(self, kind: FaultKind) -> None:
        """Have one error of each kind active, which names all connectors that it is about."""
        error = ERRORS.get(kind)
        if self._everest is None or error is None:
            return
        self._everest.clear_error("control", error)
        texts = [f"{name}: {text}" for name, (of, text) in sorted(self._faults.items()) if of == kind]
        if texts:
            self._everest.raise_error("control", error, "; ".join(texts))

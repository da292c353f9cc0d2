"""Errors of EVerest about meters: raised once when something begins, cleared once when it ends.

The grid meter is what this module provides as ``powermeter``, so its errors are plain ones there. All other
meters are warnings of the same interface, each with a ``sub_type`` that names the meter, or the node whose
meter is not believed: who bills by the grid meter can tell that they are not about it.
"""

import threading
from collections.abc import Mapping

from control.everest import Everest

IMPLEMENTATION = "powermeter"
FAULT = "powermeter/CommunicationFault"
WARNING = "powermeter/VendorWarning"

Error = tuple[str, str]
"""Type and sub-type."""


class MeterErrors:
    """Says to EVerest what is wrong with meters. Thread-safe.

    Parameters
    ----------
    everest : Everest
        Where errors are raised.
    own : str
        Name of the grid meter.
    """

    def __init__(self, everest: Everest, own: str) -> None:
        self._everest = everest
        self._own = own
        self._lock = threading.Lock()
        self._active: set[Error] = set()

    def silent(self, meter: str, why: str | None) -> None:
        """Take note that nothing comes from a meter, or with None that something does."""
        if meter == self._own:
            self._set((FAULT, ""), why)
        else:
            self._set((WARNING, f"meter/{meter}"), why and f"meter {meter}: {why}")

    def doubted(self, root: str, complaints: Mapping[str, str]) -> None:
        """Take note of the nodes whose meters are not believed, and why; all others are.

        Parameters
        ----------
        root : str
            Node that the grid meter measures.
        """
        nodes = {
            f"node/{node}": f"meter of {node}: {why}" for node, why in complaints.items() if node != root
        }
        if root in complaints:
            nodes[""] = complaints[root]
        with self._lock:
            known = {sub_type for kind, sub_type in self._active if kind == WARNING}
        for sub_type in {name for name in known if not name.startswith("meter/")} | nodes.keys():
            self._set((WARNING, sub_type), nodes.get(sub_type))

    def _set(self, error: Error, why: str | None) -> None:
        with self._lock:
            if (error in self._active) == (why is not None):
                return
            (self._active.discard if why is None else self._active.add)(error)
        kind, sub_type = error
        if why is None:
            self._everest.clear_error(IMPLEMENTATION, kind, sub_type)
        else:
            self._everest.raise_error(IMPLEMENTATION, kind, why, sub_type)

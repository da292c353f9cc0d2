"""All states of an instance by name: those of the control interface, and the same one by one for MQTT.

``status``, ``allocation``, ``node_state``
    Variables of the interface ``energy_manager_control``.
``evse/<uuid>``, ``node/<uuid>``
    The entries of ``allocation`` and ``node_state``.
``meter/<name>``
    What a meter measures.
"""

from collections.abc import Callable
from urllib.parse import quote

from control.clock import Instant
from control.manager import Decision
from control.meters import Meters, meter_state
from control.notices import Notices
from control.schedules import JsonObject
from control.status import allocation, node_states, status

VARIABLES = ("status", "allocation", "node_state")


class SiteStates:
    """Writes them.

    Parameters
    ----------
    decision : callable
        Gives the last decision, or None.
    explain : callable
        Tells why an EVSE has what it has; KeyError if that is not known.
    suggestions : callable
        Gives what should be written into the site file.
    decides : bool
        There will be decisions; a node passes on what others decide.
    """

    def __init__(
        self,
        decision: Callable[[], Decision | None],
        explain: Callable[[str], str],
        meters: Meters,
        notices: Notices,
        suggestions: Callable[[], list[str]],
        *,
        decides: bool,
    ) -> None:
        self._decides = decides
        self._decision = decision
        self._explain = explain
        self._meters = meters
        self._notices = notices
        self._suggestions = suggestions

    def __call__(self, now: Instant) -> dict[str, JsonObject]:
        """Write all states; none of EVSEs and nodes, where nothing is decided."""
        meters = {
            part("meter", name): meter_state(name, state, now)
            for name, state in self._meters.states(now).items()
        }
        decision = self._decision()
        if decision is None:
            return {"status": self.status(now), **meters}
        evses, nodes = allocation(decision, self._reason), node_states(decision)
        return {
            "status": self.status(now),
            "allocation": evses,
            "node_state": nodes,
            **{part("evse", evse["uuid"]): evse for evse in evses["evses"]},
            **{part("node", node["uuid"]): node for node in nodes["nodes"]},
            **meters,
        }

    def status(self, now: Instant) -> JsonObject:
        """Tell how the last decision went, as a ``Status``."""
        decision = self._decision()
        is_waiting = decision is None and self._decides
        degraded = [*(["nothing decided yet"] if is_waiting else []), *self._notices.active]
        return status(decision, degraded, self._suggestions(), now)

    def _reason(self, uuid: str) -> str:
        try:
            return self._explain(uuid)
        except KeyError:  # it came or went just now
            return ""


def part(kind: str, name: str) -> str:
    """Name of the state of one part; what MQTT reserves is escaped as in a URL."""
    return f"{kind}/{quote(name, safe='')}"

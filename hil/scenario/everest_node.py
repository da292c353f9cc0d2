"""A node of EVerest between the module and its EVSEs, with a fuse and a meter of its own."""

from dataclasses import replace

from control.clock import Instant
from control.powermeter import powermeter_of
from control.schedules import JsonObject
from control.tree import OwnNode
from energy_management.measurement import Reading
from hil.scenario.evse import Evse


class EverestNode:
    """One such node, as EVerest's EnergyNode shows it: its meter's newest values are in its request.

    Parameters
    ----------
    name : str
        Its uuid.
    fuse_A : float
        Its rating.
    evses : list of Evse
        Who is behind it.
    """

    def __init__(self, name: str, fuse_A: float, evses: list[Evse]) -> None:
        self.evses = evses
        self._node = OwnNode(name, fuse_A)

    @property
    def is_urgent(self) -> bool:
        """Whether one behind it has something to say at once."""
        return any(evse.is_urgent for evse in self.evses)

    def request(self, measured: Reading, now: Instant) -> JsonObject:
        """Give the request that it publishes now."""
        children = [evse.request(now.utc) for evse in self.evses if not evse.is_dead]
        usage = powermeter_of(replace(measured, taken_at=now.monotonic_s), self._node.uuid, now)
        return self._node.request(children, now, usage=usage)

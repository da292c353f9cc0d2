"""One EVSE of a scenario: a charge point, who stands before it, and how it is wired."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from energy_management.measurement import Vector3
from hil.plant import ChargePoint
from hil.plant.evse_manager import EvseManager
from hil.plant.site import Rotation, rotated
from hil.scenario.document import EverestSection

_STATES = {"A": "Unplugged", "B": "Connected", "C": "Charging"}


@dataclass
class Evse:
    """An EVSE, bridged or EVerest's.

    Attributes
    ----------
    name, node : str
        What it is called, and which node feeds it.
    rotation : Rotation
        Grid phase behind each of its phases.
    point : ChargePoint
        The hardware.
    manager : EvseManager or None
        Who controls it, if that is EVerest.
    is_measured : bool
        It publishes what its car draws.
    car : str or None
        Who is there.
    is_dead, refuses, is_malformed : bool
        Faults of EVerest's module: it hangs or is gone; it refuses limits; what it publishes is malformed.
    """

    name: str
    node: str
    rotation: Rotation
    point: ChargePoint
    manager: EvseManager | None = None
    is_measured: bool = True
    car: str | None = None
    is_dead: bool = False
    refuses: bool = False
    is_malformed: bool = False
    is_urgent: bool = False
    _limits: Mapping[str, Any] | None = field(default=None, repr=False)

    @classmethod
    def of_everest(
        cls,
        name: str,
        node: str,
        rotation: Rotation,
        hardware: EverestSection | None,
        feed_ohm: float = 0.0,
    ) -> "Evse":
        """Make one that EVerest manages."""
        given = hardware or EverestSection()
        point = ChargePoint(max_current_A=given.max_current, phases=given.phases, feed_ohm=feed_ohm)
        manager = EvseManager(name, point, switches_phases=given.switches_phases)
        return cls(name, node, rotation, point, manager, given.measured)

    @property
    def grid_A(self) -> Vector3:
        """Draw on the grid's phases."""
        return rotated(self.point.current_A, self.rotation)

    @property
    def state(self) -> str:
        """What it does, in a word."""
        return self.manager.evse_state if self.manager else _STATES[self.point.state]

    @property
    def is_settled(self) -> bool:
        """Whether nothing moves here while its limit stays as it is."""
        return self.point.is_settled and (self.manager is None or self.manager.is_settled)

    def advance(self, dt_s: float) -> None:
        """Let time pass."""
        if self.manager is None:
            self.point.advance(dt_s)
        elif self.manager.advance(dt_s):
            self.is_urgent = True

    def request(self, now: datetime) -> dict[str, Any]:
        """Give the request that EVerest's module publishes now, for whatever is wrong with it."""
        assert self.manager is not None
        request = self.manager.request(now, priority=self.is_urgent)
        self.is_urgent = False
        if not self.is_measured:
            del request["energy_usage_root"]
        if self.is_malformed:
            request["schedule_import"] = [{"timestamp": "yesterday"}]
        return request

    def enforce(self, limits: Mapping[str, Any]) -> None:
        """Take limits."""
        assert self.manager is not None
        self._limits = limits
        self.manager.enforce_limits(limits)

    def renew(self) -> None:
        """Take the same limits again, as far as they hold."""
        if self.manager is not None and self._limits is not None and self.manager.limit_is_valid:
            self.manager.enforce_limits(self._limits)

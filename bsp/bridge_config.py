"""What the bridge is told of the devices of a site."""

import math
from dataclasses import dataclass

from bsp.leaf import Capabilities
from bsp.profile import ConnectorProfile, MeterProfile
from bsp.relay_profile import RelayProfile
from bsp.relays import Contactor


@dataclass(frozen=True, slots=True)
class MeterConfig:
    """A meter of the site: which device, where, and how often it is read."""

    bus: str
    unit: int
    profile: MeterProfile
    every_s: float = 1.0


@dataclass(frozen=True, slots=True)
class RelayConfig:
    """A relay board of the site."""

    bus: str
    unit: int
    profile: RelayProfile


@dataclass(frozen=True, slots=True)
class ContactorConfig:
    """Contactors of ours before a connector: `phases` joins L2 and L3, `main` cuts everything.

    Two switches are at least `hold_off_s` apart.
    """

    board: str
    phases: Contactor
    main: Contactor | None = None
    hold_off_s: float = 300.0


@dataclass(frozen=True, slots=True)
class ConnectorConfig:
    """A connector of the site.

    Attributes
    ----------
    bus, unit, profile
        Which device, and where.
    number : int
        Which connector of the charger, from 1.
    meter : str or None
        Meter that measures it, in place of its own measurement.
    maximum_A : float
        Limit of its cable and wiring.
    fallback_A : float
        Current while no limit is valid; 0 pauses.
    every_s : float
        How often its status is read.
    contactors : ContactorConfig or None
        Contactors of ours that switch its phases.
    board : str or None
        EVerest's board that switches its phases, in place of the charger.
    phases_locked : bool
        Begin no switch of its phases.
    """

    bus: str
    unit: int
    profile: ConnectorProfile
    number: int = 1
    meter: str | None = None
    maximum_A: float = math.inf
    fallback_A: float = 0.0
    every_s: float = 1.0
    contactors: ContactorConfig | None = None
    board: str | None = None
    phases_locked: bool = False

    @property
    def capabilities(self) -> Capabilities:
        """What the connector can do within the limits of the site."""
        limit = self.profile.current_limit
        switches = (self.contactors, self.board, self.profile.phase_switching)
        has_switch = any(switch is not None for switch in switches)
        can_switch = has_switch and not self.phases_locked
        return Capabilities(
            max_current_A=min(self.maximum_A, limit.maximum),
            min_current_A=self.profile.least_A,
            max_phase_count=self.profile.phases,
            min_phase_count=1 if can_switch else self.profile.phases,
            supports_changing_phases=can_switch,
        )

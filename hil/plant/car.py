"""A car as its connector sees it: an onboard charger and a battery behind it."""

from collections import deque
from dataclasses import dataclass

from energy_management.measurement import Vector3

SETTLED_A = 0.1


@dataclass(frozen=True, slots=True)
class CarModel:
    """What a type of car can do.

    Attributes
    ----------
    phases : int
        Phases of the onboard charger: 1, 2 or 3.
    max_current_A, min_current_A : float
        Range of the onboard charger per phase; offered less than the minimum it draws nothing.
    reaction_s : float
        Dead time between a change of the pilot and the first change of the current.
    wakes_after_s : float
        How long it takes to ask for current (state C) that is offered after none was.
    ramp_A_per_s : float
        How fast the current moves. With `reaction_s` it must cover the whole range within the 5 s that
        IEC 61851-1 gives a car to follow the pilot.
    capacity_Wh : float
        Usable energy of the battery.
    taper_from : float
        State of charge from where the battery takes less and less, down to a tenth of the maximum when full.
    one_phase_min_A : float or None
        Least current on one phase, where that is more; cars of some makes need it, or refuse one phase.
    sleeps_after : int
        Interruptions after which it falls asleep until it is plugged in anew; 0 is never.
    """

    phases: int = 3
    max_current_A: float = 16.0
    min_current_A: float = 6.0
    reaction_s: float = 0.5
    wakes_after_s: float = 0.0
    ramp_A_per_s: float = 8.0
    capacity_Wh: float = 60_000.0
    taper_from: float = 0.8
    one_phase_min_A: float | None = None
    sleeps_after: int = 0


class Car:
    """One car with its battery.

    Parameters
    ----------
    model : CarModel
        What it can do.
    soc : float
        State of charge at the start, 0 to 1.
    target_soc : float
        It stops asking for energy there.

    Attributes
    ----------
    ignores_pilot : bool
        It draws what it can, whatever is offered.
    asleep : bool
        It has been interrupted too often.
    energy_Wh : float
        What it has charged.
    """

    def __init__(self, model: CarModel | None = None, *, soc: float = 0.3, target_soc: float = 1.0) -> None:
        self.model = model or CarModel()
        self.soc = soc
        self.target_soc = target_soc
        self.ignores_pilot = False
        self.asleep = False
        self.energy_Wh = 0.0
        self._interruptions = 0
        self._level_A = 0.0
        self._phases = 0
        self._noticed_A = 0.0
        self._coming: deque[tuple[float, float]] = deque()
        self._last_offer_A = 0.0
        self._offered_s = 0.0
        self._age_s = 0.0

    @property
    def wants_energy(self) -> bool:
        """Whether the battery is below its target, and the car awake."""
        return self.soc < self.target_soc and not self.asleep

    @property
    def asks(self) -> bool:
        """Whether it asks for the current that it is offered, or would."""
        return self.wants_energy and self._offered_s >= self.model.wakes_after_s

    @property
    def is_settled(self) -> bool:
        """Whether it draws what it wants of what it is offered, so that nothing moves for a while."""
        return not self._coming and abs(self._target_A() - self._level_A) < SETTLED_A

    def plug_in(self) -> None:
        """Begin a session: whatever was before is forgotten."""
        self.asleep = False
        self._interruptions = 0
        self._coming.clear()
        self._noticed_A = self._last_offer_A = self._offered_s = 0.0

    @property
    def current_A(self) -> Vector3:
        """Current on the connector's L1, L2, L3."""
        level_A, phases = self._level_A, self._phases
        return (
            level_A if phases > 0 else 0.0,
            level_A if phases > 1 else 0.0,
            level_A if phases > 2 else 0.0,
        )

    def advance(self, dt_s: float, offer_A: float, phases: int, voltage_V: float) -> None:
        """Let time pass.

        Parameters
        ----------
        dt_s : float
            Elapsed time.
        offer_A : float
            What the control pilot offers; 0 when it offers nothing.
        phases : int
            Phases that the closed contactor connects; 0 when it is open.
        voltage_V : float
            Phase to neutral.
        """
        self._notice(dt_s, offer_A)
        self._phases = min(phases, self.model.phases)
        if self._phases == 0:
            self._level_A = 0.0
            return
        step = self.model.ramp_A_per_s * dt_s
        target = self._target_A()
        self._level_A += max(-step, min(step, target - self._level_A))
        charged_Wh = self._level_A * self._phases * voltage_V * dt_s / 3600.0
        self.energy_Wh += charged_Wh
        self.soc = min(1.0, self.soc + charged_Wh / self.model.capacity_Wh)

    def _notice(self, dt_s: float, offer_A: float) -> None:
        """Pass the offer on after the dead time."""
        self._age_s += dt_s
        self._offered_s = self._offered_s + dt_s if offer_A > 0.0 else 0.0
        if offer_A != self._last_offer_A:
            self._count_interruption(offer_A)
            self._last_offer_A = offer_A
            self._coming.append((self._age_s + self.model.reaction_s, offer_A))
        while self._coming and self._coming[0][0] <= self._age_s:
            self._noticed_A = self._coming.popleft()[1]

    def _target_A(self) -> float:
        """Choose the current to draw, of what it has noticed."""
        offered_A = self.model.max_current_A if self.ignores_pilot else self._noticed_A
        if not self.wants_energy or offered_A < self._min_current_A:
            return 0.0
        taper = 1.0
        if self.soc > self.model.taper_from:
            taper = max(0.1, (1.0 - self.soc) / (1.0 - self.model.taper_from))
        return min(offered_A, self.model.max_current_A * taper)

    @property
    def _min_current_A(self) -> float:
        one_phase_A = self.model.one_phase_min_A
        is_on_one = self._phases == 1 and self.model.phases > 1
        return self.model.min_current_A if one_phase_A is None or not is_on_one else one_phase_A

    def _count_interruption(self, offer_A: float) -> None:
        if self._last_offer_A > 0.0 and offer_A == 0.0 and self.wants_energy:
            self._interruptions += 1
            self.asleep = 0 < self.model.sleeps_after <= self._interruptions

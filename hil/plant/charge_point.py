"""A charge point: control pilot, contactor, and the car that may hang on it."""

from energy_management.measurement import Vector3
from hil.plant.cable import far_end_V
from hil.plant.car import Car

THRESHOLD_A = 5.9
"""Limits below it offer nothing: where EVerest's EvseManager sees power available."""

MINIMUM_OFFER_A = 6.0
"""Least current a control pilot can offer (IEC 61851-1)."""

PILOT_PAUSE_S = 5.0
"""Least time between two changes of the pilot's duty cycle while a car charges (IEC 61851-1)."""

CLOSE_AFTER_S = 0.3
"""A contactor must close within 3 s of state C; most take much less."""

FORCED_OPEN_S = 6.0
"""A car that ignores the end of the pilot is cut off after this time (IEC 61851-1)."""

SWITCHING_S = 20.0
"""How long a charger pauses that changes its phases by itself; the contact moves in the middle."""

IDLE_A = 1.0
"""Below it a contactor opens without load."""


class ChargePoint:
    """What stands between a fuse and a car: follows a limit as IEC 61851-1 wants it.

    Parameters
    ----------
    max_current_A : float
        Rating: no more is offered, whatever the limit.
    phases : int
        Phases that are wired: 1 or 3.
    voltage_V : float
        Phase to neutral.
    car : Car or None
        A car that is plugged in from the start.
    feed_ohm : float
        Resistance of each conductor of the cable that feeds it.

    Attributes
    ----------
    cable_A : float or None
        Ampacity of the cable that came with the car; None where the charger has one of its own.
    limit_A : float
        Last limit it was given; 0 at the start.
    energy_Wh : float
        Counter of its meter.
    contactor_closed : bool
        Whether the car is connected to the grid.
    opened_under_load : int
        How often the contactor had to open while current flowed.
    is_fed : bool
        Whether the main contactor before the charge point is closed, if there is one.
    is_supplied : bool
        Whether there is voltage at all; without it there is neither pilot nor current.
    ignores_limit : bool
        It takes no new limit, whatever it says.
    phase_switches, switched_under_load : int
        How often the number of phases has changed, and how often of these while current flowed.
    """

    def __init__(
        self,
        *,
        max_current_A: float = 32.0,
        phases: int = 3,
        voltage_V: float = 230.0,
        car: Car | None = None,
        feed_ohm: float = 0.0,
    ) -> None:
        self.max_current_A = max_current_A
        self.limit_A = 0.0
        self.is_fed = True
        self.is_supplied = True
        self.ignores_limit = False
        self.phase_switches = 0
        self.switched_under_load = 0
        self._phases = phases
        self._coming_phases = phases
        self._switching_s = 0.0
        self.energy_Wh = 0.0
        self.contactor_closed = False
        self.opened_under_load = 0
        self.car = car
        self.cable_A: float | None = None
        self._voltage_V = voltage_V
        self._feed_ohm = feed_ohm
        self._offer_A = 0.0
        self._since_pilot_s = PILOT_PAUSE_S
        self._in_state_s = 0.0

    @property
    def state(self) -> str:
        """Letter of IEC 61851-1: A no car, B connected, C charging."""
        if self.car is None:
            return "A"
        drawing = max(self.car.current_A) >= IDLE_A
        return "C" if drawing or (self._offer_A > 0.0 and self.car.asks) else "B"

    @property
    def phases(self) -> int:
        """Phases that are connected: 1 or 3."""
        return self._phases

    @phases.setter
    def phases(self, phases: int) -> None:
        if phases != self._phases:
            self.phase_switches += 1
            self.switched_under_load += max(self.current_A) >= IDLE_A
        self._phases = self._coming_phases = phases

    def set_phases(self, phases: int) -> None:
        """Change the phases as a charger does that can: pause, wait, switch, wait, go on."""
        if phases != self._coming_phases:
            self._coming_phases = phases
            self._switching_s = SWITCHING_S

    @property
    def is_settled(self) -> bool:
        """Whether nothing moves here while the limit stays as it is."""
        is_connected = self.contactor_closed == (self.state == "C" and self._offer_A > 0.0)
        is_offered = self._wanted_offer_A() == self._offer_A
        is_car_settled = self.car is None or self.car.is_settled
        return self._switching_s <= 0.0 and is_connected and is_offered and is_car_settled

    @property
    def offer_A(self) -> float:
        """What the pilot offers now, in ampere per phase; 0 when it offers nothing."""
        return self._offer_A

    @property
    def current_A(self) -> Vector3:
        """Current on the connector's own L1, L2, L3."""
        return self.car.current_A if self.car else (0.0, 0.0, 0.0)

    @property
    def voltage_V(self) -> Vector3:
        """Phase to neutral; 0 on phases that are not wired."""
        one, two, three = self.fed_V
        return (one, two if self._phases > 1 else 0.0, three if self._phases > 2 else 0.0)

    @property
    def fed_V(self) -> Vector3:
        """Voltage at its terminals: that of the grid, less what the cable that feeds it loses."""
        volts = self._voltage_V if self.is_supplied else 0.0
        if not self._feed_ohm:
            return volts, volts, volts
        return far_end_V(volts, self.current_A, self._feed_ohm)

    @property
    def power_W(self) -> float:
        """Sum over the phases."""
        (i1, i2, i3), (u1, u2, u3) = self.current_A, self.fed_V
        return i1 * u1 + i2 * u2 + i3 * u3

    @property
    def most_A(self) -> float:
        """The most that it may offer to whoever is plugged in: its rating, or what the cable bears."""
        return self.max_current_A if self.cable_A is None else min(self.max_current_A, self.cable_A)

    def set_limit(self, current_A: float) -> None:
        """Take a new limit per phase."""
        if not self.ignores_limit:
            self.limit_A = current_A

    def plug_in(self, car: Car, cable_A: float | None = None) -> None:
        """Connect a car, by a cable that came with it or by the charger's own."""
        self.car, self.cable_A = car, cable_A
        car.plug_in()

    def unplug(self) -> Car | None:
        """Take the car off; the contactor opens with the pilot contact, before the power contacts part."""
        car, self.car, self.cable_A = self.car, None, None
        if car:
            car.advance(0.0, 0.0, 0, self._voltage_V)
        self.contactor_closed = False
        return car

    def advance(self, dt_s: float) -> None:
        """Let time pass."""
        before = self.state
        self._switch_phases(dt_s)
        self._move_pilot(dt_s)
        if self.car:
            connected = self._phases if self.contactor_closed and self.is_fed and self.is_supplied else 0
            self.car.advance(dt_s, self._offer_A, connected, self.fed_V[0])
        self._in_state_s = self._in_state_s + dt_s if self.state == before else 0.0
        self._move_contactor()
        self.energy_Wh += self.power_W * dt_s / 3600.0

    def _move_pilot(self, dt_s: float) -> None:
        """Follow the limit: off at once, a new duty cycle not too soon after the last."""
        self._since_pilot_s += dt_s
        wanted = self._wanted_offer_A()
        if wanted == self._offer_A:
            return
        must_wait = wanted > 0.0 and self._offer_A > 0.0 and self.state == "C"
        if must_wait and self._since_pilot_s < PILOT_PAUSE_S:
            return
        self._offer_A = wanted
        self._since_pilot_s = 0.0

    def _wanted_offer_A(self) -> float:
        if self.car is None or not self.is_supplied:
            return 0.0
        if self._switching_s > 0.0 or self.limit_A <= THRESHOLD_A:
            return 0.0
        return max(MINIMUM_OFFER_A, min(self.limit_A, self.most_A))

    def _switch_phases(self, dt_s: float) -> None:
        """Move the phase contact amid the pause, when the car has stopped or was cut off."""
        if self._switching_s <= 0.0:
            return
        self._switching_s = max(0.0, self._switching_s - dt_s)
        is_due = self._switching_s <= SWITCHING_S / 2 and self._phases != self._coming_phases
        if is_due and not self.contactor_closed:
            self.phases = self._coming_phases

    def _move_contactor(self) -> None:
        """Close in state C while the pilot is on; open when current or patience with the car has ended."""
        drawing = max(self.current_A) >= IDLE_A
        if self._offer_A > 0.0:
            if self.state == "C" and self._in_state_s >= CLOSE_AFTER_S:
                self.contactor_closed = True
            elif self.state != "C":
                self.contactor_closed = False
        elif self.contactor_closed and not drawing:
            self.contactor_closed = False
        elif self.contactor_closed and self._since_pilot_s >= FORCED_OPEN_S:
            self.contactor_closed = False
            self.opened_under_load += 1

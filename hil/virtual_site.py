"""A site on a virtual clock: plant and energy manager face to face, with nothing in between.

Cars, house and meters live in steps of 200 ms, and the decisions fall as `control` makes them: once per
interval, and at once when a reading shows an overload. A day passes in minutes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from control.powermeter import reading_of
from energy_management import EnergyManager
from energy_management.measurement import Reading, Vector3
from hil.breaker import Breaker
from hil.plant import Car, CarModel, ChargePoint, FuseWatch, House, Rotation
from hil.plant.evse_manager import EvseManager
from hil.plant.site import STRAIGHT, rotated, total

GRID = "grid"
"""Name of the one node above all EVSEs."""

TICK_S = 0.2
START = datetime(2026, 5, 4, 0, 0, tzinfo=UTC)

Json = dict[str, Any]
Load = Callable[[float], Vector3]
"""Current of all other loads at a time, per grid phase."""


class LivelyCar(Car):
    """A car whose current wanders a little, as those of real ones do.

    Parameters
    ----------
    wander_A : float
        Standard deviation, about what it would draw otherwise; drawn anew every few seconds.
    """

    def __init__(self, model: CarModel, *, soc: float = 0.3, wander_A: float = 0.0, seed: int = 0) -> None:
        super().__init__(model, soc=soc)
        self._random = Random(seed)
        self._wander_A = wander_A
        self._off_A = 0.0
        self._left_s = 0.0

    def advance(self, dt_s: float, offer_A: float, phases: int, voltage_V: float) -> None:
        """Let time pass."""
        self._left_s -= dt_s
        if self._left_s <= 0.0:
            self._left_s = self._random.uniform(1.0, 5.0)
            self._off_A = min(0.0, self._random.gauss(-self._wander_A, self._wander_A))
        super().advance(dt_s, offer_A, phases, voltage_V)

    def _target_A(self) -> float:
        target = super()._target_A()
        return max(target + self._off_A, self.model.min_current_A - 0.5) if target else 0.0


@dataclass
class VirtualEvse:
    """One EVSE behind EVerest's `energy` interface, with what may hang on it.

    Attributes
    ----------
    name : str
        Its uuid.
    car : Car or None
        Plugged in after `arrives_s`.
    rotation : Rotation
        How it is really wired.
    is_measured : bool
        Its meter is published.
    sample_s : float
        How often it publishes.
    """

    name: str
    car: Car | None = None
    arrives_s: float = 0.0
    max_current_A: float = 32.0
    rotation: Rotation = STRAIGHT
    is_measured: bool = True
    sample_s: float = 1.0
    manager: EvseManager = field(init=False)
    request: Json = field(init=False)
    taken_at: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        self.manager = EvseManager(self.name, ChargePoint(max_current_A=self.max_current_A))
        self.publish(0.0)

    @property
    def current_A(self) -> Vector3:
        """Current per grid phase."""
        return rotated(self.manager.current_A, self.rotation)

    def advance(self, now_s: float, dt_s: float) -> None:
        """Let time pass; publish when that is due."""
        if self.car and self.manager.point.car is None and now_s >= self.arrives_s:
            self.manager.point.plug_in(self.car)
        if self.manager.advance(dt_s) or now_s - self.taken_at >= self.sample_s - 1e-6:
            self.publish(now_s)

    def publish(self, now_s: float) -> None:
        """Make the request that is known of it from now on."""
        self.request = self.manager.request(START + timedelta(seconds=now_s))
        self.taken_at = now_s
        if not self.is_measured:
            del self.request["energy_usage_root"]


@dataclass(frozen=True, slots=True)
class Frame:
    """What was at one decision.

    Attributes
    ----------
    grid_A, house_A : Vector3
        Through the fuse, and of all other loads.
    grants_A : mapping
        By EVSE.
    draws_A : mapping
        Per grid phase.
    states, sources : mapping
        What the EVSE reported, and what its limit names as its reason.
    """

    at_s: float
    grid_A: Vector3
    house_A: Vector3
    grants_A: Mapping[str, float]
    draws_A: Mapping[str, Vector3]
    states: Mapping[str, str]
    sources: Mapping[str, str]


class VirtualSite:
    """A fuse, a meter behind it, other loads and EVSEs.

    Parameters
    ----------
    manager : EnergyManager
        Decides; its site knows the node as ``grid``.
    fuse_A : float
        Rating per phase.
    evses : sequence of VirtualEvse
        In the order of the tree.
    house : callable or House
        Other loads.
    meter_s : float or None
        How often the meter is read; None is no meter.
    meter_age_s : float
        How old its values are when it is read, unknown to the reader.
    disturb : callable
        What becomes of a reading of the meter on its way; None is nothing.
    limit_A : callable, optional
        A limit beside the fuse, given time and newest reading.
    noise_A : float
        Standard deviation of all current measurements.

    Attributes
    ----------
    frames : list of Frame
        One for each decision.
    watch, breaker
        Judges of the fuse.
    """

    def __init__(
        self,
        manager: EnergyManager,
        fuse_A: float,
        evses: Sequence[VirtualEvse],
        house: Load | House = lambda _: (0.0, 0.0, 0.0),
        *,
        meter_s: float | None = 1.0,
        meter_age_s: float = 0.0,
        disturb: Callable[[Reading], Reading | None] = lambda reading: reading,
        limit_A: "Callable[[VirtualSite], float] | None" = None,
        noise_A: float = 0.0,
        decide_s: float = 1.0,
        seed: int = 1,
    ) -> None:
        self.manager = manager
        self.fuse_A = fuse_A
        self.evses = list(evses)
        self.now_s = 0.0
        self.frames: list[Frame] = []
        self.watch = FuseWatch(fuse_A, grace_s=(meter_s or 0.0) + 5.0, slack_A=0.1 + 4 * noise_A)
        self.breaker = Breaker(fuse_A)
        self.reading: Reading | None = None
        self._house = house
        self._meter_s, self._meter_age_s = meter_s, meter_age_s
        self._disturb = disturb
        self._limit_A = limit_A
        self._noise_A = noise_A
        self._random = Random(seed)
        self._decide_s = decide_s
        self._read_at_s = self._decided_at_s = -1e9
        self._history: list[Vector3] = []
        self._energy_Wh = 0.0

    @property
    def house_A(self) -> Vector3:
        """Other loads at present."""
        return self._house.current_A if isinstance(self._house, House) else self._house(self.now_s)

    @property
    def grid_A(self) -> Vector3:
        """Current through the fuse at present."""
        return total([self.house_A, *(evse.current_A for evse in self.evses)])

    def run(self, seconds: float) -> "VirtualSite":
        """Let time pass, and decide whenever that is due."""
        for _ in range(round(seconds / TICK_S)):
            self.now_s = round(self.now_s + TICK_S, 6)
            self._advance()
            if self._decision_is_due():
                self._decide()
        return self

    def since(self, at_s: float) -> Iterator[Frame]:
        """Look at the decisions from a time on."""
        return (frame for frame in self.frames if frame.at_s >= at_s)

    def _advance(self) -> None:
        if isinstance(self._house, House):
            self._house.advance(TICK_S)
        for evse in self.evses:
            evse.advance(self.now_s, TICK_S)
        current_A = self.grid_A
        self._energy_Wh += sum(current_A) * 230.0 * TICK_S / 3600.0
        self.watch.observe(self.now_s, current_A)
        self.breaker.carry(current_A, TICK_S)
        self._history = [*self._history[-100:], current_A]

    def _decision_is_due(self) -> bool:
        """Read the meter when that is due; an overload that it shows does not wait for the next turn."""
        is_overload = False
        if self._meter_s is not None and self.now_s - self._read_at_s >= self._meter_s - 1e-6:
            self._read_at_s = self.now_s
            reading = self._disturb(self._measure())
            if reading is not None:
                self.reading = reading
                is_overload = any(current > self.fuse_A for current in reading.current_A or ())
        is_turn = self.now_s - self._decided_at_s >= self._decide_s - 1e-6
        return is_overload or is_turn

    def _measure(self) -> Reading:
        measured = self._history[-1 - round(self._meter_age_s / TICK_S) :][0]
        current_A = self._noisy(measured)
        power_W = (current_A[0] * 230.0, current_A[1] * 230.0, current_A[2] * 230.0)
        return Reading(
            self.now_s,
            current_A,
            (230.0, 230.0, 230.0),
            power_W,
            sum(power_W),
            energy_import_Wh=self._energy_Wh,
        )

    def _noisy(self, current_A: Vector3) -> Vector3:
        if not self._noise_A:
            return current_A
        one, two, three = (current + self._random.gauss(0.0, self._noise_A) for current in current_A)
        return one, two, three

    def _decide(self) -> None:
        self._decided_at_s = self.now_s
        readings: dict[str, Reading] = {}
        for evse in self.evses:
            if "energy_usage_root" in evse.request:
                measured = reading_of(evse.request["energy_usage_root"], evse.taken_at)
                readings[evse.name] = replace(
                    measured, current_A=self._noisy(measured.current_A or (0, 0, 0))
                )
        if self.reading is not None:
            readings[GRID] = self.reading
        now = START + timedelta(seconds=self.now_s)
        results = self.manager.optimize(self._request(), now, readings, monotonic_s=self.now_s)
        limits = {result["uuid"]: result["limits_root_side"]["ac_max_current_A"] for result in results}
        for evse, result in zip(self.evses, results, strict=True):
            evse.manager.enforce_limits(result)
        self.frames.append(
            Frame(
                self.now_s,
                self.grid_A,
                self.house_A,
                {name: limit["value"] for name, limit in limits.items()},
                {evse.name: evse.current_A for evse in self.evses},
                {evse.name: evse.manager.evse_state for evse in self.evses},
                {name: limit["source"] for name, limit in limits.items()},
            )
        )

    def _request(self) -> Json:
        limit_A = min(self.fuse_A, self._limit_A(self) if self._limit_A else self.fuse_A)
        limits = {"ac_max_current_A": {"value": limit_A, "source": "fuse"}}
        entry = {"timestamp": START.isoformat(), "limits_to_root": limits, "limits_to_leaves": {}}
        return {
            "uuid": GRID,
            "node_type": "Generic",
            "children": [evse.request for evse in self.evses],
            "schedule_import": [entry],
            "schedule_export": [],
            "schedule_setpoints": [],
        }

"""The grid connection: who draws on which phase, what its meter reads, and whether its fuse would mind."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from energy_management.measurement import Reading, Vector3
from hil.plant.charge_point import ChargePoint
from hil.plant.house import House

Rotation = tuple[int, int, int]
"""Grid phase (0, 1, 2) behind each phase of a connector: with (1, 2, 0) its L1 hangs on the grid's L2."""

STRAIGHT: Rotation = (0, 1, 2)


def rotated(current_A: Vector3, rotation: Rotation) -> Vector3:
    """Currents of a connector as the grid sees them."""
    grid = [0.0, 0.0, 0.0]
    for phase, current in zip(rotation, current_A, strict=True):
        grid[phase] += current
    return (grid[0], grid[1], grid[2])


def total(vectors: "list[Vector3]") -> Vector3:
    """Sum per phase."""
    return (sum(v[0] for v in vectors), sum(v[1] for v in vectors), sum(v[2] for v in vectors))


class Site:
    """House and EVSEs behind one grid connection.

    Parameters
    ----------
    house : House
        What nobody controls.
    charge_points : mapping of str to ChargePoint
        EVSEs that live in this plant, by name.
    rotations : mapping of str to Rotation
        How each EVSE is wired to the grid; straight where nothing is said.
    elsewhere : mapping of str to callable
        EVSEs that live in another process: each call gives the last known currents on its own phases.
    voltage_V : float
        Phase to neutral.
    """

    def __init__(
        self,
        house: House,
        charge_points: Mapping[str, ChargePoint],
        *,
        rotations: Mapping[str, Rotation] | None = None,
        elsewhere: Mapping[str, Callable[[], Vector3]] | None = None,
        voltage_V: float = 230.0,
    ) -> None:
        self.house = house
        self.charge_points = charge_points
        self._rotations = rotations or {}
        self._elsewhere = elsewhere or {}
        self._voltage_V = voltage_V
        self._import_Wh = 0.0
        self._export_Wh = 0.0

    def advance(self, dt_s: float) -> None:
        """Let time pass in everything that lives here."""
        self.house.advance(dt_s)
        for point in self.charge_points.values():
            point.advance(dt_s)
        power_W = sum(self.current_A) * self._voltage_V
        if power_W >= 0.0:
            self._import_Wh += power_W * dt_s / 3600.0
        else:
            self._export_Wh -= power_W * dt_s / 3600.0

    def evse_current_A(self, name: str) -> Vector3:
        """Tell what one EVSE draws on the grid's L1, L2, L3."""
        point = self.charge_points.get(name)
        own = point.current_A if point else self._elsewhere[name]()
        return rotated(own, self._rotations.get(name, STRAIGHT))

    @property
    def current_A(self) -> Vector3:
        """Current through the grid fuse, per phase."""
        names = [*self.charge_points, *self._elsewhere]
        return total([self.house.current_A, *(self.evse_current_A(name) for name in names)])

    def reading(self, taken_at: float) -> Reading:
        """Read the grid meter at this moment."""
        current = self.current_A
        u = self._voltage_V
        power = (current[0] * u, current[1] * u, current[2] * u)
        return Reading(
            taken_at=taken_at,
            current_A=current,
            voltage_V=(u, u, u),
            power_W=power,
            total_power_W=sum(power),
            energy_import_Wh=self._import_Wh,
            energy_export_Wh=self._export_Wh,
            frequency_Hz=50.0,
        )


@dataclass(slots=True)
class Overload:
    """A stretch of time in which one phase carried more than its fuse."""

    phase: int
    started_s: float
    duration_s: float
    peak_A: float


@dataclass
class FuseWatch:
    """Records every overload of a fuse.

    Attributes
    ----------
    fuse_A : float
        Rating per phase.
    grace_s : float
        An overload that is over sooner is no violation.
    slack_A : float
        Excess that no meter can tell from none.
    peak_A : Vector3
        Highest current seen on each phase.
    """

    fuse_A: float
    grace_s: float
    slack_A: float = 0.1
    peak_A: Vector3 = (0.0, 0.0, 0.0)
    overloads: list[Overload] = field(default_factory=list)
    _open: dict[int, Overload] = field(default_factory=dict)

    def observe(self, now_s: float, current_A: Vector3) -> None:
        """Look at the fuse; call it at every step of the plant."""
        self.peak_A = (
            max(self.peak_A[0], current_A[0]),
            max(self.peak_A[1], current_A[1]),
            max(self.peak_A[2], current_A[2]),
        )
        for phase, current in enumerate(current_A):
            overload = self._open.get(phase)
            if overload:
                overload.duration_s = now_s - overload.started_s
            if current <= self.fuse_A + self.slack_A:
                self._open.pop(phase, None)
            elif overload:
                overload.peak_A = max(overload.peak_A, current)
            else:
                self._open[phase] = Overload(phase, now_s, 0.0, current)
                self.overloads.append(self._open[phase])

    @property
    def violations(self) -> list[Overload]:
        """Overloads that lasted longer than the grace."""
        return [overload for overload in self.overloads if overload.duration_s > self.grace_s]

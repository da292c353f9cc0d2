"""A simulated device: its registers are generated from the profile that the bridge reads it with."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from bsp.profile import Profile
from bsp.registers import Point, Table, Value, decode, encode, missing
from hil.devices.lies import Lies

ILLEGAL_ADDRESS, ILLEGAL_VALUE = 2, 3


class DeviceRefusesError(Exception):
    """The device answers with an exception reply."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exception {code}")
        self.code = code


@dataclass
class Faults:
    """What is wrong with a device at the moment; set from any thread.

    Attributes
    ----------
    silent : bool
        It receives, and never answers.
    delay_s : float
        It answers late.
    exception : int or None
        It answers every request with this exception code.
    corrupt : bool
        A bit of each answer is wrong, so that its checksum does not fit.
    truncated : bool
        Only the first half of each answer arrives.
    foreign : bool
        Each answer seems to come from another device.
    noise : bytes
        What is heard on the line before each answer.
    times : int or None
        How many requests meet these faults before all is well again; None for ever.
    """

    silent: bool = False
    delay_s: float = 0.0
    exception: int | None = None
    corrupt: bool = False
    truncated: bool = False
    foreign: bool = False
    noise: bytes = b""
    times: int | None = None

    @property
    def has_bad_frames(self) -> bool:
        """Whether no answer can be taken for one."""
        return self.corrupt or self.truncated or self.foreign or bool(self.noise)

    def next(self) -> "Faults":
        """Give the faults that the next request meets."""
        if self.times is None:
            return self
        met = dataclasses.replace(self)
        self.times -= 1
        if self.times <= 0:
            for field in dataclasses.fields(self):
                setattr(self, field.name, field.default)
        return met


class RegisterDevice:
    """A device with the register map of a profile.

    Subclasses give the present `values` and react to what is `written`. Addresses outside of the map are
    refused, or read 0 where the profile says that reads may span gaps; too long reads are refused, too.

    Attributes
    ----------
    faults : Faults
        What is wrong with it.
    lies : Lies
        What is wrong with the values it shows.
    requests : int
        Requests it has received.
    is_powered : bool
        Without power it answers nothing.
    fixed : dict of int to int
        Holding registers besides those of the profile, which never change.

    Parameters
    ----------
    profile : Profile
        Its register map.
    base : int
        Added to its addresses, as for the second connector of a charger.
    """

    def __init__(self, profile: Profile, *, base: int = 0) -> None:
        self.profile = profile
        self.faults = Faults()
        self.lies = Lies()
        self.requests = 0
        self.is_powered = True
        self.fixed: dict[int, int] = {}
        self._addresses = {
            name: point.address + (0 if point.absolute else base) for name, point in profile.points.items()
        }
        self._inside: dict[tuple[Table, int, int], list[tuple[int, str, Point]]] = {}

    def values(self) -> Mapping[str, Value]:
        """Give the present value of each point; what is absent reads as missing."""
        raise NotImplementedError

    def written(self, name: str, value: Value) -> None:  # noqa: ARG002 (for subclasses)
        """React to a point that was written; by default none can be."""
        raise DeviceRefusesError(ILLEGAL_ADDRESS)

    def tick(self) -> None:
        """Let time pass; called often."""

    def power_cycle(self) -> None:
        """Begin anew, as after power was off; by default nothing is forgotten."""

    def lose_power(self) -> None:
        """Go silent."""
        self.is_powered = False

    def regain_power(self) -> None:
        """Begin anew, if it had none."""
        if not self.is_powered:
            self.is_powered = True
            self.power_cycle()

    def next_faults(self) -> Faults:
        """Give the faults that the next request meets."""
        return self.faults.next() if self.is_powered else Faults(silent=True)

    def read(self, table: Table, address: int, count: int) -> list[int]:
        """Answer a read.

        Raises
        ------
        DeviceRefusesError
            The device has not all of these addresses, or cannot read as many at once.
        """
        if count > self.profile.max_registers_per_read and table in ("holding", "input"):
            raise DeviceRefusesError(ILLEGAL_VALUE)
        known = self._registers(table, address, count)
        if not known or (len(known) < count and self.profile.max_gap == 0):
            raise DeviceRefusesError(ILLEGAL_ADDRESS)
        return [known.get(address + offset, 0) for offset in range(count)]

    def write(self, table: Table, address: int, values: list[int]) -> None:
        """Take a write of one point or of several in a row.

        Raises
        ------
        DeviceRefusesError
            No point begins there or ends with the last value.
        """
        while values:
            name, point = self._point_at(table, address, len(values))
            self.written(name, decode(point, values[: point.count]))
            address, values = address + point.count, values[point.count :]

    def _point_at(self, table: Table, address: int, count: int) -> tuple[str, Point]:
        for name, point in self.profile.points.items():
            if point.table == table and self._addresses[name] == address and point.count <= count:
                return name, point
        raise DeviceRefusesError(ILLEGAL_ADDRESS)

    def _registers(self, table: Table, address: int, count: int) -> dict[int, int]:
        values = self.lies.about(self.values())
        known = dict(self.fixed) if table == "holding" else {}
        for start, name, point in self._points_inside(table, address, count):
            if values.get(name) is None and start in known:
                continue  # another name of the same register has a value
            for offset, word in enumerate(self.lies.order(self._encode(point, name, values))):
                shared = known.get(start + offset, 0) if point.mask is not None else 0
                known[start + offset] = shared | word
        return {at: word for at, word in known.items() if address <= at < address + count}

    def _points_inside(self, table: Table, address: int, count: int) -> list[tuple[int, str, Point]]:
        """Find the points that a read meets; they are remembered, since most reads come again."""
        span = (table, address, count)
        if span not in self._inside:
            self._inside[span] = [
                (start, name, point)
                for name, point in self.profile.points.items()
                if point.table == table
                and point.readable
                and (start := self._addresses[name]) < address + count
                and address < start + point.count
            ]
        return self._inside[span]

    def _encode(self, point: Point, name: str, values: Mapping[str, Value]) -> list[int]:
        value = values.get(name)
        if value is None:
            return missing(point) or [0] * point.count
        exponent = values.get(point.scale_factor) if point.scale_factor is not None else 0
        try:
            return encode(point, value, exponent if isinstance(exponent, int) else 0)
        except ValueError:
            return [0xFFFF] * point.count  # beyond its range, as meters show it

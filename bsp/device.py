"""A device on a bus, read and written by the names of its profile's points."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bsp.bus import Bus, Priority
from bsp.profile import Profile
from bsp.registers import Point, Table, Value, decode, encode, merge
from bsp.transport import ILLEGAL_ADDRESS, Read, RefusedError, Write


@dataclass(frozen=True, slots=True)
class Block:
    """Points of one table that one request reads."""

    table: Table
    address: int
    count: int
    points: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """Values of points, and the moment in which the first of them was asked for."""

    values: Mapping[str, Value]
    taken_at: float


def plan(points: Mapping[str, Point], *, max_count: int, max_gap: int) -> list[Block]:
    """Arrange points into as few requests as the device allows.

    Parameters
    ----------
    points : mapping of str to Point
        What to read.
    max_count : int
        Registers that one request may read.
    max_gap : int
        Registers between two points that one request may read for nothing.
    """
    blocks: list[Block] = []
    for name, point in sorted(
        points.items(), key=lambda item: (item[1].table or "", item[1].address, item[1].count)
    ):
        table = point.table or "holding"
        end = point.address + point.count
        last = blocks[-1] if blocks else None
        if (
            last is not None
            and last.table == table
            and point.address - (last.address + last.count) <= max_gap
            and end - last.address <= max(max_count, last.count)
        ):
            count = max(last.count, end - last.address)
            blocks[-1] = Block(table, last.address, count, (*last.points, name))
        else:
            blocks.append(Block(table, point.address, point.count, (name,)))
    return blocks


class Device:
    """One unit on a bus with the register map of its profile.

    Parameters
    ----------
    bus : Bus
        Where it is.
    unit : int
        Its Modbus address there.
    profile : Profile
        Its register map.
    base : int
        Added to the addresses of points, for devices that are built of blocks.
    """

    def __init__(self, bus: Bus, unit: int, profile: Profile, *, base: int = 0) -> None:
        self.bus = bus
        self.unit = unit
        self._base = base
        self._profile = profile
        self._blocks: dict[tuple[str, ...], list[Block]] = {}
        self._absent: set[str] = set()

    def move(self, base: int) -> None:
        """Read and write the points from another base on."""
        self._base = base
        self._blocks.clear()

    async def registers(self, address: int, count: int) -> Sequence[int]:
        """Read holding registers as they are, whatever the profile says of them.

        Raises
        ------
        BusError
            The device gave no answer or refused.
        """
        request = Read("holding", address, count)
        return (await self.bus.request(self.unit, request, gap_s=self._profile.request_gap)).values

    async def read(self, names: Iterable[str], *, priority: Priority = Priority.POLL) -> Sample:
        """Read points in as few requests as the device allows.

        A block that the device refuses because of an address is read in smaller parts from then on; a point
        that it refuses by itself is missing (None) from then on.

        Raises
        ------
        BusError
            A part of them could not be read; so none is given.
        """
        wanted = tuple(name for name in names if self._profile.points[name].readable)
        registers: dict[str, Sequence[int]] = {}
        taken_at: list[float] = []
        for block in list(self._plan(wanted)):
            for part, values, at in await self._read_block(block, wanted, priority):
                taken_at.append(at)
                for name in part.points:
                    offset = self._address(name) - part.address
                    registers[name] = values[offset : offset + self._profile.points[name].count]
        if not taken_at and wanted:
            # Refused as a whole: the device starts up or is another one; it does not just lack some points.
            self._blocks.clear()
            self._absent.clear()
            raise RefusedError(ILLEGAL_ADDRESS)
        return Sample({name: self._decode(name, registers) for name in wanted}, min(taken_at, default=0.0))

    async def write(self, name: str, value: float | str, *, priority: Priority = Priority.SETPOINT) -> None:
        """Write one point; of a register that is shared, only the bits of the point.

        Raises
        ------
        BusError
            The device did not confirm it.
        ValueError
            The value does not fit the point.
        """
        point = self._profile.points[name]
        table, address, values = point.table or "holding", self._address(name), encode(point, value)
        if point.mask is not None and not point.is_bit:
            held = await self.bus.request(
                self.unit,
                Read(table, address, point.count),
                priority=priority,
                gap_s=self._profile.request_gap,
            )
            values = merge(point, held.values, values)
        request = Write(table, address, tuple(values), point.writes_multiple)
        await self.bus.request(self.unit, request, priority=priority, gap_s=self._profile.request_gap)

    def _plan(self, wanted: tuple[str, ...]) -> list[Block]:
        if wanted not in self._blocks:
            factors = (self._profile.points[name].scale_factor for name in wanted)
            names = [*wanted, *(factor for factor in factors if factor is not None)]
            self._blocks[wanted] = self._arrange(names, self._profile.max_gap)
        return self._blocks[wanted]

    def _arrange(self, names: Iterable[str], max_gap: int) -> list[Block]:
        points = {name: self._profile.points[name] for name in names if name not in self._absent}
        blocks = plan(points, max_count=self._profile.max_registers_per_read, max_gap=max_gap)
        return [Block(b.table, self._address(b.points[0]), b.count, b.points) for b in blocks]

    async def _read_block(
        self, block: Block, wanted: tuple[str, ...], priority: Priority
    ) -> list[tuple[Block, Sequence[int], float]]:
        request = Read(block.table, block.address, block.count)
        try:
            answer = await self.bus.request(
                self.unit, request, priority=priority, gap_s=self._profile.request_gap
            )
        except RefusedError as error:
            if error.code != ILLEGAL_ADDRESS:
                raise
            parts = self._split(block)
            blocks = self._blocks[wanted]
            blocks[blocks.index(block) : blocks.index(block) + 1] = parts
            return [read for part in parts for read in await self._read_block(part, wanted, priority)]
        return [(block, answer.values, answer.taken_at)]

    def _split(self, block: Block) -> list[Block]:
        """Arrange the points of a refused block without gaps, or else one by one; one alone is absent."""
        if len(block.points) == 1:
            self._absent.update(block.points)
            return []
        parts = self._arrange(block.points, 0)
        return (
            parts if len(parts) > 1 else [part for name in block.points for part in self._arrange([name], 0)]
        )

    def _address(self, name: str) -> int:
        point = self._profile.points[name]
        return point.address if point.absolute else point.address + self._base

    def _decode(self, name: str, registers: Mapping[str, Sequence[int]]) -> Value:
        point = self._profile.points[name]
        if name not in registers:
            return None
        if point.scale_factor is None:
            return decode(point, registers[name])
        exponent = self._decode(point.scale_factor, registers)
        return decode(point, registers[name], exponent) if isinstance(exponent, int) else None

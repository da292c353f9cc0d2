"""What the 16-bit registers of a device mean: types, word order, scale, markers of a missing value."""

import math
import struct
from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec

Table = Literal["holding", "input", "coil", "discrete"]
"""The four address spaces of Modbus: functions 3, 4, 1 and 2."""

ValueType = Literal[
    "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64", "ascii", "bool"
]
WordOrder = Literal["msw_first", "lsw_first"]
Marker = Literal["ones", "highest", "lowest", "zero"]
"""Raw values that mean "missing": all bits set, the highest or lowest value of the type, 0."""

Value = float | int | str | bool | None
"""A decoded value; None is "the device has none"."""

_FORMATS = {
    "int16": "h", "uint16": "H", "int32": "i", "uint32": "I", "int64": "q", "uint64": "Q",
    "float32": "f", "float64": "d",
}  # fmt: skip


class Point(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One value of a device: where it is and how it is coded.

    Attributes
    ----------
    address : int
        Protocol address, counted from 0 as on the wire; from the start of the block for devices that are
        built of blocks (SunSpec models, chargers with several connectors).
    table, type, word_order, invalid
        Where absent, the profile's ``defaults`` hold.
    length : int
        Registers of an ``ascii`` value.
    scale : float
        Value = raw times scale, in the unit of the point's name.
    scale_factor : str or None
        Point that holds a power of ten to multiply with (SunSpec).
    mask : int or None
        The bits of the raw value that count, shifted down to bit 0.
    write : str or None
        "single" (functions 5, 6) or "multiple" (15, 16); by default single for one register.
    readable : bool
        False for registers that can only be written.
    absolute : bool
        The address does not move with the block of the connector.
    note : str
        Whatever is odd about this point.
    """

    address: Annotated[int, msgspec.Meta(ge=0, le=0xFFFF)]
    table: Table | None = None
    type: ValueType | None = None
    word_order: WordOrder | None = None
    invalid: list[Marker | int] | None = None
    length: Annotated[int, msgspec.Meta(ge=1, le=125)] = 1
    scale: float = 1
    scale_factor: str | None = None
    mask: int | None = None
    write: Literal["single", "multiple"] | None = None
    readable: bool = True
    absolute: bool = False
    note: str = ""

    @property
    def count(self) -> int:
        """Number of registers (or bits) it takes."""
        if self.type in (None, "ascii", "bool"):
            return self.length
        return struct.calcsize(_FORMATS[self.type]) // 2

    @property
    def is_float(self) -> bool:
        """Whether it is a floating-point number, which takes any value."""
        return self.type in ("float32", "float64")

    @property
    def is_bit(self) -> bool:
        """Whether it lies in a table of single bits."""
        return self.table in ("coil", "discrete")

    @property
    def writes_multiple(self) -> bool:
        """Whether it is written with function 15 or 16 rather than 5 or 6."""
        return self.count > 1 if self.write is None else self.write == "multiple"


def decode(point: Point, registers: Sequence[int], exponent: int = 0) -> Value:
    """Read a point's value from its registers.

    Parameters
    ----------
    point : Point
        With its defaults filled in.
    registers : sequence of int
        As many as ``point.count``.
    exponent : int
        Power of ten from the point's scale factor.

    Returns
    -------
    Value
        None where the device says that it has no value (markers of the profile, NaN, infinity).
    """
    if point.type == "bool" or point.is_bit:
        return bool(registers[0] & (point.mask or 0xFFFF))
    words = registers if point.word_order != "lsw_first" or point.type == "ascii" else registers[::-1]
    data = b"".join(word.to_bytes(2, "big") for word in words)
    if point.type == "ascii":
        return data.decode("ascii", errors="replace").strip("\0 ") or None
    raw = int.from_bytes(data, "big")
    if any(raw == _marker(marker, point) for marker in point.invalid or ()):
        return None
    if point.mask is not None:
        number: float = (raw & point.mask) >> _shift(point.mask)
    else:
        (number,) = struct.unpack(">" + _FORMATS[point.type or "uint16"], data)
    if not math.isfinite(number):
        return None
    return number * point.scale * 10.0**exponent if (point.scale != 1 or exponent) else number


def encode(point: Point, value: float | str, exponent: int = 0) -> list[int]:
    """Turn a value into the registers of a point; the inverse of `decode`.

    Raises
    ------
    ValueError
        The value does not fit the point's type.
    """
    if point.type == "bool" or point.is_bit:
        return [int(bool(value))]
    if point.type == "ascii":
        data = str(value).encode("ascii").ljust(2 * point.count, b"\0")[: 2 * point.count]
    else:
        scaled = float(value) / (point.scale * 10.0**exponent)
        raw: float = scaled if point.is_float else round(scaled)
        if point.mask is not None:
            raw = int(raw) << _shift(point.mask) & point.mask
        try:
            data = struct.pack(">" + _FORMATS[point.type or "uint16"], raw)
        except (struct.error, OverflowError) as error:
            raise ValueError(f"{value!r} does not fit {point.type} with scale {point.scale:g}") from error
    words = [int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2)]
    return words[::-1] if point.word_order == "lsw_first" and point.type != "ascii" else words


def merge(point: Point, held: Sequence[int], written: Sequence[int]) -> list[int]:
    """Put the bits of a masked point into what its registers hold."""
    words = held if point.word_order != "lsw_first" else held[::-1]
    mask = [(point.mask or 0) >> 16 * shift & 0xFFFF for shift in reversed(range(point.count))]
    new = written if point.word_order != "lsw_first" else written[::-1]
    merged = [
        word & ~bits & 0xFFFF | fresh & bits for word, bits, fresh in zip(words, mask, new, strict=True)
    ]
    return merged if point.word_order != "lsw_first" else merged[::-1]


def missing(point: Point) -> list[int] | None:
    """Give the registers by which a device says that it has no value of this point, if it can."""
    if point.is_float:
        return encode(point, math.nan)
    for marker in point.invalid or ():
        data = _marker(marker, point).to_bytes(2 * point.count, "big")
        words = [int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2)]
        return words[::-1] if point.word_order == "lsw_first" else words
    return None


def _marker(marker: str | int, point: Point) -> int:
    """Give the raw value, as unsigned number, that a marker means for a point."""
    if isinstance(marker, int):
        return marker
    bits = 16 * point.count
    ones, sign = (1 << bits) - 1, 1 << bits - 1
    is_signed = (point.type or "").startswith("int")
    return {
        "ones": ones,
        "highest": sign - 1 if is_signed else ones,
        "lowest": sign if is_signed else 0,
        "zero": 0,
    }[marker]


def _shift(mask: int) -> int:
    return (mask & -mask).bit_length() - 1

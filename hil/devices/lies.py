"""Devices that answer in good form, and wrong: broken, or wired or set up as they must not be."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random

from bsp.registers import Value

_MEASURED = ("current_A", "power_W", "voltage_V", "energy_Wh", "frequency_Hz")
_DIRECTED = ("current_A", "power_W")


@dataclass
class Lies:
    """What is wrong with the values of a device at the moment.

    Attributes
    ----------
    frozen : bool
        It shows for ever what it showed first.
    wild : bool
        Each measured value is any multiple of the true one, from -20 to 20.
    swapped_words : bool
        Values of several registers have them in the opposite order.
    reversed_signs : bool
        Currents and powers have the opposite sign: transformers the wrong way round.
    missing : frozenset of str
        Phases without a measurement: "L1", "L2", "L3".
    """

    frozen: bool = False
    wild: bool = False
    swapped_words: bool = False
    reversed_signs: bool = False
    missing: frozenset[str] = frozenset()
    _random: Random = field(default_factory=lambda: Random(1), repr=False)
    _first: Mapping[str, Value] | None = field(default=None, repr=False)

    def about(self, values: Mapping[str, Value]) -> Mapping[str, Value]:
        """Give what the device shows in place of the truth."""
        if self.frozen:
            self._first = dict(values) if self._first is None else self._first
            return self._first
        if not (self.wild or self.reversed_signs or self.missing):
            return values
        return {name: self._about(name, value) for name, value in values.items()}

    def forget(self) -> None:
        """Freeze anew at what is shown next."""
        self._first = None

    def order(self, words: list[int]) -> list[int]:
        """Put the registers of a value in the order in which the device shows them."""
        return words[::-1] if self.swapped_words else words

    def _about(self, name: str, value: Value) -> Value:
        if not isinstance(value, int | float) or not name.startswith(_MEASURED):
            return value
        if name.rpartition(".")[2] in self.missing:
            return None
        if self.reversed_signs and name.startswith(_DIRECTED):
            value = -value
        return value * self._random.uniform(-20.0, 20.0) if self.wild else value

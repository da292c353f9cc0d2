"""How a charger is controlled, as its profile describes it: limit, switch, phases, watchdog."""

from typing import Literal

import msgspec

from bsp.yaml_file import Amperes, Seconds


class CurrentLimit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the charging current is limited.

    Attributes
    ----------
    points : list of str
        Points that take the limit: one, or one per phase.
    minimum, maximum, step : Amperes
        What the device accepts; limits are rounded down to a step, or a coarser one of the register.
    zero : str
        What 0 means to the device: "pause", or "ignored" where only ``enable`` can pause.
    unit : str
        "A", or "W" for devices that take a power (current * 230 V * phases).
    """

    points: list[str]
    minimum: Amperes = 6.0
    maximum: Amperes = 32.0
    step: Amperes = 1.0
    zero: Literal["pause", "ignored"] = "pause"
    unit: Literal["A", "W"] = "A"


class Enable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A switch besides the limit: the value that lets the connector charge, and the one that stops it."""

    point: str
    on: int = 1
    off: int = 0


class PhaseSwitching(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the connector goes from three phases to one and back.

    Attributes
    ----------
    point, one, three
        Where the number is written, and the values for one and three phases.
    sequenced_by : str
        "device": it stops the current, waits, switches and resumes by itself; "manager": all that is ours.
    first : dict
        Values to write before, by point (e.g. who may switch).
    trigger : dict
        Values to write after, by point (e.g. carry it out).
    confirm : str or None
        Point that tells the actual number; by default `point` itself where readable.
    confirm_one, confirm_three : int or None
        Its values, where they differ from `one` and `three`.
    available_if : dict
        Values that points must have, or the device cannot switch.
    hold_off : Seconds
        Least time between two switches.
    """

    point: str
    one: int
    three: int
    sequenced_by: Literal["device", "manager"]
    first: dict[str, int] = {}
    trigger: dict[str, int] = {}
    confirm: str | None = None
    confirm_one: int | None = None
    confirm_three: int | None = None
    available_if: dict[str, list[int]] = {}
    hold_off: Seconds = 300.0


class Watchdog(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the device notices that its manager is gone, and what it does then.

    Attributes
    ----------
    feed : str
        "traffic": any valid request feeds it; "write": `value` to `point`; "limit": writing the limit again.
    timeout : Seconds
        After this long without food it falls back. Written to `timeout_point` where there is one.
    point, value
        What to write for ``feed: write``.
    period : Seconds or None
        How often to feed; by default a quarter of the timeout.
    timeout_point : str or None
        Where the timeout is set.
    fallback_point : str or None
        Where the current is set that holds after the timeout.
    expires_to : str
        What the device does when nobody feeds it, in words.
    """

    feed: Literal["traffic", "write", "limit"]
    timeout: Seconds
    expires_to: str
    point: str | None = None
    value: int = 1
    period: Seconds | None = None
    timeout_point: str | None = None
    fallback_point: str | None = None

    @property
    def feed_every_s(self) -> float:
        """Seconds between two feeds."""
        return self.period if self.period is not None else self.timeout / 4

"""Shapes of EVerest's messages, where a wrong one would do harm; their content is the business of others."""

import math
from typing import Any, TypeGuard

import msgspec
from msgspec import UNSET, UnsetType

from control.clock import parse_timestamp


class MessageError(ValueError):
    """A message is not what it must be and was left out; what was there before stays."""


class _Number(msgspec.Struct, frozen=True):
    value: float


class _LimitsRes(msgspec.Struct, frozen=True):
    total_power_W: _Number | UnsetType = UNSET
    ac_max_current_A: _Number | UnsetType = UNSET
    ac_max_phase_count: _Number | UnsetType = UNSET


class _EnforcedLimits(msgspec.Struct, frozen=True):
    uuid: str
    valid_for: float
    limits_root_side: _LimitsRes


class _Price(msgspec.Struct, frozen=True):
    timestamp: str
    value: float
    currency: str


class _EnergyPriceSchedule(msgspec.Struct, frozen=True):
    schedule_import: list[_Price]
    schedule_export: list[_Price]


def is_number(value: object) -> TypeGuard[float]:
    """Whether a value can be reckoned with: no NaN, and nothing that is infinite or larger than any float."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def enforced_limits(value: object) -> dict[str, Any]:
    """Return a value that is an ``EnforcedLimits``.

    Raises
    ------
    MessageError
        It is none; the message says where.
    """
    return _checked(value, _EnforcedLimits, "enforce_limits")


def energy_price_schedule(value: object) -> dict[str, Any]:
    """Return a value that is an ``EnergyPriceSchedule``.

    Raises
    ------
    MessageError
        It is none; the message says where.
    """
    checked = _checked(value, _EnergyPriceSchedule, "energy_pricing")
    for price in [*checked["schedule_import"], *checked["schedule_export"]]:
        try:
            parse_timestamp(price["timestamp"])
        except ValueError as error:
            raise MessageError(f"energy_pricing: '{price['timestamp']}' is no RFC 3339 time") from error
    return checked


def _checked(value: object, shape: type, name: str) -> dict[str, Any]:
    try:
        msgspec.convert(value, shape)
    except (msgspec.ValidationError, UnicodeEncodeError) as error:
        raise MessageError(f"{name} is ignored: {error}") from error
    assert isinstance(value, dict)  # the shape is that of an object
    return value

"""Errors as modules see them: everestpy's submodule ``error``."""

import uuid
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import Any, TypeVar, overload

from hil.runtime.framework import log
from hil.runtime.wire import Json


class Severity(Enum):
    """How bad an error is."""

    Low = 0
    Medium = 1
    High = 2

    def __int__(self) -> int:
        """Convert as pybind11's enumerations do."""
        return self.value


class State(Enum):
    """Whether an error is active, or who cleared it."""

    Active = 0
    ClearedByModule = 1
    ClearedByReboot = 2

    def __int__(self) -> int:
        """Convert as pybind11's enumerations do."""
        return self.value


# everestpy has the members in the submodule, too.
Low, Medium, High = Severity.Low, Severity.Medium, Severity.High
Active, ClearedByModule, ClearedByReboot = State.Active, State.ClearedByModule, State.ClearedByReboot


@dataclass(slots=True)
class UUID:
    """Handle of one error; a new one if none is given."""

    uuid: str = field(default_factory=lambda: str(uuid.uuid4()))


@dataclass(slots=True)
class ImplementationIdentifier:
    """Where an error comes from.

    Attributes
    ----------
    mapping
        ``{"evse": 1, "connector": 1}`` (connector optional), or ``None`` for the whole station.
    """

    module_id: str
    implementation_id: str
    mapping: dict[str, int] | None = None


def _no_origin() -> ImplementationIdentifier:
    return ImplementationIdentifier("no-module-id-provided", "no-implementation-id-provided")


@dataclass(slots=True)
class Error:
    """One error.

    Attributes
    ----------
    timestamp
        When it was raised, as the text that goes over the wire; everestpy can't show it.
    """

    type: str = "NotValidType"
    sub_type: str = ""
    description: str = "no description provided"
    message: str = "no message provided"
    severity: Severity = Severity.Low
    origin: ImplementationIdentifier = field(default_factory=_no_origin)
    timestamp: str = field(default_factory=lambda: _timestamp(datetime.now(UTC)))
    uuid: UUID = field(default_factory=UUID)
    state: State = State.Active
    vendor_id: str = "everest"

    def to_json(self) -> dict[str, Json]:
        """Write it as it goes over the wire."""
        origin: dict[str, Json] = {
            "module_id": self.origin.module_id,
            "implementation_id": self.origin.implementation_id,
        }
        if self.origin.mapping is not None:
            origin["mapping"] = self.origin.mapping
        return {
            "type": self.type,
            "sub_type": self.sub_type,
            "message": self.message,
            "description": self.description,
            "severity": self.severity.name,
            "origin": origin,
            "state": self.state.name,
            "timestamp": self.timestamp,
            "uuid": self.uuid.uuid,
            "vendor_id": self.vendor_id,
        }

    @classmethod
    def from_json(cls, data: Json) -> "Error":
        """Read what came over the wire.

        Raises
        ------
        KeyError, TypeError
            A member is missing, or this is no object.
        """
        origin = data["origin"]
        return cls(
            type=_text(data, "type"),
            sub_type=_text(data, "sub_type"),
            message=_text(data, "message"),
            description=_text(data, "description"),
            severity=_member(Severity, _text(data, "severity"), Severity.High),
            origin=ImplementationIdentifier(
                _text(origin, "module_id"), _text(origin, "implementation_id"), origin.get("mapping")
            ),
            state=_member(State, _text(data, "state"), State.Active),
            timestamp=_text(data, "timestamp"),
            uuid=UUID(_text(data, "uuid")),
            vendor_id=_text(data, "vendor_id"),
        )


ErrorCallback = Callable[[Error], Any]


def _text(data: Json, member: str) -> str:
    text = data[member]
    if not isinstance(text, str):
        raise TypeError(f"{member} is no text: {text!r}")
    return text


def _timestamp(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.") + f"{time.microsecond // 1000:03}Z"


EnumT = TypeVar("EnumT", bound=Enum)


def _member(kind: type[EnumT], name: str, otherwise: EnumT) -> EnumT:
    if name in kind.__members__:
        return kind[name]
    log.error(f"error with unknown {kind.__name__} {name!r}, taken as {otherwise.name}")
    return otherwise


@dataclass(slots=True)
class ErrorStateCondition:
    """Asks whether an error is active, or is not."""

    type: str
    sub_type: str
    active: bool


class ErrorStateMonitor:
    """Tells which errors of one implementation are active."""

    def __init__(self, active: Mapping[tuple[str, str], Error]) -> None:
        self._active = active

    def is_error_active(self, type: str, sub_type: str, /) -> bool:  # noqa: A002 - everestpy's word
        """Whether an error of this type and sub-type is active."""
        return (type, sub_type) in self._active

    def is_condition_satisfied(self, condition: ErrorStateCondition | list[ErrorStateCondition], /) -> bool:
        """Whether the condition, or each of several, holds."""
        conditions = condition if isinstance(condition, list | tuple) else [condition]
        return all(self.is_error_active(one.type, one.sub_type) == one.active for one in conditions)


class ErrorFactory:
    """Makes errors of one implementation, with its origin and their descriptions filled in."""

    def __init__(self, origin: ImplementationIdentifier, descriptions: Mapping[str, str]) -> None:
        self._origin = origin
        self._descriptions = descriptions

    @overload
    def create_error(self) -> Error: ...

    @overload
    def create_error(self, type: str, sub_type: str, message: str, /) -> Error: ...

    @overload
    def create_error(self, type: str, sub_type: str, message: str, severity: Severity, /) -> Error: ...

    @overload
    def create_error(self, type: str, sub_type: str, message: str, state: State, /) -> Error: ...

    @overload
    def create_error(
        self, type: str, sub_type: str, message: str, severity: Severity, state: State, /
    ) -> Error: ...

    def create_error(self, *values: Any) -> Error:
        """Make an error from ``type, sub_type, message[, severity][, state]``, or an empty one."""
        error = Error(origin=deepcopy(self._origin))
        match values:
            case ():
                pass
            case (str(), str(), str(), *rest):
                error.type, error.sub_type, error.message = values[:3]
                self._set_state(error, rest)
            case _:
                raise TypeError(
                    f"create_error: expected type, sub_type, message[, severity][, state], got {values}"
                )
        error.description = self._description(error.type)
        return error

    @staticmethod
    def _set_state(error: Error, rest: list[Any]) -> None:
        match rest:
            case []:
                pass
            case [Severity()]:
                error.severity = rest[0]
            case [State()]:
                error.state = rest[0]
            case [Severity(), State()]:
                error.severity, error.state = rest
            case _:
                raise TypeError(f"create_error: expected [severity][, state] after the message, got {rest}")

    def _description(self, error_type: str) -> str:
        if error_type not in self._descriptions:
            log.error(f"Error type {error_type!r} is not defined, it gets no description")
        return self._descriptions.get(error_type, "No description found")

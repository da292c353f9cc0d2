"""Commands of the control interface: checked, carried out, answered. The same for EVerest and for MQTT.

Nothing ordered here can lift a fuse: limits are joined with it by minimum, a reserve only takes away from it.
"""

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Annotated, Literal

import msgspec

from control.clock import Clock, parse_timestamp, timestamp
from control.external_limits import EVEREST_SOURCE, Expiry, ExternalLimits
from control.orders import Orders, ReserveSteps
from control.schedules import JsonObject
from control.tree import Rating
from energy_management.modes import FROM_SURPLUS, Mode

PAUSE = "pause"
"""Source of the limit that pauses an EVSE; not to be taken by anyone else."""

_NOT_OF_THIS = {
    PAUSE: "use the commands pause and resume",
    EVEREST_SOURCE: "set_external_limits of the interface of that name sets it",
}
"""Sources that only somebody else sets, and how."""

GET_STATUS = "get_status"
"""The one command that is answered with more than words."""

Amperes = Annotated[float, msgspec.Meta(ge=0)]
Watts = Annotated[float, msgspec.Meta(ge=0)]


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of what a command takes: unknown keys are refused."""


class Limits(Order, frozen=True, kw_only=True):
    """Upper limits; at least one."""

    current_A: Amperes | None = None
    power_W: Watts | None = None
    phase_count: Annotated[int, msgspec.Meta(ge=1, le=3)] | None = None


class LimitStep(Order, frozen=True, kw_only=True):
    """Limits from a time on."""

    timestamp: str
    limits: Limits


class LimitOrder(Order, frozen=True, kw_only=True):
    """A limit of one source: limits or a schedule, for a while with a fallback or for good."""

    node: str
    source: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    limits: Limits | None = None
    schedule: Annotated[list[LimitStep], msgspec.Meta(min_length=1, max_length=1000)] | None = None
    valid_for_s: Annotated[float, msgspec.Meta(gt=0, le=366 * 86400)] | None = None
    fallback: Limits | None = None
    dimming: bool = False


class LimitEnd(Order, frozen=True, kw_only=True):
    """Whose limit ends where."""

    node: str
    source: str


class ReserveStep(Order, frozen=True, kw_only=True):
    """A reserve from a time on."""

    timestamp: str
    current_A: Amperes


class ReserveOrder(Order, frozen=True, kw_only=True):
    """What to keep free: a value or a schedule."""

    node: str
    current_A: Amperes | None = None
    schedule: Annotated[list[ReserveStep], msgspec.Meta(min_length=1, max_length=1000)] | None = None


class EvseOrder(Order, frozen=True, kw_only=True):
    """Attributes of an EVSE; what is None stays as it is."""

    uuid: str
    priority: Annotated[int, msgspec.Meta(ge=-1000, le=1000)] | None = None
    weight: Annotated[float, msgspec.Meta(ge=0.001, le=1000)] | None = None
    phase_rotation: (
        Literal["L1 L2 L3", "L2 L3 L1", "L3 L1 L2", "L1 L3 L2", "L2 L1 L3", "L3 L2 L1", "unknown"] | None
    ) = None
    mode: Mode | None = None


class Uuid(Order, frozen=True, kw_only=True):
    """Which EVSE."""

    uuid: str


class Nothing(Order, frozen=True, kw_only=True):
    """No arguments."""


class RejectedError(ValueError):
    """An order cannot be carried out; the message says why."""


class Commands:
    """Carries out commands.

    Parameters
    ----------
    orders : Orders
        Where what is ordered goes.
    clock : Clock
        Tells when now is.
    ratings : callable
        Tells the uuids of the tree at present, each with what its hardware is good for.
    evses : callable
        Tells which of them are EVSEs.
    decides : bool
        This instance decides about EVSEs; a node passes on what others decide.
    knows_surplus : callable
        Tells whether a meter shows what the sun leaves over.
    fuses_A : mapping of uuid to amperes
        The module's own nodes and their fuses.
    explain : callable
        Tells why an EVSE has what it has.
    status : callable
        Tells how the last decision went, as a ``Status``.
    resets : mapping of uuid to callable
        Clears the latched faults of each bridged connector.
    """

    def __init__(
        self,
        *,
        orders: Orders,
        clock: Clock,
        ratings: Callable[[], Mapping[str, Rating]],
        evses: Callable[[], Collection[str]],
        decides: bool = True,
        knows_surplus: Callable[[], bool] = lambda: True,
        fuses_A: Mapping[str, float],
        explain: Callable[[str], str],
        status: Callable[[], JsonObject] = dict,
        resets: Mapping[str, Callable[[], None]] = MappingProxyType({}),
    ) -> None:
        self._orders = orders
        self._clock = clock
        self._ratings = ratings
        self._evses = evses
        self._decides = decides
        self._knows_surplus = knows_surplus
        self._fuses_A = fuses_A
        self._explain = explain
        self._status = status
        self._resets = resets
        self._commands: Mapping[str, Callable[[object], str]] = {
            "set_limit": lambda args: self._set_limit(msgspec.convert(args, LimitOrder)),
            "clear_limit": lambda args: self._clear_limit(msgspec.convert(args, LimitEnd)),
            "set_reserve": lambda args: self._set_reserve(msgspec.convert(args, ReserveOrder)),
            "set_evse": lambda args: self._set_evse(msgspec.convert(args, EvseOrder)),
            "pause": lambda args: self._pause(msgspec.convert(args, Uuid).uuid),
            "resume": lambda args: self._resume(msgspec.convert(args, Uuid).uuid),
            "reset_fault": lambda args: self._reset_fault(msgspec.convert(args, Uuid).uuid),
            "explain": lambda args: self._explained(msgspec.convert(args, Uuid).uuid),
        }

    @property
    def names(self) -> list[str]:
        """Commands that can be called."""
        return [*self._commands, GET_STATUS]

    @property
    def of_interface(self) -> dict[str, Callable[[JsonObject], JsonObject]]:
        """What answers each command of the interface ``energy_manager_control``, from its arguments."""

        def answer(name: str) -> Callable[[JsonObject], JsonObject]:
            return lambda args: self.call(name, args.get("value", args))

        return {**{name: answer(name) for name in self._commands}, GET_STATUS: lambda _: self._status()}

    def call(self, name: str, args: object) -> JsonObject:
        """Carry out one command; returns an ``Answer``, whatever the arguments are.

        That of ``get_status`` has the status as ``result``.
        """
        try:
            if name == GET_STATUS:
                msgspec.convert(args, Nothing)
                return {**_accepted(""), "result": self._status()}
            if name not in self._commands:
                raise RejectedError(f"unknown command, known: {', '.join(self.names)}")
            return _accepted(self._commands[name](args))
        except (msgspec.ValidationError, UnicodeEncodeError, RejectedError) as error:
            return _rejected(f"{name}: {error}")

    def _set_limit(self, order: LimitOrder) -> str:
        _check_source(order.source)
        if (order.limits is None) == (order.schedule is None):
            raise RejectedError("give either limits or schedule")
        if (order.valid_for_s is None) != (order.fallback is None):
            raise RejectedError("valid_for_s and fallback, the limits after that time, belong together")
        now = self._clock()
        steps = order.schedule or [LimitStep(timestamp=timestamp(now.utc), limits=order.limits or Limits())]
        expiry = None
        if order.valid_for_s is not None and order.fallback is not None:
            fallback = [LimitStep(timestamp=timestamp(now.utc), limits=order.fallback)]
            expiry = Expiry.after(order.valid_for_s, now, self._external(order, fallback, " fallback"))
        self._orders.set_limit(
            order.node, order.source, self._external(order, steps), expiry, is_dimming=order.dimming
        )
        return ""

    def _external(self, order: LimitOrder, steps: list[LimitStep], suffix: str = "") -> ExternalLimits:
        rating = self._known(order.node)
        for step in steps:
            _moment(step.timestamp)
            if step.limits == Limits():
                raise RejectedError("limits need current_A, power_W or phase_count")
            if order.dimming and step.limits != Limits(power_W=step.limits.power_W):
                raise RejectedError("a limit that dims has power_W, and nothing else")
            _check(order.node, step.limits.current_A, rating.current_A, "A")
            _check(order.node, step.limits.power_W, rating.power_W, "W")
            _check(order.node, step.limits.phase_count, rating.phase_count, "phases")
        schedule = [_entry(step, f"{order.node}/{order.source}{suffix}") for step in steps]
        return ExternalLimits(schedule_import=schedule)

    def _clear_limit(self, order: LimitEnd) -> str:
        self._known(order.node)
        _check_source(order.source)
        self._orders.clear_limit(order.node, order.source)
        return ""

    def _set_reserve(self, order: ReserveOrder) -> str:
        if order.node not in self._fuses_A:
            raise RejectedError(
                f"'{order.node}' is no node of this module: {', '.join(self._fuses_A) or 'none'}"
            )
        steps: ReserveSteps
        if order.current_A is not None and order.schedule is None:
            steps = [(self._clock().utc, order.current_A)]
        elif order.schedule is not None and order.current_A is None:
            steps = [(_moment(step.timestamp), step.current_A) for step in order.schedule]
        else:
            raise RejectedError("give either current_A or schedule")
        fuse_A = self._fuses_A[order.node]
        if any(amperes > fuse_A for _, amperes in steps):
            raise RejectedError(f"the fuse of {order.node} has only {fuse_A:g} A")
        self._orders.set_reserve(order.node, steps)
        return ""

    def _set_evse(self, order: EvseOrder) -> str:
        self._known_evse(order.uuid)
        if not self._decides:
            raise RejectedError("a node passes limits on, order it of the manager above it")
        if order.mode in FROM_SURPLUS and not self._knows_surplus():
            raise RejectedError(
                f"mode {order.mode} needs a meter that tells of a surplus: "
                "name one as grid.meter of the site file, or connect powermeter"
            )
        changes: dict[str, object] = {
            name: value
            for name in ("priority", "weight", "phase_rotation", "mode")
            if (value := getattr(order, name)) is not None
        }
        if changes.get("phase_rotation") == "unknown":
            changes["phase_rotation"] = None
        self._orders.set_evse(order.uuid, changes)
        return ""

    def _pause(self, uuid: str) -> str:
        self._known(uuid)
        now = timestamp(self._clock().utc)
        entry = _entry(LimitStep(timestamp=now, limits=Limits(current_A=0.0, power_W=0.0)), f"{uuid}/{PAUSE}")
        self._orders.set_limit(uuid, PAUSE, ExternalLimits(schedule_import=[entry], schedule_export=[entry]))
        return ""

    def _resume(self, uuid: str) -> str:
        self._known(uuid)
        self._orders.clear_limit(uuid, PAUSE)
        return ""

    def _reset_fault(self, uuid: str) -> str:
        if uuid not in self._resets:
            raise RejectedError(f"'{uuid}' is no bridged connector: {', '.join(self._resets) or 'none'}")
        self._resets[uuid]()
        return ""

    def _explained(self, uuid: str) -> str:
        self._known_evse(uuid)
        try:
            return self._explain(uuid)
        except KeyError as error:
            raise RejectedError(f"nothing has been decided for '{uuid}' yet") from error

    def _known(self, uuid: str) -> Rating:
        ratings = self._ratings()
        if uuid not in ratings:
            raise RejectedError(f"unknown uuid '{uuid}', known: {', '.join(ratings) or 'none yet'}")
        return ratings[uuid]

    def _known_evse(self, uuid: str) -> None:
        self._known(uuid)
        evses = self._evses()
        if uuid not in evses:
            raise RejectedError(f"'{uuid}' is no EVSE, known: {', '.join(evses) or 'none yet'}")


def _check_source(source: str) -> None:
    if source in _NOT_OF_THIS:
        raise RejectedError(f"source '{source}' is taken: {_NOT_OF_THIS[source]}")
    if not source.isprintable():
        raise RejectedError("source has characters that cannot be printed")


def _check(uuid: str, value: float | None, highest: float, unit: str) -> None:
    if value is not None and value > highest:
        raise RejectedError(f"{value:g} {unit} is above {highest:g} {unit} of {uuid}")


def _accepted(message: str) -> JsonObject:
    return {"status": "Accepted", "message": message}


def _rejected(message: str) -> JsonObject:
    return {"status": "Rejected", "message": message}


def _moment(text: str) -> datetime:
    try:
        return parse_timestamp(text)
    except ValueError as error:
        raise RejectedError(f"'{text}' is no RFC 3339 time") from error


def _entry(step: LimitStep, source: str) -> JsonObject:
    limits = {
        name: {"value": value, "source": source}
        for name, value in (
            ("ac_max_current_A", step.limits.current_A),
            ("total_power_W", step.limits.power_W),
            ("ac_max_phase_count", step.limits.phase_count),
        )
        if value is not None
    }
    return {"timestamp": step.timestamp, "limits_to_root": limits, "limits_to_leaves": limits}

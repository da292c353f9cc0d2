"""What EVerest gives an instance to work with; ``module.py`` fills it with everestpy's functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from control.broker import Broker
from control.dispatch import Send
from control.notices import Log

if TYPE_CHECKING:
    from bsp.board import Board
    from bsp.hub import HubCall


class Everest(Protocol):
    """What the instance says to EVerest by itself."""

    def publish(self, implementation: str, variable: str, value: object) -> None:
        """Publish a variable."""

    def raise_error(self, implementation: str, error_type: str, message: str, sub_type: str = "") -> None:
        """Raise an error of the implementation's interface, by its full name."""

    def clear_error(self, implementation: str, error_type: str, sub_type: str = "") -> None:
        """Clear it."""


@dataclass(frozen=True, slots=True)
class Outside:
    """What the instance is given.

    Attributes
    ----------
    children : mapping of child to Send
        The energy trunk or the consumers, and how to call ``enforce_limits`` of each.
    everest : Everest
        Where to publish.
    log : Log
        EVerest's log.
    broker : Broker
        EVerest's broker.
    has_trunk : bool
        The first child is the trunk.
    has_powermeter : bool
        A grid meter is connected.
    has_control : bool
        The manifest provides ``control``.
    serial_hub : HubCall or None
        Calls a command of EVerest's serial hub.
    boards : mapping of module to Board
        Boards that are connected.
    """

    children: Mapping[str, Send]
    everest: Everest
    log: Log
    broker: Broker = field(default_factory=Broker)
    has_trunk: bool = False
    has_powermeter: bool = False
    has_control: bool = False
    serial_hub: HubCall | None = None
    boards: Mapping[str, Board] = field(default_factory=dict)

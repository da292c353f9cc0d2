"""A simulated relay board with contactors whose auxiliary contacts are on its inputs."""

import threading
from collections.abc import Callable, Mapping

from bsp.registers import Value
from bsp.relay_profile import RelayProfile
from hil.devices.registers import RegisterDevice


class RelayBoardDevice(RegisterDevice):
    """A board; input n is the auxiliary contact of the contactor that relay n drives.

    Attributes
    ----------
    relays : dict of int to bool
        Relays by number, as commanded; True is closed.
    contacts : dict of int to bool
        The contactors that they drive.
    stuck : set of int
        Contactors that do not move any more.
    welded : set of int
        Contactors that do not open any more.

    Parameters
    ----------
    profile : RelayProfile
        Which board it is.
    on_move : callable, optional
        Called with the number and the new position of a contactor that moves.
    """

    def __init__(
        self, profile: RelayProfile, on_move: Callable[[int, bool], None] = lambda _number, _closed: None
    ) -> None:
        super().__init__(profile)
        self.relays = dict.fromkeys(profile.relays, False)
        self.contacts = dict(self.relays)
        self.stuck: set[int] = set()
        self.welded: set[int] = set()
        self._on = profile.on
        self._off = profile.off
        self._on_move = on_move
        self._settings: dict[str, Value] = {}
        self._lock = threading.Lock()

    def values(self) -> Mapping[str, Value]:
        """Give relays and inputs by point."""
        shown: dict[str, Value] = dict(self._settings)
        shown.update({f"relay.{n}": self._on if closed else self._off for n, closed in self.relays.items()})
        shown.update({f"input.{n}": self._on if closed else self._off for n, closed in self.contacts.items()})
        return shown

    def written(self, name: str, value: Value) -> None:
        """Move a relay and its contactor, or keep a setting."""
        kind, _, number = name.partition(".")
        if kind != "relay":
            self._settings[name] = value
            return
        relay, closed = int(number), value == self._on
        with self._lock:
            self.relays[relay] = closed
            moves = relay not in self.stuck and (closed or relay not in self.welded)
            if moves and self.contacts[relay] != closed:
                self.contacts[relay] = closed
                self._on_move(relay, closed)

    def power_cycle(self) -> None:
        """Drop every relay, and with it every contactor that is not stuck or welded."""
        with self._lock:
            self.relays = dict.fromkeys(self.relays, False)
            held = self.stuck | self.welded
            self.contacts = {n: closed and n in held for n, closed in self.contacts.items()}

    def repair(self) -> None:
        """Let every contactor follow its relay again."""
        with self._lock:
            self.stuck.clear()
            self.welded.clear()
            self.contacts = dict(self.relays)

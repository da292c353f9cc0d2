"""Contactors on a relay board, and the feedback of their auxiliary contacts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from bsp.bus import Priority
from bsp.device import Device
from bsp.phase_driver import Position
from bsp.phase_terms import Equipment
from bsp.registers import Value
from bsp.relay_profile import RelayProfile
from bsp.transport import BusError, NoAnswerError


@dataclass(frozen=True, slots=True)
class Contactor:
    """A contactor that a relay drives.

    Attributes
    ----------
    relay : int
        Number of the relay; closed, it pulls the contactor in.
    feedback : int or None
        Number of the input with its auxiliary contact, closed while the contactor is.
    """

    relay: int
    feedback: int | None = None


class RelayBoard:
    """A board on a bus.

    Parameters
    ----------
    device : Device
        The board.
    profile : RelayProfile
        Its profile.
    """

    def __init__(self, device: Device, profile: RelayProfile) -> None:
        self._device = device
        self._profile = profile
        self._is_set_up = False
        self._names = [name for name in profile.points if not name.startswith("setup.")]

    async def read(self) -> dict[str, bool]:
        """Read every relay (as commanded) and input, by point.

        Raises
        ------
        BusError
            It gave no answer.
        """
        try:
            if not self._is_set_up:
                for name, value in self._profile.setup.items():
                    await self._device.write(name, value)
                self._is_set_up = True
            sample = await self._device.read(self._names, priority=Priority.SETPOINT)
        except BusError as error:
            self._is_set_up = False
            raise self._named(error) from error
        return {name: value == self._profile.on for name, value in sample.values.items() if value is not None}

    async def switch(self, relay: int, *, closed: bool) -> None:
        """Close or open a relay.

        Raises
        ------
        BusError
            The board did not confirm it.
        """
        try:
            await self._device.write(f"relay.{relay}", self._profile.on if closed else self._profile.off)
        except BusError as error:
            raise self._named(error) from error

    def _named(self, error: BusError) -> NoAnswerError:
        """Say who it was: its errors end up with those of a charger."""
        return NoAnswerError(f"relay board (unit {self._device.unit}): {error}")


class PhaseContactors:
    """Contactors of one connector: L2 and L3 by one, everything by another where there is one.

    Parameters
    ----------
    board : RelayBoard
        The board that drives them.
    phases : Contactor
        Joins L2 and L3: closed is three phases, open is one. Without current it must be open.
    main : Contactor or None
        Cuts all conductors; None where the charger does that.
    hold_off_s : float
        Least time between two switches.
    """

    def __init__(
        self,
        board: RelayBoard,
        phases: Contactor,
        main: Contactor | None = None,
        *,
        hold_off_s: float = 300.0,
    ) -> None:
        self._board = board
        self._phases = phases
        self._main = main
        self.equipment = Equipment(main_contactor=main is not None, rests_on_one=True, hold_off_s=hold_off_s)
        self.points: list[str] = []

    async def are_usable(self) -> bool:
        """Tell that contactors can always be switched."""
        return True

    async def look(self, values: Mapping[str, Value]) -> Position:  # noqa: ARG002 (the charger knows nothing of them)
        """Read where the contacts are: by feedback, or what was commanded where there is none.

        Raises
        ------
        BusError
            The board gave no answer.
        """
        seen = await self._board.read()
        three = _is_closed(seen, self._phases)
        main = _is_closed(seen, self._main) if self._main is not None else None
        return Position(3 if three else 1, None if main is None else not main)

    async def select(self, phases: int) -> None:
        """Connect 1 or 3 phases; only on orders of the sequence."""
        await self._board.switch(self._phases.relay, closed=phases == 3)

    async def move_main(self, order: Literal["open", "closed"]) -> None:
        """Open or close the main contactor; only on orders of the sequence."""
        if self._main is not None:
            await self._board.switch(self._main.relay, closed=order == "closed")


def _is_closed(seen: dict[str, bool], contactor: Contactor) -> bool:
    if contactor.feedback is not None:
        return seen[f"input.{contactor.feedback}"]
    return seen[f"relay.{contactor.relay}"]

"""A connector's board that another EVerest module drives, by its interface ``evse_board_support``."""

import asyncio
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from bsp.hub import HubCall
from bsp.leaf import Capabilities
from bsp.phase_driver import Position
from bsp.phase_terms import Equipment
from bsp.registers import Value
from bsp.transport import NoAnswerError

ANSWER_WITHIN_S = 10.0
"""How long the board may take to switch; it moves relays before it answers."""
_SWITCH = "ac_switch_three_phases_while_charging"
_CABLES_A = {"A_13": 13.0, "A_20": 20.0, "A_32": 32.0, "A_63_3ph_70_1ph": 63.0}
"""IEC 61851-1, table B.2: what a cable carries, by the resistor in its plug. 63 A holds on one phase, too."""
_LIMITS = ("max_current_A_import", "min_current_A_import", "max_phase_count_import", "min_phase_count_import")


class Board:
    """A board. What it publishes may be noted from any thread.

    It confirms no position: what it was told, and has accepted, counts as selected.

    Parameters
    ----------
    call : callable
        Calls a command of the board with its arguments, and blocks until it is answered.
    hold_off_s : float
        Least time between two switches.
    """

    def __init__(self, call: HubCall, *, hold_off_s: float = 300.0) -> None:
        self.equipment = Equipment(hold_off_s=hold_off_s)
        self.points: list[str] = []
        self._call = call
        self._limits: dict[str, float] = {}
        self._can_switch = False
        self._phases_available: int | None = None
        self._cable_A = math.inf
        self._selected: int | None = None

    def note_capabilities(self, published: Any) -> None:
        """Take note of the variable ``capabilities``; what is no number in it is left out."""
        if not isinstance(published, Mapping):
            return
        numbers = {name: published.get(name) for name in _LIMITS}
        self._limits = {name: float(n) for name, n in numbers.items() if isinstance(n, int | float)}
        self._can_switch = published.get("supports_changing_phases_during_charging") is True

    def note_phases_available(self, published: Any) -> None:
        """Take note of the variable ``ac_nr_of_phases_available``."""
        if published in (1, 2, 3):
            self._phases_available = published

    def note_cable(self, published: Any) -> None:
        """Take note of the variable ``ac_pp_ampacity``; a cable that it does not tell limits nothing."""
        ampacity = published.get("ampacity") if isinstance(published, Mapping) else None
        self._cable_A = _CABLES_A.get(str(ampacity), math.inf)

    def narrow(self, own: Capabilities) -> Capabilities:
        """Give what connector and board can do together; no switching before the board has spoken."""
        limits = self._limits
        phases = min(
            own.max_phase_count,
            int(limits.get("max_phase_count_import", own.max_phase_count)),
            self._phases_available or own.max_phase_count,
        )
        least = max(own.min_phase_count, int(limits.get("min_phase_count_import", own.min_phase_count)))
        return replace(
            own,
            max_current_A=min(own.max_current_A, limits.get("max_current_A_import", own.max_current_A)),
            min_current_A=max(own.min_current_A, limits.get("min_current_A_import", own.min_current_A)),
            max_phase_count=phases,
            min_phase_count=min(least if self._can_switch else phases, phases),
            supports_changing_phases=own.supports_changing_phases and self._can_switch,
            cable_A=min(own.cable_A, self._cable_A),
        )

    async def are_usable(self) -> bool | None:
        """Tell whether the board can switch; None as long as it has not spoken."""
        return self._can_switch if self._limits else None

    async def look(self, values: Mapping[str, Value]) -> Position:  # noqa: ARG002 (not the charger's)
        """Tell what the board was told."""
        return Position(self._selected)

    async def select(self, phases: int) -> None:
        """Have the board switch; the car is paused, as its interface demands.

        Raises
        ------
        BusError
            It refused, or did not answer in time.
        """
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                await asyncio.to_thread(self._call, _SWITCH, {"value": phases == 3})
        except Exception as error:
            raise NoAnswerError(f"the board did not switch phases: {error!r}") from error
        self._selected = phases

    async def move_main(self, order: Literal["open", "closed"]) -> None:
        """Do nothing: the board's contactor is its own."""

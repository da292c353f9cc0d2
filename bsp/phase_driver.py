"""Carries out the phase switching of a connector: asks the sequence, and moves what it says."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from bsp.phase_switch import PhaseSwitch, Step
from bsp.phase_terms import Equipment, Memory, Seen
from bsp.registers import Value
from bsp.transport import BusError


@dataclass(frozen=True, slots=True)
class Position:
    """Where the contacts are; None is not known.

    Attributes
    ----------
    selected : int or None
        Number of phases selected.
    main_open : bool or None
        Whether the main contactor is open.
    """

    selected: int | None = None
    main_open: bool | None = None


class PhaseActuator(Protocol):
    """What moves: registers of the charger, or contactors of ours. Each call may raise `BusError`."""

    equipment: Equipment
    """What the sequence must know of it."""
    points: list[str]
    """Points of the charger to read in each cycle."""

    async def are_usable(self) -> bool | None:
        """Tell whether it can switch at all, as it is built and set up; None is not known yet."""
        ...

    async def look(self, values: Mapping[str, Value]) -> Position:
        """Tell where the contacts are, given the values of the charger's points."""
        ...

    async def select(self, phases: int) -> None:
        """Connect 1 or 3 phases; only on orders of the sequence."""
        ...

    async def move_main(self, order: Literal["open", "closed"]) -> None:
        """Open or close the main contactor; only on orders of the sequence."""
        ...


class PhaseDriver:
    """The phase switching of one connector.

    Attributes
    ----------
    must_pause : bool
        The car must be paused now.
    can_switch : bool
        Whether it can switch, as far as is known.

    Parameters
    ----------
    actuator : PhaseActuator
        What moves.
    phases : int
        Phases of the charger, where nothing tells how many are selected.
    memory : Memory, optional
        What was kept before a restart.
    locked : bool
        Begin no switch, by order of a person.
    """

    def __init__(
        self, actuator: PhaseActuator, phases: int, memory: Memory | None = None, *, locked: bool = False
    ) -> None:
        # Where the contacts are after a fault or amid a switch is not known until they have been looked at.
        self.must_pause = memory is not None and (memory.under_way or memory.fault is not None)
        self.actuator = actuator
        self._locked = locked
        self._phases = phases
        self._memory = memory
        self._switch: PhaseSwitch | None = None
        self._is_usable: bool | None = None

    @property
    def can_switch(self) -> bool:
        """Whether phases can be switched; False before the charger has told, and while that is forbidden."""
        return self._switch is not None and self._switch.step is not Step.FAULT and not self._locked

    @property
    def memory(self) -> Memory | None:
        """What is to be kept, once it is known."""
        return self._switch.memory if self._switch is not None else self._memory

    @property
    def fault(self) -> str | None:
        """Fault that is latched."""
        memory = self.memory
        return memory.fault if memory is not None else None

    @property
    def phases(self) -> int:
        """Phases that the car may be on; in the middle of a switch the larger number."""
        return self._switch.phases if self._switch is not None else self._phases

    @property
    def is_under_way(self) -> bool:
        """Whether a switch has begun and not ended."""
        return self._switch is not None and self._switch.is_under_way

    def lock(self, *, locked: bool) -> None:
        """Forbid to begin a switch, or allow it again."""
        self._locked = locked
        if self._switch is not None:
            self._switch.locked = locked

    def reset(self, now: float) -> None:
        """Clear a latched fault, by order of a person who has looked."""
        if self._switch is not None:
            self._switch.reset(now)
        elif self._memory is not None and self._memory.fault is not None:
            self._memory = replace(self._memory, fault=None, under_way=True)

    def cut_off(self, now: float, text: str) -> None:
        """Open the main contactor under load, if there is one: the car ignores its pause."""
        if self._switch is not None and self.actuator.equipment.main_contactor:
            self._switch.trip(text, now)

    async def cycle(
        self,
        now: float,
        values: Mapping[str, Value],
        seen: Seen,
        wanted: int | None,
        *,
        is_limited: bool = False,
    ) -> None:
        """Take one step toward the wanted number of phases.

        Parameters
        ----------
        now : float
            Monotonic seconds.
        values : mapping of str to Value
            Points of the charger.
        seen : Seen
            What the charger measures; the position of the contacts is added here.
        wanted : int or None
            Phases that the connector was granted.
        is_limited : bool
            Only a limit keeps it from more.

        Raises
        ------
        BusError
            Something that moves gave no answer.
        """
        if self._is_usable is None:
            self._is_usable = await self.actuator.are_usable()
        if not self._is_usable:
            return
        position = await self.actuator.look(values)
        if self._switch is None:
            memory = self._memory or Memory(phases=position.selected or self._phases)
            if memory.home is None:
                rests_on_one = self.actuator.equipment.rests_on_one
                memory = replace(memory, home=self._phases if rests_on_one else memory.phases)
            self._switch = PhaseSwitch(self.actuator.equipment, now, memory, locked=self._locked)
        if wanted is not None:
            self._switch.request(wanted, now, is_limited=is_limited)
        seen = replace(seen, selected=position.selected, main_open=position.main_open)
        orders = self._switch.advance(now, seen)
        self.must_pause = orders.pause
        if orders.main is not None:
            await self.actuator.move_main(orders.main)
        if orders.select is not None:
            await self._select(self._switch, orders.select)

    async def _select(self, switch: PhaseSwitch, phases: int) -> None:
        try:
            await self.actuator.select(phases)
        except BusError:
            switch.repeat()
            raise

"""From three phases to one and back: the sequence, step by step, without doing anything itself.

A contactor that moves under load welds, and a phase that joins while a car draws can destroy its charger.
So each move has its conditions, each wait has its end, and what does not happen in time ends in a latched
fault with the car paused. The caller shows what it has measured and does what it is told; time is given.
Time in which it could not look, for want of an answer, does not count: silence is not the fault of a contact.
"""

import math
from dataclasses import replace
from enum import Enum

from bsp.phase_terms import Equipment, Memory, Orders, Seen

__all__ = ["Equipment", "Memory", "Orders", "PhaseSwitch", "Seen", "Step"]

NO_LOAD_A = 1.0
"""Below this, on every phase, a contact may move."""
FRESH_S = 2.0
"""Older measurements do not count."""
DEAD_TIME_S = 3.0
"""Between the opening of a contact and the closing of another."""
PAUSE_WITHIN_S = 30.0
"""How long a car may take to stop; then the switch is given up."""
MOVE_WITHIN_S = 5.0
"""How long a contact may take to show that it has moved."""
DEVICE_WITHIN_S = 60.0
"""How long a charger may take that runs the sequence by itself."""
CONFIRM_WITHIN_S = 60.0
"""How long to watch the phases of the car afterwards."""
TRY_FOR_S = 120.0
"""How long to begin anew with contacts that fall off amid the sequence, as when their board loses power."""
FAILURES_TOLERATED = 2
"""After as many failures no switch is tried until the car has left."""
SAFE_PHASES = 1
"""Number of phases to go to when the position is not known."""
ANSWER_WITHIN_S = 30.0
"""How long to wait, with the car paused, for an order of the phases that there were before."""
ASK_AGAIN_S = 1800.0
"""How long to wait after a first question in vain, twice as long after each further one.

Some cars bear few pauses.
"""


class Step(Enum):
    """Where the sequence is."""

    STEADY = "steady"
    ASKING = "asking for more phases"
    PAUSING = "pausing"
    OPENING = "opening"
    RESTING = "resting"
    SELECTING = "selecting"
    SETTLING = "settling"
    CLOSING = "closing"
    CONFIRMING = "confirming"
    DEVICE = "the charger switches"
    FAULT = "fault"


class PhaseSwitch:
    """The sequence for one connector.

    Attributes
    ----------
    step : Step
        Where it is.
    memory : Memory
        To be kept whenever it changes.

    Parameters
    ----------
    equipment : Equipment
        What does the switching.
    now : float
        Monotonic seconds.
    memory : Memory, optional
        As it was kept. If a switch was under way, the contacts are first brought to one phase.
    locked : bool
        Begin no switch, by order of a person. One that is under way is ended, and contacts that are not where
        they were left are brought to one phase: the lock must not keep them where nobody wants them.
    """

    def __init__(
        self, equipment: Equipment, now: float, memory: Memory | None = None, *, locked: bool = False
    ) -> None:
        memory = memory or Memory()
        if memory.ready_at is not None:  # whatever the clock of the process before has shown
            memory = replace(memory, ready_at=min(memory.ready_at, now + equipment.hold_off_s))
        self.memory = memory
        self.step = Step.STEADY
        self.locked = locked
        self._equipment = equipment
        self._target = memory.phases
        self._since = self._looked_at = self._began_at = now
        self._paused_at = math.inf
        self._ask_at = self._stays_at = -math.inf
        self._ask_again_s = ASK_AGAIN_S
        self._is_told = False
        self._is_tripped = False
        if memory.fault is not None:
            self.step = Step.FAULT
        elif memory.under_way:
            self._begin(SAFE_PHASES, now)

    @property
    def phases(self) -> int:
        """Phases that are selected; in the middle of a switch, the larger number of old and new."""
        return max(self.memory.phases, self._target) if self.is_under_way else self.memory.phases

    @property
    def is_under_way(self) -> bool:
        """Whether a switch has begun and not ended."""
        return self.step not in (Step.STEADY, Step.FAULT)

    def request(self, phases: int, now: float, *, is_limited: bool = False) -> bool:
        """Order a number of phases.

        Parameters
        ----------
        phases : int
            How many.
        now : float
            Monotonic seconds.
        is_limited : bool
            Only a limit keeps it from more: nobody else will order them when it is gone.

        Returns
        -------
        bool
            Whether the switch begins, or is not needed. Otherwise it may be ordered again.
        """
        if is_limited != self.memory.limited:
            self.memory = replace(self.memory, limited=is_limited)
        if self.step is Step.STEADY and phases == self.memory.phases:
            self._stays_at = now
            return True
        is_answer = self.step is Step.ASKING and phases == self._target
        may_begin = is_answer or self.step is Step.STEADY
        if not may_begin or not self._is_allowed(now) or phases not in (1, 3):
            return False
        home = max(phases, self.memory.home or self.memory.phases) if is_limited else phases
        self.memory = replace(self.memory, home=home)
        self._begin(phases, now)
        return True

    def _is_allowed(self, now: float) -> bool:
        is_ready = self.memory.ready_at is None or now >= self.memory.ready_at
        return not self.locked and self.memory.failures < FAILURES_TOLERATED and is_ready

    def reset(self, now: float) -> None:
        """Clear a latched fault, by order of a person on site; the contacts are then brought to one phase."""
        if self.step is Step.FAULT:
            self.memory = replace(self.memory, fault=None)
            self._is_tripped = False
            self._begin(SAFE_PHASES, now)

    def trip(self, text: str, now: float) -> None:
        """Latch a fault and open the main contactor, whatever flows: the car does not stop when it is paused.

        This is the only order that moves a contact under load, once: cars stop within seconds of the pilot's
        end, and IEC 61851-1 has the station cut off those that do not. The contact of L2 and L3 never does.
        """
        self._is_tripped = True
        if self.step is not Step.FAULT:
            self._fail(text, now)

    def repeat(self) -> None:
        """Give the last order again: it has not arrived."""
        self._is_told = False

    def advance(self, now: float, seen: Seen) -> Orders:
        """Go on as far as the measurements allow.

        Parameters
        ----------
        now : float
            Monotonic seconds.
        seen : Seen
            The newest measurement, however old.

        Returns
        -------
        Orders
            What to do, at once; the contacts must not be moved on older orders.
        """
        self._since = min(self._since + max(now - self._looked_at - FRESH_S, 0.0), now)
        self._looked_at = now
        if seen.state == "A" and self.step is Step.STEADY:
            self.memory = replace(self.memory, switches=0, failures=0)
            self._ask_at, self._ask_again_s = -math.inf, ASK_AGAIN_S
        # What was measured before the car was told to pause says nothing of what it does now.
        is_fresh = now - seen.at <= FRESH_S and seen.at > self._paused_at
        no_load = (
            is_fresh
            and seen.current_A is not None
            and seen.current_A < NO_LOAD_A
            and seen.state not in ("C", "D")
        )
        step = {
            Step.STEADY: self._steady,
            Step.ASKING: self._asking,
            Step.PAUSING: self._pausing,
            Step.OPENING: self._opening,
            Step.RESTING: self._resting,
            Step.SELECTING: self._selecting,
            Step.SETTLING: self._settling,
            Step.CLOSING: self._closing,
            Step.CONFIRMING: self._confirming,
            Step.DEVICE: self._device,
            Step.FAULT: self._faulty,
        }[self.step]
        orders = step(now, seen, no_load=no_load)
        if orders.pause:
            self._paused_at = min(self._paused_at, now)
        return orders

    def _begin(self, phases: int, now: float) -> None:
        if not self.is_under_way or self.step is Step.ASKING:
            self._began_at = now
        self._target = phases
        self._is_told = False
        self._paused_at = math.inf
        self.memory = replace(self.memory, under_way=True)
        self._go(Step.DEVICE if self._equipment.by_itself else Step.PAUSING, now)

    def _go(self, step: Step, now: float) -> None:
        self.step = step
        self._since = now

    def _fail(self, text: str, now: float) -> Orders:
        """Latch a fault: paused until a person has looked."""
        self.memory = replace(self.memory, fault=text)
        self._paused_at = math.inf
        self._go(Step.FAULT, now)
        return Orders(pause=True)

    def _give_up(self, now: float) -> Orders:
        """Stay where we are, before anything has moved."""
        self._target = self.memory.phases
        self.memory = replace(self.memory, failures=self.memory.failures + 1)
        return self._finish(now)

    def _finish(self, now: float) -> Orders:
        self.memory = replace(self.memory, under_way=False, ready_at=now + self._equipment.hold_off_s)
        self._go(Step.STEADY, now)
        return Orders()

    def _is_late(self, now: float, within_s: float) -> bool:
        return now - self._since > within_s

    def _steady(self, now: float, seen: Seen, *, no_load: bool) -> Orders:
        del no_load
        if self._equipment.by_itself:
            if self._is_news(now, seen) and seen.selected in (1, 3):  # it may have switched by itself
                chosen = self.memory.home if seen.selected == self.memory.phases else seen.selected
                self.memory = replace(self.memory, phases=seen.selected, home=chosen)
            return self._go_home(now, seen)
        if self._contradicts(now, seen):
            return self._fail(
                f"{seen.drawing} phases draw current though one is selected: a contact is welded", now
            )
        return self._bring_back(now) if self._is_elsewhere(now, seen) else self._go_home(now, seen)

    def _go_home(self, now: float, seen: Seen) -> Orders:
        """Return to the phases from which necessity, or a limit, has brought the contacts away.

        Whether the limits allow them now, only who gives the limits knows, and he reckons with the phases in
        use. So the car is paused, and counts as one on more phases meanwhile, until that is answered.
        """
        home = self.memory.home or self.memory.phases
        may_go = home > self.memory.phases and not self.memory.limited
        if not may_go or not self._is_allowed(now) or not self._is_news(now, seen):
            return Orders()
        if seen.state == "A":
            self._begin(home, now)
            return self.advance(now, seen)
        if now < self._ask_at or now > self._stays_at + FRESH_S:  # a car that may not charge waits for others
            return Orders()
        self._target = home
        self._ask_at, self._ask_again_s = now + self._ask_again_s, 2 * self._ask_again_s
        self._go(Step.ASKING, now)
        return Orders(pause=True)

    def _asking(self, now: float, seen: Seen, *, no_load: bool) -> Orders:
        """Stay paused until the order comes (see `request`), or does not."""
        del seen, no_load
        if self.locked or self._is_late(now, ANSWER_WITHIN_S):
            self._target = self.memory.phases
            self._go(Step.STEADY, now)
            return Orders()
        return Orders(pause=True)

    def _is_news(self, now: float, seen: Seen) -> bool:
        """Whether something was measured since the step began."""
        return now - seen.at <= FRESH_S and seen.at >= self._since

    def _is_elsewhere(self, now: float, seen: Seen) -> bool:
        """Whether contacts are not where they were left: the board was without power, or a process died."""
        is_cut_off = self._equipment.main_contactor and bool(seen.main_open)
        has_moved = seen.selected is not None and seen.selected != self.memory.phases
        return self._is_news(now, seen) and (is_cut_off or has_moved)

    def _bring_back(self, now: float) -> Orders:
        self._begin(SAFE_PHASES, now)
        return Orders(pause=True)

    def _contradicts(self, now: float, seen: Seen) -> bool:
        return now - seen.at <= FRESH_S and self.memory.phases == 1 and seen.drawing > 1

    def _pausing(self, now: float, seen: Seen, *, no_load: bool) -> Orders:
        if no_load:
            self._go(Step.OPENING if self._equipment.main_contactor else Step.RESTING, now)
            return self.advance(now, seen)
        if self._is_late(now, PAUSE_WITHIN_S) and self.memory.phases != self._target:
            return self._give_up(now)
        return Orders(pause=True)

    def _opening(self, now: float, seen: Seen, *, no_load: bool) -> Orders:
        if seen.main_open and seen.at >= self._since:
            self._go(Step.RESTING, now)
            return Orders(pause=True, main=None)
        if self._is_late(now, MOVE_WITHIN_S):
            return self._fail("the main contactor does not open: stuck or welded", now)
        return Orders(pause=True, main="open" if no_load else None)

    def _resting(self, now: float, seen: Seen, *, no_load: bool) -> Orders:
        if self._equipment.main_contactor and seen.main_open is False and seen.at >= self._since:
            return self._fail("the main contactor closed by itself", now)
        if now - self._since < DEAD_TIME_S:
            return Orders(pause=True)
        if no_load:
            self._go(Step.SELECTING, now)
            return Orders(pause=True, select=self._target)
        if self._is_late(now, DEAD_TIME_S + PAUSE_WITHIN_S):
            return self._fail("current flows, or is not measured, though the car is paused", now)
        return Orders(pause=True)

    def _selecting(self, now: float, seen: Seen, *, no_load: bool) -> Orders:
        if seen.selected == self._target and seen.at >= self._since:
            if self.memory.phases != self._target:
                self.memory = replace(self.memory, phases=self._target, switches=self.memory.switches + 1)
            self._go(Step.SETTLING, now)
            return Orders(pause=True)
        if self._is_late(now, MOVE_WITHIN_S):
            return self._fail(f"the contact for {self._target} phases does not move: stuck or welded", now)
        return Orders(pause=True, select=self._target if no_load else None)

    def _settling(self, now: float, seen: Seen, *, no_load: bool) -> Orders:
        del seen, no_load
        if now - self._since < DEAD_TIME_S:
            return Orders(pause=True)
        self._go(Step.CLOSING if self._equipment.main_contactor else Step.CONFIRMING, now)
        return Orders(pause=True)

    def _closing(self, now: float, seen: Seen, *, no_load: bool) -> Orders:
        if seen.selected != self._target and now - seen.at <= FRESH_S:
            if seen.main_open and now - self._began_at < TRY_FOR_S:
                return self._bring_back(now)
            return self._fail(f"the contact for {self._target} phases moved by itself", now)
        if seen.main_open is False and seen.at >= self._since:
            self._go(Step.CONFIRMING, now)
            return Orders()
        if self._is_late(now, MOVE_WITHIN_S):
            return self._fail("the main contactor does not close", now)
        return Orders(pause=True, main="closed" if no_load else None)

    def _confirming(self, now: float, seen: Seen, *, no_load: bool) -> Orders:
        del no_load
        if self._contradicts(now, seen):
            return self._fail(
                f"{seen.drawing} phases draw current though one is selected: a contact is welded", now
            )
        if self._is_elsewhere(now, seen):
            return self._bring_back(now)
        if self._is_late(now, CONFIRM_WITHIN_S) or (seen.drawing > 0 and seen.at > self._since + DEAD_TIME_S):
            return self._finish(now)
        return Orders()

    def _device(self, now: float, seen: Seen, *, no_load: bool) -> Orders:
        """Tell the charger once, and wait until it says that it has done it."""
        del no_load
        if not self._is_told:
            self._is_told = True
            return Orders(select=self._target)
        if seen.selected == self._target and seen.at >= self._since:
            self.memory = replace(self.memory, phases=self._target, switches=self.memory.switches + 1)
            return self._finish(now)
        if self._is_late(now, DEVICE_WITHIN_S):
            return self._give_up(now)
        return Orders()

    def _faulty(self, now: float, seen: Seen, *, no_load: bool) -> Orders:
        """Stay paused; what can be opened without load, or must be opened with it, is opened."""
        del now
        opens = self._equipment.main_contactor and (no_load or self._is_tripped) and not seen.main_open
        return Orders(pause=True, main="open" if opens else None)

"""Car, contactors and clock, driven by the phase switching sequence."""

from bsp.phase_switch import Equipment, Memory, Orders, PhaseSwitch, Seen

BOARD = Equipment(main_contactor=True, hold_off_s=300.0)
REGISTER = Equipment(hold_off_s=300.0)
CHARGER = Equipment(by_itself=True, hold_off_s=300.0)
THREE = Memory(phases=3)


class Installation:
    """Car, contactors and clock, driven by a switch; each second is one cycle."""

    def __init__(self, equipment: Equipment, memory: Memory = THREE, *, locked: bool = False) -> None:
        self.now = 0.0
        self.equipment = equipment
        self.switch = PhaseSwitch(equipment, self.now, memory, locked=locked)
        self.paused = False
        self.selected = memory.phases
        self.main_open = False
        self.ignores_pause = False
        self.main_is_stuck = False
        self.selector_is_stuck = False
        self.log: list[str] = []

    @property
    def draws(self) -> bool:
        return (not self.paused or self.ignores_pause) and not self.main_open

    def seen(self) -> Seen:
        return Seen(
            self.now,
            "C" if self.draws else "B",
            16.0 if self.draws else 0.0,
            selected=self.selected,
            main_open=self.main_open if self.equipment.main_contactor else None,
            drawing=self.selected if self.draws else 0,
        )

    def second(self) -> Orders:
        orders = self.switch.advance(self.now, self.seen())
        if orders.main is not None and not self.main_is_stuck:
            assert not self.draws, "a contactor moved under load"
            self.main_open = orders.main == "open"
            self.log.append(f"{self.now:g} main {orders.main}")
        if orders.select is not None and not self.selector_is_stuck and orders.select != self.selected:
            assert self.equipment.by_itself or not self.draws, "a contactor moved under load"
            self.selected = orders.select
            self.log.append(f"{self.now:g} select {orders.select}")
        self.paused = orders.pause
        self.now += 1.0
        return orders

    def seconds(self, count: int) -> None:
        for _ in range(count):
            self.second()

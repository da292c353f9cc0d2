"""Everything that a happening can reach."""

from collections.abc import Callable
from dataclasses import dataclass

from hil.scenario.clock import SiteClock
from hil.scenario.contactors import ContactorBoard
from hil.scenario.module import VirtualModule
from hil.scenario.scenario import Scenario
from hil.scenario.stage import Stage


@dataclass
class World:
    """The parts of a run.

    Attributes
    ----------
    scenario, stage, module, clock
        What is to happen, to whom, who decides, and when it is.
    """

    scenario: Scenario
    stage: Stage
    module: VirtualModule
    clock: SiteClock

    def stick(self, evse: str, *, main: bool = False) -> Callable[[], None]:
        """Have the contactor of the phases of an EVSE, or its main one, stay where it is."""
        board, numbers = self._contactors(evse)
        board.stuck.add(numbers[main])
        return board.repair

    def weld(self, evse: str) -> Callable[[], None]:
        """Have the contactor of the phases of an EVSE stay closed, from when it is."""
        board, numbers = self._contactors(evse)
        board.welded.add(numbers[0])
        return board.repair

    def bounce(self, evse: str) -> Callable[[], None]:
        """Have their auxiliary contacts flutter."""
        board, numbers = self._contactors(evse)
        board.bouncing.update(numbers)
        return board.bouncing.clear

    def _contactors(self, evse: str) -> tuple[ContactorBoard, list[int]]:
        config = self.scenario.site.bridged_connectors.get(evse)
        if config is None or config.contactors is None:
            raise ValueError(f"{evse} has no contactors of ours")
        board = self.stage.devices[config.contactors.board]
        assert isinstance(board, ContactorBoard)
        return board, board.contactors_of(self.stage.evses[evse].point)

"""What was measured and should be in the site file: said once, and shown as long as it is not there."""

from collections.abc import Callable, Collection, Mapping

from control.notices import Log
from energy_management import EvseAttributes


class Suggestions:
    """Keeps them.

    Parameters
    ----------
    attributes : callable
        Gives the attributes of EVSEs that are in force.
    connectors : collection of str
        EVSEs that the site file has as ``connectors``.
    log : Log
        Told of each new one.
    """

    def __init__(
        self,
        attributes: Callable[[], Mapping[str, EvseAttributes]],
        connectors: Collection[str],
        log: Log,
    ) -> None:
        self._attributes = attributes
        self._connectors = connectors
        self._log = log
        self._rotations: Mapping[str, str] = {}

    def learnt(self, rotations: Mapping[str, str]) -> None:
        """Take note of the wiring of EVSEs as measured, by uuid."""
        before, self._rotations = self.lines, dict(rotations)
        for line in self.lines:
            if line not in before:
                self._log.info(line)

    @property
    def lines(self) -> list[str]:
        """One line each."""
        attributes = self._attributes()
        return [
            rotation_line(uuid, rotation, "connectors" if uuid in self._connectors else "evses")
            for uuid, rotation in sorted(self._rotations.items())
            if attributes.get(uuid, EvseAttributes()).phase_rotation is None
        ]


def rotation_line(uuid: str, rotation: str, section: str) -> str:
    """Say what to write where."""
    what = f"phase_rotation: {rotation}"
    return f"{uuid}: draws on {rotation}; write {what} into {section}.{uuid} of the site file"

"""What is said of an installation, to be compared with what is seen. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Expected:
    """What is said of the installation.

    Attributes
    ----------
    connector : str
        Its name in the site file.
    rotation : str or None
        Its ``phase_rotation`` there; None or "unknown" if nothing is said.
    car_phases : int or None
        Phases of the car, as its owner says.
    charger_phases : int
        Phases that the charger has and is connected with.
    """

    connector: str = "connector"
    rotation: str | None = None
    car_phases: int | None = None
    charger_phases: int = 3

    @property
    def grid_phases(self) -> tuple[str, ...]:
        """Grid phases that its L1, L2, L3 are said to hang on; empty if nothing is said."""
        return () if self.rotation in (None, "unknown") else tuple((self.rotation or "").split())

"""What is said of an installation, to be compared with what is seen. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml


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
    section : mapping
        All that the site file says of it, as it is written there.
    """

    connector: str = "connector"
    rotation: str | None = None
    car_phases: int | None = None
    charger_phases: int = 3
    section: Mapping[str, Any] = field(default_factory=dict)

    @property
    def grid_phases(self) -> tuple[str, ...]:
        """Grid phases that its L1, L2, L3 are said to hang on; empty if nothing is said."""
        return () if self.rotation in (None, "unknown") else tuple((self.rotation or "").split())

    def line_with(self, **changes: str) -> str:
        """Give its section of the site file as one line, with something changed."""
        flow = yaml.safe_dump(
            {**self.section, **changes},
            default_flow_style=True,
            sort_keys=False,
            width=10_000,
            allow_unicode=True,
        )
        return f"{self.connector}: {flow.strip()}"

"""What a check has found, in words that say what to do. Pure."""

from dataclasses import dataclass
from enum import Enum
from typing import Any


class Severity(Enum):
    """How much a finding matters."""

    PROBLEM = "problem"
    UNDECIDED = "undecided"
    FACT = "fact"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found.

    Attributes
    ----------
    code : str
        Its kind, stable, for programs.
    severity : Severity
        Whether it must be mended.
    text : str
        What is so.
    advice : str
        What to do.
    phases : tuple of str
        Phases of the meter, or of the charger, that it is about.
    lines : tuple of str
        Lines of the site file as they should be.
    """

    code: str
    severity: Severity
    text: str
    advice: str = ""
    phases: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Give it as JSON."""
        return {
            "code": self.code,
            "severity": self.severity.value,
            "text": self.text,
            "advice": self.advice,
            "phases": list(self.phases),
            "site_lines": list(self.lines),
        }


def problem(code: str, text: str, advice: str, *phases: str, lines: tuple[str, ...] = ()) -> Finding:
    """Make a finding that must be mended."""
    return Finding(code, Severity.PROBLEM, text, advice, phases, lines)


def undecided(code: str, text: str, advice: str, *phases: str) -> Finding:
    """Make a finding that says why something could not be found out."""
    return Finding(code, Severity.UNDECIDED, text, advice, phases)


def fact(code: str, text: str, *phases: str, advice: str = "", lines: tuple[str, ...] = ()) -> Finding:
    """Make a finding that is as it should be, or need not be wrong, and is worth knowing."""
    return Finding(code, Severity.FACT, text, advice, phases, lines)

"""What a check has to say."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Remark:
    """Something about the station.

    Attributes
    ----------
    is_error : bool
        It cannot stay; otherwise it is worth knowing.
    text : str
        Where, what, and what to do, in one line.
    """

    is_error: bool
    text: str


def error(text: str) -> Remark:
    """Make a remark about what cannot stay."""
    return Remark(is_error=True, text=text)


def note(text: str) -> Remark:
    """Make a remark that is worth knowing."""
    return Remark(is_error=False, text=text)

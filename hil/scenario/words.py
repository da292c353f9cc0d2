"""Sentences with blanks: what events and assertions are written in.

A sentence is described as it reads, with blanks in braces and what may be left out in brackets:
``{device} is silent[ for {duration}]``. A blank is called after what fills it.
"""

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from bsp.yaml_file import instead

T = TypeVar("T")

_NUMBER = r"[-+]?\d+(?:\.\d+)?"
_DURATION = rf"{_NUMBER} ?(?:ms|s|min|h)(?: \d+(?:\.\d+)? ?(?:s|min))*"
MOMENT = rf"(?:day \d+ )?\d?\d:\d\d(?::\d\d)?|\+{_DURATION}|the end"
_PHASES = r"each phase|L[123](?:(?:, | and )L[123])*"
_UNITS = {"ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "": 1.0, "A": 1.0, "mA": 1e-3, "W": 1.0, "kW": 1e3}
_UNITS |= {"Wh": 1.0, "kWh": 1e3, "%": 0.01}


class WordsError(ValueError):
    """A sentence that says nothing that is known; the message says what is."""


@dataclass(frozen=True, slots=True)
class When:
    """A moment as it is written: ``06:00``, ``day 2 06:00``, ``+90 s`` after the start, or ``the end``."""

    text: str

    def seconds(self, starts_at_s: float, lasts_s: float) -> float:
        """Give it in seconds after the start.

        Parameters
        ----------
        starts_at_s : float
            Time of day of the start. A time of day is the first one from then on, or that of a named day.
        lasts_s : float
            When the end is.
        """
        if self.text == "the end":
            return lasts_s
        if self.text.startswith("+"):
            return duration(self.text[1:])
        match = re.fullmatch(r"(?:day (\d+) )?(\d+):(\d\d)(?::(\d\d))?", self.text)
        assert match is not None
        day, hours, minutes, seconds = (int(group or 0) for group in match.groups())
        if hours > 24 or minutes > 59 or seconds > 59:
            raise WordsError(f"{self.text}: there is no such time of day")
        after_s = 3600.0 * hours + 60.0 * minutes + seconds - starts_at_s
        return after_s + 86400.0 * (day - 1 if day else after_s < 0)


def duration(text: str) -> float:
    """Read ``90 s``, ``20 min``, ``1 h 30 min``."""
    return sum(quantity(part) for part in re.findall(rf"{_NUMBER} ?(?:ms|s|min|h)", text))


def quantity(text: str) -> float:
    """Read a number with its unit."""
    match = re.fullmatch(rf"({_NUMBER}) ?(\D*)", text)
    assert match is not None
    return float(match[1]) * _UNITS[match[2]]


def phases(text: str) -> tuple[int, ...]:
    """Read ``L1``, ``L1 and L3``, ``each phase`` as numbers from 0."""
    return (
        (0, 1, 2)
        if text == "each phase"
        else tuple(sorted({int(n) - 1 for n in re.findall(r"L([123])", text)}))
    )


BLANKS: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "duration": (_DURATION, duration),
    "moment": (MOMENT, When),
    "amperes": (rf"{_NUMBER} ?A", quantity),
    "power": (rf"{_NUMBER} ?k?W", quantity),
    "energy": (rf"{_NUMBER} ?k?Wh", quantity),
    "percent": (rf"{_NUMBER} ?%", quantity),
    "number": (r"\d+", int),
    "phases": (_PHASES, phases),
    "text": (r'"[^"]+"', lambda text: text[1:-1]),
    "mode": (r"off|now|minpv|pv", str),
}
_NAME = r"[A-Za-z_][\w.-]*"


@dataclass(frozen=True, slots=True)
class Sentence(Generic[T]):
    """One kind of sentence.

    Attributes
    ----------
    text : str
        As it reads.
    about : str
        What it means, in a line.
    meaning : T
        Whatever is done with it.
    """

    text: str
    about: str
    meaning: T
    _pattern: re.Pattern[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_pattern", re.compile(self.regex))

    @property
    def regex(self) -> str:
        """The same as a regular expression."""
        parts = re.split(r"(\{\w+\}|\[|\]|\|)", self.text)
        return "".join(_regex(part) for part in parts)

    def read(self, text: str) -> dict[str, str] | None:
        """Give what fills the blanks; None if it is another sentence."""
        match = self._pattern.fullmatch(text)
        return None if match is None else {k: v for k, v in match.groupdict().items() if v is not None}


def _regex(part: str) -> str:
    if part == "[":
        return "(?:"
    if part == "]":
        return ")?"
    if part == "|":
        return "|"
    if part.startswith("{"):
        kind = part[1:-1]
        return f"(?P<{kind}>{BLANKS[kind.rstrip('2')][0] if kind.rstrip('2') in BLANKS else _NAME})"
    return re.escape(part).replace(r"s\?", "s?")  # a plural


class Language(Generic[T]):
    """All sentences of a kind, and what they are made of."""

    def __init__(self) -> None:
        self.sentences: list[Sentence[T]] = []

    def add(self, text: str, about: str) -> Callable[[T], T]:
        """Take what is decorated as the meaning of a sentence."""

        def take(meaning: T) -> T:
            self.sentences.append(Sentence(text, about, meaning))
            return meaning

        return take

    def read(self, text: str, names: Mapping[str, Iterable[str]]) -> tuple[Sentence[T], dict[str, Any]]:
        """Understand a sentence.

        Parameters
        ----------
        names : mapping of blank to names
            What may fill the blanks that are names.

        Raises
        ------
        WordsError
            It is none, or names something that does not exist.
        """
        text = " ".join(text.split())
        unknown: WordsError | None = None
        for sentence in self.sentences:
            found = sentence.read(text)
            if found is None:
                continue
            try:
                return sentence, {blank: _value(blank, filling, names) for blank, filling in found.items()}
            except WordsError as error:  # another sentence may have the same form
                unknown = unknown or error
        raise unknown or WordsError(f"'{text}' is not understood{self._nearest(text)}")

    def _nearest(self, text: str) -> str:
        words = [sentence.text for sentence in self.sentences]
        near = difflib.get_close_matches(text, words, n=1, cutoff=0.3)
        return f"; the nearest there is: {near[0]}" if near else ""


def _value(blank: str, filling: str, names: Mapping[str, Iterable[str]]) -> Any:
    kind = blank.rstrip("2")
    if kind in BLANKS:
        return BLANKS[kind][1](filling)
    known = list(names[kind])
    if filling not in known:
        raise WordsError(f"unknown {kind} '{filling}'{instead(filling, known)}")
    return filling

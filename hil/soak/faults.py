"""What may go wrong in a soak, in the words of scenarios."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

Json = dict[str, Any]
Maker = Callable[[Random, Json, int], str]
"""Makes the sentence of a fault that lasts some seconds; empty where the site has nothing it could befall."""


RESTARTS = ("killed module", "restart")
"""Kinds after which the module begins anew."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong.

    Attributes
    ----------
    kind : str
        What, for counting.
    at_s, ends_s : int
        From when until when.
    text : str
        The sentence of the scenario.
    """

    kind: str
    at_s: int
    ends_s: int
    text: str


def fault(random: Random, site: Json, at_s: int, most_s: int) -> Fault:
    """Draw a fault that this site can have, of at most some seconds."""
    while True:
        kind = random.choice(list(_MAKERS))
        lasts_s = random.randint(2, most_s)
        if text := _MAKERS[kind](random, site, lasts_s):
            ends_s = at_s + (lasts_s if text.endswith(f"for {lasts_s} s") else 0)
            return Fault(kind, at_s, ends_s, text)


def _device(random: Random, site: Json) -> str:
    names: list[str] = [*site["meters"], *site.get("connectors", {})]
    return random.choice(names)


def _of_device(words: str) -> Maker:
    return lambda random, site, lasts_s: f"{_device(random, site)} {words} for {lasts_s} s"


def _of_meter(words: str) -> Maker:
    return lambda _, __, lasts_s: f"house {words} for {lasts_s} s"


def _of_one_of(section: str, words: str) -> Maker:
    def make(random: Random, site: Json, lasts_s: int) -> str:
        names = list(site.get(section, {}))
        return f"{random.choice(names)} {words} for {lasts_s} s" if names else ""

    return make


def _limit(random: Random, site: Json, lasts_s: int) -> str:
    evses = [*site["evses"], *site.get("connectors", {})]
    return f"{random.choice(['grid', *evses])} is limited to {random.randint(0, 20)} A for {lasts_s} s"


_MAKERS: Mapping[str, Maker] = {
    "silence": _of_device("is silent"),
    "wrong checksums": _of_device("answers with wrong checksums"),
    "truncated frames": _of_device("sends half of each answer"),
    "foreign frames": _of_device("answers as another unit"),
    "late answers": lambda random, site, lasts_s: (
        f"{_device(random, site)} answers {random.randint(200, 3000)} ms late for {lasts_s} s"
    ),
    "exceptions": lambda random, site, lasts_s: (
        f"{_device(random, site)} answers with exception {random.choice((1, 2, 4, 6))} for {lasts_s} s"
    ),
    "frozen meter": _of_meter("shows the same values for ever"),
    "wild meter": _of_meter("shows wild values"),
    "swapped words": _of_meter("swaps the words of its values"),
    "lost phase": lambda random, _, lasts_s: f"house loses L{random.randint(1, 3)} for {lasts_s} s",
    "reboot of a wallbox": _of_one_of("connectors", "reboots"),
    "line cut": lambda random, _, lasts_s: f"bus {random.choice(('line', 'lan'))} is cut for {lasts_s} s",
    "hanging EVSE": _of_one_of("evses", "hangs"),
    "refused limits": _of_one_of("evses", "refuses its limits"),
    "nonsense": _of_one_of("evses", "publishes nonsense"),
    "killed module": lambda _, __, lasts_s: f"the module is killed for {lasts_s} s",
    "restart": lambda _, __, ___: "the module restarts",
    "clock jump": lambda random, _, __: (
        f"the wall clock jumps by {random.choice((-1, 1)) * random.randint(60, 20_000)} s"
    ),
    "outside limit": _limit,
}

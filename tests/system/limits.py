"""The limits that EVSEs were sent, and what they come to at a fuse."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

NOTICED_LATE_S = 1.0
"""A charge point counts whole seconds, so it notices the end of a limit up to one late."""


LEAST_RISE_A = 0.5
"""A limit that is short of its due by less may stay there: smaller rises are not made."""


def is_due(newest_A: float | None, due_A: float) -> bool:
    """Whether a limit is what is due, or so close below that it will not rise any more."""
    return newest_A is not None and due_A - LEAST_RISE_A < newest_A < due_A + 0.01


@dataclass(frozen=True, slots=True)
class Sent:
    """One limit on its way to its EVSE.

    Attributes
    ----------
    at : float
        When it was seen on the broker, monotonic seconds.
    limits : dict
        The ``EnforcedLimits``.
    """

    at: float
    limits: dict[str, Any]

    @property
    def current_A(self) -> float:
        return float(self.limits["limits_root_side"]["ac_max_current_A"]["value"])

    @property
    def source(self) -> str:
        return str(self.limits["limits_root_side"]["ac_max_current_A"]["source"])

    @property
    def phases(self) -> int | None:
        count = self.limits["limits_root_side"].get("ac_max_phase_count")
        return count["value"] if count else None

    @property
    def ends_at(self) -> float:
        """Until then the EVSE may go by it, unless it gets another one."""
        return self.at + float(self.limits["valid_for"]) + NOTICED_LATE_S


class LimitBook:
    """All limits by EVSE, in the order in which they came."""

    def __init__(self) -> None:
        self.sent: dict[str, list[Sent]] = {}

    def add(self, sent: Sent) -> None:
        self.sent.setdefault(sent.limits["uuid"], []).append(sent)

    @property
    def newest_A(self) -> dict[str, float]:
        return {evse: limits[-1].current_A for evse, limits in self.sent.items()}

    def lines(self) -> list[str]:
        """Tell, for whoever reads a failure, what each EVSE was sent of late."""
        sent = sorted(
            (sent for limits in self.sent.values() for sent in limits[-10:]), key=lambda sent: sent.at
        )
        return [f"{each.at:.2f} {each.limits['uuid']} {each.current_A:g} A: {each.source}" for each in sent]

    def passed_through(self, *story: Mapping[str, float]) -> bool:
        """Whether the newest limits were at some time those of each chapter, one chapter after the other."""
        ahead = list(story)
        newest: dict[str, float] = {}
        for sent in sorted(
            (sent for limits in self.sent.values() for sent in limits), key=lambda sent: sent.at
        ):
            newest[sent.limits["uuid"]] = sent.current_A
            if ahead and all(is_due(newest.get(evse), limit) for evse, limit in ahead[0].items()):
                ahead.pop(0)
        return not ahead

    def in_force_A(self, evse: str, at: float) -> float:
        """Current that the EVSE may draw at a moment: its newest limit, unless that has run out."""
        newest = next((limit for limit in reversed(self.sent.get(evse, [])) if limit.at <= at), None)
        return newest.current_A if newest and at < newest.ends_at else 0.0

    def highest_sum_A(self, evses: Collection[str], settle_s: float) -> float:
        """Highest sum of the limits of some EVSEs, not counting what one decision's messages take to spread.

        A decision reaches its EVSEs one after the other. What is above for less than `settle_s` and then gone
        is that, not an excess.
        """
        moments = sorted({limit.at for evse in evses for limit in self.sent.get(evse, [])})
        return max((self._lasting_sum_A(evses, moment, settle_s) for moment in moments), default=0.0)

    def _lasting_sum_A(self, evses: Collection[str], at: float, settle_s: float) -> float:
        """Lowest sum within `settle_s` from a moment on."""
        later = {
            limit.at for evse in evses for limit in self.sent.get(evse, []) if at < limit.at <= at + settle_s
        }
        return min(sum(self.in_force_A(evse, moment) for evse in evses) for moment in {at, *later})

"""Whether a meter counts in the right direction: it moves with the cars below it."""

from __future__ import annotations

from dataclasses import dataclass, field

WITHIN_S = 12.0
"""Both must show a move by then: a car has 5 s to follow its pilot, and samples are a few seconds old."""

MOVES_A = 4.0
"""Smaller moves are lost among those of a house."""

ALIKE = 0.2
"""Share of a move by which both may disagree about it."""


@dataclass
class SignCheck:
    """Compares one phase of a meter with what cars are measured to draw there.

    Attributes
    ----------
    samples : list of tuple of float
        Time, current of the meter, current of the cars, over the last seconds.
    """

    samples: list[tuple[float, float, float]] = field(default_factory=list)

    def agrees(self, at_s: float, metered_A: float, drawn_A: float) -> bool:
        """Take what both show at a time; tell whether they have moved by the same in the same direction."""
        self.samples = [sample for sample in self.samples if sample[0] > at_s - WITHIN_S]
        self.samples.append((at_s, metered_A, drawn_A))
        return any(_is_same_move(metered_A - metered, drawn_A - drawn) for _, metered, drawn in self.samples)


def _is_same_move(metered_A: float, drawn_A: float) -> bool:
    return abs(drawn_A) >= MOVES_A and abs(metered_A - drawn_A) <= max(1.0, ALIKE * abs(drawn_A))

"""Whether a meter can be believed, phase by phase.

What is silent, repeats itself under load, or tells what cannot be is no fine reading. A phase without a fine
reading for a while is lost, and is believed again only after its readings have been fine for a while. One
that left as import and comes back as export, or the other way round, is believed once it shows again what it
left as, or moves with the cars: reversed clamps would let a rising load look like generation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from energy_management.draws import NOTHING, Draw, currents_of, measured_A
from energy_management.measurement import Reading, Vector3
from energy_management.signs import SignCheck
from energy_management.site import NodeAttributes

LOADED_A = 3.0
"""From this current on, the counters and voltages of a living meter move."""

SIGN_A = 1.0
"""Smaller currents have no sign worth speaking of."""

VOLTAGE_RANGE = (0.7, 1.3)
"""Of the nominal voltage. EN 50160 allows 0.85 to 1.1; a phase beyond this is lost, or another one's."""

SHORT_CIRCUIT = 5.0
"""So many times the fuse trips a B-characteristic breaker at once (IEC 60898-1)."""

FINE = ""

_WAYS = {1: "import", -1: "export"}


@dataclass(frozen=True, slots=True)
class Doubts:
    """When to stop believing a meter, and when to begin again.

    Attributes
    ----------
    attributes : NodeAttributes
        How long readings may be stale or frozen, and must be stable.
    fuse_A : float
        Of the node; infinite if it has none.
    nominal_voltage_V : float
        Phase to neutral.
    """

    attributes: NodeAttributes
    fuse_A: float
    nominal_voltage_V: float


@dataclass
class PhaseTrust:
    """One phase of one meter.

    Attributes
    ----------
    is_lost : bool
        It was readable once, and is not believed since.
    fine_at_s, fine_since_s : float or None
        When it last was fine, and since when without a break.
    sign : int
        1 if what was last believed of it was import, -1 if it was export, 0 if it was next to nothing ever.
    complaint : str
        What is wrong with it, or empty.
    signs : SignCheck
        Compares it with the cars while its sign is doubted.
    """

    is_lost: bool = False
    fine_at_s: float | None = None
    fine_since_s: float | None = None
    sign: int = 0
    complaint: str = FINE
    signs: SignCheck = field(default_factory=SignCheck)

    def is_believed(self, now_s: float, stale_after_s: float) -> bool:
        """Tell whether its last fine reading counts."""
        is_fresh = self.fine_at_s is not None and now_s - self.fine_at_s <= stale_after_s
        self.is_lost = self.is_lost or (self.fine_at_s is not None and not is_fresh)
        return is_fresh and not self.is_lost

    def take(self, current_A: float, at_s: float, stable_after_s: float, drawn_A: float = 0.0) -> None:
        """Take a fine reading, and what cars were measured to draw at that time."""
        is_reversed = self.sign * current_A < -SIGN_A
        if self.is_lost and is_reversed and self.signs.agrees(at_s, current_A, drawn_A):
            self.sign, is_reversed = 0, False
        if self.fine_since_s is None or (self.is_lost and is_reversed):
            self.fine_since_s = at_s
        self.fine_at_s = at_s
        self.complaint = FINE
        if self.is_lost:
            self.is_lost = at_s - self.fine_since_s < stable_after_s
            back = f"as {_WAYS[-self.sign]}, though it left as {_WAYS[self.sign]}, " if is_reversed else ""
            self.complaint = f"came back {back}not stable yet" if self.is_lost else FINE
        if not self.is_lost and abs(current_A) >= SIGN_A:
            self.sign = 1 if current_A > 0 else -1

    def complain(self, complaint: str) -> None:
        """Take note that there is no fine reading."""
        self.fine_since_s, self.complaint = None, complaint


@dataclass
class MeterTrust:
    """One meter.

    Attributes
    ----------
    phases : list of PhaseTrust
        L1, L2, L3.
    last : Reading or None
        Newest one.
    changed_at_s : float
        When it last told something else than before.
    """

    phases: list[PhaseTrust] = field(default_factory=lambda: [PhaseTrust(), PhaseTrust(), PhaseTrust()])
    last: Reading | None = None
    changed_at_s: float = -math.inf

    def fine(
        self, reading: Reading | None, now_s: float, doubts: Doubts, below: Sequence[Draw] = ()
    ) -> Vector3 | None:
        """Return the currents of a new reading; NaN on phases that are not fine. None if there is no news.

        Parameters
        ----------
        below : sequence of Draw
            Of the EVSEs below the meter.
        """
        if reading is None or not abs(now_s - reading.taken_at) <= doubts.attributes.stale_after_s:
            silent = "missing" if reading is None else f"silent for {doubts.attributes.stale_after_s:g} s"
            for phase in self.phases:
                phase.complain(silent)
            return None
        if self.last is not None and reading.taken_at <= self.last.taken_at:
            return None
        if self.last is None or repr(replace(reading, taken_at=0.0)) != repr(
            replace(self.last, taken_at=0.0)
        ):
            self.changed_at_s = reading.taken_at
        self.last = reading
        is_lost = any(phase.is_lost for phase in self.phases)
        return self._judge(reading, doubts, measured_A(below, reading.taken_at) if is_lost else NOTHING)

    def complaints(self, now_s: float, stale_after_s: float) -> list[str]:
        """Tell what is wrong, phases with the same complaint together."""
        lost: dict[str, list[str]] = {}
        for name, phase in zip(("L1", "L2", "L3"), self.phases, strict=True):
            if not phase.is_believed(now_s, stale_after_s):
                lost.setdefault(phase.complaint, []).append(name)
        return [
            f"meter {'' if len(names) == len(self.phases) else ' and '.join(names) + ' '}{complaint}"
            for complaint, names in lost.items()
        ]

    def _judge(self, reading: Reading, doubts: Doubts, drawn_A: Vector3) -> Vector3:
        currents_A = currents_of(reading, doubts.nominal_voltage_V)
        voltages_V = reading.voltage_V or (math.nan,) * 3
        unchanged_s = reading.taken_at - self.changed_at_s
        is_loaded = any(abs(current) >= LOADED_A for current in currents_A)
        believed = []
        for phase, current_A, voltage_V, drawn in zip(
            self.phases, currents_A, voltages_V, drawn_A, strict=True
        ):
            if is_loaded and unchanged_s >= doubts.attributes.frozen_after_s:
                phase.complain(f"frozen for {doubts.attributes.frozen_after_s:g} s")
            elif math.isnan(current_A):
                phase.complain("not measured")
            elif not math.isnan(voltage_V) and not _is_possible(voltage_V / doubts.nominal_voltage_V):
                phase.complain("of an impossible voltage")
            elif abs(current_A) > SHORT_CIRCUIT * doubts.fuse_A:
                phase.complain("of an impossible current")
            else:
                phase.take(current_A, reading.taken_at, doubts.attributes.stable_after_s, drawn)
            believed.append(math.nan if phase.complaint else current_A)
        return believed[0], believed[1], believed[2]


def _is_possible(share_of_nominal: float) -> bool:
    low, high = VOLTAGE_RANGE
    return low <= share_of_nominal <= high

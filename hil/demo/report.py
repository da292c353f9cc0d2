"""The demo's summary: what happened, and whether it was good."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from energy_management.measurement import Vector3
from hil.plant import FuseWatch, Overload

TOLERATED_S = 10.0
"""An overload may last that long: IEC 61851-1 gives an EVSE 5 s between two changes of its pilot, and a car
5 s to follow one."""

PHASE_NAMES = ("L1", "L2", "L3")


@dataclass(frozen=True, slots=True)
class EvseSummary:
    """One EVSE over the whole demo; grants are (seconds, ampere per phase) at each change."""

    link: str
    energy_Wh: float
    grants: list[tuple[float, float]]
    peak_current_A: Vector3


@dataclass(frozen=True, slots=True)
class ProcessUse:
    """What the module's process used: share of one core, and resident memory."""

    cpu_percent: float
    memory_MB: float


@dataclass(frozen=True)
class Report:
    """Summary of one demo.

    Attributes
    ----------
    problems : list of str
        What went wrong beside fuses, a line each.
    """

    seconds: float
    seed: int
    broker: str
    evses: Mapping[str, EvseSummary]
    fuses: Mapping[str, FuseWatch]
    messages_per_s: float
    module: ProcessUse | None
    problems: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Nothing violated, nothing died."""
        return not self.problems and not any(watch.violations for watch in self.fuses.values())

    def to_json(self) -> dict[str, Any]:
        """Write it as plain JSON values."""
        return {
            "ok": self.ok,
            "problems": self.problems,
            "seconds": round(self.seconds, 1),
            "seed": self.seed,
            "broker": self.broker,
            "evses": {name: _evse(evse) for name, evse in self.evses.items()},
            "fuses": {name: _fuse(watch) for name, watch in self.fuses.items()},
            "messages_per_s": round(self.messages_per_s, 1),
            "module": self.module
            and {
                "cpu_percent": round(self.module.cpu_percent, 1),
                "memory_MB": round(self.module.memory_MB, 1),
            },
        }

    def lines(self) -> list[str]:
        """Write it for people."""
        lines = [
            f"{name} ({evse.link}): {evse.energy_Wh:.0f} Wh, "
            f"{len(evse.grants)} grants, peak {max(evse.peak_current_A):.1f} A"
            for name, evse in self.evses.items()
        ]
        for name, watch in self.fuses.items():
            longest = max((overload.duration_s for overload in watch.overloads), default=0.0)
            lines.append(
                f"fuse {name} {watch.fuse_A:.0f} A: peak {max(watch.peak_A):.1f} A, "
                f"{len(watch.overloads)} short overloads (longest {longest:.1f} s), "
                f"{len(watch.violations)} violations (longer than {watch.grace_s:.0f} s)"
            )
        if self.module:
            lines.append(
                f"module process: {self.module.cpu_percent:.1f} % of a core, {self.module.memory_MB:.0f} MB; "
                f"{self.messages_per_s:.0f} MQTT messages/s"
            )
        lines += [f"PROBLEM: {problem}" for problem in self.problems]
        lines.append("ok" if self.ok else "NOT OK")
        return lines


def _evse(evse: EvseSummary) -> dict[str, Any]:
    return {
        "link": evse.link,
        "energy_Wh": round(evse.energy_Wh, 1),
        "peak_current_A": [round(value, 2) for value in evse.peak_current_A],
        "grants": evse.grants,
    }


def _fuse(watch: FuseWatch) -> dict[str, Any]:
    return {
        "fuse_A": watch.fuse_A,
        "peak_A": [round(value, 2) for value in watch.peak_A],
        "tolerated_s": watch.grace_s,
        "overloads": [_overload(overload) for overload in watch.overloads],
        "violations": [_overload(overload) for overload in watch.violations],
    }


def _overload(overload: Overload) -> dict[str, Any]:
    return {
        "phase": PHASE_NAMES[overload.phase],
        "started_s": round(overload.started_s, 1),
        "duration_s": round(overload.duration_s, 1),
        "peak_A": round(overload.peak_A, 2),
    }

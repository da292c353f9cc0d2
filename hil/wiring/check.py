"""The whole verdict: passive findings, and active ones as far as the passive ones leave sight. Pure."""

from collections.abc import Sequence

from hil.wiring.active import check_active
from hil.wiring.expected import Expected
from hil.wiring.findings import Finding
from hil.wiring.passive import check_counters, check_passive
from hil.wiring.samples import PHASES, Sample

_NO_SIGHT = ("no_answer", "frozen")
_SPOILS_POWER = ("phase_missing", "phase_doubled", "voltage_wrong")
_SPOILS_ALL_POWER = ("neutral_exchanged", "neutral_open")


def judge(
    quiet: Sequence[Sample],
    stepped: Sequence[Sample],
    expected: Expected,
    *,
    meter_phases: int = 3,
    nominal_V: float = 230.0,
    has_generation: bool = True,
) -> list[Finding]:
    """Put everything together, each cause once.

    Parameters
    ----------
    quiet : sequence of Sample
        Taken while nothing was done.
    stepped : sequence of Sample
        Taken while a car was stepped up and down; empty for a passive check.
    """
    found = check_passive(quiet, phases=meter_phases, nominal_V=nominal_V, has_generation=has_generation)
    codes = {finding.code for finding in found}
    if not stepped or codes & set(_NO_SIGHT):
        return found
    blind = {phase for finding in found if finding.code in _SPOILS_POWER for phase in finding.phases}
    if codes & set(_SPOILS_ALL_POWER):
        blind = set(PHASES)
    known = {(finding.code, finding.phases) for finding in found}
    active = check_active(stepped, expected, blind=sorted(blind))
    if "counters_exchanged" not in codes and not any(one.code == "meter_reversed" for one in active):
        active += check_counters(stepped)
    return [*found, *(finding for finding in active if (finding.code, finding.phases) not in known)]

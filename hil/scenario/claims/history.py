"""Assertions about what the energy manager has written down of charging."""

from __future__ import annotations

from hil.scenario.claims.look import ASSERTIONS, Look, Verdict


@ASSERTIONS.add("the history has {number} sessions? of {evse}", "ended or under way, over every restart")
def _sessions(look: Look, number: int, evse: str) -> Verdict:
    found = sum(session.evse == evse for session in look.outcome.sessions)
    return found == number, f"{found}"


@ASSERTIONS.add("the history has what {car} charged within {percent}", "in one session")
def _energy(look: Look, car: str, percent: float) -> Verdict:
    evse = look.evse_of(car)
    charged_Wh = look.outcome.at(f"energy/{car}", look.outcome.lasts_s)
    counted_Wh = [session.energy_Wh or 0.0 for session in look.outcome.sessions if session.evse == evse]
    nearest_Wh = min(counted_Wh, key=lambda energy_Wh: abs(energy_Wh - charged_Wh), default=0.0)
    found = f"{nearest_Wh / 1e3:.2f} kWh in the history, {charged_Wh / 1e3:.2f} kWh charged"
    return abs(nearest_Wh - charged_Wh) <= percent * charged_Wh, found

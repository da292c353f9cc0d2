"""What a grid operator that dims must leave to controllable EVSEs (section 14a EnWG, EEBUS LPC)."""

from dataclasses import dataclass

from control.schedules import JsonObject, Schedule

SIMULTANEITY = (1.0, 0.8, 0.75, 0.7, 0.65, 0.6, 0.55, 0.5, 0.45)
"""Factor for one, two, three, … devices behind one energy manager; the last one holds for all more.

BNetzA, BK6-22-300, annex 1, number 4.5.2.
"""


@dataclass(frozen=True, slots=True)
class Floor:
    """The least power that dimming leaves.

    Attributes
    ----------
    evse_W : float
        For one EVSE by itself; 0 is no floor. The rule says 4200.
    simultaneity : float or None
        Share of that for each EVSE beside the first; None is the table of the rule, by their number.
    """

    evse_W: float = 0.0
    simultaneity: float | None = None

    def of(self, evses: int) -> float:
        """Return the least power for so many EVSEs together."""
        if evses == 0:
            return 0.0
        factor = self.simultaneity
        if factor is None:
            factor = SIMULTANEITY[min(evses, len(SIMULTANEITY)) - 1]
        return self.evse_W * (1 + (evses - 1) * factor)


NO_FLOOR = Floor()


def raised(schedule: Schedule, least_W: float) -> Schedule:
    """Return the schedule with no power limit below a floor; those in amperes stay as they are."""
    return [
        {
            **entry,
            **{
                side: {**entry[side], "total_power_W": _at_least(entry[side]["total_power_W"], least_W)}
                for side in ("limits_to_root", "limits_to_leaves")
                if "total_power_W" in entry[side]
            },
        }
        for entry in schedule
    ]


def _at_least(limit: JsonObject, least_W: float) -> JsonObject:
    if limit["value"] >= least_W:
        return limit
    return {**limit, "value": least_W, "source": f"{limit['source']}, dimmed no lower than {least_W:g} W"}

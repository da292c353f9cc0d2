"""What a grid operator that dims must leave to controllable EVSEs (section 14a EnWG, EEBUS LPC)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from control.schedules import JsonObject, Schedule

SIMULTANEITY = (1.0, 0.8, 0.75, 0.7, 0.65, 0.6, 0.55, 0.5, 0.45)
"""Factor for one, two, three, … devices behind one energy manager; the last one holds for all more.

BNetzA, BK6-22-300, annex 1, number 4.5.2: what is controlled together is left 4.2 kW for one device and,
times this factor, 4.2 kW for each further one.
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
    by_evse_W : mapping of uuid to watts
        For EVSEs that have a floor of their own; one with 0 is not controllable and does not count.
    """

    evse_W: float = 0.0
    simultaneity: float | None = None
    by_evse_W: Mapping[str, float] = field(default_factory=dict)

    @property
    def is_any(self) -> bool:
        """Whether any EVSE can have one."""
        return self.evse_W > 0 or any(floor_W > 0 for floor_W in self.by_evse_W.values())

    def of(self, evses: Collection[str]) -> float:
        """Return the least power for EVSEs together: the highest floor, and a share of the others."""
        floors_W = [self.by_evse_W.get(uuid, self.evse_W) for uuid in evses]
        highest_first = sorted((floor_W for floor_W in floors_W if floor_W > 0), reverse=True)
        if not highest_first:
            return 0.0
        factor = self.simultaneity
        if factor is None:
            factor = SIMULTANEITY[min(len(highest_first), len(SIMULTANEITY)) - 1]
        return highest_first[0] + factor * sum(highest_first[1:])


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

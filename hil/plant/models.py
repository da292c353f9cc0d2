"""Cars by name: what types of them do at a charge point. Rounded, and with the habits that matter here."""

from collections.abc import Mapping

from hil.plant.car import CarModel

MODELS: Mapping[str, CarModel] = {
    "11 kW": CarModel(phases=3, max_current_A=16.0, capacity_Wh=60_000.0),
    "22 kW": CarModel(phases=3, max_current_A=32.0, capacity_Wh=77_000.0, reaction_s=1.0),
    "7 kW": CarModel(phases=1, max_current_A=32.0, capacity_Wh=40_000.0, reaction_s=1.0),
    "two phases": CarModel(phases=2, max_current_A=16.0, capacity_Wh=36_000.0),
    "plug-in hybrid": CarModel(
        phases=1, max_current_A=16.0, capacity_Wh=10_000.0, reaction_s=2.0, ramp_A_per_s=4.0
    ),
    "zoe": CarModel(  # its three-phase converter is bad at small currents, and worse on one phase
        phases=3,
        max_current_A=32.0,
        min_current_A=8.0,
        one_phase_min_A=13.0,
        capacity_Wh=41_000.0,
        reaction_s=3.0,
        ramp_A_per_s=2.5,
        taper_from=0.7,
    ),
    "sleepy": CarModel(phases=3, max_current_A=16.0, capacity_Wh=58_000.0, sleeps_after=3),
    "slow": CarModel(phases=3, max_current_A=16.0, capacity_Wh=64_000.0, reaction_s=3.0, ramp_A_per_s=8.0),
}
"""``11 kW`` and the like are ordinary ones of their size; ``sleepy`` gives up after three interruptions,
``slow`` uses all of the time that IEC 61851-1 gives it.
"""

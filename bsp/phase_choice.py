"""Which of the things that can switch phases switches those of a connector."""

from bsp.device import Device
from bsp.phase_driver import PhaseActuator, PhaseDriver
from bsp.phase_registers import PhaseRegisters
from bsp.phase_terms import Memory
from bsp.profile import ConnectorProfile


def phase_driver(
    device: Device,
    profile: ConnectorProfile,
    actuator: PhaseActuator | None = None,
    memory: Memory | None = None,
    *,
    locked: bool = False,
) -> PhaseDriver | None:
    """Put the phase switching of a connector together; None if nothing can switch.

    Parameters
    ----------
    device, profile
        The charger.
    actuator : PhaseActuator, optional
        What switches in its place.
    memory : Memory, optional
        What was kept before a restart.
    locked : bool
        Begin no switch.
    """
    if actuator is None and profile.phase_switching is not None:
        actuator = PhaseRegisters(device, profile, profile.phase_switching)
    return PhaseDriver(actuator, profile.phases, memory, locked=locked) if actuator is not None else None

"""Decisions: how a site shares its power among EVSEs. Pure: no I/O, no threads, no clock of its own."""

from energy_management.config import ManagerConfig
from energy_management.draws import InForce
from energy_management.manager import EnergyManager
from energy_management.site import EvseAttributes, NodeAttributes, Site
from energy_management.state import ManagerState

__all__ = [
    "EnergyManager",
    "EvseAttributes",
    "InForce",
    "ManagerConfig",
    "ManagerState",
    "NodeAttributes",
    "Site",
]

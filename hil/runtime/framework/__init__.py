"""everestpy in pure Python: what a module imports as ``everest.framework``."""

from hil.runtime.framework import error, log
from hil.runtime.framework.module import Module
from hil.runtime.framework.session import RuntimeSession
from hil.runtime.framework.setup import (
    Fulfillment,
    Interface,
    ModuleInfo,
    ModuleInfoPaths,
    ModuleSetup,
    ModuleSetupConfigurations,
)

__version__ = "0.25.0"
"""Version of everestpy whose behaviour this has."""

__all__ = [
    "Fulfillment",
    "Interface",
    "Module",
    "ModuleInfo",
    "ModuleInfoPaths",
    "ModuleSetup",
    "ModuleSetupConfigurations",
    "RuntimeSession",
    "error",
    "log",
]

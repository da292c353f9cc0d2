"""``everest.framework`` where no everestpy is installed: the bench's own, under everestpy's name."""

import sys

from hil.runtime.framework import (
    Fulfillment,
    Interface,
    Module,
    ModuleInfo,
    ModuleInfoPaths,
    ModuleSetup,
    ModuleSetupConfigurations,
    RuntimeSession,
    __version__,
    error,
    log,
)

__all__ = [
    "Fulfillment",
    "Interface",
    "Module",
    "ModuleInfo",
    "ModuleInfoPaths",
    "ModuleSetup",
    "ModuleSetupConfigurations",
    "RuntimeSession",
    "__version__",
    "error",
    "log",
]

# So that ``import everest.framework.error`` works, too.
sys.modules[f"{__name__}.error"] = error
sys.modules[f"{__name__}.log"] = log

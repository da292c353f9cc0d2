"""Puts the module into an installation of EVerest."""

from hil.install.plan import Step, plan
from hil.install.problems import InstallError

__all__ = ["InstallError", "Step", "plan"]

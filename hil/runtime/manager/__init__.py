"""The manager side of the EVerest runtime: runs a configuration of Python modules."""

from hil.runtime.manager.config import RunConfig
from hil.runtime.manager.manager import Manager
from hil.runtime.manager.problems import ConfigError, RunError
from hil.runtime.manager.run import run_config

__all__ = ["ConfigError", "Manager", "RunConfig", "RunError", "run_config"]

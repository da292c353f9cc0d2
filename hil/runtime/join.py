"""Run a Python module on this computer as part of an EVerest that runs on another."""

import os
import sys
from pathlib import Path
from typing import NoReturn

from hil.runtime.broker import BrokerAddress

_RUNTIME = Path(__file__).resolve().parent
_ROOT = _RUNTIME.parent.parent


def join(module_dir: Path, module_id: str, broker: str, prefix: str = "everest") -> NoReturn:
    """Become the module: its process takes the place of this one.

    The configuration over there names the module with ``standalone: true``, and its manager must be waiting
    for it: the definitions a module needs are gone once all modules are ready. ``EV_MQTT_PROTOCOL=5`` in the
    environment selects MQTT 5.

    Parameters
    ----------
    module_dir
        Directory with the module's ``module.py``; a ``.venv`` beside it is used if there is one.
    module_id
        Name of the module in that configuration.
    broker
        ``host:port`` or ``unix:/path`` of its MQTT broker.
    prefix
        Its ``mqtt_everest_prefix``.

    Raises
    ------
    FileNotFoundError
        There is no ``module.py``.
    ValueError
        ``broker`` is no address.
    """
    script = (module_dir / "module.py").resolve()
    if not script.is_file():
        raise FileNotFoundError(f"{module_dir}: no module.py in this directory")
    own_python = script.parent / ".venv/bin/python3"
    python = str(own_python) if own_python.exists() else sys.executable
    environment = environment_of(module_id, broker, prefix)
    os.execve(python, [python, str(script)], environment)


def environment_of(module_id: str, broker: str, prefix: str) -> dict[str, str]:
    """Give the environment in which the module finds the framework and its manager."""
    environment = dict(os.environ)
    for left_over in (
        "EV_MQTT_BROKER_SOCKET_PATH",
        "EV_MQTT_BROKER_HOST",
        "EV_MQTT_BROKER_PORT",
        "PYTHONHOME",
    ):
        environment.pop(left_over, None)
    own = [str(_RUNTIME / "everestpy"), str(_ROOT)]
    return {
        **environment,
        **BrokerAddress.parse(broker).environment,
        "EV_MODULE": module_id,
        "EV_LOG_CONF_FILE": environment.get(
            "EV_LOG_CONF_FILE", str(_RUNTIME / "manager/default_logging.cfg")
        ),
        "EV_MQTT_EVEREST_PREFIX": prefix.rstrip("/") + "/",
        "PYTHONPATH": os.pathsep.join([*own, *filter(None, [environment.get("PYTHONPATH")])]),
    }

"""Small installations for tests of the manager: module types, interfaces, configurations."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

METADATA = {"license": "https://opensource.org/licenses/Apache-2.0", "authors": ["A tester"]}

WAIT = "import signal\nsignal.pause()\n"
"""A module that does nothing: the test speaks for it."""

READY = """
import os, signal, sys
sys.path.insert(0, os.environ["PYTHONPATH"].split(os.pathsep)[1])
from hil.runtime.broker import BrokerAddress
from hil.runtime.wire import Topics, encode

module_id = os.environ["EV_MODULE"]
host, port = os.environ["EV_MQTT_BROKER_HOST"], os.environ["EV_MQTT_BROKER_PORT"]
address = BrokerAddress(host, int(port))
client = address.new_client()
address.connect(client)
client.loop_start()
topic = Topics(os.environ["EV_MQTT_EVEREST_PREFIX"]).module(module_id, "ready")
client.publish(topic, encode("ModuleReady", True), 2).wait_for_publish(10)
print("ready", flush=True)
"""
"""A module that says that it is ready, and goes on with what a test appends."""


class Site:
    """Builds an installation below a directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.config_path = directory / "site.yaml"

    def module(self, name: str, program: str | None = WAIT, **manifest: Any) -> Path:
        """Write a module type; give its directory."""
        directory = self.directory / "modules" / name
        directory.mkdir(parents=True, exist_ok=True)
        content = {"description": "A module of a test", "metadata": METADATA, **manifest}
        (directory / "manifest.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
        if program is not None:
            (directory / "module.py").write_text(program)
        return directory

    def file(self, path: str, text: str) -> Path:
        """Write any file, with the text as it stands."""
        target = self.directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        return target

    def config(self, modules: Mapping[str, Any], **settings: Any) -> Path:
        """Write the configuration; a module given as text is of that type, with nothing else to say."""
        entries = {
            name: {"module": entry} if isinstance(entry, str) else entry for name, entry in modules.items()
        }
        content = {"settings": {"modules_dir": "modules", **settings}, "active_modules": entries}
        self.config_path.write_text(yaml.safe_dump(content, sort_keys=False))
        return self.config_path

    def text(self, text: str) -> Path:
        """Write the configuration as it stands, with the modules directory set."""
        self.config_path.write_text(f"settings: {{modules_dir: modules}}\n{text}")
        return self.config_path


def number(**schema: Any) -> dict[str, Any]:
    """Declare a configuration item of type number."""
    return {"type": "number", "description": "A number", **schema}


def provides(interface: str, **config: Any) -> dict[str, Any]:
    """Declare an implementation."""
    return {
        "interface": interface,
        "description": "An implementation",
        **({"config": config} if config else {}),
    }

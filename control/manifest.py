"""The manifest with the control interface in it.

EVerest's manager refuses a manifest that names an interface it does not know. So the manifest as shipped has
EVerest's own only, and whoever brings ``energy_manager_control`` along writes one with it: the install step,
and the bench.
"""

from collections.abc import Mapping
from typing import Any

CONTROL = {
    "interface": "energy_manager_control",
    "description": "Limits, reserves, priorities and pauses at run time, and what was decided.",
}


def with_control(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return the manifest with ``control`` among what it provides."""
    return {**manifest, "provides": {**manifest["provides"], "control": CONTROL}}

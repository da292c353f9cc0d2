"""The files of the example, as the demo runs them: just the addresses of the buses are its own."""

from dataclasses import dataclass
from pathlib import Path

import yaml

from control.site_file import SiteFile, load_site
from hil.plant import Rotation

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "demo"
MANAGER = "grid"
"""Id of the module instance under test; it is the root of the tree."""

EVEREST_EVSES = ("garage", "drive")


@dataclass(frozen=True, slots=True)
class Links:
    """Where the simulated devices can be reached.

    Attributes
    ----------
    cabinet, outside : str
        Serial ports.
    lan : (str, int)
        Host and port.
    """

    cabinet: str
    outside: str
    lan: tuple[str, int]


def example_site() -> SiteFile:
    """Load the site as the example describes it."""
    return load_site(EXAMPLE / "site.yaml")


def rotations(site: SiteFile) -> dict[str, Rotation]:
    """Give the true wiring of each EVSE."""
    return {name: _rotation(evse.phase_rotation) for name, evse in {**site.evses, **site.connectors}.items()}


def write_files(directory: Path, links: Links) -> Path:
    """Write configuration and site file with the addresses of the simulated devices.

    Returns
    -------
    Path
        The configuration.
    """
    site = yaml.safe_load((EXAMPLE / "site.yaml").read_text())
    host, port = links.lan
    site["buses"] = {  # a pseudo-terminal has no parity
        "cabinet": {"serial": links.cabinet, "parity": "N"},
        "outside": {"serial": links.outside, "parity": "N"},
        "lan": {"host": host, "port": port},
    }
    config = yaml.safe_load((EXAMPLE / "config.yaml").read_text())
    config["active_modules"][MANAGER]["config_module"]["site_file"] = str(directory / "site.yaml")
    for name, content in (("site.yaml", site), ("config.yaml", config)):
        (directory / name).write_text(yaml.safe_dump(content))
    return directory / "config.yaml"


def _rotation(text: str) -> Rotation:
    """Read ``L2 L3 L1`` as (1, 2, 0)."""
    first, second, third = (int(phase[1]) - 1 for phase in text.split())
    return first, second, third

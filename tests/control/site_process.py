"""A site as a process of its own, which grants one connector so many phases: SITE_FILE STATE_FILE PHASES."""

import sys
import threading
from pathlib import Path

from control.everest import Outside
from control.settings import Settings
from control.site import EnergySite
from control.site_file import load_site
from tests.control.sample import RecordingLog, limits


class Nobody:
    """An EVerest that does not listen."""

    def publish(self, implementation: str, variable: str, value: object) -> None:
        pass

    def raise_error(self, implementation: str, error_type: str, message: str, sub_type: str = "") -> None:
        pass

    def clear_error(self, implementation: str, error_type: str, sub_type: str = "") -> None:
        pass


def main(site_file: str, state_file: str, phases: int) -> None:
    config = {"role": "node", "site_file": site_file, "state_file": state_file}
    settings = Settings.from_config("site", config, Path(site_file).parent)
    site = EnergySite(settings, load_site(Path(site_file)), Outside({}, Nobody(), RecordingLog()))
    site.start()
    for_ever = threading.Event()
    while not for_ever.wait(0.2):
        site.handlers.enforce_limits(limits("carport", 16, phases=phases))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))

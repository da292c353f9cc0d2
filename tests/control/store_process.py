"""A store that is written in a loop until the process is killed: FILE. Prints each number that is written."""

import os
import sys
from datetime import timedelta
from itertools import count
from pathlib import Path

from control.notices import Notices
from control.store import Sample, Session, Store
from tests.control.sample import START, RecordingLog


def main(path: Path) -> None:
    log = RecordingLog()
    store = Store(path, log, Notices(log))
    os.write(1, f"opened {len(log.lines)}\n".encode())
    for number in count(int(store.state.get("number", 0)) + 1):
        now = START + timedelta(seconds=number)
        store.put_sessions([Session(number, "carport", now, now, energy_Wh=float(number))])
        store.put_samples([Sample(now, "carport", power_W=float(number))])
        if number % 50 == 0:
            store.prune(now)
        store.put_state("number", str(number))
        store.flush(60)
        os.write(1, f"{number}\n".encode())


if __name__ == "__main__":
    main(Path(sys.argv[1]))

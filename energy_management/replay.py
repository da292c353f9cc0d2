"""Replays recorded requests: `python -m energy_management.replay FILE.jsonl [FILE.jsonl.gz ...]`.

Each line of a file is a JSON object with `request` and `start_time`, or `steps` that have both; optional are
`name`, `config`, `site` and `repeat`. One line is printed for each: `name`, `result` or `results`, and
`seconds`, the best wall time of one `optimize` among all steps and repetitions.
"""

from __future__ import annotations

import gzip
import json
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from energy_management import EnergyManager, ManagerConfig, Site


def replay(case: dict[str, Any]) -> dict[str, Any]:
    """Run one case; with `repeat` several times over, each time by a new manager."""
    steps = case.get("steps") or [case]
    seconds = float("inf")
    results: list[Any] = []
    for _ in range(max(int(case.get("repeat", 1)), 1)):
        manager = EnergyManager(
            ManagerConfig.from_dict(case.get("config", {})), Site.from_dict(case.get("site", {}))
        )
        results = []
        for step in steps:
            now = datetime.fromisoformat(step["start_time"]).astimezone(UTC)
            start = time.perf_counter()
            results.append(manager.optimize(step["request"], now))
            seconds = min(seconds, time.perf_counter() - start)
    outcome = {"results": results} if "steps" in case else {"result": results[0]}
    return {"name": case.get("name"), **outcome, "seconds": seconds}


def _lines(path: Path) -> Iterator[str]:
    content = path.read_bytes()
    if path.suffix == ".gz":
        content = gzip.decompress(content)
    yield from (line for line in content.decode().splitlines() if line.strip())


def main(arguments: list[str]) -> int:
    """Replay all files and print the results."""
    if not arguments:
        print("usage: python -m energy_management.replay FILE.jsonl [FILE.jsonl.gz ...]", file=sys.stderr)
        return 2
    for argument in arguments:
        for number, line in enumerate(_lines(Path(argument)), start=1):
            try:
                outcome = replay(json.loads(line))
            except (KeyError, TypeError, ValueError) as error:
                print(f"{argument}:{number}: {type(error).__name__}: {error}", file=sys.stderr)
                return 1
            print(json.dumps(outcome))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Run benchmarks: `./dev bench [NAME] [--json FILE]`. Every module of this package with a `run` is one."""

from __future__ import annotations

import argparse
import importlib
import json
import pkgutil
from pathlib import Path
from typing import Any

from rich.console import Console

import benchmarks


def modules() -> dict[str, Any]:
    """Find the benchmarks by name."""
    found = {}
    for info in pkgutil.iter_modules(benchmarks.__path__):
        if info.name != "__main__":
            module = importlib.import_module(f"benchmarks.{info.name}")
            if hasattr(module, "run"):
                found[info.name] = module
    return found


def main() -> None:
    available = modules()
    parser = argparse.ArgumentParser(prog="dev bench", description="Measure how fast things are.")
    parser.add_argument("name", nargs="?", choices=sorted(available), help="only this one")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file, too")
    arguments = parser.parse_args()
    console = Console()
    found = {}
    for name in [arguments.name] if arguments.name else sorted(available):
        found[name] = available[name].run()
        available[name].show(found[name], console)
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

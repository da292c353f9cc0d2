"""Files that are written into an installation, recognisable as ours by their first line."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from control.manifest import CONTROL, with_control
from hil.install.problems import InstallError
from hil.runtime.manager.settings import ROOT

OURS = "# Installed by PyEnergyManager: `hil install` overwrites it."
MODULE = "PyEnergyManager"

_PROGRAM = f'''{OURS}
"""The module PyEnergyManager, started from where it lies."""

import runpy
import sys

sys.path[0] = {str(ROOT)!r}
runpy.run_path({str(ROOT / "module.py")!r}, run_name="__main__")
'''


def wanted(modules: Path, interfaces: Path, types: Path) -> dict[Path, str]:
    """Give the files that an installation needs, with their content.

    ``module.py`` there leads to the real one, so that an update of the repository is one of the installation,
    while the environment beside it is for EVerest's Python, whatever the repository's own one is for.
    """
    name = f"{CONTROL['interface']}.yaml"
    return {
        interfaces / name: _ours(ROOT / "interfaces" / name),
        types / name: _ours(ROOT / "interfaces/types" / name),
        modules / MODULE / "manifest.yaml": _manifest(),
        modules / MODULE / "module.py": _PROGRAM,
    }


def check_owners(module: Path, files: Mapping[Path, str]) -> None:
    """Refuse to go on where somebody else has put something that is in the way.

    Raises
    ------
    InstallError
        The module's directory, or one of the files beside others', is not ours.
    """
    shared = [file for file in files if file.parent != module]
    foreign = [file for file in shared if file.exists() and not _is_ours(file, files[file])]
    if not _is_our_module(module):
        foreign.append(module)
    if foreign:
        raise InstallError(f"{path}: was not put there by `hil install`: move it away" for path in foreign)


def _is_our_module(directory: Path) -> bool:
    if directory.is_symlink():
        return directory.resolve() == ROOT
    manifest = directory / "manifest.yaml"
    return not directory.exists() or (manifest.exists() and _is_ours(manifest))


def _is_ours(file: Path, wanted_content: str = "") -> bool:
    """Whether we have written a file, or somebody has copied ours by hand."""
    content = file.read_text(encoding="utf-8", errors="replace")
    return content.startswith(OURS) or f"{OURS}\n{content}" == wanted_content


def is_current(path: Path, content: str) -> bool:
    """Tell whether a file is there as it should be."""
    return not path.parent.is_symlink() and path.is_file() and path.read_text(encoding="utf-8") == content


def write(path: Path, content: str) -> None:
    """Write a file; what was a link to the repository becomes a directory."""
    if path.parent.is_symlink():
        path.parent.unlink()
    path.parent.mkdir(exist_ok=True)
    path.write_text(content, encoding="utf-8")


def _ours(source: Path) -> str:
    return f"{OURS}\n{source.read_text(encoding='utf-8')}"


def _manifest() -> str:
    manifest: dict[str, Any] = yaml.safe_load((ROOT / "manifest.yaml").read_text(encoding="utf-8"))
    return f"{OURS}\n{yaml.safe_dump(with_control(manifest), sort_keys=False, width=110)}"

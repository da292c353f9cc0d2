"""The module's ``.venv`` in an installation: made with EVerest's Python, and tried out."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hil.install.files import MODULE
from hil.install.prefix import OLDEST, Prefix, Version
from hil.install.problems import InstallError
from hil.runtime.manager.settings import ROOT

REQUIREMENTS = ROOT / "requirements.txt"
_TELL_VERSION = "import sys; print(*sys.version_info[:2])"
_TRY = "import everest.framework, runpy; runpy.run_path('module.py')"


@dataclass(frozen=True)
class Environment:
    """The environment beside the installed module.

    Attributes
    ----------
    path : Path
        Where it is.
    everestpy : Path
        Directory of everestpy.
    python : Path
        Interpreter that it is made with.
    version : tuple of int
        The interpreter's.
    wheels : Path or None
        Directory of the packages, where there is no network; None is the package index.
    """

    path: Path
    everestpy: Path
    python: Path
    version: Version
    wheels: Path | None = None

    @classmethod
    def of(cls, prefix: Prefix, wheels: Path | None) -> "Environment":
        """Find everestpy and a Python that it was built for.

        Raises
        ------
        InstallError
            There is none.
        """
        python, version = _python_for(prefix)
        return cls(prefix.modules / MODULE / ".venv", prefix.everestpy, python, version, wheels)

    @property
    def interpreter(self) -> Path:
        """What EVerest's manager starts the module with."""
        return self.path / "bin/python3"

    @property
    def is_current(self) -> bool:
        """Whether it is complete, for the right Python and with the right packages."""
        lock = self._lock
        return (
            lock.is_file()
            and lock.read_bytes() == REQUIREMENTS.read_bytes()
            and _version_of(self.interpreter) == self.version
        )

    def make(self) -> None:
        """Make it, or bring it up to date.

        Raises
        ------
        InstallError
            Something failed.
        """
        self._lock.unlink(missing_ok=True)
        if _version_of(self.interpreter) != self.version:
            _run([str(self.python), "-m", "venv", "--clear", str(self.path)], "is python3-venv installed?")
        source = ["--no-index", "--find-links", str(self.wheels)] if self.wheels is not None else []
        pip = [str(self.interpreter), "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input"]
        _run(
            [*pip, "install", *source, "-r", str(REQUIREMENTS)],
            "without network, give --wheels DIR with what `pip download -r requirements.txt` has fetched",
        )
        self._lock.write_bytes(REQUIREMENTS.read_bytes())

    def check(self) -> None:
        """Import everestpy and the module, as EVerest's manager would start it.

        Raises
        ------
        InstallError
            It cannot be imported.
        """
        before = os.environ.get("PYTHONPATH")
        path = os.pathsep.join([str(self.everestpy), *([before] if before else [])])
        _run(
            [str(self.interpreter), "-B", "-c", _TRY],
            "is everestpy built for this Python and machine?",
            {**os.environ, "PYTHONPATH": path},
        )

    @property
    def _lock(self) -> Path:
        return self.path / "installed-lock"


def _python_for(prefix: Prefix) -> tuple[Path, Version]:
    built_for = prefix.pythons
    usable = [version for version in built_for if version >= OLDEST]
    if built_for and not usable:
        needed = f"the module needs {_names([OLDEST])} or newer"
        raise InstallError([f"everestpy was built for Python {_names(built_for)}, {needed}"])
    for candidate in _candidates(usable):
        version = _version_of(candidate)
        if version is not None and (version in usable if usable else version >= OLDEST):
            return candidate, version
    names = " or ".join(f"python{major}.{minor}" for major, minor in usable)
    raise InstallError(
        [f"everestpy was built for Python {_names(usable)}: no {names} on the PATH, install it with its venv"]
    )


def _candidates(versions: Sequence[Version]) -> Iterator[Path]:
    names = [f"python{major}.{minor}" for major, minor in versions]
    for name in [*names, "python3"]:
        if found := shutil.which(name):
            yield Path(found)
    yield Path(sys.executable)


def _version_of(python: Path) -> Version | None:
    """Ask an interpreter; what is on the PATH may be a shim with nothing behind it."""
    try:
        told = subprocess.run(
            [str(python), "-c", _TELL_VERSION], capture_output=True, text=True, check=True, timeout=60
        ).stdout.split()
    except (OSError, subprocess.SubprocessError):
        return None
    return (int(told[0]), int(told[1])) if len(told) == 2 else None


def _names(versions: Sequence[Version]) -> str:
    return " and ".join(f"{major}.{minor}" for major, minor in versions)


def _run(command: list[str], advice: str, environment: dict[str, str] | None = None) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=ROOT)
    if done.returncode:
        lines = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        reason = lines[-1].strip() if lines else f"exit code {done.returncode}"
        raise InstallError([f"{' '.join(command[:3])} failed: {reason}; {advice}"])

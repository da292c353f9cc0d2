"""What is to be done to an installation of EVerest, step by step; each can be done again without harm."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from hil.install.environment import Environment
from hil.install.files import MODULE, check_owners, is_current, wanted, write
from hil.install.prefix import Prefix
from hil.install.problems import InstallError


@dataclass(frozen=True)
class Step:
    """One step.

    Attributes
    ----------
    what : str
        What there is when it is done.
    is_done : bool
        It is there already.
    do : callable
        Does it; raises `InstallError` if that fails.
    """

    what: str
    is_done: bool
    do: Callable[[], None]


def plan(path: Path, wheels: Path | None = None) -> list[Step]:
    """Look at an installation and plan what is to be done.

    Parameters
    ----------
    path : Path
        Its prefix.
    wheels : Path or None
        Directory of the packages, where there is no network.

    Raises
    ------
    InstallError
        The module cannot be put there. Nothing was changed.
    """
    prefix = Prefix(path.resolve())
    if problems := prefix.problems():
        raise InstallError(problems)
    files = wanted(prefix.modules, prefix.share("interfaces"), prefix.share("types"))
    check_owners(prefix.modules / MODULE, files)
    environment = Environment.of(prefix, wheels)
    version = ".".join(map(str, environment.version))
    return [
        *(
            Step(str(file), is_current(file, content), partial(_write, file, content))
            for file, content in files.items()
        ),
        Step(
            f"{environment.path}, of {environment.python} (Python {version})",
            environment.is_current,
            environment.make,
        ),
        Step("everest.framework and the module can be imported there", is_done=False, do=environment.check),
    ]


def _write(file: Path, content: str) -> None:
    try:
        write(file, content)
    except OSError as error:
        raise InstallError([f"{file}: cannot be written: {error.strerror}"]) from error

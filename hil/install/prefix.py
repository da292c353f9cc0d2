"""An installation of EVerest: where its files are, and for which Python it was built."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from bsp.yaml_document import YamlDocument
from control.manifest import CONTROL
from hil.install.problems import InstallError
from hil.runtime.manager import ConfigError
from hil.runtime.manager.definitions import Definitions
from hil.runtime.manager.settings import ROOT

Version = tuple[int, int]
"""Major and minor of a Python."""

OLDEST: Version = (3, 11)
"""Python that the module needs."""

_ABI = re.compile(r"everestpy\.cpython-(\d)(\d+)")
_EVERESTPY = ("lib", "lib64", "lib/*-linux-gnu*")


@dataclass(frozen=True)
class Prefix:
    """An installation.

    Attributes
    ----------
    path : Path
        Its prefix.
    """

    path: Path

    @property
    def modules(self) -> Path:
        """Modules, one directory each."""
        return self.path / "libexec/everest/modules"

    def share(self, kind: str) -> Path:
        """Directory of the interfaces, types or errors."""
        return self.path / "share/everest" / kind

    @property
    def everestpy(self) -> Path:
        """Directory that the manager puts before ``PYTHONPATH``.

        Raises
        ------
        InstallError
            There is none.
        """
        for directory in _EVERESTPY:
            for found in sorted(self.path.glob(f"{directory}/everest/everestpy")):
                if (found / "everest/framework").is_dir():
                    return found
        raise InstallError(
            [f"{self.path}: no lib/everest/everestpy in it: build EVerest with EVEREST_ENABLE_PY_SUPPORT=ON"]
        )

    @property
    def pythons(self) -> list[Version]:
        """Pythons for which everestpy was built, the newest first; none if it needs no special one.

        Raises
        ------
        InstallError
            There is no everestpy.
        """
        libraries = (self.everestpy / "everest/framework").glob("everestpy.*.so")
        tags = [match for library in libraries if (match := _ABI.match(library.name))]
        return sorted({(int(tag[1]), int(tag[2])) for tag in tags}, reverse=True)

    def problems(self) -> list[str]:
        """Tell why the module cannot be put there, as far as files are concerned; one line each."""
        if not self.path.is_dir():
            return [f"{self.path}: no such directory"]
        directories = [self.modules, *(self.share(kind) for kind in ("interfaces", "types", "errors"))]
        missing = [directory for directory in directories if not directory.is_dir()]
        if missing == directories:
            return [f"{self.path}: no libexec/everest and share/everest in it, so this is no EVerest"]
        if missing:
            return [f"{directory}: no such directory, so this is no EVerest" for directory in missing]
        problems = [
            f"{directory}: not writable for you: run this as the owner of the installation"
            for directory in (self.modules, self.share("interfaces"), self.share("types"))
            if not os.access(directory, os.W_OK)
        ]
        return problems + self._missing_interfaces() + self._problems_of_interface()

    def _missing_interfaces(self) -> list[str]:
        manifest = YamlDocument.load(ROOT / "manifest.yaml").data
        names = {part["interface"] for kind in ("provides", "requires") for part in manifest[kind].values()}
        files = [self.share("interfaces") / f"{name}.yaml" for name in sorted(names)]
        return [f"{file}: no such interface: this EVerest is too old" for file in files if not file.exists()]

    def _problems_of_interface(self) -> list[str]:
        """Tell what our interface refers to that this EVerest does not have."""
        own, everest = ROOT / "interfaces", (self.share("types"), self.share("errors"))
        definitions = Definitions([own], [everest[0], own / "types"], [everest[1]])
        try:
            types = definitions.types()
            definitions.interface(CONTROL["interface"])
            return definitions.problems_of_references(CONTROL["interface"], types)
        except ConfigError as error:
            return list(error.problems)

"""`hil install`: the module is put into an installation of EVerest, and nobody else's files are touched."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from hil.runtime.manager import Manager
from tests.hil.cli import Outcome, hil

ROOT = Path(__file__).resolve().parents[2]
OWN = "energy_manager_control.yaml"
THIS = f"{sys.version_info.major}{sys.version_info.minor}"
EVERESTPY = """\
class RuntimeSession:
    def __init__(self):
        raise SystemExit("the module begins")
Fulfillment = Module = error = log = object
"""
Change = Callable[[Path], object]


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    """An installation as EVerest's build leaves it, as far as the module can see it."""
    prefix = tmp_path / "everest"
    (prefix / "libexec/everest/modules/EvseManager").mkdir(parents=True)
    share = prefix / "share/everest"
    shutil.copytree(ROOT / "interfaces/types", share / "types")
    shutil.copytree(ROOT / "interfaces/errors", share / "errors")
    (share / "interfaces").mkdir()
    for path in (ROOT / "interfaces").glob("*.yaml"):
        shutil.copy(path, share / "interfaces")
    (share / "interfaces" / OWN).unlink()
    (share / "types" / OWN).unlink()
    framework = prefix / "lib/everest/everestpy/everest/framework"
    framework.mkdir(parents=True)
    (framework / "__init__.py").write_text(EVERESTPY)
    (framework / f"everestpy.cpython-{THIS}-x86_64-linux-gnu.so").touch()
    return prefix


def module(prefix: Path) -> Path:
    return prefix / "libexec/everest/modules/PyEnergyManager"


def content(prefix: Path) -> dict[Path, bytes | Path]:
    """All files of a prefix, with what is in them or where they lead to."""
    return {
        path: path.readlink() if path.is_symlink() else path.read_bytes()
        for path in prefix.rglob("*")
        if path.is_symlink() or path.is_file()
    }


def install(prefix: Path, *options: str) -> Outcome:
    return hil("install", "--prefix", str(prefix), *options)


def rename_abi(version: str) -> Change:
    def rename(prefix: Path) -> None:
        (library,) = (prefix / "lib/everest/everestpy/everest/framework").glob("*.so")
        library.rename(library.with_name(f"everestpy.cpython-{version}-x86_64-linux-gnu.so"))

    return rename


def remove_all(*parts: str) -> Change:
    def remove(prefix: Path) -> None:
        for part in parts:
            shutil.rmtree(prefix / part)

    return remove


REFUSED: dict[str, tuple[Change, str]] = {
    "there is no such prefix": (shutil.rmtree, "everest: no such directory"),
    "it is something else": (
        remove_all("libexec", "share"),
        "everest: no libexec/everest and share/everest in it, so this is no EVerest",
    ),
    "it has no modules": (
        lambda prefix: shutil.rmtree(prefix / "libexec"),
        "libexec/everest/modules: no such directory, so this is no EVerest",
    ),
    "it has no interfaces": (
        lambda prefix: shutil.rmtree(prefix / "share/everest/interfaces"),
        "share/everest/interfaces: no such directory, so this is no EVerest",
    ),
    "it lacks an interface that the module provides": (
        lambda prefix: (prefix / "share/everest/interfaces/energy_manager.yaml").unlink(),
        "share/everest/interfaces/energy_manager.yaml: no such interface: this EVerest is too old",
    ),
    "it lacks an error that the module raises": (
        lambda prefix: (prefix / "share/everest/errors/evse_manager.yaml").write_text(
            "description: Errors\nerrors: [{name: Other, description: Another}]\n"
        ),
        "no error 'MREC4OverCurrentFailure' in evse_manager, known: Other",
    ),
    "it was built without Python": (
        lambda prefix: shutil.rmtree(prefix / "lib"),
        "no lib/everest/everestpy in it: build EVerest with EVEREST_ENABLE_PY_SUPPORT=ON",
    ),
    "it was built for a Python that is not here": (
        rename_abi("399"),
        "everestpy was built for Python 3.99: no python3.99 on the PATH, install it with its venv",
    ),
    "it was built for a Python that is too old": (
        rename_abi("310"),
        "everestpy was built for Python 3.10, the module needs 3.11 or newer",
    ),
    "somebody else's module has the name": (
        lambda prefix: module(prefix).mkdir(),
        "modules/PyEnergyManager: was not put there by `hil install`: move it away",
    ),
    "the name leads to somewhere else": (
        lambda prefix: module(prefix).symlink_to(prefix / "share"),
        "modules/PyEnergyManager: was not put there by `hil install`: move it away",
    ),
    "somebody else's interface has the name": (
        lambda prefix: (prefix / "share/everest/interfaces" / OWN).write_text("description: Another\n"),
        f"interfaces/{OWN}: was not put there by `hil install`: move it away",
    ),
}


@pytest.mark.parametrize(("change", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_made_is_told_and_nothing_touched(prefix: Path, change: Change, reason: str) -> None:
    change(prefix)
    before = content(prefix)
    outcome = install(prefix)
    assert outcome.code == 1
    (line,) = outcome.err.splitlines()
    assert reason in line
    assert content(prefix) == before


def test_an_installation_of_others_is_not_touched(prefix: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, _mode: "modules" not in str(path))  # root may do anything
    outcome = install(prefix)
    assert outcome.code == 1
    assert "libexec/everest/modules: not writable for you: run this as the owner" in outcome.err
    assert not module(prefix).exists()


def test_a_dry_run_says_what_it_would_do_and_does_nothing(prefix: Path) -> None:
    before = content(prefix)
    outcome = install(prefix, "--dry-run")
    assert outcome.code == 0, outcome.err
    assert content(prefix) == before
    done = [line.removeprefix("to do:    ") for line in outcome.out.splitlines()]
    files = ["share/everest/interfaces", "share/everest/types"]
    assert done[:2] == [str(prefix / directory / OWN) for directory in files]
    assert done[2:4] == [str(module(prefix) / name) for name in ("manifest.yaml", "module.py")]
    assert done[4].startswith(f"{module(prefix) / '.venv'}, of ")
    assert done[5:] == ["everest.framework and the module can be imported there"]


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Packages without a network: one that leads to those which this test runs with."""
    directory = tmp_path / "wheels"
    directory.mkdir()
    with zipfile.ZipFile(directory / "here-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("here.pth", sysconfig.get_path("purelib") + "\n")
        info = "here-1.0.dist-info"
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: here\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", f"here.pth,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("here==1.0\n")
    monkeypatch.setattr("hil.install.environment.REQUIREMENTS", requirements)
    return directory


@pytest.mark.timeout(600)
def test_an_installation_from_beginning_to_end(
    prefix: Path, wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One test, since it takes seconds to make an environment."""
    module(prefix).symlink_to(ROOT)  # as somebody linked it by hand, with an interface of an older version
    own = prefix / "share/everest/interfaces" / OWN
    shutil.copy(ROOT / "interfaces" / OWN, own)
    before = content(prefix).keys()
    first = install(prefix, "--wheels", str(wheels))
    assert first.code == 0, first.err
    assert [line.partition(":")[0] for line in first.out.splitlines()] == ["done"] * 6
    assert (ROOT / "manifest.yaml").exists(), "the link is gone, not what it led to"
    new = {path for path in content(prefix).keys() - before if ".venv" not in path.parts}
    assert new == {
        prefix / "share/everest/types" / OWN,
        module(prefix) / "manifest.yaml",
        module(prefix) / "module.py",
    }
    manifest = yaml.safe_load((module(prefix) / "manifest.yaml").read_text())
    assert manifest["provides"]["control"]["interface"] == "energy_manager_control"
    assert manifest["config"] == yaml.safe_load((ROOT / "manifest.yaml").read_text())["config"]

    # As EVerest's manager starts it.
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(prefix / "lib/everest/everestpy")}
    command = [str(module(prefix) / ".venv/bin/python3"), str(module(prefix) / "module.py")]
    started = subprocess.run(
        command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert started.stderr.strip() == "the module begins"

    # And as a module of a configuration, with the bench in EVerest's place.
    fuse = {"module": "PyEnergyManager", "config_module": {"fuse_limit_A": 16}}
    consumers = [{"module_id": "garage", "implementation_id": "energy_grid"}]
    modules = {
        "grid": {**fuse, "connections": {"energy_consumer": consumers}},
        "garage": {"module": "SimEvse"},
    }
    config = tmp_path / "config.json"
    settings = {"modules_dir": str(module(prefix).parent)}
    config.write_text(json.dumps({"settings": settings, "active_modules": modules}))
    lines: list[str] = []
    with Manager(config, log=lines.append) as manager:
        manager.wait_ready(120)
    assert manager.exit_code == 0, lines

    again = install(prefix, "--wheels", str(wheels))
    assert [line.partition(":")[0] for line in again.out.splitlines()] == ["is there"] * 5 + ["done"]

    own.write_text(own.read_text() + "# of an older version\n")
    outcome = install(prefix, "--wheels", str(wheels))
    assert f"done:     {own}" in outcome.out
    assert "older" not in own.read_text()

    (prefix / "lib/everest/everestpy/everest/framework/__init__.py").write_text(
        "raise ImportError('wrong ELF class: ELFCLASS32')\n"
    )
    outcome = install(prefix, "--wheels", str(wheels))
    assert outcome.code == 1
    assert "ImportError: wrong ELF class: ELFCLASS32; is everestpy built for this Python" in outcome.err

    monkeypatch.setattr("hil.install.environment.REQUIREMENTS", tmp_path / "more.txt")
    (tmp_path / "more.txt").write_text("nowhere==1.0\n")
    outcome = install(prefix, "--wheels", str(wheels))
    assert outcome.code == 1
    assert "No matching distribution found for nowhere==1.0; without network, give --wheels" in outcome.err

"""The pytest plugin, as a manufacturer uses it: in a pytest of its own."""

import subprocess
import sys
from pathlib import Path

from bsp.profile import connector_profile
from hil.devices import WallboxDevice, serve_tcp
from tests.bsp.plant import Point

ROOT = Path(__file__).resolve().parents[2]
ALFEN = connector_profile("alfen_eve")
ON_HARDWARE = """\
import pytest

@pytest.mark.hardware("wallbox")
def test_real(bench, car):
    car("id3", at="wallbox")
    run = bench.run("8 s", events={"+1 s": "wallbox is limited to 8 A"})
    assert run.evses == ["wallbox"]

@pytest.mark.hardware("garage")
def test_of_what_is_not_there(bench):
    bench.run("1 s")
"""


def pytest_on(*arguments: str | Path) -> tuple[int, str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *map(str, arguments)]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_the_example_of_the_docs_runs() -> None:
    code, out = pytest_on("examples/bench_tests")
    assert code == 0, out
    assert "2 passed, 1 skipped" in out
    assert "needs real devices: name their site file with --site FILE" in out


def test_what_does_not_hold_fails_the_test_in_its_own_words(tmp_path: Path) -> None:
    test = tmp_path / "test_it.py"
    test.write_text(
        "def test_it(bench, car):\n"
        "    car('id3', at='wallbox')\n"
        "    bench.run('2 min', asserts=['id3 has 50 kWh by the end'])\n"
    )
    code, out = pytest_on("-p", "hil.pytest_plugin", test)
    assert code == 1
    assert "id3 has 50 kWh by the end: " in out


def test_hardware_is_switched_where_it_is_allowed_and_there(tmp_path: Path) -> None:
    test, site, point = tmp_path / "test_it.py", tmp_path / "real.yaml", Point()
    test.write_text(ON_HARDWARE)
    with serve_tcp({1: WallboxDevice(ALFEN, point)}) as line:
        site.write_text(
            "grid: {fuse: 35 A}\n"
            f"buses: {{shed: {{host: {line.host}, port: {line.port}}}}}\n"
            "connectors: {wallbox: {profile: alfen_eve, bus: shed, fallback_current: 6 A}}\n"
        )
        point.set_limit(32.0)
        code, out = pytest_on("-p", "hil.pytest_plugin", "-ra", "--site", site, test)
        assert (code, point.limit_A) == (0, 32.0), out
        assert "would switch real devices: allow it with --yes" in out
        code, out = pytest_on("-p", "hil.pytest_plugin", "-ra", "--site", site, "--yes", test)
    assert code == 0, out
    assert "1 passed, 1 skipped" in out
    assert "garage: not in the site file" in out
    assert "plug in id3 at wallbox when told" in out, "who has to plug in must not wait for the report"
    assert point.limit_A == 6.0

"""Bench tests with pytest: a site, cars, what happens, and what must hold.

::

    def test_the_house_pushes_the_car_down(bench, car):
        car("id3", at="wallbox")
        run = bench.run("8 min", {"+4 min": "house draws 25 A more on each phase"})
        assert run.at("draw/wallbox.L1", 470) < 12

Load it with ``-p hil.pytest_plugin``, on the command line or as ``addopts``. Runs are on virtual time, with
all devices simulated. A test with ``@pytest.mark.hardware`` runs in real time on the devices that the option
``--site`` names, and is skipped without it; see docs/scenarios.md.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from bsp.yaml_file import FileError
from control.site_file import SiteFile, load_site
from hil.live import BY_PERSON, run_live
from hil.live.plan import plan_for
from hil.live.survey import survey
from hil.scenario import Outcome, Scenario, load_scenario, run, text_of

HOUSE: Mapping[str, Any] = {
    "grid": {"fuse": "35 A", "meter": "house", "fallback": "12 A"},
    "buses": {"lan": {"host": "192.0.2.40"}, "cabinet": {"serial": "/dev/serial/by-id/usb-cabinet"}},
    "meters": {"house": {"profile": "eastron_sdm630", "bus": "cabinet", "unit": 1}},
    "connectors": {"wallbox": {"profile": "alfen_eve", "bus": "lan", "phase_rotation": "L1 L2 L3"}},
}
"""The site of tests that have none of their own: a meter, a wallbox."""
Content = Mapping[str, Any]


class Bench:
    """Runs scenarios.

    Parameters
    ----------
    site : Path or mapping
        The site file, or its content.
    directory : Path
        For the scenarios that tests make up.
    execute : callable
        Runs the scenario of a file.
    """

    def __init__(self, site: Path | Content, directory: Path, execute: Callable[[Path], Outcome]) -> None:
        self._site = site
        self._directory = directory
        self._execute = execute
        self._numbers = count(1)
        self.cars: dict[str, Content] = {}

    def run(
        self,
        lasts: str,
        events: Mapping[str, str | Sequence[str]] | None = None,
        asserts: Sequence[str] = (),
        **parts: Any,
    ) -> Outcome:
        """Run the site with the cars of the test; fails the test if an assertion does not hold.

        Parameters
        ----------
        lasts : str
            How long: ``8 min``.
        events : mapping of moment to sentences
            What happens; ``hil scenario --words`` lists the sentences.
        asserts : sequence of str
            What must hold, in sentences, too.
        **parts
            Other parts of a scenario: `house`, `pv`, `settings`, `start`, …

        Returns
        -------
        Outcome
            What happened, for assertions of the test's own.
        """
        content = {
            "title": "bench test",
            "site": str(self._site.resolve()) if isinstance(self._site, Path) else dict(self._site),
            "cars": self.cars,
            **parts,
            "lasts": lasts,
            "events": dict(events or {}),
            "assert": list(asserts),
        }
        path = self._directory / f"run_{next(self._numbers)}.yaml"
        path.write_text(text_of(content), encoding="utf-8")
        return self.run_file(path)

    def run_file(self, path: str | Path) -> Outcome:
        """Run a scenario as it is written; fails the test if an assertion does not hold."""
        problem = ""
        try:
            outcome = self._execute(Path(path))
        except FileError as error:
            problem = str(error)
        if problem:
            pytest.fail(problem, pytrace=False)
        wrong = [f"{check.text}: {check.found}" for check in outcome.checks if not check.holds]
        if wrong:
            pytest.fail("\n".join(wrong), pytrace=False)
        return outcome


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of tests on hardware."""
    group = parser.getgroup("hil", "energy management bench")
    group.addoption("--site", type=Path, help="site file with the real devices, for tests marked 'hardware'")
    group.addoption("--yes", action="store_true", help="let tests marked 'hardware' switch real devices")


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line(
        "markers", "hardware(*names): needs these real devices of --site; without names, any"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what needs hardware where there is none."""
    reason = _why_no_hardware(config)
    for item in items:
        if reason and item.get_closest_marker("hardware"):
            item.add_marker(pytest.mark.skip(reason=reason))


def _why_no_hardware(config: pytest.Config) -> str:
    if config.getoption("--site") is None:
        return "needs real devices: name their site file with --site FILE"
    return "" if config.getoption("--yes") else "would switch real devices: allow it with --yes"


@pytest.fixture
def site() -> Path | Content:
    """Give the site of a test: content of a site file, or its path. Define your own to test yours."""
    return HOUSE


@pytest.fixture
def bench(request: pytest.FixtureRequest, site: Path | Content, tmp_path: Path) -> Bench:
    """Give a bench with the site of the test; on real devices if the test is marked for them."""
    marker = request.node.get_closest_marker("hardware")
    if marker is None:
        return Bench(site, tmp_path, lambda path: run(load_scenario(path)))
    real = load_site(request.config.getoption("--site"))
    tell = _at_once(request.config)
    return Bench(site, tmp_path, lambda path: _run_on(real, marker.args, load_scenario(path), tell))


def _at_once(config: pytest.Config) -> Callable[[str], None]:
    """Give what tells the person at the bench, who has to plug in now: pytest would keep it to the end."""
    capture = config.pluginmanager.getplugin("capturemanager")

    def tell(line: str) -> None:
        with capture.global_and_fixture_disabled() if capture is not None else nullcontext():
            print(line, flush=True)

    return tell


def _run_on(
    real: SiteFile, needed: Sequence[str], scenario: Scenario, tell: Callable[[str], None]
) -> Outcome:
    """Run a scenario on real devices; skips the test where those that it needs do not answer."""
    found = survey(scenario.site, real)
    if not found.there:
        pytest.skip("none of its devices is in the site file and answers")
    for name in needed:
        if name not in found.there:
            pytest.skip(f"{name}: {found.missing.get(name, 'not in the site file')}")
    plan = plan_for(scenario, real, found)
    tell("\n" + "\n".join(plan.words))
    live = plan.live(None, tell)
    outcome = run_live(plan.scenario, live)
    if live.stop.reason in BY_PERSON:
        pytest.exit(live.stop.reason)
    return outcome


@pytest.fixture
def car(bench: Bench) -> Callable[..., str]:
    """Give what brings a car: ``car("zoe", at="wallbox", model="zoe", arrives="+30 s")``."""

    def bring(name: str, *, at: str, **how: Any) -> str:
        bench.cars[name] = {"at": at, **how}
        return name

    return bring


__all__ = ["HOUSE", "Bench", "bench", "car", "site"]

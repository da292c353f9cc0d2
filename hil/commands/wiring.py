"""`hil wiring`: what is wrong with meter, transformers and charger, and what to do about it."""

import asyncio
import json
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from bsp.bridge import ConnectorConfig
from bsp.profile import ConnectorProfile, MeterProfile
from bsp.transport import SerialLink
from bsp.yaml_document import YamlDocument
from bsp.yaml_file import FileError, instead
from control.site_file import GRID, SiteFile, load_site
from hil.commands import device_options as option
from hil.commands.output import errors_in_one_line, fail
from hil.field.listen import hint
from hil.field.target import Place, Target, TargetError, connector_of_site, meter_of_site, target_of_options
from hil.wiring.check import judge
from hil.wiring.expected import Expected
from hil.wiring.findings import Finding, Severity
from hil.wiring.live import ChargerError, live_installation
from hil.wiring.passive import describe
from hil.wiring.procedure import QUIET_S, Plan, StoppedError, take_quiet, take_steps

_STYLES = {Severity.PROBLEM: "bold red", Severity.UNDECIDED: "yellow", Severity.FACT: "green"}


@dataclass(frozen=True, slots=True)
class Job:
    """What to check.

    Attributes
    ----------
    meter : Target
        The meter.
    charger : Target or None
        The charger whose car is stepped; None for a passive check.
    expected : Expected
        What the site file says of it.
    plan : Plan or None
        How far the steps may go.
    place : str
        Where the site file describes the charger.
    """

    meter: Target
    charger: Target | None
    expected: Expected
    plan: Plan | None
    place: str = ""


def wiring(
    site: Annotated[Path | None, typer.Option("--site", help="Site file.")] = None,
    *,
    meter: Annotated[
        str | None, typer.Option(help="Its meter to check; by default that of the grid connection.")
    ] = None,
    connector: Annotated[
        str | None, typer.Option(help="Also step the car on this connector up and down: finds most.")
    ] = None,
    car_phases: Annotated[int | None, typer.Option(min=1, max=3, help="Phases of the car, if known.")] = None,
    top: Annotated[float, typer.Option(min=6, help="Highest step in ampere.")] = 16.0,
    phases: Annotated[
        bool, typer.Option(help="Also switch the connector to one phase and back, if it can.")
    ] = True,
    generation: Annotated[bool, typer.Option(help="There is PV or a battery that may feed in.")] = True,
    seconds: Annotated[
        float, typer.Option(min=1, help="How long to look before anything is done.")
    ] = QUIET_S,
    profile: option.ProfileName = None,
    tcp: option.Tcp = None,
    serial: option.Serial = None,
    unit: option.Unit = None,
    timeout: option.Timeout = None,
    yes: option.Yes = False,
    as_json: option.AsJson = False,
) -> None:
    """Check how a meter and a charger are wired. Stop the energy manager first: a line bears one master.

    Without --connector nothing is written. Ends with 0 if nothing is wrong, 1 if something is, or is open.
    """
    with errors_in_one_line(FileError, TargetError):
        if site is not None:
            job = job_of_site(site, meter, connector, car_phases, top, switch_phases=phases)
        elif profile is not None:
            target = target_of_options(profile, Place(tcp, serial, timeout_s=timeout), unit)
            job = Job(target, None, Expected(), None)
        else:
            raise TargetError("missing: --site FILE, or --profile and where the meter is")
        if not isinstance(job.meter.profile, MeterProfile):
            raise TargetError(f"{job.meter.name} is no meter")
    if job.plan is not None and job.charger is not None:
        typer.echo(f"{job.charger.name}:", err=True)
        for line in job.plan.words:
            typer.echo(f"  {line}", err=True)
        if not yes and not typer.confirm("Do this?", err=True):
            raise typer.Exit(1)
    try:
        found = asyncio.run(_check(job, seconds, has_generation=generation))
    except (StoppedError, ChargerError) as error:
        fail(f"stopped: {error}")
    except (KeyboardInterrupt, asyncio.CancelledError):
        fail("stopped; the charger has its former limit")
    _show(found, job, as_json=as_json)
    raise typer.Exit(int(any(finding.severity is not Severity.FACT for finding in found)))


def job_of_site(
    file: Path,
    meter: str | None,
    connector: str | None,
    car_phases: int | None,
    top_A: float,
    *,
    switch_phases: bool,
) -> Job:
    """Find in a site file what to check, and how far the steps may go.

    Raises
    ------
    FileError
        The site file is not what it must be.
    TargetError
        It does not say enough.
    """
    site = load_site(file)
    meter = meter or (site.grid.meter if site.grid else None)
    if meter is None:
        raise TargetError("the grid of the site file has no meter: say --meter NAME")
    if meter not in site.bridged_meters:
        raise TargetError(f"no meter '{meter}'{instead(meter, site.bridged_meters)}")
    target = meter_of_site(site, meter)
    if connector is None:
        return Job(target, None, Expected(), None)
    if connector not in site.bridged_connectors:
        raise TargetError(f"no connector '{connector}'{instead(connector, site.bridged_connectors)}")
    charger = connector_of_site(site, connector)
    charger_profile = charger.profile
    assert isinstance(charger_profile, ConnectorProfile)
    limit = charger_profile.current_limit
    plan = Plan(
        fuse_A=_fuse_A(site, meter),
        minimum_A=charger_profile.least_A,
        maximum_A=min(limit.maximum, charger.maximum_A or limit.maximum),
        top_A=top_A,
        switch_phases=switch_phases and _can_switch(site.bridged_connectors[connector]),
    )
    document, key = YamlDocument.load(file), ("connectors", connector)
    expected = Expected(
        connector,
        site.connectors[connector].phase_rotation,
        car_phases,
        charger_profile.phases,
        document.data[key[0]][key[1]],
    )
    return Job(target, charger, expected, plan, document.where(*key))


def _can_switch(connector: ConnectorConfig) -> bool:
    """Whether the charger itself can be told to switch; contactors of the site's own are left alone."""
    by_charger = connector.profile.phase_switching is not None and connector.contactors is None
    return by_charger and not connector.phases_locked


def _fuse_A(site: SiteFile, meter: str) -> float:
    """Give the smallest fuse that the meter measures."""
    parts = {**site.nodes, **({GRID: site.grid} if site.grid else {})}
    fuses = [part.fuse for part in parts.values() if part.meter == meter]
    if not fuses:
        raise TargetError(f"no fuse of the site file has the meter '{meter}': the steps need to know one")
    return min(fuses)


async def _check(job: Job, seconds: float, *, has_generation: bool) -> list[Finding]:
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, _stop, asyncio.current_task(), job)
    meter_profile = job.meter.profile
    phases = meter_profile.phases
    async with live_installation(job.meter, job.charger) as installation:
        typer.echo(f"… looking for {seconds:.0f} s", err=True)
        quiet = await take_quiet(installation, seconds)
        stepped = []
        if job.plan is not None:
            stepped = await take_steps(installation, job.plan, lambda text: typer.echo(f"… {text}", err=True))
    found = judge(quiet, stepped, job.expected, meter_phases=phases, has_generation=has_generation)
    found = [_with_hint(finding, job.meter) for finding in found]
    return [*describe(quiet, phases, is_all=job.plan is None and has_generation), *found]


def _stop(task: "asyncio.Task[object] | None", job: Job) -> None:
    if job.plan is not None:
        typer.echo(
            "… stopping: the charger gets its former limit and phases; that may take minutes", err=True
        )
    if task is not None:
        task.cancel()


def _with_hint(finding: Finding, meter: Target) -> Finding:
    """Listen to a line on which nobody answers: silence and garbage have different causes."""
    if finding.code != "no_answer" or not isinstance(meter.link, SerialLink):
        return finding
    return Finding(finding.code, finding.severity, finding.text, hint(meter.link, meter.unit), finding.phases)


def _show(found: Sequence[Finding], job: Job, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps([finding.to_json() for finding in found], indent=2))
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("", "what", "what to do"):
        table.add_column(title, overflow="fold")
    for finding in found:
        table.add_row(finding.severity.value, finding.text, finding.advice, style=_STYLES[finding.severity])
    console = Console()
    console.print(table)
    lines = [line for finding in found for line in finding.lines]
    if lines:
        typer.echo("\n".join([f"{job.place} should be:", *(f"  {line}" for line in lines)]))
    if all(finding.severity is Severity.FACT for finding in found):
        typer.echo("nothing wrong is to be seen")
        if job.plan is None:
            typer.echo("which way round and on which phase a transformer is, only --connector NAME can show")

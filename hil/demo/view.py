"""What the demo shows at one moment, and how: a live table in a terminal, or a plain line."""

from dataclasses import dataclass, field

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from energy_management.measurement import Vector3

BAR_WIDTH = 12
FULL = 0.97
"""Share of a fuse from where its bar is yellow."""


@dataclass(frozen=True, slots=True)
class EvseRow:
    """One EVSE.

    Attributes
    ----------
    name, link, state : str
        Which, how it is connected, what it does.
    wants_A, grant_A : float
        Per phase: what it asks for, and what it may draw.
    current_A : Vector3
        What it draws on the grid's L1, L2, L3.
    phases : int
        Phases it draws on.
    energy_Wh : float
        Charged so far.
    reason : str
        What limits it.
    """

    name: str
    link: str
    state: str
    wants_A: float
    grant_A: float
    current_A: Vector3
    phases: int
    energy_Wh: float
    reason: str


@dataclass(frozen=True, slots=True)
class NodeRow:
    """One node with a fuse, or a load that nobody controls (no fuse)."""

    name: str
    load_A: Vector3
    fuse_A: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that is shown at one moment."""

    elapsed_s: float
    evses: list[EvseRow] = field(default_factory=list)
    nodes: list[NodeRow] = field(default_factory=list)
    messages_per_s: float = 0.0
    violations: int = 0


def live(snapshot: Snapshot) -> RenderableType:
    """Render for a terminal of 100 columns."""
    status = Text.assemble(
        ("PyEnergyManager", "bold"),
        f"   {_clock(snapshot.elapsed_s)}   {snapshot.messages_per_s:.0f} MQTT messages/s   ",
        (f"{snapshot.violations} fuse violations", "bold red" if snapshot.violations else "green"),
    )
    return Group(status, _evse_table(snapshot.evses), _node_table(snapshot.nodes))


def line(snapshot: Snapshot) -> str:
    """Write one line for a log."""
    evses = "  ".join(
        f"{row.name} {_amperes(row.grant_A)} {_vector(row.current_A)} {row.state}" for row in snapshot.evses
    )
    nodes = "  ".join(
        f"{row.name} {_vector(row.load_A)}" + (f" of {_amperes(row.fuse_A)}" if row.fuse_A else "")
        for row in snapshot.nodes
    )
    return f"{_clock(snapshot.elapsed_s)}  {nodes}  |  {evses}"


def _evse_table(rows: list[EvseRow]) -> Table:
    table = _table()
    table.add_column("EVSE", no_wrap=True)
    table.add_column("link", no_wrap=True, style="dim")
    table.add_column("state", no_wrap=True, min_width=15)
    for title in ("wants", "grant", "ph", "L1 A", "L2 A", "L3 A", "Wh"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("limited by", ratio=1, min_width=26)
    for row in rows:
        table.add_row(
            row.name,
            row.link,
            Text(row.state, _STATE_STYLES.get(row.state, "")),
            f"{row.wants_A:.1f}",
            Text(f"{row.grant_A:.1f}", "bold"),
            str(row.phases or "-"),
            *(_current(value) for value in row.current_A),
            f"{row.energy_Wh:.0f}",
            row.reason,
        )
    return table


def _node_table(rows: list[NodeRow]) -> Table:
    table = _table()
    table.add_column("node", no_wrap=True)
    table.add_column("fuse A", justify="right", no_wrap=True)
    for phase in ("L1 A", "L2 A", "L3 A"):
        table.add_column(phase, justify="right", no_wrap=True)
    table.add_column("now on", ratio=1, style="dim")
    for row in rows:
        fuse = f"{row.fuse_A:.0f}" if row.fuse_A else ""
        table.add_row(row.name, fuse, *(_bar(load, row.fuse_A) for load in row.load_A), row.note)
    return table


def _table() -> Table:
    return Table(
        box=box.SIMPLE_HEAD, expand=True, pad_edge=False, padding=(0, 1, 0, 0), border_style="bright_black"
    )


def _bar(load_A: float, fuse_A: float | None) -> Text:
    """Write a load, after a bar that shows how full the fuse is."""
    number = f"{load_A:5.1f}"
    if not fuse_A:
        return Text(number)
    share = load_A / fuse_A
    style = "red" if share > 1.0 else "yellow" if share > FULL else "green"
    filled = max(0, min(BAR_WIDTH, round(share * BAR_WIDTH)))
    return Text.assemble(("━" * filled, style), ("━" * (BAR_WIDTH - filled), "bright_black"), f" {number}")


def _current(value: float) -> Text:
    return Text(f"{value:.1f}", "" if value >= 0.05 else "bright_black")


def _amperes(value: float) -> str:
    return f"{value:.1f} A"


def _vector(values: Vector3) -> str:
    return "/".join(f"{value:.1f}" for value in values)


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60:02d}:{int(seconds) % 60:02d}"


_STATE_STYLES = {
    "Charging": "green",
    "PausedEVSE": "yellow",
    "Finished": "yellow",
    "Unplugged": "bright_black",
}

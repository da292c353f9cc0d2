"""Plots of an outcome, as SVG that is read on a phone as well as on a wall."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from io import StringIO
from itertools import pairwise
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, MaxNLocator

from hil.scenario.outcome import Outcome
from hil.scenario.recording import Series, Spell

PHASE_COLORS = ("#c2410c", "#1d4ed8", "#15803d")
INK, FAINT = "#1f2937", "#9ca3af"
STATE_COLORS = {
    "Charging": "#16a34a",
    "PrepareCharging": "#86c99a",
    "Connected": "#f0c264",
    "PausedEVSE": "#e08a1e",
    "PausedEV": "#a5b4fc",
    "WaitForAuth": "#c7d2fe",
    "Finished": "#cbd5e1",
    "Disabled": "#dc2626",
    "Unplugged": "#eef0f3",
}
_WIDTH_IN = 4.4
_STEPS_S = (
    5,
    10,
    30,
    60,
    120,
    300,
    600,
    900,
    1800,
    3600,
    7200,
    3 * 3600,
    4 * 3600,
    6 * 3600,
    12 * 3600,
    86400,
)
_MOST_TICKS = 6
_LABEL = {"boxstyle": "round,pad=0.15", "fc": "white", "ec": "none", "alpha": 0.8}
_BINS = 900
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["system-ui", "Helvetica", "Arial", "DejaVu Sans"],
    "font.size": 9.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "grid.color": "#e5e7eb",
    "grid.linewidth": 0.5,
}


@dataclass(frozen=True, slots=True)
class Plot:
    """One plot: its heading, what is to be seen in it, and the picture."""

    title: str
    note: str
    svg: str


@dataclass(frozen=True, slots=True)
class Line:
    """A curve of steps."""

    name: str
    values: Series
    color: str
    width: float = 1.0
    style: str = "-"
    is_filled: bool = False


def plots_of(outcome: Outcome) -> Iterator[Plot]:
    """Draw everything there is to see: nodes, other loads, EVSEs that matter, their states."""
    with mpl.rc_context(STYLE):
        for node, fuse_A in outcome.fuses_A.items():
            yield _node(outcome, node, fuse_A)
        for node in outcome.fuses_A:
            if plot := _others(outcome, node):
                yield plot
        evses = evses_that_matter(outcome)
        for evse in evses:
            yield _evse(outcome, evse)
        if evses:
            yield _states(outcome, evses)


def evses_that_matter(outcome: Outcome) -> list[str]:
    """Name the EVSEs that anybody used, or that an event or assertion speaks of."""
    told = "\n".join([*(event.text for event in outcome.events), *(check.text for check in outcome.checks)])
    moved = {move.evse for move in outcome.moves}
    return [
        evse
        for evse in outcome.evses
        if evse in moved
        or any(spell.text != "Unplugged" for spell in outcome.states[evse])
        or np.any(outcome.vectors(f"draw/{evse}"))
        or re.search(rf"(?<!\w){re.escape(evse)}(?!\w)", told)
    ]


def _node(outcome: Outcome, node: str, fuse_A: float) -> Plot:
    lines = _phases(outcome.vectors(f"node/{node}"))
    budget = outcome.series[f"budget/{node}"]
    if budget.min() < fuse_A - 0.5:
        lines.append(Line("limit, as on 3 phases", budget, "#7c3aed", 1.0, "--"))
    lines.append(Line(f"fuse {fuse_A:g} A", np.full(len(budget), fuse_A), INK, 1.0, "--"))
    return Plot(f"{node}: load and fuse", "current per phase", _curves(outcome, lines, f"node {node}"))


def _others(outcome: Outcome, node: str) -> Plot | None:
    values = outcome.vectors(f"other/{node}")
    is_root = node == next(iter(outcome.fuses_A))
    if not np.any(np.abs(values) > 0.05) or (not is_root and np.ptp(values) < 0.5):
        return None
    title = "House load and generation" if values.min() < -0.5 else "House load"
    title = title if is_root else f"{node}: other loads"
    return Plot(
        title, "current per phase, what no EVSE draws", _curves(outcome, _phases(values), f"other {node}")
    )


def _evse(outcome: Outcome, evse: str) -> Plot:
    draws = outcome.vectors(f"draw/{evse}")
    lines = _phases(draws)
    lines.insert(0, Line("grant", outcome.series[f"grant/{evse}"], "#94a3b8", 1.0, is_filled=True))
    cars = [event.text.split()[0] for event in outcome.events if event.text.endswith(f"comes to {evse}")]
    who = f" ({', '.join(dict.fromkeys(cars))})" if cars else ""
    return Plot(
        f"{evse}{who}",
        "grant, and what its car draws, on the grid's phases",
        _curves(outcome, lines, f"evse {evse}"),
    )


def _states(outcome: Outcome, evses: Sequence[str]) -> Plot:
    height = 0.85 + 0.3 * len(evses)
    figure, axes = _figure(height)
    seen: list[str] = []
    for row, evse in enumerate(evses):
        for spell in outcome.states[evse]:
            color = STATE_COLORS.get(spell.text, FAINT)
            axes.broken_barh(
                [(spell.began_s, spell.ended_s - spell.began_s)], (row - 0.36, 0.72), color=color, linewidth=0
            )
            seen += [spell.text] if spell.text not in seen else []
    axes.set_yticks(range(len(evses)), evses)
    axes.set_ylim(len(evses) - 0.45, -0.55)
    axes.tick_params(axis="y", length=0)
    for move in outcome.moves:
        row = evses.index(move.evse)
        axes.text(
            move.at_s, row, f"{move.phases}ph", fontsize=7, ha="center", va="center", color=INK, bbox=_LABEL
        )
    order = [state for state in STATE_COLORS if state in seen]
    handles = [mpl.patches.Patch(color=STATE_COLORS[state], label=state) for state in order]
    _finish(outcome, axes, handles, columns=4)
    return Plot("States", "what each EVSE did; 1ph and 3ph mark phase switches", _svg(figure, "states"))


def _curves(outcome: Outcome, lines: Sequence[Line], salt: str) -> str:
    figure, axes = _figure(2.05)
    times = np.append(outcome.times_s, outcome.lasts_s)
    for line in lines:
        at, values = _thinned(times, np.append(line.values, line.values[-1]))
        axes.plot(
            at,
            values,
            drawstyle="steps-post",
            color=line.color,
            lw=line.width,
            ls=line.style,
            label=line.name,
        )
        if line.is_filled:
            axes.fill_between(at, values, step="post", color="#e2e8f0", lw=0, zorder=0.5)
    axes.set_ylabel("A", rotation=0, labelpad=8)
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    low = min(float(line.values.min()) for line in lines)
    high = max(float(line.values.max()) for line in lines)
    margin = 0.06 * max(high - min(low, 0.0), 1.0)
    axes.set_ylim(min(low, 0.0) - (margin if low < -0.5 else 0.0), high + margin)
    axes.grid(axis="y")
    _finish(outcome, axes, axes.get_legend_handles_labels()[0], columns=len(lines))
    return _svg(figure, salt)


def _phases(current_A: Series) -> list[Line]:
    """Draw the first below the last and wider, so that all are seen where they are the same."""
    return [Line(f"L{n + 1}", current_A[:, n], PHASE_COLORS[n], (1.9, 1.2, 0.8)[n]) for n in range(3)]


def _figure(height_in: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(_WIDTH_IN, height_in))
    return figure, figure.add_axes((0.0, 0.0, 1.0, 1.0))


def _finish(outcome: Outcome, axes: Axes, handles: Sequence[object], columns: int) -> None:
    """Put time, events and legend around a plot."""
    axes.set_axisbelow(True)
    axes.set_xlim(0.0, outcome.lasts_s)
    at, labels = ticks(outcome)
    axes.xaxis.set_major_locator(FixedLocator(at))
    axes.xaxis.set_major_formatter(FixedFormatter(labels))
    for spell in outcome.events:
        axes.axvline(spell.began_s, color=FAINT, lw=0.6, ls=":", zorder=0)
        if spell.ended_s - spell.began_s > 0.004 * outcome.lasts_s:
            axes.axvspan(spell.began_s, spell.ended_s, color="#f3f4f6", lw=0, zorder=-1)
    for at_s, label in event_labels(outcome.events, outcome.lasts_s):
        axes.annotate(
            label,
            (at_s, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(0, 2),
            textcoords="offset points",
            ha="center",
            fontsize=7.5,
            color="#4b5563",
        )
    axes.legend(
        handles=list(handles),
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        borderaxespad=1.1,
        ncols=columns,
        frameon=False,
        fontsize=8.5,
        handlelength=1.3,
        columnspacing=1.1,
        borderpad=0.0,
    )


def ticks(outcome: Outcome) -> tuple[list[float], list[str]]:
    """Choose round times of day, and write them."""
    step_s = next((step for step in _STEPS_S if outcome.lasts_s / step <= _MOST_TICKS), _STEPS_S[-1])
    midnight = outcome.start.replace(hour=0, minute=0, second=0, microsecond=0)
    since_s = (outcome.start - midnight).total_seconds()
    first_s = -(since_s % step_s) % step_s
    at = [float(at_s) for at_s in np.arange(first_s, outcome.lasts_s + 1.0, step_s)]
    pattern = "%H:%M:%S" if step_s < 60 else "%H:%M"
    return at, [(outcome.start + timedelta(seconds=at_s)).strftime(pattern) for at_s in at]


def event_labels(events: Sequence[Spell], lasts_s: float) -> Iterator[tuple[float, str]]:
    """Yield numbers for the events, with those close together in one label."""
    group: list[int] = []
    for number, event in enumerate(events, start=1):
        if group and event.began_s - events[group[-1] - 1].began_s > 0.035 * lasts_s:
            yield _label(events, group)
            group = []
        group.append(number)
    if group:
        yield _label(events, group)


def _label(events: Sequence[Spell], group: Sequence[int]) -> tuple[float, str]:
    at_s = (events[group[0] - 1].began_s + events[group[-1] - 1].began_s) / 2
    return at_s, str(group[0]) if len(group) == 1 else f"{group[0]}-{group[-1]}"


def _thinned(times: Series, values: Series) -> tuple[Series, Series]:
    """Leave out what no eye can see: of each sliver of time the first, lowest, highest, last value stay."""
    if len(times) <= 4 * _BINS:
        keep = np.concatenate([[True], np.diff(values) != 0.0])
        keep[:-1] |= keep[1:]
        keep[-1] = True
        return times[keep], values[keep]
    edges = np.searchsorted(times, np.linspace(times[0], times[-1], _BINS + 1))
    chosen = {0, len(times) - 1}
    for first, after in pairwise(edges):
        if after > first:
            part = values[first:after]
            chosen |= {first, first + int(part.argmin()), first + int(part.argmax()), after - 1}
    index = np.array(sorted(chosen))
    return times[index], values[index]


def _svg(figure: Figure, salt: str) -> str:
    """Write a figure, without what a page does not need."""
    out = StringIO()
    with mpl.rc_context({"svg.hashsalt": salt}):
        figure.savefig(out, format="svg", bbox_inches="tight", pad_inches=0.03, metadata={"Date": None})
    svg = out.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(<svg [^>]*?) (?:width|height)="[^"]*"(?: (?:width|height)="[^"]*")?', r"\1", svg, count=1)
    return re.sub(r"(\d+\.\d)\d+", r"\1", svg)

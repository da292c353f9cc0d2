"""A study's answer as a picture."""

from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from hil.scenario.plots import STYLE
from hil.study.results import Line, Results
from hil.study.study import Study

_COLORS = ("#1d4ed8", "#c2410c", "#15803d", "#7c3aed", "#0e7490", "#be185d", "#4d7c0f", "#57534e")
_MARKERS = "osD^vPX*"


def write_plot(study: Study, results: Results, path: Path) -> None:
    """Draw good days and the unluckiest car over what was varied first, a curve for each choice of the rest.

    Parameters
    ----------
    path : Path
        A file whose ending says the format: ``.svg``, ``.png``, ``.pdf``.
    """
    first, *others = study.varied
    curves: dict[str, list[Line]] = {}
    for line in results.lines():
        curves.setdefault(", ".join(f"{name} {line.settings[name]}" for name in others), []).append(line)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 5.6), layout="constrained")
        days, share = figure.subplots(2, 1, sharex=True)
        ticks = [str(value) for value in study.varied[first]]
        for n, (label, lines) in enumerate(curves.items()):
            at = [ticks.index(str(line.settings[first])) for line in lines]
            look = {
                "color": _COLORS[n % 8],
                "marker": _MARKERS[n % 8],
                "lw": 1.3,
                "ms": 4.5,
                "label": label or None,
            }
            days.plot(at, [line.good_days for line in lines], **look)
            share.plot(at, [line.least_share for line in lines], **look)
        days.axhline(study.enough, color="#9ca3af", lw=0.9, ls="--")
        days.set_title(f"{study.title}\n{study.days} days each", loc="left", fontsize=11)
        days.set_ylabel("days on which\nall cars are content")
        share.set_ylabel("what the unluckiest car\nhas of what it wanted")
        for axes in (days, share):
            axes.set_ylim(0.0, 1.05)
            axes.yaxis.set_major_formatter(PercentFormatter(1.0))
            axes.grid(axis="y")
        share.set_xticks(range(len(ticks)), ticks)
        share.set_xlabel(first)
        if others:
            share.legend(frameon=False, fontsize=8.5)
        figure.savefig(path, dpi=160)

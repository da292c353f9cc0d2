"""Outcomes as self-contained HTML: verdict first, then the assertions, the plots, and what happened."""

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

import numpy as np

from hil.scenario.outcome import Check, Outcome
from hil.scenario.plots import evses_that_matter, plots_of

_MOST_LINES = 200
_FEW_LINES = 12
"""So many are shown at once."""
_STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 860px; padding: 14px; color: #1f2937; background: #fff;
  font: 16px/1.45 system-ui, Helvetica, Arial, sans-serif; }
h1 { font-size: 1.45em; line-height: 1.2; margin: .2em 0 .3em; }
h2 { font-size: 1.1em; margin: 1.6em 0 .4em; }
p { margin: .4em 0; }
.verdict { padding: .55em .8em; border-radius: 8px; font-weight: 600; }
.good { background: #dcfce7; color: #14532d; } .bad { background: #fee2e2; color: #7f1d1d; }
.facts, .note { color: #4b5563; font-size: .88em; }
table { border-collapse: collapse; width: 100%; font-size: .93em; }
td { padding: .35em .5em .35em 0; border-top: 1px solid #e5e7eb; vertical-align: top; }
td.mark { width: 1.5em; font-weight: 700; } td.ok { color: #15803d; } td.no { color: #b91c1c; }
td.when { width: 1%; padding-right: 1em; white-space: nowrap;
  font-variant-numeric: tabular-nums; color: #4b5563; }
td.number { width: 2em; color: #4b5563; }
.found { color: #4b5563; display: block; font-size: .93em; }
tr.failed .found { color: #b91c1c; }
figure { margin: 1.3em 0; } figure svg { width: 100%; max-width: 720px; height: auto; display: block; }
figcaption { font-weight: 600; margin-bottom: .25em; }
figcaption .note { font-weight: 400; margin-left: .4em; }
details { margin: .6em 0; } summary { cursor: pointer; font-weight: 600; }
pre { overflow-x: auto; font-size: .8em; background: #f9fafb; padding: .6em; border-radius: 6px;
  white-space: pre-wrap; }
a { color: #1d4ed8; text-decoration: none; }
"""


def write_html(outcomes: Sequence[Outcome], path: Path) -> None:
    """Write a report: of one scenario to a file; of several, or to a directory, one each and an index."""
    if len(outcomes) == 1 and path.suffix:
        path.write_text(page_of(outcomes[0]), encoding="utf-8")
        return
    directory = path.parent / path.stem if path.suffix else path
    directory.mkdir(parents=True, exist_ok=True)
    for outcome in outcomes:
        (directory / f"{outcome.name}.html").write_text(page_of(outcome), encoding="utf-8")
    index = path if path.suffix else directory / "index.html"
    prefix = f"{directory.name}/" if path.suffix else ""
    index.write_text(_index(outcomes, prefix), encoding="utf-8")


def page_of(outcome: Outcome) -> str:
    """Write the page of one scenario."""
    return _page(outcome.title, "\n".join(_parts(outcome)))


def _parts(outcome: Outcome) -> Iterator[str]:
    yield f"<h1>{escape(outcome.title)}</h1>"
    yield _verdict(outcome.checks)
    if outcome.about:
        yield f"<p>{escape(outcome.about)}</p>"
    yield f'<p class="facts">{escape(_facts(outcome))}</p>'
    yield "<h2>What must hold</h2>"
    yield _checks(outcome.checks)
    yield "<h2>What happened</h2>"
    yield _events(outcome)
    yield "<h2>What it came to</h2>"
    yield _sums(outcome)
    for plot in plots_of(outcome):
        note = f'<span class="note">{escape(plot.note)}</span>'
        yield f"<figure><figcaption>{escape(plot.title)}{note}</figcaption>{plot.svg}</figure>"
    yield _left_out(outcome)
    yield _log(outcome)
    yield _reasons(outcome)


def _verdict(checks: Sequence[Check]) -> str:
    failed = [check for check in checks if not check.holds]
    if not failed:
        every = "The one assertion holds" if len(checks) == 1 else f"All {len(checks)} assertions hold"
        return f'<p class="verdict good">{every}</p>'
    return f'<p class="verdict bad">{len(failed)} of {len(checks)} assertions do not hold</p>'


def _facts(outcome: Outcome) -> str:
    hours, minutes = divmod(round(outcome.lasts_s / 60), 60)
    span = f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"
    return (
        f"{outcome.start:%Y-%m-%d}, {span} from {outcome.start:%H:%M}; {outcome.decisions} decisions; "
        f"run in {outcome.took_s:.1f} s with seed {outcome.seed}; scenario {outcome.name}"
    )


def _checks(checks: Sequence[Check]) -> str:
    rows = [
        f'<tr class="{"" if check.holds else "failed"}">'
        f'<td class="mark {"ok" if check.holds else "no"}">{"✓" if check.holds else "✗"}</td>'
        f'<td>{escape(check.text)}<span class="found">{escape(check.found)}</span></td></tr>'
        for check in checks
    ]
    return f"<table>{''.join(rows)}</table>"


def _events(outcome: Outcome) -> str:
    if not outcome.events:
        return '<p class="note">Nothing but time passed.</p>'
    rows = [
        f'<tr><td class="number">{number}</td><td class="when">{outcome.clock(event.began_s)}</td>'
        f"<td>{escape(event.text)}</td></tr>"
        for number, event in enumerate(outcome.events, start=1)
    ]
    return f"<table>{''.join(rows)}</table><p class='note'>The numbers mark these moments in the plots.</p>"


def _sums(outcome: Outcome) -> str:
    """Write what each car has charged, and how much each fuse has carried."""
    rows = []
    for car in outcome.cars:
        energy_Wh, soc = outcome.series[f"energy/{car}"], outcome.series[f"soc/{car}"]
        rows.append((car, f"{energy_Wh[-1] / 1e3:.2f} kWh, from {soc[0]:.0%} to {soc[-1]:.0%}"))
    for node, fuse_A in outcome.fuses_A.items():
        load_A = np.abs(outcome.vectors(f"node/{node}")).max(axis=0)
        phase = int(load_A.argmax())
        most = f"at most {load_A[phase]:.1f} A of {fuse_A:g} A, on L{phase + 1}"
        rows.append((f"fuse {node}", f"{most}; {_nearness(outcome, node)}"))
    cells = [f'<tr><td class="when">{escape(who)}</td><td>{escape(what)}</td></tr>' for who, what in rows]
    return f"<table>{''.join(cells)}</table>"


def _nearness(outcome: Outcome, node: str) -> str:
    if node in outcome.tripped_at_s:
        return f"tripped at {outcome.clock(outcome.tripped_at_s[node])}"
    return f"{outcome.hottest[node]:.0%} of the way to tripping"


def _left_out(outcome: Outcome) -> str:
    shown = evses_that_matter(outcome)
    left_out = [evse for evse in outcome.evses if evse not in shown]
    if not left_out:
        return ""
    count = f"{len(left_out)} of {len(outcome.evses)} EVSEs"
    return f'<p class="note">Not in the plots, nobody used them: {count} ({escape(", ".join(left_out))})</p>'


def _log(outcome: Outcome) -> str:
    lines = [f"{outcome.clock(entry.at_s)} {entry.level:7} {entry.text}" for entry in outcome.log]
    more = [f"… and {len(lines) - _MOST_LINES} more"] if len(lines) > _MOST_LINES else []
    text = escape("\n".join([*lines[:_MOST_LINES], *more])) or "nothing"
    is_open = " open" if len(lines) <= _FEW_LINES or not outcome.holds else ""
    summary = f"<summary>Log of the module ({len(lines)} lines)</summary>"
    return f"<details{is_open}>{summary}<pre>{text}</pre></details>"


def _reasons(outcome: Outcome) -> str:
    parts = []
    for evse, spells in outcome.reasons.items():
        lines = [f"{outcome.clock(spell.began_s)} {spell.text}" for spell in spells[:_MOST_LINES]]
        parts.append(
            f"<details><summary>Why {escape(evse)} had what it had</summary>"
            f"<pre>{escape(chr(10).join(lines))}</pre></details>"
        )
    return "".join(parts)


def _index(outcomes: Sequence[Outcome], prefix: str) -> str:
    failed = sum(not outcome.holds for outcome in outcomes)
    verdict = (
        f"All {len(outcomes)} scenarios hold"
        if not failed
        else f"{failed} of {len(outcomes)} scenarios do not hold"
    )
    rows = [_row(outcome, prefix) for outcome in sorted(outcomes, key=lambda outcome: outcome.holds)]
    banner = f'<p class="verdict {"bad" if failed else "good"}">{verdict}</p>'
    body = f"<h1>Scenarios</h1>{banner}<table>{''.join(rows)}</table>"
    return _page("Scenarios", body)


def _row(outcome: Outcome, prefix: str) -> str:
    held = sum(check.holds for check in outcome.checks)
    link = f'<a href="{prefix}{outcome.name}.html">{escape(outcome.title)}</a>'
    return (
        f'<tr class="{"" if outcome.holds else "failed"}">'
        f'<td class="mark {"ok" if outcome.holds else "no"}">{"✓" if outcome.holds else "✗"}</td>'
        f'<td>{link}<span class="found">{held} of {len(outcome.checks)} hold</span></td></tr>'
    )


def _page(title: str, body: str) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>{body}</body></html>\n"
    )

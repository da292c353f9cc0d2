"""Rows of a study on disk: kept as they come, so that an ended run goes on where it was."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from hil.study.cases import Row
from hil.study.study import Study

WRITE_EVERY_S = 10.0
TABLE = "results.parquet"


@dataclass(frozen=True, slots=True)
class Line:
    """What became of one combination of settings, over all days.

    Attributes
    ----------
    settings : mapping
        The combination.
    days : int
        How many were run.
    good_days : float
        Share of days on which every car had what it wanted and every assertion held.
    least_share : float
        What the unluckiest car had of what it wanted.
    peak_load : float
        Highest load of any fuse, 1 is its rating.
    broken : int
        Days on which an assertion did not hold.
    """

    settings: Mapping[str, Any]
    days: int
    good_days: float
    least_share: float
    peak_load: float
    broken: int


class Results:
    """The directory with the results of a study.

    Parameters
    ----------
    directory : Path
        Made if it is missing. Rows of other cases that are in it are left alone.
    study : Study
        Whose cases count.
    """

    def __init__(self, directory: Path, study: Study) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self._study = study
        self._rows: dict[str, Row] = {}
        for part in [directory / TABLE, *sorted(directory.glob("part-*.parquet"))]:
            if part.exists():
                self._rows |= {row["key"]: row for row in pq.read_table(part).to_pylist()}

    @property
    def done(self) -> set[str]:
        """Keys of the cases that need not be run again."""
        return set(self._rows)

    def keep(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Pass rows on, and write them; whatever ends this, at most the last seconds are lost."""
        waiting: list[Row] = []
        written_s = time.monotonic()
        try:
            for row in rows:
                waiting.append(row)
                self._rows[row["key"]] = row
                if time.monotonic() - written_s > WRITE_EVERY_S:
                    self._write_part(waiting)
                    waiting, written_s = [], time.monotonic()
                yield row
        finally:
            self._write_part(waiting)

    def finish(self) -> Path:
        """Put all rows into one file, in the order of the study's cases; give its path."""
        path = self.directory / TABLE
        mine = [case.key for case in self._study.cases if case.key in self._rows]
        others = sorted(set(self._rows) - set(mine))
        _write(path, [self._rows[key] for key in [*mine, *others]])
        for part in self.directory.glob("part-*.parquet"):
            part.unlink()
        return path

    def lines(self) -> list[Line]:
        """Sum up the days of each combination, in the order of the study."""
        groups: dict[tuple[Any, ...], list[Row]] = {}
        for case in self._study.cases:
            if case.key in self._rows:
                groups.setdefault(tuple(case.settings.values()), []).append(self._rows[case.key])
        return [
            _line(dict(zip(self._study.varied, values, strict=True)), rows) for values, rows in groups.items()
        ]

    def answers(self) -> list[str]:
        """Answer the question: which values of what was varied first will do, for each choice of the rest."""
        first, *others = self._study.varied or ("",)
        chosen: dict[str, list[Line]] = {}
        for line in self.lines():
            label = ", ".join(f"{name} {line.settings[name]}" for name in others)
            chosen.setdefault(label, []).append(line)
        return [_answer(first, label, lines, self._study.enough) for label, lines in chosen.items() if first]

    def _write_part(self, rows: Sequence[Row]) -> None:
        if rows:
            _write(self.directory / f"part-{time.time_ns()}.parquet", rows)


def _line(settings: Mapping[str, Any], rows: Sequence[Row]) -> Line:
    good = sum(row["satisfied"] == row["cars"] and row["holds"] for row in rows)
    return Line(
        settings,
        len(rows),
        good / len(rows),
        min(row["least_share"] for row in rows),
        max(row["peak_load"] for row in rows),
        sum(not row["holds"] for row in rows),
    )


def _answer(first: str, label: str, lines: Sequence[Line], enough: float) -> str:
    fine = [str(line.settings[first]) for line in lines if line.good_days >= enough]
    tried = ", ".join(str(line.settings[first]) for line in lines)
    verdict = f"{first} {', '.join(fine)} will do" if fine else f"none of {first} {tried} will do"
    return f"{label}: {verdict}" if label else verdict


def _write(path: Path, rows: Sequence[Row]) -> None:
    """Write a file as a whole or not at all. What was varied is written as it stands in the study."""
    if not rows:
        return
    columns = {name: [row.get(name) for row in rows] for row in rows for name in row}
    table = pa.table({name: _column(values) for name, values in columns.items()})
    draft = path.with_suffix(".draft")
    pq.write_table(table, draft)
    draft.replace(path)


def _column(values: Sequence[Any]) -> pa.Array:
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError):  # numbers and texts mixed, as "10 A" and 0
        return pa.array([None if value is None else str(value) for value in values])

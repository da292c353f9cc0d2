"""The command line as a user types it, and what came of it."""

from dataclasses import dataclass

from typer.testing import CliRunner

from hil.__main__ import app


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


def hil(*arguments: str, answer: str | None = None) -> Outcome:
    """Run ``hil`` with arguments, and perhaps an answer to its question."""
    result = CliRunner(env={"COLUMNS": "200"}).invoke(app, list(arguments), input=answer)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Outcome(result.exit_code, result.stdout, result.stderr)

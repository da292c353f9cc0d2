"""The bench's command line: a list of commands, each in a file of its own."""

import typer

from hil.commands.demo import demo
from hil.commands.join import join
from hil.commands.replay_transcript import replay_transcript
from hil.commands.run import run

app = typer.Typer(
    name="hil",
    help="Bench of PyEnergyManager: an EVerest runtime, simulated devices, and what runs on them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (demo, run, join, replay_transcript):
    app.command()(command)

if __name__ == "__main__":
    app(prog_name="hil")

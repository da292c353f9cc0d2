"""The bench's command line: a list of commands, each in a file of its own."""

import typer

from hil.commands.check import check
from hil.commands.demo import demo
from hil.commands.devices import devices
from hil.commands.history import history
from hil.commands.install import install
from hil.commands.join import join
from hil.commands.probe import probe
from hil.commands.read import read
from hil.commands.replay_transcript import replay_transcript
from hil.commands.run import run
from hil.commands.scenario import scenario
from hil.commands.set import set_limit
from hil.commands.soak import soak
from hil.commands.storm import storm
from hil.commands.study import study
from hil.commands.wiring import wiring

app = typer.Typer(
    name="hil",
    help="Bench of PyEnergyManager: an EVerest runtime, simulated devices, and what runs on them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (
    demo,
    run,
    join,
    replay_transcript,
    check,
    install,
    history,
    devices,
    probe,
    read,
    wiring,
    scenario,
    study,
    soak,
    storm,
):
    app.command()(command)
app.command("set")(set_limit)

if __name__ == "__main__":
    app(prog_name="hil")

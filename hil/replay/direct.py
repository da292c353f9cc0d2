"""A recording given straight to the decisions, without MQTT."""

import json
from pathlib import Path

from energy_management import EnergyManager, ManagerConfig
from hil.replay.comparison import Answer
from hil.replay.transcript import Json, Transcript, format_time


def direct_answers(transcript: Transcript) -> list[Answer]:
    """Let `energy_management` answer the very requests that EVerest's runs answered."""
    manager = EnergyManager(ManagerConfig.from_dict(transcript.config))
    answers = []
    for run in transcript.runs:
        request = transcript.requests[run.request].data
        limits = manager.optimize(request, transcript.wall_clock(run.at_s))
        answers.append({item["uuid"]: item for item in limits})
    return answers


def replay_case(transcript: Transcript, name: str) -> Json:
    """Build the case for ``python -m energy_management.replay``: one step for each run of the recording."""
    steps = [
        {
            "start_time": format_time(transcript.wall_clock(run.at_s)),
            "request": transcript.requests[run.request].data,
        }
        for run in transcript.runs
    ]
    return {"name": name, "config": transcript.config, "steps": steps}


def write_replay_case(transcript: Transcript, path: Path, name: str) -> None:
    """Write that case as a JSON Lines file."""
    path.write_text(json.dumps(replay_case(transcript, name)) + "\n")

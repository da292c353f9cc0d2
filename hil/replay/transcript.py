"""What a recording of EVerest's MQTT traffic says about its energy manager: requests in, limits out.

A recording is a JSON Lines file: one MQTT message a line, with ``t`` (seconds since the start), ``topic`` and
``payload`` (the envelope of EVerest's wire protocol, or null).
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

Json = dict[str, Any]

ANSWER_WITHIN_S = 60.0
"""How long a replay waits for an answer before a request that the recorded answer did not know."""


class TranscriptError(Exception):
    """A recording cannot be used; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Request:
    """One ``energy_flow_request`` of the trunk, and when it was published."""

    at_s: float
    data: Json


@dataclass(frozen=True, slots=True)
class Run:
    """One round of the energy manager: the limits it gave, and what they answer.

    Attributes
    ----------
    at_s : float
        When the first of its limits was sent.
    request : int
        Index of the request it worked on.
    seen : int
        How many requests had been published by then.
    limits : dict of str to EnforcedLimits
        By uuid of the EVSE.
    """

    at_s: float
    request: int
    seen: int
    limits: dict[str, Json]


@dataclass(frozen=True)
class Transcript:
    """A recording, seen from its energy manager.

    Attributes
    ----------
    started_at : datetime
        Wall clock at ``t`` = 0.
    manager_id, trunk_id : str
        Ids of the energy manager's module instance, and of the module at its trunk.
    config : dict
        Settings of the energy manager.
    requests : list of Request
        In the order of the wire.
    runs : list of Run
        Likewise.
    """

    started_at: datetime
    manager_id: str
    trunk_id: str
    config: Json
    requests: list[Request]
    runs: list[Run]

    def wall_clock(self, at_s: float) -> datetime:
        """Moment of the recording on its wall clock."""
        return self.started_at + timedelta(seconds=at_s)


@dataclass
class _Reader:
    """Collects what matters while the recording goes by."""

    manager_type: str
    manager_id: str = ""
    trunk_id: str = ""
    trunk_topic: str = ""
    config: Json = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    commands: list[tuple[float, int, Json]] = field(default_factory=list)

    def take(self, message: Json) -> None:
        topic, payload = message["topic"], message["payload"]
        if not isinstance(payload, dict):
            return
        data: Any = payload.get("data")
        if topic.endswith("/module_names"):
            self.manager_id = next((id_ for id_, type_ in data.items() if type_ == self.manager_type), "")
        elif self.manager_id and topic.endswith(f"/modules/{self.manager_id}/response"):
            self._take_config(topic, data["response"]["data"]["module_config"])
        elif self.trunk_topic and topic == f"{self.trunk_topic}/var/energy_flow_request":
            self.requests.append(Request(message["t"], data["data"]))
        elif self.trunk_topic and topic == f"{self.trunk_topic}/cmd/enforce_limits":
            self.commands.append((message["t"], len(self.requests), data["args"]["value"]))

    def _take_config(self, topic: str, module: Json) -> None:
        trunks = module["connections"].get("energy_trunk", [])
        if not trunks:
            return
        trunk = trunks[0]
        self.trunk_id = trunk["module_id"]
        prefix = topic.partition("modules/")[0]
        self.trunk_topic = f"{prefix}modules/{self.trunk_id}/impl/{trunk['implementation_id']}"
        self.config = {item["name"]: item["value"] for item in module["configuration_parameters"]["!module"]}


def load_transcript(path: Path, manager_type: str = "EnergyManager") -> Transcript:
    """Read a recording.

    Parameters
    ----------
    path : Path
        JSON Lines file.
    manager_type : str
        Module type of the energy manager whose requests and limits are wanted.

    Raises
    ------
    TranscriptError
        It is no recording, or has no such manager with a trunk.
    """
    return transcript_of(_messages(path), manager_type, name=str(path))


def transcript_of(messages: Iterable[Json], manager_type: str, *, name: str) -> Transcript:
    """Build a transcript of messages, as `load_transcript` does of a file; `name` is for error messages."""
    reader = _Reader(manager_type)
    for message in messages:
        reader.take(message)
    if not reader.trunk_topic:
        raise TranscriptError(
            f"{name}: no module of type {manager_type} with an energy_trunk in this recording"
        )
    if not reader.requests:
        raise TranscriptError(
            f"{name}: '{reader.trunk_id}' publishes no energy_flow_request in this recording"
        )
    return Transcript(
        started_at=_start(reader.requests),
        manager_id=reader.manager_id,
        trunk_id=reader.trunk_id,
        config=reader.config,
        requests=reader.requests,
        runs=_runs(reader.requests, reader.commands),
    )


def timestamps(request: Json) -> Iterator[str]:
    """Yield every timestamp of the schedules of a request and of all below it."""
    for direction in ("schedule_import", "schedule_export"):
        for entry in request.get(direction) or []:
            yield entry["timestamp"]
    for child in request.get("children") or []:
        yield from timestamps(child)


def moved(message: Any, by: timedelta) -> Any:
    """Copy a request with every timestamp in it moved, so that what lay ahead still lies ahead."""
    if isinstance(message, list):
        return [moved(item, by) for item in message]
    if not isinstance(message, dict):
        return message
    return {
        key: format_time(parse_time(value) + by) if key == "timestamp" else moved(value, by)
        for key, value in message.items()
    }


def parse_time(text: str) -> datetime:
    """Read an RFC 3339 timestamp; one without offset is UTC."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def format_time(moment: datetime) -> str:
    """Write a timestamp as EVerest does."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def _messages(path: Path) -> Iterator[Json]:
    try:
        with path.open() as lines:
            for number, line in enumerate(lines, 1):
                try:
                    message = json.loads(line)
                    message["t"], message["topic"], message["payload"]
                except (ValueError, TypeError, KeyError) as error:
                    raise TranscriptError(
                        f"{path}:{number}: no recorded message (needs t, topic, payload): {error}"
                    ) from error
                yield message
    except OSError as error:
        raise TranscriptError(f"{path}: {error.strerror}") from error


def _start(requests: list[Request]) -> datetime:
    """Wall clock at the start: EVSEs stamp the first entry of a schedule with the time they publish it."""
    return max(
        parse_time(stamp) - timedelta(seconds=request.at_s)
        for request in requests
        for stamp in _first_timestamps(request.data)
    )


def _first_timestamps(request: Json) -> Iterator[str]:
    for direction in ("schedule_import", "schedule_export"):
        for entry in (request.get(direction) or [])[:1]:
            yield entry["timestamp"]
    for child in request.get("children") or []:
        yield from _first_timestamps(child)


def _runs(requests: list[Request], commands: list[tuple[float, int, Json]]) -> list[Run]:
    """Put limits together to rounds: a new one begins where an EVSE comes up again."""
    rounds: list[list[tuple[float, int, Json]]] = []
    for command in commands:
        uuid = command[2]["uuid"]
        if not rounds or any(uuid == earlier["uuid"] for _, _, earlier in rounds[-1]):
            rounds.append([])
        rounds[-1].append(command)
    runs = []
    for group in rounds:
        at_s, seen, first = group[0]
        if seen:
            limits = {value["uuid"]: value for _, _, value in group}
            runs.append(Run(at_s, _answered(requests[:seen], first), seen, limits))
    return runs


def _answered(requests: list[Request], limits: Json) -> int:
    """Index of the request that limits answer: their schedule has the timestamps of its schedules."""
    slots = {entry["timestamp"] for entry in limits["schedule"]}
    newest = len(requests) - 1
    return next((i for i in range(newest, -1, -1) if set(timestamps(requests[i].data)) <= slots), newest)

"""Which limits a running module has given, and whether they are its answer to a request."""

import threading
from collections.abc import Mapping
from datetime import datetime, timedelta

from hil.replay.comparison import Answer, Limit, evse_states
from hil.replay.transcript import Json, format_time, parse_time

_MARK_AHEAD = timedelta(days=1)


def marked(request: Json, index: int, now: datetime) -> tuple[Json, str]:
    """Copy a request so that its answers can be told from all others.

    Every limit names in its schedule the timestamps of the request that it was decided on, those to come at
    least. So a node gets one more entry, far ahead, that repeats its last.

    Returns
    -------
    request : dict
        The marked ``EnergyFlowRequest``.
    mark : str
        Timestamp of that entry.
    """
    mark = format_time(now + _MARK_AHEAD + timedelta(seconds=index))
    schedule = request.get("schedule_import") or []
    nothing: Json = {"limits_to_root": {}, "limits_to_leaves": {}}
    last = max(schedule, key=lambda entry: parse_time(entry["timestamp"]), default=nothing)
    return {**request, "schedule_import": [*schedule, {**last, "timestamp": mark}]}, mark


class Answers:
    """The newest limits of each EVSE; a thread may wait until they answer a request."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._newest: Answer = {}

    def take(self, limits: Json) -> None:
        """Note the newest ``EnforcedLimits`` of an EVSE."""
        with self._changed:
            self._newest[limits["uuid"]] = limits
            self._changed.notify_all()

    def wait(self, request: Json, mark: str, decided: Mapping[str, Json], timeout_s: float) -> bool:
        """Wait until every EVSE of a request has its answer.

        That is a limit that was decided on this request. An EVSE that already has what it should get needs
        none: a manager need not repeat what has not changed.

        Parameters
        ----------
        request : dict
            ``EnergyFlowRequest``.
        mark : str
            As `marked` gave it.
        decided : mapping of str to EnforcedLimits
            What each EVSE should get.
        timeout_s : float
            How long to wait.

        Returns
        -------
        bool
            Whether all have been answered.
        """
        uuids = [uuid for uuid, _ in evse_states(request)]

        def is_answered(uuid: str) -> bool:
            newest, due = self._newest.get(uuid), decided.get(uuid)
            if newest is None:
                return False
            as_decided = due is not None and Limit.of(newest).same_as(Limit.of(due))
            return as_decided or any(entry["timestamp"] == mark for entry in newest["schedule"])

        with self._changed:
            return self._changed.wait_for(lambda: all(map(is_answered, uuids)), timeout_s)

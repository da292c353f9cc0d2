"""Configuration requests over MQTT: each is answered exactly once."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from hil.runtime.manager.service import ConfigService, Forward, answer_to_set
from hil.runtime.wire import Era, Json, ProtocolError, Topics, decode, encode

_REPLY_TIMEOUT_s = 15.0
_ATTEMPTS = 2


@dataclass
class _Asked:
    """A change that was passed on and is not answered yet."""

    forward: Forward
    attempts: int = 0
    deadline: float = 0.0


class Responder:
    """Answers what arrives on ``config/request``, and passes changes on to the modules that they concern.

    Parameters
    ----------
    service
        Knows the answers.
    topics, era
        The wire.
    publish
        Sends a payload to a topic.
    log
        Gets a line for each request that is wrong.
    """

    def __init__(
        self,
        service: ConfigService,
        topics: Topics,
        era: Era,
        *,
        publish: Callable[[str, bytes], object],
        log: Callable[[str], None],
    ) -> None:
        self._service = service
        self._topics = topics
        self._era = era
        self._publish = publish
        self._log = log
        self._asked: dict[str, deque[_Asked]] = {}  # by target: one at a time, in order

    def on_request(self, payload: bytes, *, running: bool) -> None:
        """Answer a request.

        In the era of 2026.02 a wrong request gets no answer, as from EVerest's manager of that time.
        """
        try:
            msg_type, data = decode(payload)
            if msg_type != self._era.request:
                raise ProtocolError(f"msg_type {msg_type!r}, expected {self._era.request!r}")
            answer = self._service.answer(data, running=running)
        except ProtocolError as error:
            self._log(f"ignored a message on {self._topics.config_request}: {error}")
            return
        if isinstance(answer, Forward):
            self._forward(answer)
            return
        if answer["status"] == "Error":
            self._log(f"wrong configuration request of {data['origin']!r}: {answer['status_info']}")
            if self._era is Era.RELEASE_2026_02:
                return
        self._respond(data["origin"], answer)

    def on_set_response(self, target: str, payload: bytes) -> None:
        """Answer a change with what the module that it concerns replied."""
        try:
            msg_type, reply = decode(payload)
            if msg_type != self._era.response:
                raise ProtocolError(f"msg_type {msg_type!r}, expected {self._era.response!r}")
        except ProtocolError as error:
            self._log(f"ignored a message on {self._topics.module(target, 'config/set_response')}: {error}")
            return
        if self._asked.get(target):
            self._finish(target, reply)

    def check_time(self) -> None:
        """Ask again, or give up, where a reply is overdue."""
        now = time.monotonic()
        for target, asked in self._asked.items():
            if asked and asked[0].deadline <= now:
                if asked[0].attempts < _ATTEMPTS:
                    self._ask(asked[0])
                else:
                    self._log(f"{target} does not answer a change of its configuration")
                    self._finish(target, None)

    def _forward(self, forward: Forward) -> None:
        if self._era is Era.RELEASE_2026_02:  # modules of that era learn of changes when they start again
            self._respond(forward.origin, answer_to_set({"response": {"status": "RebootRequired"}}))
            return
        asked = self._asked.setdefault(forward.target, deque())
        asked.append(_Asked(forward))
        if len(asked) == 1:
            self._ask(asked[0])

    def _ask(self, asked: _Asked) -> None:
        asked.attempts += 1
        asked.deadline = time.monotonic() + _REPLY_TIMEOUT_s
        topic = self._topics.module(asked.forward.target, "config/set_request")
        self._publish(topic, encode(self._era.request, asked.forward.data))

    def _finish(self, target: str, reply: Json) -> None:
        asked = self._asked[target]
        self._respond(asked.popleft().forward.origin, answer_to_set(reply))
        if asked:
            self._ask(asked[0])

    def _respond(self, origin: str, answer: Json) -> None:
        self._publish(self._topics.module(origin, "response"), encode(self._era.response, answer))

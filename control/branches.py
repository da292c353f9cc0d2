"""The children below this instance: whose request counts, and which way leads to which EVSE."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from control.clock import Instant
from control.dispatch import Send
from control.inbox import Heard, Inbox
from control.notices import Notices
from control.schedules import JsonObject
from control.tree import evse_uuids, held


@dataclass(frozen=True, slots=True)
class Branches:
    """The branches of one moment, and the way to each EVSE on them that can be reached."""

    requests: Mapping[str, JsonObject]
    routes: Mapping[str, Send]


class BranchKeeper:
    """Follows the children's coming and going.

    A child that is silent for ``child_timeout_s`` gets no more limits. It stays in the tree, asking for just
    what its EVSEs may still draw, until its last limits have run out; only then others get its share.

    Parameters
    ----------
    inbox : Inbox
        Knows the children; gone ones are dropped there.
    ways : mapping of child to Send
        How to reach each child.
    in_force : callable
        Tells the ``LimitsRes`` that an EVSE may still go by, or None.
    child_timeout_s : float
        Silence after which a child is taken for gone.
    notices : Notices
        Told of children that go.
    """

    def __init__(
        self,
        inbox: Inbox,
        ways: Mapping[str, Send],
        in_force: Callable[[str], JsonObject | None],
        child_timeout_s: float,
        notices: Notices,
    ) -> None:
        self._inbox = inbox
        self._ways = ways
        self._in_force = in_force
        self._child_timeout_s = child_timeout_s
        self._notices = notices

    def gather(self, children: Mapping[str, Heard], now: Instant) -> Branches:
        """Sort out the children's newest requests."""
        requests: dict[str, JsonObject] = {}
        routes: dict[str, Send] = {}
        for child, heard in children.items():
            if now.monotonic_s - heard.at > self._child_timeout_s:
                if branch := self._silent(child, heard):
                    requests[child] = branch
                continue
            self._notices.clear(f"silent/{child}", f"{child}: publishes again")
            uuids = list(evse_uuids(heard.request))
            if twice := sorted(set(uuids) & routes.keys()):
                self._notices.raise_(
                    f"twice/{child}",
                    f"{child}: left out, another child has the same uuid: {', '.join(twice)}",
                )
                continue
            requests[child] = heard.request
            routes.update(dict.fromkeys(uuids, self._ways[child]))
        return Branches(requests, routes)

    def _silent(self, child: str, heard: Heard) -> JsonObject | None:
        self._notices.raise_(
            f"silent/{child}", f"{child}: nothing heard for {self._child_timeout_s:g} s, gets no more limits"
        )
        grants = {uuid: grant for uuid in evse_uuids(heard.request) if (grant := self._in_force(uuid))}
        branch = held(heard.request, grants)
        if branch is None:
            self._inbox.forget(child)
        return branch

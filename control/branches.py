"""The children below this instance: whose request counts, and which way leads to which EVSE."""

from collections.abc import Callable, Container, Iterable, Mapping, Set
from dataclasses import dataclass, field

from control.clock import Instant
from control.dispatch import Send
from control.inbox import Heard, Inbox
from control.notices import Notices
from control.schedules import JsonObject
from control.tree import Grants, evse_uuids, held, with_vanished


@dataclass(frozen=True, slots=True)
class Branches:
    """The branches of one moment.

    Attributes
    ----------
    requests : mapping of child to EnergyFlowRequest
        What each asks for.
    routes : mapping of uuid to Send
        The way to each EVSE that can be reached.
    child_of : mapping of uuid to child
        Which child each of these ways begins with.
    """

    requests: Mapping[str, JsonObject] = field(default_factory=dict)
    routes: Mapping[str, Send] = field(default_factory=dict)
    child_of: Mapping[str, str] = field(default_factory=dict)


class BranchKeeper:
    """Follows the children's coming and going.

    A child that is silent for ``child_timeout_s`` gets no more limits. It stays in the tree, asking for just
    what its EVSEs may still draw, until its last limits have run out; only then others get its share. So does
    an EVSE that vanishes from the branch of a child, as when a node starts anew, and a child that does not
    take its limits.

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
        self._known: dict[str, JsonObject] = {}

    def gather(
        self, children: Mapping[str, Heard], now: Instant, deaf: Container[str] = frozenset()
    ) -> Branches:
        """Sort out the children's newest requests.

        Parameters
        ----------
        deaf : container of child
            Those that publish, but do not take their limits.
        """
        requests: dict[str, JsonObject] = {}
        routes: dict[str, Send] = {}
        child_of: dict[str, str] = {}
        present = {uuid for heard in children.values() for uuid in evse_uuids(heard.request)}
        for child, heard in children.items():
            request = self._with_vanished(child, heard.request, present)
            if now.monotonic_s - heard.at > self._child_timeout_s:
                if branch := self._silent(child, request):
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
            if branch := self._held(request) if child in deaf else request:
                requests[child] = branch
            routes.update(dict.fromkeys(uuids, self._ways[child]))
            child_of.update(dict.fromkeys(uuids, child))
        return Branches(requests, routes, child_of)

    def unheard(self, children: Mapping[str, Heard]) -> list[str]:
        """Children that have said nothing yet."""
        return [child for child in self._ways if child not in children]

    def _with_vanished(self, child: str, request: JsonObject, present: Set[str]) -> JsonObject:
        before = self._known.get(child, request)
        gone = [uuid for uuid in evse_uuids(before) if uuid not in present]
        self._known[child] = with_vanished(request, before, self._grants(gone)) if gone else request
        return self._known[child]

    def _grants(self, uuids: Iterable[str]) -> Grants:
        return {uuid: grant for uuid in uuids if (grant := self._in_force(uuid))}

    def _held(self, request: JsonObject) -> JsonObject | None:
        return held(request, self._grants(evse_uuids(request)))

    def _silent(self, child: str, request: JsonObject) -> JsonObject | None:
        self._notices.raise_(
            f"silent/{child}", f"{child}: nothing heard for {self._child_timeout_s:g} s, gets no more limits"
        )
        branch = self._held(request)
        if branch is None:
            self._inbox.forget(child)
            self._known.pop(child, None)
        return branch

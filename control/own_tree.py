"""The nodes this instance is itself: its own at the root, and below it those of the site file."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from control.clock import Instant
from control.external_limits import ExternalLimits
from control.schedules import JsonObject
from control.tree import OwnNode, evse_uuids, limited, walk


@dataclass(frozen=True, slots=True)
class OwnTree:
    """Nodes of this instance and what hangs below which.

    Attributes
    ----------
    root : OwnNode
        The instance's own node.
    nodes : mapping of uuid to OwnNode
        Nodes below it.
    parents : mapping of uuid to uuid
        The node above a node or an EVSE; what is not named hangs below the root. A child that is a node with
        EVSEs hangs where they are said to.
    """

    root: OwnNode
    nodes: Mapping[str, OwnNode] = field(default_factory=dict)
    parents: Mapping[str, str] = field(default_factory=dict)

    @property
    def fuses_A(self) -> dict[str, float]:
        """Fuse of each node that has one."""
        nodes = (self.root, *self.nodes.values())
        return {node.uuid: node.fuse_limit_A for node in nodes if node.fuse_limit_A is not None}

    def evses_below(self, children: Mapping[str, JsonObject]) -> Mapping[str, set[str]]:
        """Find the EVSEs of every node, and of every EVSE itself, by uuid."""
        found: defaultdict[str, set[str]] = defaultdict(set)
        for request in children.values():
            for node in walk(request):
                found[node["uuid"]].update(evse_uuids(node))
            for uuid in self._upward(self._feeder(request)):
                found[uuid].update(evse_uuids(request))
        return found

    def _feeder(self, request: JsonObject) -> str:
        """Own node above a child."""
        placed = (self.parents.get(node["uuid"]) for node in walk(request))
        return next((uuid for uuid in placed if uuid is not None), self.root.uuid)

    def _upward(self, name: str) -> Iterator[str]:
        """Own nodes from one to the root."""
        yield name
        while name != self.root.uuid:
            name = self.parents.get(name, self.root.uuid)
            yield name

    def request(
        self,
        children: Mapping[str, JsonObject],
        now: Instant,
        *,
        external: Mapping[str, ExternalLimits],
        reserves_A: Mapping[str, float],
        usage: JsonObject | None = None,
        prices: Mapping[str, Any] | None = None,
    ) -> JsonObject:
        """Build the request of the whole tree.

        Parameters
        ----------
        children : mapping of child to EnergyFlowRequest
            Requests from below.
        external : mapping of uuid to ExternalLimits
            Limits from outside, by the uuid of the node or EVSE they are for.
        reserves_A : mapping of uuid to amperes
            Part of the fuse of each node that is not for EVSEs, per phase.
        usage : Powermeter, optional
            Latest reading of the root's meter.
        prices : EnergyPriceSchedule, optional
            Prices at the root.
        """
        root = self.root.uuid

        feeders = {child: self._feeder(request) for child, request in children.items()}

        def below(uuid: str) -> list[JsonObject]:
            nodes = [
                node.request(
                    below(name), now, external=external.get(name), reserve_A=reserves_A.get(name, 0.0)
                )
                for name, node in self.nodes.items()
                if self.parents.get(name, root) == uuid
            ]
            return nodes + [
                limited(request, external) for child, request in children.items() if feeders[child] == uuid
            ]

        return self.root.request(
            below(root),
            now,
            external=external.get(root),
            reserve_A=reserves_A.get(root, 0.0),
            usage=usage,
            prices=prices,
        )

"""The nodes this instance is itself: its own at the root, and below it those of the site file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from control.clock import Instant
from control.external_limits import ExternalLimits
from control.schedules import JsonObject
from control.tree import OwnNode


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
        The node above a node or a child; what is not named hangs below the root.
    """

    root: OwnNode
    nodes: Mapping[str, OwnNode] = field(default_factory=dict)
    parents: Mapping[str, str] = field(default_factory=dict)

    @property
    def fuses_A(self) -> dict[str, float]:
        """Fuse of each node that has one."""
        nodes = (self.root, *self.nodes.values())
        return {node.uuid: node.fuse_limit_A for node in nodes if node.fuse_limit_A is not None}

    def request(
        self,
        children: Mapping[str, JsonObject],
        now: Instant,
        *,
        external: Mapping[str, ExternalLimits],
        usage: JsonObject | None = None,
        prices: Mapping[str, Any] | None = None,
    ) -> JsonObject:
        """Build the request of the whole tree.

        Parameters
        ----------
        children : mapping of child to EnergyFlowRequest
            Requests from below.
        external : mapping of uuid to ExternalLimits
            Limits from outside, by the uuid of the node they are for.
        usage : Powermeter, optional
            Latest reading of the root's meter.
        prices : EnergyPriceSchedule, optional
            Prices at the root.
        """

        def below(uuid: str) -> list[JsonObject]:
            at_root = uuid == self.root.uuid
            nodes = [
                node.request(below(name), now, external=external.get(name))
                for name, node in self.nodes.items()
                if self.parents.get(name, self.root.uuid) == uuid
            ]
            leaves = [
                request
                for child, request in children.items()
                if self.parents.get(child, self.root.uuid) == uuid or (at_root and child not in self.parents)
            ]
            return nodes + leaves

        root = self.root
        return root.request(
            below(root.uuid), now, external=external.get(root.uuid), usage=usage, prices=prices
        )

"""A whole instance, stepped by hand on a virtual clock; only EVerest itself is played."""

from typing import Any

from control.everest import Outside
from control.settings import Settings
from control.site import EnergySite
from tests.control.sample import Child, RecordingLog, VirtualClock

Json = dict[str, Any]


class EverestPlayed:
    """Takes what an instance publishes."""

    def __init__(self) -> None:
        self.published: list[tuple[str, str, Any]] = []
        self.errors: list[tuple[str, str]] = []

    def publish(self, implementation: str, variable: str, value: object) -> None:
        self.published.append((implementation, variable, value))

    def raise_error(self, implementation: str, error_type: str, message: str, sub_type: str = "") -> None:
        self.errors.append(("raised", error_type))

    def clear_error(self, implementation: str, error_type: str, sub_type: str = "") -> None:
        self.errors.append(("cleared", error_type))


class Instance:
    """An instance called grid with two children."""

    def __init__(self, *, has_trunk: bool = False, has_powermeter: bool = True, **config: Any) -> None:
        self.has_powermeter = has_powermeter
        self.clock = VirtualClock()
        self.log = RecordingLog()
        self.everest = EverestPlayed()
        names = ["trunk"] if has_trunk else ["a", "b"]
        self.children = {name: Child() for name in names}
        self.site = EnergySite(
            Settings.from_config("grid", config),
            None,
            Outside(
                dict(self.children),
                self.everest,
                self.log,
                has_trunk=has_trunk,
                has_powermeter=has_powermeter,
            ),
            self.clock,
        )

    def step(self, seconds: float = 1.0) -> None:
        self.clock.advance(seconds)
        self.site.step(self.clock())

    def ask(self, child: str, request: Json) -> None:
        self.site.handlers.request(child, request)

    def measure(self, *amperes: float) -> None:
        powermeter = {
            "timestamp": "2026-11-22T09:30:00.000Z",
            "energy_Wh_import": {"total": 1.0},
            "current_A": dict(zip(("L1", "L2", "L3"), amperes, strict=True)),
        }
        self.site.meters.on_powermeter(powermeter)

    def settle(self) -> None:
        """Wait until all limits that were sent have arrived."""
        dispatcher = self.site._dispatcher
        with dispatcher._changed:
            while dispatcher._queue or any(lane.call_since for lane in dispatcher._lanes.values()):
                dispatcher._changed.wait(0.01)

    def newest(self, child: str, count: int) -> float:
        """Amperes of the limit that came as the so manieth."""
        return self.children[child].wait_received(count)[-1]


def start(instances: list[Instance], **config: Any) -> Instance:
    """Start an instance, so long ago that it waits for nobody that has not been heard."""
    instance = begin(instances, **config)
    instance.step(0)
    instance.clock.advance(11)
    return instance


def begin(instances: list[Instance], **config: Any) -> Instance:
    instance = Instance(**config)
    instances.append(instance)
    return instance

"""What can happen in a scenario, sentence by sentence.

Each function brings something about. What it returns, if anything, undoes it: that happens after the
``for {duration}`` of the sentence, where one is given.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC
from functools import partial
from typing import TYPE_CHECKING, Any

from energy_management.measurement import Vector3
from hil.devices import ChargerDevice, Faults, WallboxDevice
from hil.plant.site import total
from hil.scenario.words import Language

if TYPE_CHECKING:
    from hil.scenario.world import World

Undo = Callable[[], None]
Happening = Callable[..., "Undo | None"]
EVENTS: Language[Happening] = Language()
_FOR = "[ for {duration}]"

# -- cars


@EVENTS.add("{car} comes[ to {evse}]", "a car is plugged in, where it is planned or elsewhere")
def _comes(world: World, car: str, evse: str | None = None) -> None:
    world.stage.plug_in(car, evse or world.scenario.cars[car].evse)


@EVENTS.add("{car} leaves", "a car is unplugged")
def _leaves(world: World, car: str) -> None:
    world.stage.unplug(car)


@EVENTS.add(f"{{car}} ignores the pilot{_FOR}", "a car draws what it can, whatever it is offered")
def _ignores(world: World, car: str) -> Undo:
    world.stage.cars[car].ignores_pilot = True
    return lambda: setattr(world.stage.cars[car], "ignores_pilot", False)


@EVENTS.add("{car} falls asleep", "a car charges no more until it is plugged in anew")
def _sleeps(world: World, car: str) -> None:
    world.stage.cars[car].asleep = True


@EVENTS.add(f"{{car}} takes at most {{amperes}}{_FOR}", "a limit of its own, as of a cold battery")
def _takes(world: World, car: str, amperes: float) -> Undo:
    here = world.stage.cars[car]
    before = here.model
    here.model = replace(before, max_current_A=amperes)
    return lambda: setattr(here, "model", before)


# -- loads


def _step(world: World, node: str, amperes: float, phases: tuple[int, ...]) -> Undo:
    step = _on(amperes, phases)
    load = world.stage.steps[node]
    load.current_A = total([load.current_A, step])

    def undo() -> None:
        one, two, three = step
        load.current_A = total([load.current_A, (-one, -two, -three)])

    return undo


@EVENTS.add(f"house draws {{amperes}} more on {{phases}}{_FOR}", "a load is switched on")
def _more(world: World, amperes: float, phases: tuple[int, ...]) -> Undo:
    return _step(world, world.scenario.nodes[0], amperes, phases)


@EVENTS.add(f"house draws {{amperes}} less on {{phases}}{_FOR}", "a load is switched off")
def _less(world: World, amperes: float, phases: tuple[int, ...]) -> Undo:
    return _step(world, world.scenario.nodes[0], -amperes, phases)


@EVENTS.add(f"{{amperes}} more are drawn behind {{node}} on {{phases}}{_FOR}", "the same at a sub-node")
def _more_at(world: World, amperes: float, node: str, phases: tuple[int, ...]) -> Undo:
    return _step(world, node, amperes, phases)


@EVENTS.add(f"generation rises by {{power}}{_FOR}", "the sun comes out, on three phases")
def _shines(world: World, power: float) -> Undo:
    return _step(world, world.scenario.nodes[0], -power / 690.0, (0, 1, 2))


@EVENTS.add(f"generation falls by {{power}}{_FOR}", "a cloud, on three phases")
def _cloud(world: World, power: float) -> Undo:
    return _step(world, world.scenario.nodes[0], power / 690.0, (0, 1, 2))


# -- orders


def _limit(world: World, node: str, limits: dict[str, float], *, dimming: bool = False, **more: Any) -> Undo:
    source = "grid operator" if dimming else "scenario"
    world.module.order("set_limit", node=node, source=source, limits=limits, dimming=dimming, **more)
    return lambda: world.module.order("clear_limit", node=node, source=source)


@EVENTS.add(f"{{place}} is limited to {{amperes}}{_FOR}", "a limit from outside")
def _limited_A(world: World, place: str, amperes: float) -> Undo:
    return _limit(world, place, {"current_A": amperes})


@EVENTS.add(f"{{place}} is limited to {{power}}{_FOR}", "a limit from outside")
def _limited_W(world: World, place: str, power: float) -> Undo:
    return _limit(world, place, {"power_W": power})


@EVENTS.add(f"{{place}} is limited to {{number}} phases?{_FOR}", "a limit from outside on their count")
def _limited_phases(world: World, place: str, number: int) -> Undo:
    return _limit(world, place, {"phase_count": number})


@EVENTS.add(
    "{place} is limited to {amperes}, and to {amperes2} if that is not renewed within {duration2}",
    "a limit with a fallback, whose sender falls silent",
)
def _fallback(world: World, place: str, amperes: float, amperes2: float, duration2: float) -> Undo:
    return _limit(
        world, place, {"current_A": amperes}, valid_for_s=duration2, fallback={"current_A": amperes2}
    )


@EVENTS.add(f"{{place}} is dimmed to {{power}}{_FOR}", "the grid operator dims")
def _dimmed(world: World, place: str, power: float) -> Undo:
    return _limit(world, place, {"power_W": power}, dimming=True)


@EVENTS.add(
    f"EVerest limits the site to {{amperes}}{_FOR}",
    "set_external_limits, as OCPP or EEBUS of EVerest call it",
)
def _everest(world: World, amperes: float) -> Undo:
    def set_limits(entries: list[dict[str, Any]]) -> None:
        limits = {"schedule_import": entries, "schedule_export": [], "schedule_setpoints": []}
        world.module.set_external_limits(limits)

    limit = {"ac_max_current_A": {"value": amperes, "source": "OCPP"}}
    stamp = world.clock().utc.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    set_limits([{"timestamp": stamp, "limits_to_root": limit, "limits_to_leaves": {}}])
    return partial(set_limits, [])


@EVENTS.add(f"{{amperes}} of {{node}} are reserved{_FOR}", "part of a fuse is not for cars")
def _reserved(world: World, amperes: float, node: str) -> Undo:
    world.module.order("set_reserve", node=node, current_A=amperes)
    return lambda: world.module.order("set_reserve", node=node, current_A=0.0)


@EVENTS.add("{evse} gets priority {number}", "who comes first")
def _priority(world: World, evse: str, number: int) -> None:
    world.module.order("set_evse", uuid=evse, priority=number)


@EVENTS.add("{evse} is set to {mode}", "off, now, minpv or pv")
def _mode(world: World, evse: str, mode: str) -> None:
    world.module.order("set_evse", uuid=evse, mode=mode)


@EVENTS.add(f"{{evse}} is paused{_FOR}", "by the control interface")
def _paused(world: World, evse: str) -> Undo:
    world.module.order("pause", uuid=evse)
    return lambda: world.module.order("resume", uuid=evse)


@EVENTS.add("the fault of {evse} is reset", "by a person who has looked")
def _reset(world: World, evse: str) -> None:
    world.module.order("reset_fault", uuid=evse)


# -- devices


def _faulty(world: World, device: str, **faults: Any) -> Undo:
    world.stage.devices[device].faults = Faults(**faults)
    return lambda: setattr(world.stage.devices[device], "faults", Faults())


@EVENTS.add(f"{{device}} is silent{_FOR}", "a device does not answer")
def _silent(world: World, device: str) -> Undo:
    return _faulty(world, device, silent=True)


@EVENTS.add(f"{{device}} answers {{duration2}} late{_FOR}", "a device takes its time")
def _late(world: World, device: str, duration2: float) -> Undo:
    return _faulty(world, device, delay_s=duration2)


@EVENTS.add(f"{{device}} answers with wrong checksums{_FOR}", "noise on the line")
def _noisy(world: World, device: str) -> Undo:
    return _faulty(world, device, corrupt=True)


@EVENTS.add(f"{{device}} sends half of each answer{_FOR}", "truncated frames")
def _truncated(world: World, device: str) -> Undo:
    return _faulty(world, device, truncated=True)


@EVENTS.add(f"{{device}} answers as another unit{_FOR}", "foreign frames")
def _foreign(world: World, device: str) -> Undo:
    return _faulty(world, device, foreign=True)


@EVENTS.add(f"{{device}} answers with exception {{number}}{_FOR}", "a device refuses every request")
def _refuses(world: World, device: str, number: int) -> Undo:
    return _faulty(world, device, exception=number)


def _lying(world: World, device: str, **lies: Any) -> Undo:
    told = world.stage.devices[device].lies
    before = {name: getattr(told, name) for name in lies}

    def tell(values: dict[str, Any]) -> None:
        for name, value in values.items():
            setattr(told, name, value)
        told.forget()

    tell(lies)
    return partial(tell, before)


@EVENTS.add(f"{{device}} shows the same values for ever{_FOR}", "frozen, to the last bit")
def _frozen(world: World, device: str) -> Undo:
    return _lying(world, device, frozen=True)


@EVENTS.add(f"{{device}} shows wild values{_FOR}", "any multiple of the truth")
def _wild(world: World, device: str) -> Undo:
    return _lying(world, device, wild=True)


@EVENTS.add(f"{{device}} swaps the words of its values{_FOR}", "registers in the wrong order")
def _swapped(world: World, device: str) -> Undo:
    return _lying(world, device, swapped_words=True)


@EVENTS.add(f"{{device}} shows the opposite signs{_FOR}", "transformers the wrong way round")
def _reversed(world: World, device: str) -> Undo:
    return _lying(world, device, reversed_signs=True)


@EVENTS.add(f"{{device}} loses {{phases}}{_FOR}", "phases without a measurement")
def _loses(world: World, device: str, phases: tuple[int, ...]) -> Undo:
    return _lying(world, device, missing=frozenset(f"L{phase + 1}" for phase in phases))


@EVENTS.add("{device} reboots for {duration}", "silent, then back with its factory settings")
def _reboots(world: World, device: str) -> Undo:
    rebooting = world.stage.devices[device]
    rebooting.lose_power()
    return rebooting.regain_power


@EVENTS.add(f"{{evse}} ignores its limits{_FOR}", "a charger takes limits and does not follow")
def _deaf(world: World, evse: str) -> Undo:
    point = world.stage.evses[evse].point
    point.ignores_limit = True

    def follow() -> None:
        point.ignores_limit = False
        device = world.stage.devices.get(evse)
        if isinstance(device, ChargerDevice | WallboxDevice):
            device.obey()

    return follow


@EVENTS.add(f"bus {{bus}} is cut{_FOR}", "an adapter is pulled, a host is down")
def _cut(world: World, bus: str) -> Undo:
    world.module.lines[bus].is_cut = True
    return lambda: setattr(world.module.lines[bus], "is_cut", False)


# -- breakers and contactors


@EVENTS.add(f"breaker {{node}} is switched off{_FOR}", "all behind it is dark, until it is reset")
def _switched_off(world: World, node: str) -> Undo:
    world.stage.open_breaker(node)
    return partial(world.stage.reset_breaker, node)


@EVENTS.add("breaker {node} is reset", "by a person, after it has tripped; closed ones stay as they are")
def _breaker_reset(world: World, node: str) -> None:
    world.stage.reset_breaker(node)


@EVENTS.add(f"the contactor of {{evse}} welds{_FOR}", "it stays closed, once it is, whatever the relay does")
def _welds(world: World, evse: str) -> Undo:
    return world.weld(evse)


@EVENTS.add(f"the contactor of {{evse}} sticks{_FOR}", "it stays where it is")
def _sticks(world: World, evse: str) -> Undo:
    return world.stick(evse)


@EVENTS.add(f"the main contactor of {{evse}} sticks{_FOR}", "the one before the charger stays where it is")
def _main_sticks(world: World, evse: str) -> Undo:
    return world.stick(evse, main=True)


@EVENTS.add(f"the contactors of {{evse}} bounce{_FOR}", "their auxiliary contacts flutter after each move")
def _bounce(world: World, evse: str) -> Undo:
    return world.bounce(evse)


# -- EVerest's EVSEs, the module, the clock


OF_EVEREST = ("hangs", "refuses its limits", "publishes nonsense")
"""What only a module of EVerest can do."""


def _everest_fault(world: World, evse: str, name: str) -> Undo:
    setattr(world.stage.evses[evse], name, True)
    return lambda: setattr(world.stage.evses[evse], name, False)


@EVENTS.add(f"{{evse}} hangs{_FOR}", "an EVSE of EVerest publishes and answers nothing")
def _hangs(world: World, evse: str) -> Undo:
    return _everest_fault(world, evse, "is_dead")


@EVENTS.add(f"{{evse}} refuses its limits{_FOR}", "enforce_limits fails")
def _refuses_limits(world: World, evse: str) -> Undo:
    return _everest_fault(world, evse, "refuses")


@EVENTS.add(f"{{evse}} publishes nonsense{_FOR}", "its request is malformed")
def _nonsense(world: World, evse: str) -> Undo:
    return _everest_fault(world, evse, "is_malformed")


@EVENTS.add(f"the module is killed{_FOR}", "kill -9; started again after the time")
def _killed(world: World) -> Undo:
    world.module.kill()
    return world.module.start


@EVENTS.add(f"decisions fail{_FOR}", "a defect in this software")
def _fails(world: World) -> Undo:
    return world.module.fail()


@EVENTS.add("the module restarts", "stopped and started, with what it has kept")
def _restarts(world: World) -> None:
    world.module.stop()
    world.module.start()


@EVENTS.add("the powermeter is taken away", "out of EVerest's config, while the module is killed")
def _disconnected(world: World) -> None:
    world.module.has_powermeter = False


@EVENTS.add("the state file is damaged", "while the module is killed")
def _damaged(world: World) -> None:
    world.module.damage_state()


@EVENTS.add("the wall clock jumps by {duration2}", "forward, or back with a minus")
def _jumps(world: World, duration2: float) -> None:
    world.clock.wall_jumps_s += duration2


def _on(amperes: float, phases: tuple[int, ...]) -> Vector3:
    one, two, three = (amperes if phase in phases else 0.0 for phase in range(3))
    return one, two, three


__all__ = ["EVENTS", "OF_EVEREST", "Happening", "Undo"]

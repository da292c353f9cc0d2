"""Whoever looks on: other modules, MQTT, Home Assistant, Prometheus. Each is there only if it is wanted.

What they need is imported only then: nobody pays memory for what is off.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from control.broker import Broker
from control.clock import Clock
from control.commands import Commands
from control.dispatch import Outcome
from control.everest import Outside
from control.manager import Decision
from control.notices import Notices
from control.schedules import JsonObject
from control.settings import Settings
from control.states import VARIABLES, SiteStates
from control.telemetry import Sink, Telemetry
from energy_management import ManagerState

if TYPE_CHECKING:
    from control.home_assistant import HomeAssistant
    from control.metrics import Metrics, Statistics
    from control.mqtt_api import MqttApi


class Observers:
    """Shows states to all of them, and takes commands from MQTT.

    Parameters
    ----------
    broker : Broker
        Broker of the MQTT API.
    states : SiteStates
        What there is to see.
    commands : Commands
        Carries out what is ordered.
    statistics : callable
        What happened on the buses.
    """

    def __init__(
        self,
        settings: Settings,
        outside: Outside,
        *,
        broker: Broker,
        states: SiteStates,
        commands: Commands,
        statistics: Statistics,
        notices: Notices,
        clock: Clock,
    ) -> None:
        self._log = outside.log
        self._mqtt = _mqtt(settings, broker, outside, commands) if settings.mqtt_api else None
        self._metrics: Metrics | None = None
        if settings.metrics_port:
            from control.metrics import Metrics  # noqa: PLC0415 - see above

            self._metrics = Metrics(
                settings.metrics_address,
                settings.metrics_port,
                states=states,
                notices=notices,
                statistics=statistics,
                clock=clock,
            )
        assistant = _home_assistant(settings, broker, self._mqtt)
        sinks = [
            *_everest(outside),
            *([self._mqtt.show] if self._mqtt else []),
            *([assistant.show] if assistant else []),
        ]
        afterwards = [assistant.tidy] if assistant else []
        self._telemetry = Telemetry(states, sinks, clock, notices, afterwards)

    def start(self) -> None:
        """Begin to show; what cannot be shown stops nothing else."""
        if self._mqtt:
            self._mqtt.start()
        if self._metrics:
            try:
                self._metrics.start()
            except OSError as error:
                self._log.error(
                    f"metrics: not available, metrics_address or metrics_port does not do: {error}"
                )
        self._telemetry.start()

    def stop(self) -> None:
        """End."""
        self._telemetry.stop()
        if self._mqtt:
            self._mqtt.stop()
        if self._metrics:
            self._metrics.stop()

    def on_decision(self, decision: Decision, state: ManagerState | None) -> None:
        """Count a decision."""
        if self._metrics and state is not None:
            self._metrics.on_decision(decision, {uuid: evse.switches for uuid, evse in state.evses.items()})

    def on_outcome(self, outcome: Outcome) -> None:
        """Count a limit that was answered, or was not."""
        if self._metrics:
            self._metrics.on_outcome(outcome)


def _everest(outside: Outside) -> list[Sink]:
    def show(name: str, state: JsonObject | None) -> None:
        if name in VARIABLES and state is not None:
            outside.everest.publish("control", name, state)

    return [show] if outside.has_control else []


def _mqtt(settings: Settings, broker: Broker, outside: Outside, commands: Commands) -> MqttApi:
    from control.mqtt_api import MqttApi  # noqa: PLC0415 - see above

    return MqttApi(broker, settings.module_id, commands.call, outside.log)


def _home_assistant(settings: Settings, broker: Broker, mqtt: MqttApi | None) -> HomeAssistant | None:
    if mqtt is None or not settings.home_assistant:
        return None
    from control.home_assistant import DEVICES, HomeAssistant  # noqa: PLC0415 - see above

    assistant = HomeAssistant(f"{broker.prefix}{settings.module_id}", mqtt.root, mqtt.retain)
    mqtt.hear(DEVICES, assistant.heard)
    return assistant

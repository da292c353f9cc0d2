"""The meter at this instance's own node: read by the bridge, or connected as ``powermeter``."""

from control.clock import Clock
from control.everest import Everest
from control.inbox import Inbox
from control.notices import Notices
from control.powermeter import MeterError, powermeter_of, reading_of
from control.schedules import JsonObject
from energy_management.measurement import Reading

FAULT = "powermeter/CommunicationFault"


class GridMeter:
    """Brings the meter's readings to the loop, into this node's request, and under this module's own name.

    Parameters
    ----------
    node : str
        Uuid of the own node.
    name : str or None
        Name of the meter among those of the bridge, if it is one of them.
    """

    def __init__(
        self, node: str, name: str | None, inbox: Inbox, everest: Everest, notices: Notices, *, clock: Clock
    ) -> None:
        self._node = node
        self._name = name
        self._inbox = inbox
        self._everest = everest
        self._notices = notices
        self._clock = clock

    def on_powermeter(self, powermeter: object) -> None:
        """Take what the connected meter publishes, and pass it on."""
        try:
            reading = reading_of(powermeter, self._clock().monotonic_s)
        except MeterError as error:
            self._notices.raise_("input/powermeter", str(error))
            return
        assert isinstance(powermeter, dict)  # reading_of has refused anything else
        self._inbox.reading(self._node, reading)
        self._show(powermeter)

    def on_bridge_reading(self, meter: str, reading: Reading) -> None:
        """Take a reading of one of the bridge's meters, which the loop has already."""
        if meter != self._name:
            return
        powermeter = powermeter_of(reading, meter, self._clock())
        if powermeter is None:
            self._notices.raise_(
                "meter/energy", f"meter {meter}: counts no energy, not published as powermeter"
            )
        else:
            self._show(powermeter)

    def on_bridge_fault(self, meter: str, text: str | None) -> None:
        """Take note that a meter of the bridge is silent, or with None that it answers again."""
        if text is None:
            self._notices.clear(f"meter/{meter}", f"meter {meter}: answers again")
        else:
            self._notices.raise_(f"meter/{meter}", f"meter {meter}: {text}")
        if meter == self._name and text is None:
            self._everest.clear_error("powermeter", FAULT)
        elif meter == self._name and text is not None:
            self._everest.raise_error("powermeter", FAULT, text)

    def _show(self, powermeter: JsonObject) -> None:
        self._inbox.usage(powermeter)
        self._everest.publish("powermeter", "powermeter", powermeter)

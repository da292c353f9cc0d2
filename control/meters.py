"""What is known of every meter: those of the bridge, and the one that is connected as ``powermeter``."""

import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass

from control.clock import Clock, Instant, timestamp
from control.everest import Everest
from control.inbox import Inbox
from control.meter_errors import MeterErrors
from control.notices import Notices
from control.powermeter import MeterError, phases_of, powermeter_of, reading_of
from control.schedules import JsonObject
from energy_management.measurement import Reading

CONNECTED = "powermeter"
"""Name of the meter that is connected, after the requirement."""


@dataclass(frozen=True, slots=True)
class MeterState:
    """One meter at one moment.

    Attributes
    ----------
    reading : Reading or None
        The newest; None before the first.
    fault : str or None
        Why nothing comes from it.
    is_stale : bool
        The newest reading does not count any more.
    """

    reading: Reading | None
    fault: str | None
    is_stale: bool


class Meters:
    """Keeps track of all meters; readings of the own node's go to EVerest and to the node above, too.

    Parameters
    ----------
    node : str
        Uuid of the own node.
    own : str or None
        Name of the meter at the own node, if it is one of the bridge's.
    stale_after_s : mapping of name to seconds
        The meters that there are, and the age beyond which a reading does not count.
    """

    def __init__(
        self,
        node: str,
        own: str | None,
        stale_after_s: Mapping[str, float],
        *,
        inbox: Inbox,
        everest: Everest,
        notices: Notices,
        clock: Clock,
    ) -> None:
        self._node = node
        self._own = own or CONNECTED
        self._stale_after_s = stale_after_s
        self._inbox = inbox
        self._everest = everest
        self._notices = notices
        self._clock = clock
        self._lock = threading.Lock()
        self._began_s = clock().monotonic_s
        self._readings: dict[str, Reading] = {}
        self._faults: dict[str, str] = {}
        self._errors = MeterErrors(everest, self._own)

    def on_powermeter(self, powermeter: object) -> None:
        """Take what the connected meter publishes, and pass it on."""
        try:
            reading = reading_of(powermeter, self._clock().monotonic_s)
        except MeterError as error:
            self._notices.raise_("input/powermeter", str(error))
            return
        assert isinstance(powermeter, dict)  # reading_of has refused anything else
        self._notices.clear("input/powermeter", "powermeter: readable again")
        self._note(CONNECTED, reading)
        self._inbox.reading(self._node, reading)
        self._show(powermeter)

    def on_bridge_reading(self, meter: str, reading: Reading) -> None:
        """Take a reading of one of the bridge's meters, which the loop has already."""
        self._note(meter, reading)
        if meter != self._own:
            return
        powermeter = powermeter_of(reading, meter, self._clock())
        if powermeter is None:
            self._notices.raise_(
                "meter/energy", f"meter {meter}: counts no energy, not published as powermeter"
            )
        else:
            self._notices.clear("meter/energy", f"meter {meter}: counts energy again")
            self._show(powermeter)

    def on_bridge_fault(self, meter: str, text: str | None) -> None:
        """Take note that a meter of the bridge is silent, or with None that it answers again."""
        if text is None:
            self._recover(meter)
        else:
            self._fail(meter, text)

    def check(self, now: Instant) -> None:
        """Take note of silence of the connected meter, which nobody else tells."""
        if CONNECTED in self._stale_after_s and self.states(now)[CONNECTED].is_stale:
            self._fail(CONNECTED, f"nothing heard for {self._stale_after_s[CONNECTED]:g} s")

    def doubt(self, root: str, complaints: Mapping[str, str]) -> None:
        """Take note of the nodes whose meters the allocation does not believe, and why.

        Parameters
        ----------
        root : str
            Root of the tree, which the own meter measures.
        """
        self._errors.doubted(root, complaints)

    def states(self, now: Instant) -> dict[str, MeterState]:
        """Return the state of each meter by its name."""
        with self._lock:
            readings, faults = dict(self._readings), dict(self._faults)
        states = {}
        for meter, stale_after_s in self._stale_after_s.items():
            reading = readings.get(meter)
            since_s = reading.taken_at if reading else self._began_s
            states[meter] = MeterState(
                reading, faults.get(meter), is_stale=now.monotonic_s - since_s > stale_after_s
            )
        return states

    def _note(self, meter: str, reading: Reading) -> None:
        with self._lock:
            self._readings[meter] = reading
        self._recover(meter)

    def _fail(self, meter: str, text: str) -> None:
        with self._lock:
            self._faults[meter] = text
        self._notices.raise_(f"meter/{meter}", f"meter {meter}: {text}")
        self._errors.silent(meter, text)

    def _recover(self, meter: str) -> None:
        with self._lock:
            was_faulty = self._faults.pop(meter, None) is not None
        if was_faulty:
            self._notices.clear(f"meter/{meter}", f"meter {meter}: answers again")
            self._errors.silent(meter, None)

    def _show(self, powermeter: JsonObject) -> None:
        self._inbox.usage(powermeter)
        self._everest.publish("powermeter", "powermeter", powermeter)


def meter_state(name: str, state: MeterState, now: Instant) -> JsonObject:
    """Write a ``MeterState``."""
    written: JsonObject = {"name": name, "is_stale": state.is_stale}
    if state.fault is not None:
        written["fault"] = state.fault
    reading = state.reading
    if reading is None:
        return written
    written["timestamp"] = timestamp(now.utc_of(reading.taken_at))
    for quantity, vector, digits in (
        ("current_A", reading.current_A, 1),
        ("voltage_V", reading.voltage_V, 0),
    ):
        if vector is not None:
            written[quantity] = phases_of(vector, digits)
    for quantity, value, digits in (
        ("power_W", reading.total_power_W, 0),
        ("energy_import_Wh", reading.energy_import_Wh, 0),
        ("energy_export_Wh", reading.energy_export_Wh, 0),
        ("frequency_Hz", reading.frequency_Hz, 2),
    ):
        if value is not None and math.isfinite(value):
            written[quantity] = round(value, digits)
    return written

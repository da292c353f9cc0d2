"""Device profiles: what an installer would otherwise look up in the manual of a meter or charger, as YAML.

A new device is a new file below ``bsp/profiles``; its name without ``.yaml`` is the profile's name.
The classes here are the format: one attribute is one key of the file.
"""

import functools
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import msgspec

from bsp.charger_controls import CurrentLimit, Enable, PhaseSwitching, Watchdog
from bsp.registers import Marker, Point, Table, Value, ValueType, WordOrder
from bsp.yaml_file import FileError, Key, Seconds, YamlFile, instead

NOMINAL_VOLTAGE_V = 230.0
"""Voltage by which limits are converted for devices that take a power."""

DIRECTORY = Path(__file__).parent / "profiles"

MEASURANDS = (
    "current_A", "voltage_V", "power_W", "reactive_power_VAR", "apparent_power_VA", "power_factor",
    "energy_Wh.import", "energy_Wh.export", "energy_Wh.sum",
)  # fmt: skip
_MEASUREMENT = re.compile(
    rf"^(?:(?:{'|'.join(re.escape(m) for m in MEASURANDS)})(?:\.(?:L1|L2|L3|N|total|L1_L2|L2_L3|L3_L1))?"
    r"|energy_Wh\.session|power_W\.(?:import|export)|frequency_Hz|temperature_C|phase_angle_deg\.L[123])$"
)


class Serial(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Line settings as the device leaves the factory."""

    baudrate: int = 9600
    parity: Literal["N", "E", "O"] = "N"
    stop_bits: Literal[1, 2] = 1


class Defaults(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What holds for every point that does not say otherwise."""

    table: Table = "holding"
    type: ValueType = "uint16"
    word_order: WordOrder = "msw_first"
    invalid: list[Marker | int] = []


class Blocks(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Address of a charger's nth connector: point address + first + stride * (n - 1)."""

    stride: int
    first: int = 0


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What every kind of device has.

    Attributes
    ----------
    vendor, models
        Whose it is.
    source : list of str
        Where the register map is from.
    verified : str
        What stands behind it: how many sources agree, or the device it was tried on.
    transport : list of str
        How the device is reached.
    serial : Serial or None
        Its factory line settings.
    unit : int
        Its factory Modbus address.
    max_registers_per_read : int
        More in one request and the device refuses or stays silent.
    max_gap : int
        Registers without meaning that one read may span to reach the next point; 0 where the device refuses
        addresses it does not document.
    request_gap : Seconds
        Silence that the device needs before each request.
    notes : list of str
        Quirks, and where sources disagree.
    alternatives : dict
        Where else some sources see a point; ``hil probe`` can tell by plausibility who is right.
    """

    vendor: str
    models: list[str]
    source: list[str]
    verified: str
    points: dict[str, Point]
    transport: list[Literal["rtu", "tcp", "ascii"]] = []
    serial: Serial | None = None
    unit: Annotated[int, msgspec.Meta(ge=0, le=255)] = 1
    port: int = 502
    max_registers_per_read: Annotated[int, msgspec.Meta(ge=1, le=125)] = 125
    max_gap: Annotated[int, msgspec.Meta(ge=0)] = 0
    request_gap: Seconds = 0.0
    defaults: Defaults = Defaults()
    notes: list[str] = []
    alternatives: dict[str, list[Point]] = {}

    def problems(self) -> Iterator[tuple[Key, str]]:
        """Yield what is wrong with the profile, as key and reason."""
        for name in self.alternatives:
            if name not in self.points:
                yield ("alternatives", name), "an alternative to a point that this profile does not have"
        for name, point in self.points.items():
            if point.scale_factor is not None and point.scale_factor not in self.points:
                yield ("points", name, "scale_factor"), f"no point '{point.scale_factor}' in this profile"
            if point.count > self.max_registers_per_read:
                yield (
                    ("points", name),
                    f"takes {point.count} registers, max_registers_per_read is {self.max_registers_per_read}",
                )


class Sunspec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A SunSpec device: addresses count from the model's ID register, which is found by walking the chain."""

    model: int


class MeterProfile(Profile, frozen=True, kw_only=True):
    """A power meter.

    Attributes
    ----------
    phases : int
        Phases it measures; of one, the first.
    sunspec : Sunspec or None
        Where its registers are found by walking the SunSpec chain.
    """

    phases: Literal[1, 2, 3]
    sunspec: Sunspec | None = None

    def problems(self) -> Iterator[tuple[Key, str]]:
        """Yield what is wrong with the profile, as key and reason."""
        yield from super().problems()
        for name in self.points:
            if not (
                _MEASUREMENT.match(name)
                or name.startswith("scale_factor.")
                or name in ("serial_number", "meter_id")
            ):
                yield (
                    ("points", name),
                    f"no such measurement, known: {', '.join(MEASURANDS)} with .L1 etc.",
                )


State = Literal["A", "B", "C", "D", "E", "F"]


class ConnectorProfile(Profile, frozen=True, kw_only=True):
    """A charger's connector: capabilities and actions.

    Attributes
    ----------
    phases : int
        Phases it can charge on.
    min_phases : int
        Fewest phases it can be switched to.
    status : dict
        Per IEC 61851 state the values that points must have for it, e.g. ``C: {status: [6, 7]}``. States are
        tried in the order of the file, the first that fits holds; ``A: {}`` always fits. What fits none is a
        fault.
    current_limit, enable, phase_switching, watchdog
        How it is controlled; see there.
    setup : dict
        Values written once after each connect, by point (e.g. no standby, which would break the connection).
    blocks : Blocks or None
        Where a device with several connectors has the registers of each.
    """

    phases: Literal[1, 3] = 3
    min_phases: Literal[1, 3] | None = None
    status: dict[State, dict[str, list[int | str]]]
    current_limit: CurrentLimit
    enable: Enable | None = None
    phase_switching: PhaseSwitching | None = None
    watchdog: Watchdog | None = None
    setup: dict[str, int] = {}
    blocks: Blocks | None = None

    def problems(self) -> Iterator[tuple[Key, str]]:
        """Yield what is wrong with the profile, as key and reason."""
        yield from super().problems()
        for key, name in self._references():
            if name not in self.points:
                yield key, f"no point '{name}' in this profile{instead(name, self.points)}"
        if self.current_limit.zero == "ignored" and self.enable is None:
            yield (
                ("current_limit", "zero"),
                "a device that ignores 0 needs 'enable', or it could never be paused",
            )
        steps = self.step_A / (self._register_step_A or self.step_A)
        if abs(steps - round(steps)) > 1e-6:
            yield ("current_limit", "step"), f"its register takes multiples of {self._register_step_A:g} A"
        if self.watchdog is not None and self.watchdog.feed == "write" and self.watchdog.point is None:
            yield ("watchdog", "point"), "missing; 'feed: write' needs it"

    def _references(self) -> Iterator[tuple[Key, str]]:
        """Yield every mention of a point outside ``points``."""
        for state, conditions in self.status.items():
            yield from ((("status", state, name), name) for name in conditions)
        yield from ((("current_limit", "points"), name) for name in self.current_limit.points)
        yield from ((("setup", name), name) for name in self.setup)
        for section, keys in (
            ("enable", ("point",)),
            ("phase_switching", ("point", "confirm")),
            ("watchdog", ("point", "timeout_point", "fallback_point")),
        ):
            part = getattr(self, section)
            names = (getattr(part, key) for key in keys) if part is not None else ()
            yield from (
                ((section, key), name) for key, name in zip(keys, names, strict=False) if name is not None
            )
        if self.phase_switching is not None:
            for key in ("first", "trigger", "available_if"):
                yield from (
                    (("phase_switching", key, name), name) for name in getattr(self.phase_switching, key)
                )

    def base(self, number: int) -> int:
        """Tell what is added to the addresses of the nth connector, from 1."""
        return 0 if self.blocks is None else self.blocks.first + self.blocks.stride * (number - 1)

    @property
    def per_ampere(self) -> float:
        """Units of the limit register per ampere; a power is counted on all phases."""
        return NOMINAL_VOLTAGE_V * self.phases if self.current_limit.unit == "W" else 1.0

    @property
    def step_A(self) -> float:
        """Steps of the limit: those of the device, or of its register where these are coarser."""
        return max(self.current_limit.step, self._register_step_A)

    @property
    def least_A(self) -> float:
        """Least limit, other than 0, that can be set: the minimum, or the step above it, to the next 10 mA.

        A limit of the minimum itself would be rounded down, and nobody charges with less than that.
        """
        least_A = math.ceil(self.current_limit.minimum / self.step_A - 1e-9) * self.step_A
        return math.ceil(least_A * 100 - 1e-6) / 100

    def limit_for(self, current_A: float) -> float:
        """Largest limit that the device accepts and that is not above `current_A`; 0 below its minimum."""
        steps = math.floor(min(current_A, self.current_limit.maximum) / self.step_A + 1e-9)
        settable_A = steps * self.step_A
        return settable_A if settable_A >= self.current_limit.minimum - 1e-9 else 0.0

    @property
    def _register_step_A(self) -> float:
        """What one step of the coarsest limit register means; 0 where all are floating-point numbers."""
        points = [self.points[name] for name in self.current_limit.points if name in self.points]
        return max(
            (0.0 if point.is_float else point.scale / self.per_ampere for point in points), default=0.0
        )

    def state_of(self, values: dict[str, Value]) -> State | None:
        """IEC 61851 state that the values of the status points mean; None if no rule fits."""
        for state, conditions in self.status.items():
            if all(values.get(name) in allowed for name, allowed in conditions.items()):
                return state
        return None

    @property
    def status_points(self) -> tuple[str, ...]:
        """Points that the state is derived from."""
        return tuple(dict.fromkeys(name for conditions in self.status.values() for name in conditions))


P = TypeVar("P", bound=Profile)


@functools.cache
def meter_profile(name: str) -> MeterProfile:
    """Read the profile of a meter by its name (``eastron_sdm630``) or by the path of a YAML file."""
    return load_profile("meters", name, MeterProfile)


@functools.cache
def connector_profile(name: str) -> ConnectorProfile:
    """Read the profile of a charger's connector by its name or by the path of a YAML file."""
    return load_profile("connectors", name, ConnectorProfile)


def profile_names(kind: Literal["meters", "connectors", "relays"]) -> list[str]:
    """Names of the profiles that come with the project."""
    return sorted(path.stem for path in (DIRECTORY / kind).glob("*.yaml"))


def load_profile(kind: Literal["meters", "connectors", "relays"], name: str, structure: type[P]) -> P:
    """Read a profile by its name, or by the path of a YAML file.

    Raises
    ------
    FileError
        There is none of that name, or it is wrong; one line for each problem.
    """
    path = Path(name) if name.endswith(".yaml") else DIRECTORY / kind / f"{name}.yaml"
    if not path.exists():
        raise FileError([f"no profile '{name}'{instead(name, profile_names(kind))}, `hil devices` lists all"])
    file = YamlFile(path, structure)
    defaults = file.value.defaults
    profile = msgspec.structs.replace(
        file.value,
        points={key: _with_defaults(point, defaults) for key, point in file.value.points.items()},
        alternatives={
            key: [_with_defaults(point, defaults) for point in points]
            for key, points in file.value.alternatives.items()
        },
    )
    for key, reason in profile.problems():
        file.problem(key, reason)
    file.check()
    return profile


def _with_defaults(point: Point, defaults: Defaults) -> Point:
    table = point.table or defaults.table
    bits = table in ("coil", "discrete")
    return msgspec.structs.replace(
        point,
        table=table,
        type=point.type or ("bool" if bits else defaults.type),
        word_order=point.word_order or defaults.word_order,
        invalid=defaults.invalid if point.invalid is None else point.invalid,
    )

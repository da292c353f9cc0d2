"""A cloudy day on the roof: what a photovoltaic generator feeds in, second by second.

The same seed gives the same day. The model has three parts.

- A clear sky: the sun's elevation at 51 degrees north (Cologne, Leipzig, London) by the usual formula of
  declination and hour angle, and the irradiance that B. Haurwitz gave for it in 1945:
  1098 W/m2 cos z exp(-0.057 / cos z), with the zenith angle z. Modules lie flat and give their rated power at
  1000 W/m2, less 14 % for heat, wires and inverter.
- Clouds: a Markov chain of three skies, each with what it lets through and how long it lasts on average (the
  times are exponentially distributed, the next sky is one of the other two). Cumulus passes within minutes.
- Edges: a cloud takes 3 s to 30 s to cover all modules, during which the power moves in a straight line. On
  top of that is a flicker of 2 % whose memory is 20 s long, so that no two readings are the same.
"""

import math
from dataclasses import dataclass
from random import Random

from energy_management.measurement import Vector3

DAY_S = 86_400
NOON_S = DAY_S // 2
MIDSUMMER = 172
"""June 21, as the day of the year."""

LATITUDE = 51.0
LOSSES = 0.14
FLICKER = 0.02
FLICKER_S = 20.0


@dataclass(frozen=True, slots=True)
class Sky:
    """One kind of sky.

    Attributes
    ----------
    name : str
        As a person would call it.
    lets_through : float
        Part of the irradiance of a clear sky.
    mean_s : float
        How long it lasts on average.
    """

    name: str
    lets_through: float
    mean_s: float


CUMULUS = (Sky("clear", 1.0, 240.0), Sky("thin cloud", 0.6, 120.0), Sky("thick cloud", 0.2, 180.0))
"""Fair weather with many small clouds: an edge every three minutes, the worst there is for surplus."""

WEATHER = {
    "clear": (Sky("clear", 1.0, DAY_S),),
    "cloudy": CUMULUS,
    "overcast": (Sky("overcast", 0.15, DAY_S),),
}
"""Skies by the name of the weather."""


def clear_sky_W(second: float, peak_W: float, *, day_of_year: int = MIDSUMMER) -> float:
    """Power under a clear sky at a second of the solar day.

    Parameters
    ----------
    second : float
        From midnight, solar time: the sun stands highest at noon.
    peak_W : float
        Rated power of the modules.
    """
    declination = math.radians(23.45) * math.sin(2 * math.pi * (284 + day_of_year) / 365)
    hour_angle = 2 * math.pi * (second - NOON_S) / DAY_S
    latitude = math.radians(LATITUDE)
    cos_zenith = math.sin(latitude) * math.sin(declination) + math.cos(latitude) * math.cos(
        declination
    ) * math.cos(hour_angle)
    if cos_zenith <= 0:
        return 0.0
    irradiance = 1098 * cos_zenith * math.exp(-0.057 / cos_zenith)
    return peak_W * (1 - LOSSES) * irradiance / 1000


def cloudy_day(
    peak_W: float, *, seed: int = 1, skies: tuple[Sky, ...] = CUMULUS, day_of_year: int = MIDSUMMER
) -> list[float]:
    """Power of every second of a day.

    Parameters
    ----------
    peak_W : float
        Rated power of the modules.
    seed : int
        Same seed, same day.
    skies : tuple of Sky
        What passes by; a single one stays.
    """
    clouds = _Clouds(skies, Random(seed))
    return [
        clear_sky_W(second, peak_W, day_of_year=day_of_year) * clouds.advance() for second in range(DAY_S)
    ]


class Roof:
    """Modules on a roof as a load that feeds in, from a time of a day on; each day has clouds of its own.

    Parameters
    ----------
    peak_W : float
        Rated power of the modules.
    start_s : float
        Second of the solar day at the start.
    day_of_year : int
        That day.
    weather : str
        A key of `WEATHER`.
    seed : int
        Same seed, same days.
    phases : tuple of int
        Grid phases that it feeds in on, 0 is L1; all alike.
    """

    STEADY_A = 0.3
    """Smaller changes are none."""

    def __init__(
        self,
        peak_W: float,
        *,
        start_s: float,
        day_of_year: int = MIDSUMMER,
        weather: str = "cloudy",
        seed: int = 1,
        phases: tuple[int, ...] = (0, 1, 2),
        voltage_V: float = 230.0,
    ) -> None:
        self._peak_W, self._day_of_year, self._seed = peak_W, day_of_year, seed
        self._skies = WEATHER[weather]
        self._phases = phases
        self._voltage_V = voltage_V
        self._now_s = start_s
        self._days: dict[int, list[float]] = {}

    def advance(self, dt_s: float) -> None:
        """Let time pass."""
        self._now_s += dt_s

    @property
    def power_W(self) -> float:
        """What it feeds in at present."""
        return self._at(int(self._now_s + 1e-6))

    @property
    def current_A(self) -> Vector3:
        """Draw on the grid's L1, L2, L3, so never above zero."""
        each_A = -self.power_W / self._voltage_V / len(self._phases)
        one, two, three = (each_A if phase in self._phases else 0.0 for phase in range(3))
        return one, two, three

    @property
    def steady_for_s(self) -> float:
        """How long its current will stay so for certain; no more than a minute is looked ahead."""
        now, second = self.power_W, int(self._now_s + 1e-6)
        most_W = self.STEADY_A * self._voltage_V * len(self._phases)
        for ahead in range(1, 61):
            if abs(self._at(second + ahead) - now) > most_W:
                return second + ahead - self._now_s
        return 60.0

    def _at(self, second: int) -> float:
        number, second = divmod(second, DAY_S)
        if number not in self._days:
            self._days[number] = cloudy_day(
                self._peak_W,
                seed=self._seed + number,
                skies=self._skies,
                day_of_year=(self._day_of_year - 1 + number) % 365 + 1,
            )
        return self._days[number][second]


class _Clouds:
    """What the sky lets through, in steps of a second."""

    def __init__(self, skies: tuple[Sky, ...], random: Random) -> None:
        self._skies = skies
        self._random = random
        self._sky = skies[0]
        self._left_s = self._lasts_s()
        self._through = self._sky.lets_through
        self._slope = 0.0
        self._flicker = 0.0

    def advance(self) -> float:
        """Let a second pass."""
        self._left_s -= 1.0
        if self._left_s <= 0.0:
            self._change()
        distance = self._sky.lets_through - self._through
        self._through += math.copysign(min(abs(distance), self._slope), distance)
        keep = 1.0 - 1.0 / FLICKER_S
        self._flicker = keep * self._flicker + self._random.gauss(0.0, FLICKER * math.sqrt(1 - keep**2))
        return max(0.0, self._through * (1.0 + self._flicker))

    def _change(self) -> None:
        others = [sky for sky in self._skies if sky is not self._sky] or [self._sky]
        self._sky = self._random.choice(others)
        self._left_s = self._lasts_s()
        self._slope = abs(self._sky.lets_through - self._through) / self._random.uniform(3.0, 30.0)

    def _lasts_s(self) -> float:
        return self._random.expovariate(1.0 / self._sky.mean_s)

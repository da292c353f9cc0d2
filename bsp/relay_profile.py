"""Profiles of relay boards; see `bsp.profile` for what all profiles have."""

import functools
import re
from collections.abc import Iterator

import msgspec

from bsp.profile import Profile, load_profile
from bsp.yaml_file import Key, instead

_RELAY_POINT = re.compile(r"^(?:(?:relay|input)\.[1-9][0-9]?|setup\.\w+)$")


class RelayProfile(Profile, frozen=True, kw_only=True):
    """A board with relays, and maybe inputs.

    Its points are ``relay.1``, ``relay.2``, ... and ``input.1``, ``input.2``, ...

    Attributes
    ----------
    on, off : int
        What closes and opens a relay.
    setup : dict
        Values written once after each connect, by point.
    """

    on: int = 1
    off: int = 0
    setup: dict[str, int] = msgspec.field(default_factory=dict)

    @property
    def relays(self) -> list[int]:
        """Numbers of the relays."""
        return [int(name.removeprefix("relay.")) for name in self.points if name.startswith("relay.")]

    @property
    def inputs(self) -> list[int]:
        """Numbers of the inputs."""
        return [int(name.removeprefix("input.")) for name in self.points if name.startswith("input.")]

    def problems(self) -> Iterator[tuple[Key, str]]:
        """Yield what is wrong with the profile, as key and reason."""
        yield from super().problems()
        for name in self.points:
            if not _RELAY_POINT.match(name):
                yield ("points", name), "must be relay.1, input.1 or setup.something"
        for name in self.setup:
            if name not in self.points:
                yield ("setup", name), f"no point '{name}' in this profile{instead(name, self.points)}"


@functools.cache
def relay_profile(name: str) -> RelayProfile:
    """Read the profile of a relay board by its name or by the path of a YAML file."""
    return load_profile("relays", name, RelayProfile)

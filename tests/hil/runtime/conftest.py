"""Fixtures for tests of the runtime."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hil.runtime.module_world import World


@pytest.fixture
def world(broker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A broker with a manager stub, for modules inside the test's process."""
    world = World(broker, tmp_path, monkeypatch)
    yield world
    world.close()
    assert world.ended == [], "the framework wanted to end the process"

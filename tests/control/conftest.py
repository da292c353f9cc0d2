"""Instances under test, stopped in the end."""

from collections.abc import Iterator

import pytest

from tests.control.instance import Instance


@pytest.fixture
def instances() -> Iterator[list[Instance]]:
    started: list[Instance] = []
    yield started
    for instance in started:
        instance.site.stop()

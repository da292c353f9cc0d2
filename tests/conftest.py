"""Fixtures that tests of every package share: MQTT brokers."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from hil.runtime.broker import embedded_broker
from tests.brokers import Mosquitto, require_mosquitto
from tests.steady import SteadyPolicy


def pytest_configure() -> None:
    """Let nothing depend on how fast the machine is: event loops and hypothesis do not count its stalls."""
    asyncio.set_event_loop_policy(SteadyPolicy())
    # How long an example takes is no property, and what is found shall be found again, on any machine.
    is_a_search = "PROPERTY_EXAMPLES" in os.environ
    settings.register_profile(
        "steady",
        deadline=None,
        derandomize=not is_a_search,
        suppress_health_check=[HealthCheck.too_slow],
    )
    settings.load_profile("steady")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put tests that wait long first: the others run beside them, so that nobody is left over at the end."""
    items.sort(key=lambda item: item.get_closest_marker("xdist_group") is None)


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """Start a mosquitto of the test's own, which it may kill and start again."""
    require_mosquitto()
    process = Mosquitto(tmp_path)
    process.start()
    yield process
    process.stop()


@pytest.fixture(scope="session")
def shared_mosquitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    require_mosquitto()
    process = Mosquitto(tmp_path_factory.mktemp("mosquitto"))
    process.start()
    yield process.address
    process.stop()


@pytest.fixture(scope="session")
def shared_amqtt() -> Iterator[str]:
    with embedded_broker() as address:
        yield address


@pytest.fixture(params=["amqtt", pytest.param("mosquitto", marks=pytest.mark.mosquitto)])
def broker(request: pytest.FixtureRequest) -> str:
    """Address of a broker; each test runs on the embedded one and on mosquitto.

    The brokers live as long as the test session: a test takes a prefix of its own.
    """
    address: str = request.getfixturevalue(f"shared_{request.param}")
    return address

"""amqtt as a broker inside this process."""

import asyncio
import logging
from concurrent.futures import Future

from amqtt.adapters import StreamReaderAdapter, StreamWriterAdapter
from amqtt.broker import Broker
from amqtt.contexts import BrokerConfig, ListenerConfig, ListenerType
from amqtt.session import Session

Started = tuple[asyncio.AbstractEventLoop, asyncio.Event, int]
"""The broker's loop, the event that stops it, and its port."""


class _Broker(Broker):  # type: ignore[misc]  # amqtt has no types
    async def _publish_retained_messages_for_subscription(
        self, subscription: tuple[str, int], session: Session
    ) -> None:
        # amqtt 0.12 calls this for every new connection with the subscriptions of all clients: each would get
        # what others asked for, and a client that subscribes meanwhile would break the loop over them.
        subscribers = self.subscriptions.get(subscription[0], ())
        if any(subscriber is session for subscriber, _ in subscribers):
            await super()._publish_retained_messages_for_subscription(subscription, session)


async def serve(host: str, port: int, started: Future[Started]) -> None:
    """Run a broker until its stop event is set.

    Parameters
    ----------
    host, port
        Where to listen; port 0 takes a free one.
    started
        Gets what it takes to stop the broker, or the error of a port that is taken.
    """
    # amqtt tells of every connection, and warns of every client that leaves without a DISCONNECT.
    logging.getLogger("amqtt").setLevel(logging.ERROR)
    # The listening socket is ours: amqtt's own cannot tell which free port it got. asyncio sets TCP_NODELAY.
    listener = "default"
    broker = _Broker(
        BrokerConfig(
            listeners={listener: ListenerConfig(type=ListenerType.EXTERNAL)},
            plugins={"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
        )
    )

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await broker.external_connected(StreamReaderAdapter(reader), StreamWriterAdapter(writer), listener)

    await broker.start()
    try:
        server = await asyncio.start_server(connected, host, port)
    except OSError as error:
        await broker.shutdown()
        started.set_exception(error)
        return
    stop = asyncio.Event()
    started.set_result((asyncio.get_running_loop(), stop, server.sockets[0].getsockname()[1]))
    await stop.wait()
    server.close()
    await broker.shutdown()

"""The handshake: what a module learns from the manager before it can do anything."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from hil.runtime.framework.inbox import Mailbox
from hil.runtime.framework.link import Link
from hil.runtime.wire import Era, Json, ProtocolError, Topics

_TIMEOUT_s = 15.0
_ATTEMPTS = 2


@dataclass(frozen=True, slots=True)
class Definitions:
    """Everything that the manager told.

    Attributes
    ----------
    era
        Generation of the protocol that the manager speaks.
    interfaces, types, manifests
        By interface name, type file (``/energy``) and module type.
    settings
        ``validate_schema``, ``forward_exceptions``, directories.
    module_names
        Module type of each module id.
    module_config
        Configuration, connections and mapping of this module.
    """

    era: Era
    interfaces: dict[str, Json]
    types: dict[str, Json]
    manifests: dict[str, Json]
    settings: dict[str, Any]
    module_names: dict[str, str]
    module_config: dict[str, Any]


class ConfigurationClient:
    """Asks the manager, one question at a time."""

    def __init__(self, link: Link, topics: Topics, module_id: str, mailbox: Mailbox, era: Era) -> None:
        self._link = link
        self._topics = topics
        self._module_id = module_id
        self._mailbox = mailbox
        self._era = era

    def ask(self, kind: str, request: Json) -> dict[str, Any]:
        """Send a request of type ``Get`` or ``Set`` and wait for the answer.

        Raises
        ------
        TimeoutError
            The manager does not answer, twice.
        """
        answer_topic = self._topics.module(self._module_id, "response")
        question = {"type": kind, "origin": self._module_id, "request": request}
        for attempt in range(_ATTEMPTS):
            self._mailbox.discard(answer_topic)
            self._link.publish(self._topics.config_request, self._era.request, question)
            try:
                msg_type, answer = self._mailbox.take(answer_topic, _TIMEOUT_s)
            except TimeoutError:
                if attempt == _ATTEMPTS - 1:
                    raise
                continue
            if msg_type == self._era.response and isinstance(answer, dict):
                return answer
        raise ProtocolError(f"{answer_topic}: no answer to a configuration request, but {msg_type}: {answer}")


def fetch(
    link: Link, topics: Topics, module_id: str, mailbox: Mailbox
) -> tuple[ConfigurationClient, Definitions]:
    """Learn era, definitions and own configuration from a manager of either era.

    Nothing is sent before the manager's era is known from its retained ``interfaces``.

    Raises
    ------
    RuntimeError
        No manager at this prefix, one of another era, or one that refuses this module.
    """
    retained = _Retained(topics, mailbox)
    link.subscribe(topics.module(module_id, "response"), *retained.filters)
    link.wait_until_subscribed()
    try:
        era = retained.era()
        client = ConfigurationClient(link, topics, module_id, mailbox, era)
        answer = client.ask("Get", {"type": "Module"})
        if answer.get("status") != "Ok":
            raise RuntimeError(
                f"the manager refuses the configuration of module {module_id!r}: "
                f"{answer.get('status_info') or answer.get('status')}"
            )
        module_names = retained.get("module_names")
        definitions = Definitions(
            era=era,
            interfaces=retained.get_all(topics.interface_definition, retained.interface_names),
            types=retained.get_all(topics.type_definition, retained.get("types")),
            manifests=retained.get_all(topics.manifest, set(module_names.values())),
            settings=retained.get("settings"),
            module_names=module_names,
            module_config=answer["response"]["data"]["module_config"],
        )
        _insist_on_members(definitions)
    except TimeoutError as error:
        raise RuntimeError(
            f"{error}: is a manager running at prefix {topics.prefix!r}, does its configuration name module "
            f"{module_id!r}, and is the module started before all others are ready?"
        ) from error
    except (KeyError, TypeError, AttributeError) as error:
        raise RuntimeError(f"the manager's definitions lack something: {error!r}") from error
    link.unsubscribe(*retained.filters)
    return client, definitions


def _insist_on_members(definitions: Definitions) -> None:
    """Raise ``KeyError`` for what is missing, here and not where it is needed later."""
    config = definitions.module_config
    for parameter in (each for scope in config["configuration_parameters"].values() for each in scope):
        parameter["name"], parameter["value"]
    for connection in (each for targets in config["connections"].values() for each in targets):
        connection["module_id"], connection["implementation_id"]
    manifest = definitions.manifests[config["module_name"]]
    for entry in (*manifest.get("provides", {}).values(), *manifest.get("requires", {}).values()):
        entry["interface"]
    for directory in ("etc_dir", "modules_dir", "data_dir"):
        definitions.settings[directory]


class _Retained:
    """The retained messages of the manager."""

    def __init__(self, topics: Topics, mailbox: Mailbox) -> None:
        self._topics = topics
        self._mailbox = mailbox
        self._era: Era | None = None
        self.interface_names: list[str] = []
        names = ("interfaces", "types", "settings", "module_names")
        self.filters = (
            *(topics.top(name) for name in names),
            topics.interface_definition("+"),
            topics.type_definition("/#"),
            topics.manifest("+"),
        )

    def era(self) -> Era:
        msg_type, self.interface_names = self._take(self._topics.top("interfaces"))
        self._era = Era.of({"msg_type": msg_type})
        return self._era

    def get(self, name: str) -> Json:
        return self._definition(self._topics.top(name))

    def get_all(self, topic_of: Callable[[str], str], names: Iterable[str]) -> dict[str, Json]:
        return {name: self._definition(topic_of(name)) for name in names}

    def _definition(self, topic: str) -> Json:
        msg_type, data = self._take(topic)
        if self._era is None or msg_type != self._era.response:
            raise ProtocolError(f"{topic}: expected a definition of the manager, got msg_type {msg_type!r}")
        return data

    def _take(self, topic: str) -> tuple[str, Json]:
        return self._mailbox.take(topic, _TIMEOUT_s * _ATTEMPTS)

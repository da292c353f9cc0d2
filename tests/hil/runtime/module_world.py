"""A small world for module tests: a manager stub, stores, and a client that is connected to them."""

import os
from pathlib import Path
from typing import Any

import pytest

from hil.runtime.framework import Fulfillment, Module, RuntimeSession
from hil.runtime.wire import Era, Json
from tests.hil.runtime.module_process import environment
from tests.hil.runtime.stub_manager import SETTINGS, StubManager, module_answer

STORE = {
    "cmds": {
        "load": {
            "arguments": {"key": {"type": "string", "minLength": 1}},
            "result": {"type": ["string", "null"]},
        },
        "put": {
            "arguments": {"key": {"type": "string"}, "amount": {"$ref": "/store#/Amount", "type": "object"}},
            "result": {"type": "null"},
        },
        "reset": {"arguments": {}, "result": {"type": "null"}},
    },
    "vars": {
        "size": {"type": "integer", "qos": 2},
        "amount": {"$ref": "/store#/Amount", "type": "object", "qos": 2},
    },
    "errors": {
        "store": {
            "Full": {"name": "Full", "namespace": "store", "description": "No room is left"},
            "Locked": {"name": "Locked", "namespace": "store", "description": "Nobody gets in"},
        },
        "power": {"Lost": {"name": "Lost", "namespace": "power", "description": "It is dark"}},
    },
}
TYPES = {
    "Amount": {
        "type": "object",
        "required": ["pieces"],
        "additionalProperties": False,
        "properties": {
            "pieces": {"type": "integer", "minimum": 0},
            "weight_kg": {"type": "number"},
            "since": {"type": "string", "format": "date-time"},
        },
    }
}
METADATA = {"license": "https://opensource.org/licenses/Apache-2.0", "authors": ["Ann", "Bob"]}
MANIFESTS: dict[str, Json] = {
    "Store": {
        "description": "keeps things",
        "metadata": METADATA,
        "provides": {"main": {"interface": "store", "config": {}, "description": "the store"}},
        "requires": {},
        "enable_global_errors": False,
    },
    "Client": {
        "description": "uses stores",
        "metadata": METADATA,
        "provides": {},
        "requires": {
            "stores": {"interface": "store", "min_connections": 1, "max_connections": 9},
            "quiet": {
                "interface": "store",
                "min_connections": 0,
                "max_connections": 1,
                "ignore": {"errors": True},
            },
            "clock": {"interface": "clock", "min_connections": 0, "max_connections": 1},
        },
        "enable_global_errors": False,
    },
}
MODULE_NAMES = {"shop": "Store", "depot": "Store", "client": "Client"}


FULL = "modules/shop/impl/main/error/store/Full"


def wire_error(state: str = "Active", sub_type: str = "", **more: Json) -> dict[str, Json]:
    return {
        "type": "store/Full",
        "sub_type": sub_type,
        "message": "shelf 3",
        "description": "No room is left",
        "severity": "Medium",
        "origin": {"module_id": "shop", "implementation_id": "main", "mapping": {"evse": 1}},
        "state": state,
        "timestamp": "2026-08-21T07:00:00.040Z",
        "uuid": "0a5ffe74-3a1c-4d40-8a0e-0b0b0b0b0b0b",
        "vendor_id": "everest",
        **more,
    }


def parameter(name: str, value: Json) -> Json:
    return {
        "name": name,
        "value": value,
        "characteristics": {"datatype": "string", "mutability": "ReadOnly"},
    }


def configs() -> dict[str, Json]:
    return {
        "shop": module_answer(
            "shop",
            "Store",
            {"!module": [], "main": [parameter("owner", "Ann"), parameter("rent", 12.5)]},
            {},
            {"module": {"evse": 1}, "implementations": {"main": {"evse": 1, "connector": 2}}},
        ),
        "depot": module_answer("depot", "Store", {"!module": [], "main": []}, {}),
        "client": module_answer(
            "client",
            "Client",
            {"!module": [parameter("greeting", "hi"), parameter("count", 3)]},
            {"stores": [("shop", "main"), ("depot", "main")], "quiet": [("depot", "main")]},
        ),
    }


class World:
    """A manager stub on a broker, and modules that run in this process."""

    def __init__(self, broker: str, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.broker = broker
        self.directory = directory
        self.prefix = f"{directory.name}/"
        self.configs = configs()
        self.ended: list[int] = []
        self.modules: list[Module] = []
        self._manager: StubManager | None = None
        self._monkeypatch = monkeypatch
        # What would end the process ends only the thread, so that the test can tell.
        monkeypatch.setattr(os, "_exit", self._end)

    def start_manager(self, era: Era = Era.MAIN, **settings: Any) -> StubManager:
        retained: dict[str, Json] = {
            "interfaces": ["store"],
            "interface_definitions/store": STORE,
            "types": ["/store"] if settings.get("validate_schema") else [],
            "type_definitions/store": TYPES,
            "settings": {**SETTINGS, **settings},
            "module_names": MODULE_NAMES,
            **{f"manifests/{name}": manifest for name, manifest in MANIFESTS.items()},
        }
        self._manager = StubManager(self.broker, self.prefix, retained, self.configs, era)
        return self._manager

    @property
    def manager(self) -> StubManager:
        return self._manager or self.start_manager()

    def session(self, module_id: str, **variables: str) -> RuntimeSession:
        for name in [name for name in os.environ if name.startswith("EV_")]:
            self._monkeypatch.delenv(name)
        values = {**environment(module_id, self.broker, self.prefix, self.directory), **variables}
        for name, value in values.items():
            self._monkeypatch.setenv(name, value)
        return RuntimeSession()

    def module(self, module_id: str) -> Module:
        assert self.manager
        module = Module(self.session(module_id))
        self.modules.append(module)
        return module

    def client(self) -> tuple[Module, Fulfillment]:
        """Return the client, ready, and its connection to the shop, which the stub plays."""
        client = self.module("client")
        client.init_done()
        self.manager.wait_until_ready("client")
        return client, client.say_hello().connections["stores"][0]

    def answer_next_call(self, command: str, count: int = 1, **answer: Json) -> Json:
        """Play the shop: answer the ``count``-th call of a command, and return the call."""
        call = self.manager.wait_for_topic(f"modules/shop/impl/main/cmd/{command}", count).data
        self.send_result(command, {"id": call["id"], "origin": "shop", **answer})
        return call

    def send_result(self, command: str, data: Json) -> None:
        topic = f"modules/shop/impl/main/cmd/{command}/response/client"
        self.manager.send(topic, "CmdResult", {"type": "result", "data": data})

    def send_variable(self, name: str, data: Json, store: str = "shop") -> None:
        self.manager.send(f"modules/{store}/impl/main/var/{name}", "Var", data)

    def close(self) -> None:
        for module in self.modules:
            module._link.close()
        if self._manager is not None:
            self._manager.close()

    def _end(self, status: int) -> None:
        self.ended.append(status)
        raise SystemExit(status)

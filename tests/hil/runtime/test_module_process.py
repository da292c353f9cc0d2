"""Modules as processes: what ends them, with which exit code, and what the log says."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.brokers import Mosquitto
from tests.hil.runtime.module_process import ROOT, ModuleProcess, environment, module_process
from tests.hil.runtime.module_world import FULL, World, wire_error
from tests.hil.runtime.stub_manager import StubManager
from tests.patience import WITHIN_S

SHOP = """
import threading
from everest.framework import Module, RuntimeSession, log

module = Module(RuntimeSession())
def load(args):
    if args["key"] == "bad":
        raise LookupError("out of apples")
    return args["key"]
module.implement_command("main", "load", load)
module.implement_command("main", "put", print)
module.implement_command("main", "reset", print)
module.init_done()
threading.Event().wait()
"""
CLIENT = """
import threading
from everest.framework import Module, RuntimeSession, log

def fail(*args):
    raise LookupError("out of apples")
module = Module(RuntimeSession())
shop = module.say_hello().connections["stores"][0]
module.subscribe_variable(shop, "size", fail)
module.subscribe_error(shop, "store/Full", fail, fail)
module.shutdown_handler(fail)
module.init_done(fail)
threading.Event().wait()
"""

Start = Callable[[str, str], AbstractContextManager[ModuleProcess]]


@pytest.fixture
def start(world: World, tmp_path: Path) -> Start:
    """Start a module from its source and wait until it is ready."""

    @contextmanager
    def start_module(source: str, module_id: str) -> Iterator[ModuleProcess]:
        assert world.manager
        script = tmp_path / "module.py"
        script.write_text(source)
        variables = environment(module_id, world.broker, world.prefix, tmp_path)
        with module_process(script, variables, tmp_path / "log") as module:
            world.manager.wait_until_ready(module_id)
            yield module

    return start_module


def test_a_handler_that_raises_ends_the_module_once_the_caller_knows(start: Start, world: World) -> None:
    with start(SHOP, "shop") as module:
        load = "modules/shop/impl/main/cmd/load"
        assert world.manager.call(load, {"key": "good"}, "id-1")["retval"] == "good"
        answer = world.manager.call(load, {"key": "bad"}, "id-2")
        assert answer["error"] == {
            "__everest__error_type": "HandlerException",
            "__everest__error_msg": "LookupError: out of apples",
        }
        assert module.wait() == 1
        assert (
            f"[CRIT] shop :: Exception in the handler of {world.prefix}{load}, the module ends" in module.log
        )
        assert "LookupError: out of apples" in module.log


def send_variable(manager: StubManager) -> None:
    manager.send("modules/shop/impl/main/var/size", "Var", {"data": 1})


def send_error(manager: StubManager) -> None:
    manager.send(FULL, "RaiseError", wire_error())


def send_shutdown(manager: StubManager) -> None:
    manager.send_raw("shutdown", b"true")


@pytest.mark.parametrize(
    ("trigger", "where"),
    [
        (send_variable, "var/size"),
        (send_error, "error/store/Full"),
        (send_shutdown, "on-shutdown"),
        (StubManager.go, "on-ready"),
    ],
)
def test_a_callback_that_raises_ends_the_module(
    trigger: Callable[[StubManager], None], where: str, start: Start, world: World
) -> None:
    with start(CLIENT, "client") as module:
        trigger(world.manager)
        assert module.wait() == 1
        assert "[CRIT] client :: Exception in" in module.log
        assert where in module.log
        assert "LookupError: out of apples" in module.log


@pytest.mark.mosquitto
@pytest.mark.parametrize("end_broker", [Mosquitto.kill, Mosquitto.stop])
def test_a_module_that_loses_its_broker_ends(
    end_broker: Callable[[Mosquitto], None],
    mosquitto: Mosquitto,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(mosquitto.address, tmp_path, monkeypatch)
    script = tmp_path / "module.py"
    script.write_text(SHOP)
    variables = environment("shop", mosquitto.address, world.prefix, tmp_path)
    manager = world.manager
    with module_process(script, variables, tmp_path / "log") as module:
        manager.wait_until_ready("shop")
        end_broker(mosquitto)
        assert module.wait() == 1
        line = f"[CRIT] shop :: Lost connection to the MQTT broker at {mosquitto.address}"
        assert line in module.log
    manager.close()


LEAVING = """
import threading
from everest.framework import Module, RuntimeSession, error, log
import everest.framework.error
import everest.framework.log

assert everest.framework.error is error and everest.framework.log is log
leave, entered = threading.Event(), threading.Event()
def block(value):
    entered.set()
    threading.Event().wait()
module = Module(RuntimeSession())
log.update_process_name("the client")
module.subscribe_variable(module.say_hello().connections["stores"][0], "size", block)
module.shutdown_handler(leave.set)
module.init_done()
entered.wait()
leave.wait()
log.info("leaves")
"""


def test_a_module_leaves_when_its_main_thread_does(start: Start, world: World) -> None:
    """Also while a handler is stuck; and it may be told to by the shutdown signal."""
    with start(LEAVING, "client") as module:
        send_variable(world.manager)
        send_shutdown(world.manager)
        assert module.wait() == 0
        assert "[INFO] the client :: leaves" in module.log


JOINED = """
import os, threading
from everest.framework import Module, RuntimeSession

module = Module(RuntimeSession())
for command in module.implementations["main"].commands:
    module.implement_command("main", command, lambda args: os.environ.get("OWN_PYTHON", "the bench's"))
module.init_done()
threading.Event().wait()
"""


@pytest.mark.parametrize("own_python", [False, True])
def test_join_runs_a_module_directory_against_a_manager_elsewhere(
    own_python: bool, world: World, tmp_path: Path
) -> None:
    directory = tmp_path / "Store"
    directory.mkdir()
    (directory / "module.py").write_text(JOINED)
    if own_python:
        python = directory / ".venv/bin/python3"
        python.parent.mkdir(parents=True)
        python.write_text(f'#!/bin/sh\nOWN_PYTHON="the module\'s" exec {sys.executable} "$@"\n')
        python.chmod(0o755)
    manager = world.manager
    code = (
        "from pathlib import Path; from hil.runtime.join import join; "
        f"join(Path({str(directory)!r}), 'shop', {world.broker!r}, {world.prefix.rstrip('/')!r})"
    )
    left_over = {"EV_MODULE": "other", "EV_MQTT_BROKER_SOCKET_PATH": "/nowhere", "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", code], env={**os.environ, **left_over}) as process:
        try:
            manager.wait_until_ready("shop")
            answer = manager.call("modules/shop/impl/main/cmd/load", {"key": "a"}, "id-1")
            assert answer["retval"] == ("the module's" if own_python else "the bench's")
        finally:
            process.kill()
            process.wait(WITHIN_S)

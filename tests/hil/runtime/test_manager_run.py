"""Runs with real processes: start, ready, supervision, stop, and what happens when something goes wrong."""

import json
import os
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from hil.runtime.manager import Manager, RunError, run_config
from hil.runtime.wire import encode
from tests.brokers import Mosquitto
from tests.hil.runtime.ears import listening, retained
from tests.hil.runtime.sites import READY, WAIT, Site, provides
from tests.patience import WITHIN_S

ROOT = Path(__file__).parents[3]
STAY = READY + "\nimport signal\nsignal.pause()\n"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path)
    site.module("Stay", STAY)
    site.module("Silent", WAIT)
    return site


def wait_until(condition: Callable[[], bool], timeout_s: float = WITHIN_S) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.01)


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


# -- a run that goes well


def test_modules_start_become_ready_and_stop_without_a_trace(site: Site, broker: str) -> None:
    words: list[str] = []
    lines: list[str] = []
    manager = Manager(
        site.config({"a": "Stay", "b": "Stay"}), broker=broker, status=words.append, log=lines.append
    )
    with listening(broker, manager.prefix) as ear, manager:
        manager.wait_ready(WITHIN_S)
        assert ear.wait_for("ready") == {"msg_type": "GlobalReady", "data": True}
        pids = [process.pid for process in manager.processes.values()]
        assert not any(gone(pid) for pid in pids)
        assert retained(broker, manager.prefix) == []
        assert manager.exit_code is None
    assert manager.exit_code == 0
    wait_until(lambda: all(gone(pid) for pid in pids))
    assert words == [
        "MANAGER_INITIALIZING",
        "MANAGER_STARTING_MODULES",
        "ALL_MODULES_STARTED",
        "MANAGER_RUNNING",
        "MANAGER_SHUTDOWN_REQUESTED",
        "MANAGER_EXITING",
    ]
    assert {"a: ready", "b: ready"} <= set(lines)


def test_definitions_stay_retained_while_a_module_is_missing_and_not_longer(site: Site, broker: str) -> None:
    manager = Manager(site.config({"a": "Silent"}), broker=broker, log=print)
    with manager:
        assert retained(broker, manager.prefix)[0] == "interfaces"
        assert "manifests/Silent" in retained(broker, manager.prefix)
    wait_until(lambda: retained(broker, manager.prefix) == [])


def test_definitions_stay_for_modules_that_start_again_if_asked(site: Site, broker: str) -> None:
    with Manager(site.config({"a": "Stay"}), broker=broker, retain_topics=True, log=print) as manager:
        manager.wait_ready(WITHIN_S)
        assert retained(broker, manager.prefix)[0] == "interfaces"
    wait_until(lambda: retained(broker, manager.prefix) == [])


def test_without_a_broker_one_is_embedded(site: Site) -> None:
    with Manager(site.config({"a": "Stay"}), log=print) as manager:
        manager.wait_ready(WITHIN_S)
        assert manager.address is not None
        socket.create_connection((manager.address.host, manager.address.port), 5).close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((manager.address.host, manager.address.port), 5)


def test_two_runs_on_one_broker_do_not_disturb_each_other(site: Site, broker: str) -> None:
    path = site.config({"a": "Stay"})
    with Manager(path, broker=broker, log=print) as one:
        one.wait_ready(WITHIN_S)
        with Manager(path, broker=broker, log=print) as two:
            two.wait_ready(WITHIN_S)
        assert one.exit_code is None


def test_the_broker_of_the_settings_is_used(site: Site, mosquitto: Mosquitto) -> None:
    path = site.config({"a": "Stay"}, mqtt_broker_host="127.0.0.1", mqtt_broker_port=mosquitto.port)
    with Manager(path, log=print) as manager:
        manager.wait_ready(WITHIN_S)
        assert str(manager.address) == mosquitto.address


def test_a_standalone_module_is_awaited_but_not_started(site: Site, broker: str) -> None:
    words: queue.SimpleQueue[str] = queue.SimpleQueue()
    config = site.config({"mine": {"module": "Silent", "standalone": True}, "other": "Stay"})
    manager = Manager(config, broker=broker, status=words.put, log=print)
    with listening(broker, manager.prefix) as ear, manager:
        while words.get(timeout=WITHIN_S) != "WAITING_FOR_STANDALONE_MODULES":
            pass
        assert list(manager.processes) == ["other"]
        with pytest.raises(RunError, match="not ready after 0 s: mine"):
            manager.wait_ready(0)
        ear.publish("modules/mine/ready", encode("ModuleReady", data=True))
        manager.wait_ready(WITHIN_S)
        ear.wait_for("ready")
        ear.publish("modules/mine/ready", encode("ModuleReady", data=True))  # it was started again
        ear.wait_for("ready")


def test_modules_asked_to_stop_gracefully_hear_it_over_mqtt(site: Site, broker: str) -> None:
    manager = Manager(
        site.config({"a": "Stay"}), broker=broker, graceful_shutdown=True, stop_timeout_s=0.2, log=print
    )
    with listening(broker, manager.prefix) as ear:
        with manager:
            manager.wait_ready(WITHIN_S)
        assert ear.wait_for("shutdown") is True


def test_modules_of_our_own_framework_talk_to_each_other(site: Site, broker: str) -> None:
    site.file(
        "interfaces/greeter.yaml",
        """
description: Greets
cmds:
  greet:
    description: Greets
    arguments: {name: {type: string, description: Whom}}
    result: {type: string, description: The greeting}
""",
    )
    start = "from everest.framework import Module, RuntimeSession\nimport signal\n"
    site.module(
        "Greeter",
        start
        + """
session = RuntimeSession()
module = Module(session)
word = module.say_hello().configs.module["word"]
module.implement_command("main", "greet", lambda args: f"{word} {args['name']}")
module.init_done()
signal.pause()
""",
        config={"word": {"type": "string", "description": "How to greet"}},
        provides={"main": provides("greeter")},
    )
    site.module(
        "Caller",
        start
        + """
session = RuntimeSession()
module = Module(session)
greeters = module.say_hello().connections["greeters"]

def greet():
    for greeter in greeters:
        print("heard", module.call_command(greeter, "greet", {"name": "you"}), flush=True)

module.init_done(greet)
signal.pause()
""",
        requires={"greeters": {"interface": "greeter", "max_connections": 3}},
    )
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()
    greeters = [{"module_id": name, "implementation_id": "main"} for name in ("one", "two")]
    config = site.config(
        {
            "one": {"module": "Greeter", "config_module": {"word": "Hello"}},
            "two": {"module": "Greeter", "config_module": {"word": "Moin"}},
            "caller": {"module": "Caller", "connections": {"greeters": greeters}},
        },
        interfaces_dir="interfaces",
        validate_schema=True,
    )
    with Manager(config, broker=broker, log=lines.put) as manager:
        manager.wait_ready(WITHIN_S)
        heard: list[str] = []
        while len(heard) < 2:
            line = lines.get(timeout=WITHIN_S)
            heard += [line] if line.startswith("caller: heard") else []
    assert heard == ["caller: heard Hello you", "caller: heard Moin you"]


# -- what a module is told


def test_the_environment_of_a_module(site: Site, broker: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EV_MQTT_BROKER_SOCKET_PATH", "/left/over/from/another/run")
    monkeypatch.setenv("PYTHONPATH", "/somewhere/else")
    site.module(
        "Tell", READY + "import json\nprint(json.dumps(dict(os.environ)), flush=True)\nsignal.pause()\n"
    )
    lines: list[str] = []
    config = site.config({"me": "Tell"}, mqtt_external_prefix="out/", validate_schema=True)
    with Manager(config, broker=broker, log=lines.append) as manager:
        manager.wait_ready(WITHIN_S)
        wait_until(lambda: any(line.startswith("me: {") for line in lines))
    (told,) = (json.loads(line.removeprefix("me: ")) for line in lines if line.startswith("me: {"))
    host, port = broker.split(":")
    assert {name: value for name, value in told.items() if name.startswith("EV_")} == {
        "EV_MODULE": "me",
        "EV_PREFIX": str(ROOT),
        "EV_LOG_CONF_FILE": told["EV_LOG_CONF_FILE"],
        "EV_MQTT_EVEREST_PREFIX": manager.prefix,
        "EV_MQTT_EXTERNAL_PREFIX": "out/",
        "EV_MQTT_BROKER_HOST": host,
        "EV_MQTT_BROKER_PORT": port,
        "EV_VALIDATE_SCHEMA": "1",
    }
    assert Path(told["EV_LOG_CONF_FILE"]).is_file()
    assert manager.prefix.endswith("/")
    assert told["PYTHONPATH"].split(":") == [f"{ROOT}/hil/runtime/everestpy", str(ROOT), "/somewhere/else"]


def test_a_module_with_a_venv_of_its_own_runs_in_it(site: Site, broker: str) -> None:
    real = site.module(
        "Own", READY + "print(os.environ['VIRTUAL_ENV'], os.environ['OWN'], flush=True)\nsignal.pause()"
    )
    real = real.rename(site.directory / "elsewhere")
    (site.directory / "modules/Own").symlink_to(real)
    python = real / ".venv/bin/python3"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nOWN=yes exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    lines: list[str] = []
    with Manager(site.config({"me": "Own"}), broker=broker, log=lines.append) as manager:
        manager.wait_ready(WITHIN_S)
        wait_until(lambda: f"me: {real}/.venv yes" in lines)


# -- a module that ends or does not


@pytest.mark.parametrize(
    ("ending", "exit_code", "told"),
    [
        ("sys.exit(3)", 3, "exited with code 3"),
        ("raise ValueError('no such bus')", 1, "exited with code 1"),
        ("", 1, "exited with code 0"),  # a module must not end at all
        ("os.kill(os.getpid(), 9)", 137, "exited with code 137"),
    ],
)
def test_a_module_that_ends_ends_the_run(site: Site, ending: str, exit_code: int, told: str) -> None:
    site.module("Ending", READY + f"print('my last words', flush=True)\n{ending}\n")
    lines: list[str] = []
    manager = Manager(site.config({"e": "Ending", "other": "Silent"}), log=lines.append)
    with manager:
        pid = manager.processes["other"].pid
        assert manager.wait(WITHIN_S) == exit_code
    wait_until(lambda: gone(pid))
    assert f"manager: module e (Ending) {told}; its last lines:" in lines
    assert "manager:   | my last words" in lines
    if "raise" in ending:
        assert "manager:   | ValueError: no such bus" in lines


def test_what_a_module_started_ends_with_it(site: Site) -> None:
    start_child = """
import signal, subprocess
child = subprocess.Popen(["sleep", "1000"])
print("child", child.pid, flush=True)
signal.pause()
"""
    site.module("Parent", READY + start_child)
    lines: list[str] = []
    with Manager(site.config({"p": "Parent"}), log=lines.append) as manager:
        manager.wait_ready(WITHIN_S)
        wait_until(lambda: any(line.removeprefix("p: child ").isdecimal() for line in lines))
        pid = next(int(line.split()[-1]) for line in lines if line.startswith("p: child "))
        assert not gone(pid)
    wait_until(lambda: gone(pid))


def test_a_module_deaf_to_sigterm_is_killed(site: Site) -> None:
    site.module("Deaf", "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + STAY)
    lines: list[str] = []
    with Manager(site.config({"d": "Deaf"}), stop_timeout_s=0.3, log=lines.append) as manager:
        manager.wait_ready(WITHIN_S)
        pid = manager.processes["d"].pid
    wait_until(lambda: gone(pid))
    assert "manager: d does not stop, killing it" in lines
    assert manager.exit_code == 0


def test_who_is_not_ready_is_told(site: Site) -> None:
    lines: list[str] = []
    config = site.config({"a": "Stay", "s": "Silent", "t": {"module": "Silent", "standalone": True}})
    told = r"manager: still waiting after \d+ s for ready of s \(Silent\), t \(Silent, standalone\)"
    with Manager(config, ready_warning_s=0.2, log=lines.append):
        wait_until(lambda: any(re.fullmatch(told, line) for line in lines))


def test_who_is_not_ready_ends_the_run_where_there_is_a_limit(site: Site) -> None:
    lines: list[str] = []
    config = site.config({"s": "Silent", "t": {"module": "Silent", "standalone": True}})
    with Manager(config, ready_timeout_s=0.3, log=lines.append) as manager:
        assert manager.wait(WITHIN_S) == 1
    assert "manager: not ready after 0.3 s: s (Silent), t (Silent, standalone)" in lines


# -- the broker


def test_the_broker_going_away_ends_the_run(site: Site, mosquitto: Mosquitto) -> None:
    lines: list[str] = []
    leaves_too = READY + "client.on_disconnect = lambda *_: os._exit(5)\nsignal.pause()\n"
    site.module("Leaver", leaves_too)
    config = site.config({"a": "Stay", "b": "Leaver"})
    with Manager(config, broker=mosquitto.address, log=lines.append) as manager:
        manager.wait_ready(WITHIN_S)
        pids = [process.pid for process in manager.processes.values()]
        mosquitto.kill()
        assert manager.wait(WITHIN_S) == 1
    wait_until(lambda: all(gone(pid) for pid in pids))
    assert f"manager: broker {mosquitto.address} went away" in lines


def test_no_broker_at_the_address(site: Site) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(RunError, match=f"no broker at {address}: Connection refused; start one there"):
            Manager(site.config({"a": "Stay"}), broker=address, log=print).start()


def test_a_broker_that_does_not_answer(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hil.runtime.manager.connection._TIMEOUT_s", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as dumb:
        address = f"127.0.0.1:{dumb.getsockname()[1]}"
        with pytest.raises(RunError, match=f"broker {address} does not let us in"):
            Manager(site.config({"a": "Stay"}), broker=address, log=print).start()


# -- run_config


def test_a_wrong_configuration_is_told_and_runs_nothing(site: Site) -> None:
    lines: list[str] = []
    assert run_config(site.config({"a": "Nobody"}), log=lines.append) == 1
    assert len(lines) == 1
    assert "unknown module type 'Nobody'" in lines[0]


def test_a_wrong_broker_address_is_told(site: Site) -> None:
    lines: list[str] = []
    assert run_config(site.config({"a": "Stay"}), broker="here:there", log=lines.append) == 1
    assert lines == [
        "manager: broker address 'here:there': expected host:port (port 1 to 65535) or unix:/path"
    ]


def test_run_config_runs_until_it_is_told_to_stop(site: Site, broker: str) -> None:
    stop = threading.Event()

    def status(word: str) -> None:
        if word == "ALL_MODULES_STARTED":
            stop.set()

    assert run_config(site.config({"a": "Stay"}), broker=broker, status=status, stop=stop, log=print) == 0


def test_run_config_gives_the_exit_code_of_the_module_that_ended(site: Site) -> None:
    site.module("Ending", READY + "sys.exit(7)")
    assert run_config(site.config({"e": "Ending"}), log=print) == 7


class Bench:
    """A process of its own that runs a configuration."""

    def __init__(self, config: Path, broker: str, prefix: str) -> None:
        program = (
            "import sys; from hil.runtime.manager import run_config; "
            f"sys.exit(run_config({str(config)!r}, broker={broker!r}, prefix={prefix!r}, status=print))"
        )
        self.process = subprocess.Popen(
            [sys.executable, "-u", "-c", program],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            text=True,
        )

    def wait_ready(self) -> list[int]:
        """Wait for all modules; give their process ids."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.strip() == "ALL_MODULES_STARTED":
                return [child.pid for child in psutil.Process(self.process.pid).children()]
        pytest.fail("the bench ended")


@pytest.fixture
def bench(site: Site, shared_mosquitto: str, tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(site.config({"a": "Stay", "b": "Stay"}), shared_mosquitto, f"bench_{tmp_path.name}")
    yield bench
    bench.process.kill()
    bench.process.wait(WITHIN_S)


@pytest.mark.mosquitto
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_stop_the_bench_cleanly(
    bench: Bench, number: signal.Signals, shared_mosquitto: str, tmp_path: Path
) -> None:
    pids = bench.wait_ready()
    assert len(pids) == 2
    bench.process.send_signal(number)
    assert bench.process.wait(WITHIN_S) == 0
    wait_until(lambda: all(gone(pid) for pid in pids))
    wait_until(lambda: retained(shared_mosquitto, f"bench_{tmp_path.name}/") == [])


@pytest.mark.mosquitto
def test_modules_die_with_a_bench_that_is_killed(bench: Bench) -> None:
    pids = bench.wait_ready()
    bench.process.kill()
    wait_until(lambda: all(gone(pid) for pid in pids))

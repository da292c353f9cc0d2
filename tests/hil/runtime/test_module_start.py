"""How a module starts: environment, handshake, readiness."""

import getpass
import queue
import threading
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import Any

import pytest

from hil.runtime.framework import Module, RuntimeSession
from hil.runtime.framework.inbox import Mailbox
from hil.runtime.wire import Era
from tests.brokers import Mosquitto, require_mosquitto
from tests.hil.runtime.module_world import MODULE_NAMES, World
from tests.hil.runtime.stub_manager import SETTINGS
from tests.patience import WITHIN_S


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Wait only a moment for one topic, since it never comes."""

    def impatient_for(topic: str) -> None:
        take = Mailbox.take

        def take_soon(mailbox: Mailbox, each: str, timeout_s: float) -> tuple[str, Any]:
            return take(mailbox, each, 0.1 if each.endswith(topic) else timeout_s)

        monkeypatch.setattr(Mailbox, "take", take_soon)

    return impatient_for


# --- environment ---


@pytest.mark.parametrize("missing", ["EV_MODULE", "EV_LOG_CONF_FILE"])
def test_session_names_the_variable_that_is_missing(
    missing: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.session("shop")
    monkeypatch.delenv(missing)
    with pytest.raises(RuntimeError, match=f"{missing} needed for everestpy"):
        RuntimeSession()


@pytest.mark.parametrize("missing", ["EV_MQTT_BROKER_HOST", "EV_MQTT_BROKER_PORT"])
def test_session_needs_both_host_and_port(
    missing: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.session("shop")
    monkeypatch.delenv(missing)
    with pytest.raises(RuntimeError, match="EV_MQTT_BROKER_HOST and EV_MQTT_BROKER_PORT are needed"):
        RuntimeSession()


def test_session_needs_the_logging_file_to_exist(world: World) -> None:
    with pytest.raises(RuntimeError, match=r"file '/nowhere.cfg' does not exist"):
        world.session("shop", EV_LOG_CONF_FILE="/nowhere.cfg")


def test_session_takes_the_default_port_for_one_it_cannot_read(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    session = world.session("shop", EV_MQTT_BROKER_PORT="mqtt")
    assert session.broker.port == 1883
    assert "Could not parse MQTT broker port 'mqtt'" in capsys.readouterr().err


def test_session_prefers_the_unix_socket_and_completes_the_prefix(world: World) -> None:
    broker = world.session(
        "shop", EV_MQTT_BROKER_SOCKET_PATH="/run/mqtt.sock", EV_MQTT_EVEREST_PREFIX="everest"
    ).broker
    assert broker.address == "/run/mqtt.sock"
    assert broker.prefix == "everest/"


def test_session_refuses_an_unknown_mqtt_version(world: World) -> None:
    with pytest.raises(RuntimeError, match=r"EV_MQTT_PROTOCOL=4: unknown, known: 3.1.1, 5"):
        world.session("shop", EV_MQTT_PROTOCOL="4")


def test_old_form_of_the_session_reads_the_config(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(
        "settings: {mqtt_broker_host: charger, mqtt_broker_port: 2000, mqtt_everest_prefix: ev}"
    )
    broker = RuntimeSession("/opt/everest", str(config)).broker
    assert (broker.host, broker.port, broker.prefix) == ("charger", 2000, "ev/")


def test_module_names_the_broker_that_does_not_answer(world: World) -> None:
    session = world.session("shop", EV_MQTT_BROKER_PORT="1")
    with pytest.raises(RuntimeError, match=r"cannot reach the MQTT broker at 127.0.0.1:1: .*refused"):
        Module(session)


@pytest.mark.mosquitto
def test_module_joins_over_a_unix_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require_mosquitto()
    mosquitto, socket_path = Mosquitto(tmp_path), tmp_path / "mqtt.sock"
    with mosquitto._config.open("a") as config:
        config.write(f"listener 0 {socket_path}\nallow_anonymous true\nuser {getpass.getuser()}\n")
    mosquitto.start()
    world = World(mosquitto.address, tmp_path, monkeypatch)
    assert world.manager
    session = world.session("shop", EV_MQTT_BROKER_SOCKET_PATH=str(socket_path), EV_MQTT_BROKER_PORT="1")
    module = Module(session)
    assert module.say_hello().configs.implementations["main"] == {"owner": "Ann", "rent": 12.5}
    module._link.close()
    world.close()
    mosquitto.stop()


# --- handshake ---


@pytest.mark.parametrize("era", list(Era))
def test_module_learns_its_configuration_in_the_era_of_the_manager(era: Era, world: World) -> None:
    world.start_manager(era)
    setup = world.module("client").say_hello()
    assert setup.configs.module == {"greeting": "hi", "count": 3}
    request = world.manager.wait_for_topic("config/request").payload
    assert request["msg_type"] == era.request


def test_connections_are_in_the_order_of_the_configuration(world: World) -> None:
    connections = world.module("client").say_hello().connections
    assert [(each.module_id, each.implementation_id) for each in connections["stores"]] == [
        ("shop", "main"),
        ("depot", "main"),
    ]
    assert connections["clock"] == []


def test_empty_configuration_is_none_as_in_everestpy(world: World) -> None:
    configs = world.module("shop").say_hello().configs
    assert configs.module is None
    assert configs.implementations == {"main": {"owner": "Ann", "rent": 12.5}}
    assert world.module("depot").say_hello().configs.implementations == {"main": None}


def test_module_knows_its_interfaces(world: World) -> None:
    shop, client = world.module("shop"), world.module("client")
    main = shop.implementations["main"]
    assert main.variables == ["size", "amount"]
    assert main.commands == ["load", "put", "reset"]
    assert main.errors == ["store/Full", "store/Locked", "power/Lost"]
    assert client.requirements["stores"] == main
    assert client.requirements["clock"].variables == []
    assert client.implementations == {}
    assert client.fulfillments == {}


def test_module_knows_who_it_is(world: World) -> None:
    info = world.module("shop").info
    assert (info.id, info.name, info.authors) == ("shop", "Store", ["Ann", "Bob"])
    assert info.license.startswith("https://")
    assert info.paths.etc == PurePath(str(SETTINGS["etc_dir"]))
    assert info.paths.libexec == PurePath(str(SETTINGS["modules_dir"])) / "Store"
    assert info.paths.share == PurePath(str(SETTINGS["data_dir"])) / "modules/Store"
    assert info.telemetry_enabled is False


def test_module_id_may_be_given_beside_the_session(world: World) -> None:
    assert world.manager
    module = Module("depot", world.session("shop"))
    world.modules.append(module)
    assert module.info.id == "depot"


@pytest.mark.parametrize(
    "interfaces",
    [
        pytest.param(b'{"msg_type": "DefinitionsV3", "data": ["store"]}', id="newer"),
        pytest.param(b'["store"]', id="before 2025.12, without envelope"),
        pytest.param(b"\xff", id="no JSON"),
    ],
)
def test_module_sends_nothing_to_a_manager_of_an_unknown_era(interfaces: bytes, world: World) -> None:
    manager = world.manager
    manager.send_raw("interfaces", interfaces, retain=True)
    manager.wait_for_topic("interfaces", 2)
    with pytest.raises(RuntimeError, match="unknown protocol era"):
        Module(world.session("shop"))
    manager.send("end", "Var", {})
    manager.wait_for_topic("end")
    assert manager.on_topic("config/request") == []


def test_module_tells_that_no_manager_is_there(world: World, impatient: Callable[[str], None]) -> None:
    impatient("interfaces")
    with pytest.raises(RuntimeError, match=rf"{world.prefix}interfaces.*is a manager running at prefix"):
        Module(world.session("shop"))


def test_module_tells_that_the_manager_does_not_know_it(world: World) -> None:
    info = "Unknown origin module: shop"
    world.configs["shop"] = {"status": "Error", "status_info": info, "response": None}
    assert world.manager
    with pytest.raises(RuntimeError, match=f"refuses the configuration of module 'shop': {info}"):
        Module(world.session("shop"))


def test_module_asks_twice_before_it_gives_up(world: World, impatient: Callable[[str], None]) -> None:
    impatient("modules/shop/response")
    world.configs["shop"] = None
    assert world.manager
    with pytest.raises(RuntimeError, match="modules/shop/response"):
        Module(world.session("shop"))
    world.manager.wait_for_topic("config/request", 2)


def test_module_tells_which_definition_never_came(world: World, impatient: Callable[[str], None]) -> None:
    impatient("manifests/Client")
    manager = world.manager
    manager.send_raw("manifests/Client", b"", retain=True)
    manager.wait_for_topic("manifests/Client", 2)
    with pytest.raises(RuntimeError, match="manifests/Client"):
        Module(world.session("shop"))


@pytest.mark.parametrize(
    ("path", "missing"),
    [
        ([], "response"),
        (["response"], "data"),
        (["response", "data"], "module_config"),
        (["response", "data", "module_config"], "module_name"),
        (["response", "data", "module_config"], "connections"),
        (["response", "data", "module_config", "connections", "stores", 0], "implementation_id"),
        (["response", "data", "module_config", "configuration_parameters", "!module", 1], "value"),
    ],
)
def test_a_configuration_that_lacks_something_is_refused(path: list[Any], missing: str, world: World) -> None:
    part = world.configs["client"]
    for step in path:
        part = part[step]
    del part[missing]
    assert world.manager
    with pytest.raises(RuntimeError, match=f"definitions lack something: KeyError.'{missing}'"):
        Module(world.session("client"))


def test_metadata_goes_out_before_ready(world: World) -> None:
    shop = world.module("shop")
    for command in shop.implementations["main"].commands:
        shop.implement_command("main", command, lambda _args: None)
    shop.init_done()
    world.manager.wait_until_ready("shop")
    [metadata] = world.manager.on_topic("modules/shop/metadata")
    assert metadata.data == {"module": "Store", "provides": {"main": {"interface": "store"}}}


# --- readiness ---


def test_init_done_insists_on_every_command(world: World) -> None:
    shop = world.module("shop")
    shop.implement_command("main", "load", lambda _args: None)
    with pytest.raises(RuntimeError, match=r"missing: \['main->put', 'main->reset'\]"):
        shop.init_done()
    assert world.manager.on_topic("modules/shop/ready") == []


def test_on_ready_runs_once_in_a_thread_of_its_own(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    client = world.module("client")
    threads: queue.Queue[threading.Thread] = queue.Queue()
    client.init_done(lambda: threads.put(threading.current_thread()))
    manager = world.manager
    manager.wait_until_ready("client")
    manager.send("ready", "GlobalReady", data=False)
    manager.go()
    assert threads.get(timeout=WITHIN_S) is not threading.main_thread()
    manager.send("ready", "GlobalReady", data=True)
    wait_for_round_trip(world, client)
    assert threads.empty()
    assert "Ignoring repeated everest ready signal" in capsys.readouterr().err


def wait_for_round_trip(world: World, client: Module) -> None:
    """Wait until the client has handled all that was sent so far."""
    handled = threading.Event()
    client.subscribe_variable(client.say_hello().connections["stores"][0], "size", lambda _: handled.set())
    client._link.wait_until_subscribed()
    world.send_variable("size", {"data": 1})
    assert handled.wait(WITHIN_S)


def test_subscriptions_are_in_place_when_ready_goes_out(world: World) -> None:
    client = world.module("client")
    values: queue.Queue[int] = queue.Queue()
    for store in client.say_hello().connections["stores"]:
        client.subscribe_variable(store, "size", values.put)
    client.init_done()
    world.manager.wait_until_ready("client")
    world.send_variable("size", {"data": 1}, store="depot")
    assert values.get(timeout=WITHIN_S) == 1


def test_cleared_definitions_do_not_disturb(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    client = world.module("client")
    client.init_done()
    world.manager.wait_until_ready("client")
    world.manager.go()
    wait_for_round_trip(world, client)
    assert "dropped" not in capsys.readouterr().err
    assert set(MODULE_NAMES) == set(client._definitions.module_names)

"""A module that does what a recorded one did: it publishes, calls and answers the same.

What reaches it must be what reached the recorded one; anything else ends the process.
"""

import json
import os
import threading
from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import Any

from everest.framework import Module, RuntimeSession

script = json.loads(Path(os.environ["PLAYER_SCRIPT"]).read_text())
arrived: dict[tuple[str, ...], int] = defaultdict(int)


def next_of(recorded: list[Any], *key: str) -> Any:
    arrived[key] += 1
    return recorded[arrived[key] - 1]


def answer(implementation: str, command: str, args: Any) -> Any:
    call = next_of(script["served"][f"{implementation}/{command}"], implementation, command)
    assert args == call["args"], f"{command}: called with {args} instead of {call['args']}"
    return call["retval"]


def receive(topic: str, value: Any) -> None:
    expected = next_of(script["received"][topic], topic)
    assert value == expected, f"{topic}: {value} instead of {expected}"


session = RuntimeSession()
module = Module(session)
fulfillments = {}
for implementation, interface in module.implementations.items():
    for command in interface.commands:
        module.implement_command(implementation, command, partial(answer, implementation, command))
for requirement, connections in module.say_hello().connections.items():
    for fulfillment in connections:
        fulfillments[fulfillment.module_id, fulfillment.implementation_id] = fulfillment
        for variable in module.requirements[requirement].variables:
            name = f"{fulfillment.module_id}/{fulfillment.implementation_id}/{variable}"
            module.subscribe_variable(fulfillment, variable, partial(receive, name))

ready = threading.Event()
module.init_done(ready.set)
ready.wait()
for variable in script["published"]:
    module.publish_variable(variable["implementation"], variable["name"], variable["value"])
for call in script["called"]:
    target = fulfillments[call["module"], call["implementation"]]
    result = module.call_command(target, call["command"], call["args"])
    assert result == call["retval"], f"{call['command']}: answered {result} instead of {call['retval']}"
threading.Event().wait()

"""What the manager tells modules: the retained definitions, and each module's own configuration."""

from hil.runtime.manager.config import ModuleConfig, RunConfig
from hil.runtime.manager.schemas import NAMES, schema
from hil.runtime.wire import Json, Topics

_ACCESS_FLAGS = ("allow_global_read", "allow_global_write", "allow_set_read_only")
_MODULE_ACCESS_FLAGS = ("allow_read", "allow_write", "allow_set_read_only")


def retained_definitions(config: RunConfig) -> dict[str, Json]:
    """Give the data of every retained topic, in the order in which EVerest publishes them."""
    topics = Topics(config.settings.prefix)
    definitions: dict[str, Json] = {topics.top("interfaces"): sorted(config.interfaces)}
    for name, interface in sorted(config.interfaces.items()):
        definitions[topics.interface_definition(name)] = interface
    definitions[topics.top("types")] = sorted(config.types)
    for file, types in sorted(config.types.items()):
        definitions[topics.type_definition(file)] = types
    definitions[topics.top("settings")] = config.settings.distributed
    if config.settings.validate_schema:
        definitions[topics.top("schemas")] = {name: schema(name) for name in NAMES}
    manifests = {module.manifest.module_type: module.manifest for module in config.modules.values()}
    for module_type, manifest in sorted(manifests.items()):
        definitions[topics.manifest(module_type)] = {
            key: value for key, value in manifest.data.items() if key != "config"
        }
    definitions[topics.top("module_names")] = {
        module_id: module.manifest.module_type for module_id, module in config.modules.items()
    }
    return definitions


def module_configuration(config: RunConfig, module_id: str) -> Json:
    """Give what a module gets for its request of type ``Module``."""
    module = config.modules[module_id]
    neighbours = {connection.module_id for found in module.connections.values() for connection in found}
    answer = {
        "module_config": _module_config(module),
        "mappings": {name: config.modules[name].mapping for name in sorted({module_id, *neighbours})},
    }
    if "telemetry" in module.entry:
        answer["telemetry_config"] = module.entry["telemetry"]
    return answer


def configuration_parameters(module: ModuleConfig) -> Json:
    """Give all items of a module as they are distributed."""
    return {scope: [item.distributed for item in items] for scope, items in sorted(module.parameters.items())}


def _module_config(module: ModuleConfig) -> Json:
    config: Json = {
        "standalone": module.standalone,
        "module_name": module.manifest.module_type,
        "module_id": module.module_id,
        "telemetry_enabled": "telemetry" in module.entry,
        "configuration_parameters": configuration_parameters(module),
        "connections": {
            requirement: [
                {
                    "module_id": connection.module_id,
                    "implementation_id": connection.implementation_id,
                    # EVerest leaves out an index of 0
                    "requirement": {"id": requirement, "index": index} if index else {"id": requirement},
                }
                for index, connection in enumerate(found)
            ]
            for requirement, found in module.connections.items()
        },
        "mapping": module.mapping,
        "access": _access(module.entry.get("access")),
    }
    if "capabilities" in module.entry:
        config["capabilities"] = module.entry["capabilities"]
    if "telemetry" in module.entry:
        config["telemetry_config"] = module.entry["telemetry"]
    return config


def _access(access: Json) -> Json:
    if not access or "config" not in access:
        return None
    config = access["config"]
    return {
        "config": {
            **{flag: config.get(flag, False) for flag in _ACCESS_FLAGS},
            "modules": {
                name: {flag: rights.get(flag, False) for flag in _MODULE_ACCESS_FLAGS}
                for name, rights in config.get("modules", {}).items()
            },
        }
    }

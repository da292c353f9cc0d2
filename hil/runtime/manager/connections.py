"""Connections between modules: checked as EVerest checks them."""

from dataclasses import dataclass

from bsp.yaml_file import instead
from hil.runtime.manager.manifest import PROBE_MODULE, Manifest
from hil.runtime.manager.problems import Report
from hil.runtime.wire import Json


@dataclass(frozen=True)
class Connection:
    """One fulfilment of a requirement."""

    module_id: str
    implementation_id: str


def connections_of(
    module_id: str, entries: Json, manifests: dict[str, Manifest], report: Report
) -> dict[str, list[Connection]]:
    """Give the connections of a module, in order.

    Parameters
    ----------
    module_id
        Whose connections.
    entries
        The ``active_modules``.
    manifests
        Manifest of each module type in use.
    report
        Hears of requirements that do not exist, of too few or many connections, of those that lead nowhere.

    Returns
    -------
    dict
        By requirement; unconnected ones are left out.
    """
    given = entries[module_id].get("connections", {})
    manifest = manifests[entries[module_id]["module"]]
    place = ("active_modules", module_id, "connections")
    for requirement in given:
        if requirement not in manifest.requires:
            meant = instead(requirement, sorted(manifest.requires))
            report.error(*place, requirement, what=f"{manifest.module_type} has no such requirement{meant}")
    connections: dict[str, list[Connection]] = {}
    for requirement, needs in manifest.requires.items():
        found = given.get(requirement, [])
        least, most = needs["min_connections"], needs["max_connections"]
        if not least <= len(found) <= most:
            allowed = str(least) if least == most else f"{least} to {most}"
            what = f"{len(found)} connections, {manifest.module_type} needs {allowed} ({needs['interface']})"
            report.error(*place, requirement, what=what)
        for index, item in enumerate(found):
            problem = _problem(item, needs["interface"], entries, manifests)
            if problem:
                report.error(*place, requirement, index, what=problem)
        if found:
            connections[requirement] = [
                Connection(item["module_id"], item["implementation_id"]) for item in found
            ]
    return connections


def _problem(
    connection: dict[str, str], interface: str, entries: Json, manifests: dict[str, Manifest]
) -> str | None:
    target, implementation = connection["module_id"], connection["implementation_id"]
    if target not in entries:
        return f"no module {target!r}{instead(target, sorted(entries))}"
    module_type = entries[target]["module"]
    provides = manifests[module_type].provides
    if implementation not in provides:
        meant = instead(implementation, sorted(provides))
        return f"{module_type} {target!r} provides no {implementation!r}{meant}"
    provided = provides[implementation]["interface"]
    if provided != interface:
        return f"{target}.{implementation} has interface {provided!r}, needed is {interface!r}"
    return None


def probe_manifest(entries: Json, manifests: dict[str, Manifest], report: Report) -> Manifest | None:
    """Make the manifest of the ProbeModule, if there is one, out of what it is connected with."""
    probes = [module_id for module_id, entry in entries.items() if entry["module"] == PROBE_MODULE]
    if not probes:
        return None
    probe = probes[0]
    for extra in probes[1:]:
        report.error("active_modules", extra, what=f"a second {PROBE_MODULE}, there can be only one")
    if not entries[probe].get("standalone"):
        what = f"a {PROBE_MODULE} is played by a test and never started: set standalone: true"
        report.error("active_modules", probe, what=what)
    return Manifest.of_probe(_provided(probe, entries, manifests), _required(probe, entries, manifests))


def _provided(probe: str, entries: Json, manifests: dict[str, Manifest]) -> dict[str, str]:
    """Interface of each implementation of the probe that others connect to."""
    provided = {}
    for entry in entries.values():
        requires = manifests[entry["module"]].requires if entry["module"] in manifests else {}
        for requirement, connections in entry.get("connections", {}).items():
            for connection in connections:
                if connection["module_id"] == probe and requirement in requires:
                    provided[connection["implementation_id"]] = requires[requirement]["interface"]
    return provided


def _required(probe: str, entries: Json, manifests: dict[str, Manifest]) -> dict[str, tuple[str, int]]:
    """Interface and number of connections of each requirement of the probe."""
    required = {}
    for requirement, connections in entries[probe].get("connections", {}).items():
        for connection in connections:
            target = manifests.get(entries.get(connection["module_id"], {}).get("module", ""))
            implementation = target.provides.get(connection["implementation_id"]) if target else None
            if implementation:
                required[requirement] = (implementation["interface"], len(connections))
    return required

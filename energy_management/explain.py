"""Says in words what limited an EVSE."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta

import numpy as np

from energy_management.constraints import Kind
from energy_management.demand import IDLE, WAITS
from energy_management.fields import CURRENT_A
from energy_management.report import Report
from energy_management.run import Run


def explain(run: Run, evse: int, slot: int) -> str:
    """Tell the current of an EVSE in a slot and the chain of what limited it.

    Such as "6.0 A on 3 phases: minimum; garage 32 A full on L2 (garage/fuse)".
    """
    grants = run.grants
    current_A = float(grants.current_A[evse, slot])
    amount = f"{abs(current_A):.1f} A"
    if current_A:
        phases = int(grants.phases[evse, slot])
        amount += f" on {phases} phase{'s' if phases > 1 else ''}"
    if current_A < 0:
        amount += " to the grid"
    return f"{amount}: {'; '.join(_reasons(run, evse, slot)) or 'nothing limits it'}"


def _reasons(run: Run, evse: int, slot: int) -> Iterator[str]:
    demand = run.limiter.demand
    column = run.column(evse, slot)
    current_A = run.allocation.current_A[evse, column]
    minimum_A = demand.minimum_A[evse, column]
    if demand.urgency[evse] == IDLE:
        yield "no car that could draw, so only what nobody else wants"
    elif demand.urgency[evse] == WAITS:
        yield "the car does not draw at present, so no more than its minimum while others want more"
    sun = run.limiter.sun
    if sun is not None and slot == run.timeline.active and evse in sun.texts:
        yield sun.texts[evse]
        if evse in sun.held:
            return
    yield from _phase_reasons(run, evse, column)
    if current_A and current_A <= minimum_A * (1 + 1e-9):
        yield "minimum"
    if not current_A and run.states[evse].waiting_since is not None:
        yield f"waits for its turn{_next_turn(run)}"
    if slot == run.timeline.active and evse in run.allocation.held:
        yield run.allocation.held[evse]
    yield from _limit_reasons(run, evse, column)


def _phase_reasons(run: Run, evse: int, column: int) -> Iterator[str]:
    demand, allocation = run.limiter.demand, run.allocation
    most, phases = int(demand.most_phases[evse, column]), int(allocation.phases[evse, column])
    if demand.fewest_phases[evse, column] > most:
        yield f"needs {int(demand.fewest_phases[evse, column])} phases, but only {most} allowed"
    if allocation.dropped[evse, column]:
        yield f"on {phases} as its minimum does not fit on more"
    elif phases < demand.present_phases[evse, column]:
        yield f"switched to {phases} as power is short for more"


def _next_turn(run: Run) -> str:
    """When the first turn of another EVSE ends."""
    ends = [state.turn_ends for state in run.states if state.turn_ends is not None]
    if not ends:
        return ""
    return f", next at {run.now + timedelta(seconds=min(ends) - run.monotonic_s):%H:%M}"


def _limit_reasons(run: Run, evse: int, column: int) -> Iterator[str]:
    """Every limit that leaves no more, from the root down, each phase of it only if not all are the same."""
    network, tree = run.allocation.network, run.limiter.tree
    start, stop = tree.coverage.pair_start[evse : evse + 2]
    missing_A = 0.0 if run.allocation.target_A[evse, column] else run.limiter.demand.minimum_A[evse, column]
    for pair in range(start, stop):
        node = int(tree.coverage.pair_node[pair])
        family = 0
        for kind in network.kinds:
            here = range(family, family + len(kind.labels))
            family = here.stop
            stopped = [each for each in here if run.binding[each, pair, column]]
            if not stopped:
                continue
            if not kind.is_of_node and run.limiter.sun is not None:
                yield f"{run.limiter.sun.surplus_W:g} W surplus used up"
                continue
            capacity = min(network.node_capacity[each, node, column] for each in stopped)
            if kind.unit == "W":
                capacity *= run.limiter.limits.watt_scale[node, column]
            phases = [each - here.start for each in stopped]
            what, whose = _named(run, kind, phases, node, column)
            amount = f"{capacity:g} {kind.unit}{what}"
            outcome = f"has no room for {missing_A:g} A" if missing_A else "full"
            yield f"{tree.uuids[node]} {amount} {outcome}{_on(kind, phases)} ({whose})"


def _on(kind: Kind, phases: Sequence[int]) -> str:
    """Tell the phases of a limit, if not all of them."""
    labels = [kind.labels[phase] for phase in phases]
    return "" if len(labels) == 3 or not labels[0] or kind.unit == "W" else f" on {' and '.join(labels)}"


def _named(run: Run, kind: Kind, phases: Sequence[int], node: int, column: int) -> tuple[str, str]:
    """Tell of what a limit is a part, and who set it; a meter leaves a part of the limit of its node."""
    source = kind.sources.of(node, column)
    if not kind.is_of_meter:
        return "", source
    limiter = run.limiter
    measured = phases if len(kind.labels) > 1 else range(3)
    if limiter.meters is not None and np.isfinite(limiter.meters.at_most_A[measured, node]).any():
        return "", f"{source}, which is not believed"
    whose = limiter.sources_of(CURRENT_A).of(node, column).removeprefix(f"{limiter.tree.uuids[node]}/")
    return f" of {limiter.limits.current_A[node, column]:g} A", f"{source}, {whose}"


def describe(report: Report, log: Callable[[str], None]) -> None:
    """Describe a run line by line: requests, events of the filling, the allocation and what went wrong."""
    for uuid, reason in report.rejected:
        log(f"rejected: {uuid}: {reason}")
    run = report.run
    if run is None:
        return
    tree, network, active = run.limiter.tree, run.allocation.network, run.timeline.active
    for node, uuid in enumerate(tree.uuids):
        state = tree.nodes[node].get("evse_state", "")
        log(f"request: {uuid} {state}: {', '.join(_requested(run, node)) or 'no limits'}")
    for settled, level in run.allocation.events:
        for evse in np.flatnonzero(settled[:, active]).tolist():
            log(f"filling: {tree.evse_uuids[evse]} settled at level {level[evse, active]:.3f} A")
    for evse, uuid in enumerate(tree.evse_uuids):
        log(f"allocation: {uuid}: {explain(run, evse, active)}")
    for violation in report.violations:
        log(f"violation: {violation}")
    log(f"{report.evses} EVSEs, {report.slots} slots, {len(network.kinds)} kinds of limits")


def _requested(run: Run, node: int) -> Iterator[str]:
    network = run.allocation.network
    for family, (kind, label) in enumerate(network.labelled):
        capacity = network.node_capacity[family, node, run.timeline.active]
        if np.isfinite(capacity):
            yield f"{capacity:g} {kind.unit} {label}".strip()

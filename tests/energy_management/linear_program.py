"""The weighted max-min fair point by linear programs: slow, and obviously right.

`max_min` finds it. Each round raises the lowest level of all EVSEs that are not settled yet as far as the
constraints allow, then settles those that can go no further. Only for small cases. `most_for` tells whether
a point that is known already is fair: nobody can have more while nobody who has as little or less is given
less.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

from tests.energy_management.problem import Row

SLACK = 1e-7


def max_min(rows: Sequence[Row], minima: Sequence[float], weights: Sequence[float]) -> list[float]:
    """The fair currents under the rows, each at least its minimum; all EVSEs are of one class."""
    count = len(minima)
    matrix = np.array([[row.coefficients.get(i, 0.0) for i in range(count)] for row in rows])
    capacity = np.array([row.capacity for row in rows])
    settled: dict[int, float] = {}
    while len(settled) < count:
        level = _highest_level(matrix, capacity, minima, weights, settled)
        floors = [settled.get(i, max(minima[i], weights[i] * level - SLACK)) for i in range(count)]
        highest = {
            i: _highest_current(i, matrix, capacity, floors, settled)
            for i in range(count)
            if i not in settled
        }
        stuck = {i: x for i, x in highest.items() if x <= max(minima[i], weights[i] * level) + 1e-5}
        if not stuck:  # numerically undecided: settle the one that has the least room
            i = min(highest, key=lambda i: highest[i] - floors[i])
            stuck = {i: highest[i]}
        settled |= {i: max(minima[i], weights[i] * level) for i in stuck}
    return [settled[i] for i in range(count)]


def most_for(i: int, rows: Sequence[Row], floors: Sequence[float]) -> float:
    """How far one EVSE could be raised under the rows while all others keep their floors."""
    matrix = np.array([[row.coefficients.get(j, 0.0) for j in range(len(floors))] for row in rows])
    return _highest_current(i, matrix, np.array([row.capacity for row in rows]), floors, {})


def _highest_level(
    matrix: NDArray[np.float64],
    capacity: NDArray[np.float64],
    minima: Sequence[float],
    weights: Sequence[float],
    settled: dict[int, float],
) -> float:
    """The largest level that all unsettled EVSEs reach together; the variables are currents, then level."""
    count = len(minima)
    reach = np.array(
        [[-float(i == j) for j in range(count)] + [weights[i]] for i in range(count) if i not in settled]
    )
    bounds = [(settled.get(i, minima[i]), settled.get(i)) for i in range(count)]
    bounds = [(low, low + SLACK if high is not None else None) for low, high in bounds]
    found = linprog(
        [0.0] * count + [-1.0],
        A_ub=np.vstack([np.hstack([matrix, np.zeros((len(matrix), 1))]), reach]),
        b_ub=np.concatenate([capacity + SLACK * (1 + capacity), np.zeros(len(reach))]),
        bounds=[*bounds, (0, None)],
    )
    assert found.success, found.message
    return float(found.x[-1])


def _highest_current(
    i: int,
    matrix: NDArray[np.float64],
    capacity: NDArray[np.float64],
    floors: Sequence[float],
    settled: dict[int, float],
) -> float:
    """How far one EVSE could be raised while all others keep their floor."""
    count = len(floors)
    found = linprog(
        [-float(i == j) for j in range(count)],
        A_ub=matrix,
        b_ub=capacity + SLACK * (1 + capacity),
        bounds=[(floors[j], floors[j] + SLACK if j in settled else None) for j in range(count)],
    )
    assert found.success, found.message
    return float(found.x[i])

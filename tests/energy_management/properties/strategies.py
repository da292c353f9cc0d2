"""Hypothesis strategies of sites, and how many examples a run takes.

The tree is drawn from a seed, the size and the features are drawn by hypothesis: so a failure shrinks to few
EVSEs and few features, and examples of 40 EVSEs stay cheap. `PROPERTY_EXAMPLES=2000` makes a thorough run.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from tests.energy_management.random_sites import FEATURES, Case, random_case

EXAMPLES = int(os.environ.get("PROPERTY_EXAMPLES", "80"))

examples = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="PROPERTY_EXAMPLES" not in os.environ,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@st.composite
def cases(
    draw: st.DrawFn,
    *,
    max_evses: int = 40,
    depth: int = 4,
    without: Sequence[str] = (),
    always: Sequence[str] = (),
    seeds: int = 2**32,
) -> Case:
    """Sites with any subset of the features, but for those left out and those that are always there."""
    allowed = [feature for feature in FEATURES if feature not in without]
    features = draw(st.frozensets(st.sampled_from(allowed))).union(always)
    evses = draw(st.integers(1, max_evses))
    levels = draw(st.integers(1, depth))
    return random_case(draw(st.integers(0, seeds)), evses, levels, features)

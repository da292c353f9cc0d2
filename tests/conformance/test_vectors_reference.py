"""Arbitrary requests with the answers of EVerest's optimizer, right or wrong.

Every case whose answer differs from ours by more than a slice is listed in `deviations.yaml` with the
reasons. A reason is not a label: a trader that makes the listed mistakes on purpose gives EVerest's answer,
without any one of them it does not, and without all of them it gives ours. Ours always passes the checker.
"""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tests.conformance.deviations import deviations, moments, not_ours, unexplained
from tests.conformance.trader import MISTAKES
from tests.conformance.vectors import DATA, load, run
from tests.energy_management.checker import check
from tests.energy_management.problem import Json

TABLE: dict[str, Any] = yaml.safe_load((DATA / "deviations.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", load("reference.jsonl.gz"), ids=lambda case: case["name"])
def test_differs_from_everest_only_for_listed_reasons(case: Json) -> None:
    runs = run(case)
    for found in runs:
        assert check(found.request, case["config"], {}, found.ours, found.now) == []
    reasons = frozenset(TABLE["cases"].get(case["name"], []))
    different = deviations(case["config"], moments(runs))
    if not reasons:
        assert different == [], "a deviation without a listed reason"
        return
    assert different, "this case does not deviate any more: strike it off the table"
    assert not_ours(case, runs) == [], "the trader without mistakes should give our answer"
    assert unexplained(case, runs, reasons) == [], "the listed mistakes do not lead to EVerest's answer"
    for reason in reasons:
        assert unexplained(case, runs, reasons - {reason}), f"{reason} has no part in this deviation"


def test_every_reason_is_told_in_words_and_used() -> None:
    used = {reason for reasons in TABLE["cases"].values() for reason in reasons}
    assert used == TABLE["reasons"].keys()
    assert used <= set(MISTAKES)
    assert TABLE["cases"].keys() <= {case["name"] for case in load("reference.jsonl.gz")}

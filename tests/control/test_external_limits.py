"""Limits from outside: one slot per source, joined by minimum, never gone by accident."""

import json
from typing import Any

import pytest

from control.clock import Instant
from control.external_limits import EVEREST_SOURCE, Expiry, ExternalLimits, LimitBook, LimitError
from tests.control.sample import VirtualClock, ampere_limits, entry

NINE = "2026-11-22T09:00:00.000Z"


def import_limit(amperes: float, source: str = "x") -> ExternalLimits:
    return ExternalLimits(schedule_import=[entry(NINE, ampere_limits(amperes, source))])


def amperes_in_force(book: LimitBook, clock: VirtualClock) -> float | None:
    schedule = book.in_force(clock()).schedule_import
    value: float | None = schedule[0]["limits_to_root"]["ac_max_current_A"]["value"] if schedule else None
    return value


def test_one_source_does_not_lift_the_limit_of_another() -> None:
    clock, book = VirtualClock(), LimitBook()
    book.set("ocpp", import_limit(10))
    book.set("grid operator", import_limit(16))
    assert amperes_in_force(book, clock) == 10
    book.clear("ocpp")
    assert amperes_in_force(book, clock) == 16


def test_a_source_replaces_its_own_limit() -> None:
    clock, book = VirtualClock(), LimitBook()
    book.set(EVEREST_SOURCE, import_limit(10))
    book.set(EVEREST_SOURCE, import_limit(25))
    assert amperes_in_force(book, clock) == 25
    book.set(EVEREST_SOURCE, ExternalLimits())
    assert amperes_in_force(book, clock) is None


def test_a_source_that_falls_silent_leaves_its_fallback() -> None:
    clock, book = VirtualClock(), LimitBook()
    book.set("lpc", import_limit(32), Expiry.after(60, clock(), import_limit(6)))
    clock.advance(59)
    assert amperes_in_force(book, clock) == 32
    clock.advance(2)
    assert amperes_in_force(book, clock) == 6
    book.set("lpc", import_limit(20), Expiry.after(60, clock(), import_limit(6)))
    assert amperes_in_force(book, clock) == 20


@pytest.mark.parametrize(("down_for_s", "amperes"), [(10, 32), (50, 6)])
def test_named_limits_survive_a_restart_and_expire_as_they_would_have(
    down_for_s: float, amperes: float
) -> None:
    clock, book = VirtualClock(), LimitBook()
    book.set("lpc", import_limit(32), Expiry.after(60, clock(), import_limit(6)))
    book.set(EVEREST_SOURCE, import_limit(1))
    stored = json.loads(json.dumps(book.to_json()))
    clock.advance(15 + down_for_s)
    after_reboot = Instant(clock().monotonic_s - 500, clock().utc)
    again = LimitBook.from_json(stored, after_reboot)
    schedule = again.in_force(after_reboot).schedule_import
    assert schedule[0]["limits_to_root"]["ac_max_current_A"]["value"] == amperes


WHOLE: dict[str, Any] = {
    "schedule_import": [entry(NINE, ampere_limits(10, "x"))],
    "schedule_export": [],
    "schedule_setpoints": [],
}


@pytest.mark.parametrize(
    ("limits", "complaint"),
    [
        (None, "expected an object"),
        ({**WHOLE, "schedule_export": None}, "schedule_export must be a list"),
        (
            {**WHOLE, "schedule_import": [{"limits_to_root": {}}]},
            r"schedule_import\[0\] has no valid timestamp",
        ),
        (
            {**WHOLE, "schedule_import": [entry("0001-01-01T00:00:00+14:00", ampere_limits(10, "x"))]},
            r"schedule_import\[0\] has no valid timestamp",
        ),
        (
            {**WHOLE, "schedule_import": [{"timestamp": NINE}]},
            r"schedule_import\[0\]\.limits_to_root is missing",
        ),
        (
            {**WHOLE, "schedule_import": [entry(NINE, ampere_limits(float("nan"), "x"))]},
            r"limits_to_root\.ac_max_current_A needs a number",
        ),
        (
            {**WHOLE, "schedule_import": [entry(NINE, {"ac_max_current_A": 10})]},
            r"limits_to_root\.ac_max_current_A needs a number",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(limits: object, complaint: str) -> None:
    with pytest.raises(LimitError, match=complaint):
        ExternalLimits.from_json(limits)


def test_what_everest_sends_is_taken() -> None:
    assert ExternalLimits.from_json(WHOLE).schedule_import == WHOLE["schedule_import"]

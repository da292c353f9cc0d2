"""Makes any request safe to read: whatever is malformed allows nothing, and is reported.

`docs/input-hardening.md` has the table of outcomes.
"""

from __future__ import annotations

from typing import Any

from energy_management.tree import MalformedRequestError, Node

SIGNS_OF_MALFORMED = (MalformedRequestError, KeyError, TypeError, ValueError, AttributeError, OverflowError)
"""What reading a malformed request raises."""


def sanitise(request: Any) -> tuple[Node, list[tuple[str, str]]]:
    raise NotImplementedError

"""Python values as EVerest messages, converted as everestpy converts them."""

import base64
import math

from hil.runtime import wire
from hil.runtime.wire import Json


def encode(msg_type: str, data: Json) -> bytes:
    """Write an envelope.

    Raises
    ------
    RuntimeError
        ``data`` holds something that has no JSON form.
    """
    try:
        return wire.encode(msg_type, data)
    except (TypeError, ValueError, RecursionError):
        # Rare: only such data pays for the walk through all of it.
        return wire.encode(msg_type, _plain(data, ()))


def _plain(value: object, inside: tuple[int, ...]) -> Json:
    """Convert as everestpy does: NaN and infinity are null, bytes are base64, keys are text."""
    if id(value) in inside:
        raise RuntimeError("Circular reference detected")
    match value:
        case float() if not math.isfinite(value):
            return None
        case None | bool() | int() | float() | str():
            return value
        case bytes():
            return base64.b64encode(value).decode()
        case list() | tuple():
            return [_plain(item, (*inside, id(value))) for item in value]
        case dict():
            return {str(key): _plain(item, (*inside, id(value))) for key, item in value.items()}
    raise RuntimeError(f"to_json not implemented for this type of object: {value!r}")

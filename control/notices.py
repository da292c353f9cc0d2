"""What is wrong right now: said once when it begins and once when it ends, not every second."""

import threading
from typing import Protocol


class Log(Protocol):
    """EVerest's log functions, as far as they are needed."""

    def debug(self, message: str, /) -> None:
        """For developers."""

    def info(self, message: str, /) -> None:
        """Worth knowing in normal operation."""

    def warning(self, message: str, /) -> None:
        """Something is wrong, the module copes."""

    def error(self, message: str, /) -> None:
        """Something is wrong, somebody should look."""


class Notices:
    """Conditions that hold at present, by key, with the line that describes them. Thread-safe."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._active: dict[str, str] = {}

    def raise_(self, key: str, message: str) -> None:
        """Begin a condition; a warning is logged unless it is already known in the same words."""
        with self._lock:
            is_news = self._active.get(key) != message
            self._active[key] = message
        if is_news:
            self._log.warning(message)

    def clear(self, key: str, message: str) -> None:
        """End a condition; ``message`` is logged if there was one."""
        with self._lock:
            was_active = self._active.pop(key, None) is not None
        if was_active:
            self._log.info(message)

    def keep_only(self, prefix: str, active: dict[str, str], ended: str) -> None:
        """Replace the conditions below ``prefix`` by ``active``: rest of the key to message."""
        with self._lock:
            known = [key.removeprefix(prefix) for key in self._active if key.startswith(prefix)]
        for name in known:
            if name not in active:
                self.clear(prefix + name, f"{name}: {ended}")
        for key, message in active.items():
            self.raise_(prefix + key, message)

    @property
    def active(self) -> list[str]:
        """Descriptions of what is wrong right now."""
        with self._lock:
            return sorted(self._active.values())

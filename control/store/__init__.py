"""What must survive a restart, and what was: one SQLite file."""

from control.store.file import FileError
from control.store.records import Retention, Sample, Session
from control.store.store import Store

__all__ = ["FileError", "Retention", "Sample", "Session", "Store"]

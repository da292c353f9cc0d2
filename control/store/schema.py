"""Tables of the file, and how an older file becomes one of today."""

import sqlite3

MIGRATIONS = (
    ("CREATE TABLE state (part TEXT PRIMARY KEY, document TEXT NOT NULL) WITHOUT ROWID",),
    (
        """
        CREATE TABLE sessions (
            id INTEGER PRIMARY KEY, evse TEXT NOT NULL, started TEXT NOT NULL, seen TEXT NOT NULL, ended TEXT,
            energy_Wh REAL, is_estimated INTEGER NOT NULL, max_current_A REAL, phases INTEGER, mode TEXT,
            meter_Wh REAL
        )
        """,
        """
        CREATE TABLE samples (
            at TEXT NOT NULL, evse TEXT NOT NULL, granted_A REAL, current_A REAL, power_W REAL, energy_Wh REAL
        )
        """,
    ),
)
"""Statements that lead from each version of the file to the next; the version of a file is its user_version.

What is here has been released: it never changes, new versions are added at the end.
"""


def migrate(database: sqlite3.Connection) -> None:
    """Bring a file to the newest version, one version at a time, each in a transaction.

    Raises
    ------
    sqlite3.DatabaseError
        It is of a version that is not known, or not what its version says.
    """
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if not 0 <= version <= len(MIGRATIONS):
        raise sqlite3.DatabaseError(
            f"written by another version of this software: schema {version}, known: {len(MIGRATIONS)}"
        )
    for number, statements in enumerate(MIGRATIONS[version:], version + 1):
        database.execute("BEGIN IMMEDIATE")
        with database:
            for statement in statements:
                database.execute(statement)
            database.execute(f"PRAGMA user_version = {number}")

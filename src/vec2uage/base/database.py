"""Keyed rows in one SQLite file: what was put lasts, whatever happens to the process, and damage to it is told.

Each row has a digest of itself, as SQLite does not tell of bits that have changed in it.
"""

import hashlib
import logging
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from vec2uage.base.access import make_folder, open_to_write
from vec2uage.base.errors import UserError

_WAIT_SECONDS = 60  # for another process that is writing to the same file
T = TypeVar("T")
log = logging.getLogger(__name__)


class Database:
    """An open database; other processes can put, too."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self.connection = connection
        self.path = path
        self._is_known_damaged = False

    def find(self, table: str, columns: str, read: Callable[..., T], **key: object) -> T | None:
        """Return what `read` makes of the columns of a row, None where there is none or it is damaged."""
        where = " AND ".join(f"{name}=?" for name in key)
        query = f"SELECT {columns}, digest FROM {table} WHERE {where}"
        row = self.connection.execute(query, tuple(key.values())).fetchone()
        if row is None:
            return None
        *values, digest = row
        try:
            if digest is not None and digest != row_digest(*key.values(), *values):
                raise ValueError("its digest is of something else")
            return read(*values)
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            if not self._is_known_damaged:
                log.warning("%s is damaged (%s: %s); what is damaged is made again", self.path, table, error)
            self._is_known_damaged = True
            return None

    def put(self, table: str, *values: object) -> None:
        """Put a row, in place of the one of the same key; values in the order of the table's columns."""
        marks = ",".join("?" * (len(values) + 1))
        self.connection.execute(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", (*values, row_digest(*values)))


def row_digest(*values: object) -> bytes:
    """Return the digest of a row: of all its values, key first."""
    return hashlib.sha256(repr(values).encode("utf-8", "surrogateescape")).digest()[:8]


@contextmanager
def open_database(path: Path, tables: Mapping[str, str], advice: str) -> Iterator[Database]:
    """Open the file at `path`, made if it is not there; `tables` gives the columns of each, `digest BLOB` last.

    Raises UserError, which ends with `advice`, where the file is none of SQLite's or cannot be written.
    """
    connection = None
    try:
        make_folder(path.parent)
        open_to_write(path, "ab").close()  # SQLite's other files get the mode of this one
        # Every statement is a transaction of its own: nothing is lost to a kill, and no lock is held in between.
        connection = sqlite3.connect(path, timeout=_WAIT_SECONDS, isolation_level=None)
        connection.text_factory = lambda text: text.decode("utf-8", "surrogateescape")  # damage is not to stop a query
        _use_write_ahead_log(connection)
        connection.execute("PRAGMA synchronous=NORMAL")  # waits for the disk at checkpoints only, as a kill needs none
        _make_tables(connection, tables)
        yield Database(connection, path)
    except sqlite3.Error as error:
        raise UserError(f"{path}: {error} ({advice})") from None
    finally:
        if connection is not None:
            connection.close()


def _make_tables(connection: sqlite3.Connection, tables: Mapping[str, str]) -> None:
    """Make the tables that are not there; those of earlier versions get a digest, which none of their rows has."""
    for table, columns in tables.items():
        connection.execute(f"CREATE TABLE IF NOT EXISTS {table} ({columns})")
        if "digest" not in [column for _, column, *_ in connection.execute(f"PRAGMA table_info({table})")]:
            with suppress(sqlite3.OperationalError):  # another process has just done so, or there is worse to come
                connection.execute(f"ALTER TABLE {table} ADD COLUMN digest BLOB")


def _use_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Switch to a write-ahead log, which a killed process leaves intact; SQLite does not wait for others here."""
    last = time.monotonic() + _WAIT_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > last:
                raise
            time.sleep(0.05)

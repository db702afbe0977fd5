"""The embedded store's file: opened, its schema made and migrated, and SQLite's errors turned into ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw
import sqlite_vec

from stream.errors import Misconfigured, StoreUnavailable

APPLICATION_ID = 0x53454553  # "SEES": marks the file as ours
BUSY_MS = 5_000

_V1 = """
CREATE TABLE sources (source INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE models (
    model INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, dims INTEGER NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('int8', 'float32'))
);
CREATE TABLE observations (
    row INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, source INTEGER NOT NULL,
    captured_at INTEGER NOT NULL,  -- microseconds since 1970, UTC
    stored_at INTEGER NOT NULL, body BLOB NOT NULL  -- the Observation's JSON, without vectors
);
CREATE INDEX observations_by_time ON observations (captured_at);
CREATE INDEX observations_by_source ON observations (source, captured_at);
CREATE INDEX observations_by_age ON observations (stored_at);
CREATE TABLE labels (label TEXT NOT NULL, row INTEGER NOT NULL, PRIMARY KEY (label, row)) WITHOUT ROWID;
CREATE INDEX labels_of ON labels (row);
CREATE VIRTUAL TABLE words USING fts5(
    caption, labels, text, transcript,
    content = '', contentless_delete = 1, tokenize = 'porter unicode61 remove_diacritics 2'
);
-- source and captured_at again, so that a filtered scan reads this table only; bits are the signs of the values
CREATE TABLE vectors (
    id INTEGER PRIMARY KEY, observation INTEGER NOT NULL, model INTEGER NOT NULL, source INTEGER NOT NULL,
    captured_at INTEGER NOT NULL, box TEXT, bits BLOB NOT NULL
);
CREATE INDEX vectors_of ON vectors (observation);
CREATE INDEX vectors_by_time ON vectors (captured_at);
CREATE INDEX vectors_by_source ON vectors (source, captured_at);
CREATE TABLE embeddings (id INTEGER PRIMARY KEY, value BLOB NOT NULL);
"""

MIGRATIONS: tuple[str, ...] = (_V1,)
"""MIGRATIONS[n] takes a file from schema version n to n + 1. Released ones are never changed; add new ones."""


def open_writer(path: Path) -> apsw.Connection:
    """The connection that writes; makes or migrates the file. Raises: Misconfigured, StoreUnavailable."""
    with translated(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Misconfigured(f"store: cannot make the folder {path.parent}: {error.strerror}") from error
        connection = apsw.Connection(str(path))
        _prepare(connection)
        if connection.pragma("page_count") == 0:
            connection.pragma("auto_vacuum", 2)  # incremental; only an empty file takes it
        _check_ours(connection, path)
        connection.pragma("journal_mode", "wal")
        connection.pragma("synchronous", 2)  # full: what was acknowledged survives a power cut
        connection.pragma("journal_size_limit", 64 << 20)
        _migrate(connection)
        return connection


def open_reader(path: Path) -> apsw.Connection:
    """A connection that only reads, also while another process writes. Raises: Misconfigured, StoreUnavailable."""
    with translated(path):
        if not path.exists():
            raise Misconfigured(f"there is no store at {path} yet: start `seestream run` or `seestream demo` first")
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        _prepare(connection)
        _check_ours(connection, path)
        version = connection.pragma("user_version")
        if version != len(MIGRATIONS):
            raise Misconfigured(
                f"the store {path} has schema {version}, this seestream reads {len(MIGRATIONS)}:"
                " let the process that writes it start once with this version"
            )
        return connection


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turns SQLite's errors into `StoreUnavailable` (may pass) or `Misconfigured` (a person must act)."""
    try:
        yield
    except (apsw.BusyError, apsw.LockedError) as error:
        raise StoreUnavailable(f"the store {path} is locked by another process") from error
    except apsw.FullError as error:
        raise StoreUnavailable(f"the disk of the store {path} is full: make room there") from error
    except (apsw.NotADBError, apsw.CorruptError) as error:
        raise Misconfigured(
            f"the store {path} is damaged or no store ({error}):"
            f" move it away, or repair it with `sqlite3 {path} .recover`"
        ) from error
    except (apsw.ReadOnlyError, apsw.CantOpenError, apsw.PermissionsError, apsw.AuthError) as error:
        raise Misconfigured(
            f"the store {path} cannot be opened for writing ({error}): check its permissions"
        ) from error
    except (apsw.IOError, apsw.NoMemError, apsw.InterruptError) as error:
        raise StoreUnavailable(f"the store {path} cannot be read or written now: {error}") from error


@contextmanager
def transaction(connection: apsw.Connection, mode: str = "IMMEDIATE") -> Iterator[None]:
    """All or nothing. IMMEDIATE takes the write lock first, so that waiting for it happens in one place."""
    connection.execute(f"BEGIN {mode}")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk has ended it already
            connection.execute("ROLLBACK")
        raise


def _prepare(connection: apsw.Connection) -> None:
    connection.set_busy_timeout(BUSY_MS)
    connection.enable_load_extension(True)
    connection.load_extension(sqlite_vec.loadable_path())
    connection.enable_load_extension(False)
    connection.pragma("cache_size", -32 << 10)  # KiB
    connection.pragma("mmap_size", 1 << 30)


def _check_ours(connection: apsw.Connection, path: Path) -> None:
    known, version = connection.pragma("application_id"), connection.pragma("user_version")
    empty = connection.execute("SELECT count(*) FROM sqlite_schema").get == 0
    if known != APPLICATION_ID and not (empty and known == 0):
        raise Misconfigured(f"{path} is a database of another program: choose another path for the store")
    if isinstance(version, int) and version > len(MIGRATIONS):
        raise Misconfigured(
            f"the store {path} was written by a newer seestream (schema {version}, this one knows {len(MIGRATIONS)})"
        )


def _migrate(connection: apsw.Connection) -> None:
    """Every missing step in one transaction; another process may do the same at the same time."""
    if connection.pragma("user_version") == len(MIGRATIONS):
        return
    with transaction(connection):
        version = connection.pragma("user_version")
        assert isinstance(version, int)
        for step in MIGRATIONS[version:]:
            connection.execute(step)
        connection.pragma("application_id", APPLICATION_ID)
        connection.pragma("user_version", len(MIGRATIONS))

"""Replies of models on disk, so that nothing is asked and paid for twice.

One SQLite file in write-ahead mode: several processes read and write it at the same time. The key is a hash of all
that decides a reply: the model and its address, the settings, and the whole prompt. What is kept of a judge is the
reply as it came, not its verdict; no API key is ever near it. (Not the `diskcache` library: it unpickles what it
finds.)
"""

import hashlib
import json
import os
import sqlite3
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_TABLE = "CREATE TABLE IF NOT EXISTS replies (key TEXT PRIMARY KEY, model TEXT, reply TEXT NOT NULL, made REAL)"
_WAIT = 30.0  # seconds for another process to finish writing
_CHUNK = 500  # SQLite takes only so many parameters in one query


def default_cache(name: str = "judge") -> Path:
    """Where replies are kept unless somebody says otherwise: under `$XDG_CACHE_HOME`, or `~/.cache`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "abstain" / f"{name}.sqlite3"


def reply_key(identity: Mapping[str, Any], prompt: str) -> str:
    """The hash of everything that decides a reply.

    Example:
        >>> one = reply_key({"model": "m", "request": {"temperature": 0}}, "Grade this.")
        >>> one == reply_key({"request": {"temperature": 0}, "model": "m"}, "Grade this.")
        True
        >>> one == reply_key({"model": "m", "request": {"temperature": 1}}, "Grade this.")
        False
    """
    return hashlib.sha256(json.dumps([identity, prompt], sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class ReplyCache:
    """A file of replies. Picklable: it is opened for each batch, and closed after it.

    Args:
        path: the file; it and its folder are made if need be.

    Raises:
        ValueError: the file is there and is not such a cache, or cannot be opened.
    """

    path: Path

    def __post_init__(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with closing(self._connect()) as connection:
                connection.execute("SELECT key, model, reply, made FROM replies LIMIT 1")
        except (sqlite3.Error, OSError) as error:
            raise ValueError(f"cannot use {self.path} as a cache of replies: {error}; name another file") from None

    @contextmanager
    def open(self) -> Iterator["OpenCache"]:
        """The cache, for one batch."""
        try:
            cache = OpenCache(self._connect())
        except sqlite3.Error as error:
            cache = OpenCache(None)
            cache.lose(error)
        try:
            yield cache
        finally:
            cache.close()

    def _connect(self) -> sqlite3.Connection:
        # in a notebook another thread asks (`abstain.rewards.endpoint.client.run`), while this one waits
        connection = sqlite3.connect(self.path, timeout=_WAIT, isolation_level=None, check_same_thread=False)
        try:
            _write_ahead(connection)
            for query in ("PRAGMA synchronous=NORMAL", _TABLE):
                connection.execute(query)
        except sqlite3.Error:
            connection.close()
            raise
        return connection


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Switch to write-ahead mode. Where several switch a new file at once, SQLite does not wait by itself."""
    until = time.monotonic() + _WAIT
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not busy or time.monotonic() > until:
                raise
        time.sleep(0.01)


class OpenCache:
    """Replies while a batch is asked. Trouble with the file costs money, not replies: it is warned of, once.

    Args:
        connection: to the file; `None` keeps and finds nothing.
    """

    def __init__(self, connection: sqlite3.Connection | None) -> None:
        self.connection = connection

    def get(self, keys: Sequence[str]) -> dict[str, str]:
        """The replies that are there, by key."""
        found: dict[str, str] = {}
        for start in range(0, len(keys), _CHUNK):
            some = keys[start : start + _CHUNK]
            marks = ",".join("?" * len(some))
            found.update(self._execute(f"SELECT key, reply FROM replies WHERE key IN ({marks})", some))
        return found

    def put(self, key: str, model: str, reply: str) -> None:
        """Keep a reply; the first one stays if two processes asked the same at once."""
        self._execute("INSERT OR IGNORE INTO replies VALUES (?, ?, ?, ?)", (key, model, reply, time.time()))

    def lose(self, error: sqlite3.Error) -> None:
        """Go on without the file."""
        warnings.warn(f"the cache of replies fails, going on without it: {error}", stacklevel=2)
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def _execute(self, query: str, values: Sequence[Any]) -> list[Any]:
        if self.connection is None:
            return []
        try:
            return self.connection.execute(query, values).fetchall()
        except sqlite3.Error as error:
            self.lose(error)
            return []

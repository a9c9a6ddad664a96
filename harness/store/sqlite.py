"""The store on disk: one SQLite file a workspace, safe against kills and against a second process.

Write-ahead log, `synchronous=FULL`, one transaction a batch: a batch whose `put_many` has returned survives a
kill or a power cut, and none is ever there by half. Values are canonical JSON in text columns, never pickle.
A store belongs to one thread of one process; other processes open the same file themselves.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from harness.exceptions import FileProblem, StageFailed
from harness.models.digest import canonical_json, from_canonical_json
from harness.store.base import Table

FILE_NAME = "store.sqlite"
VERSION = 1
APPLICATION_ID = 0x43484B48
"""Stands in the file's head ("CHKH"), so that another program's SQLite file is not written into."""
BUSY_SECONDS = 60.0
_CHUNK = 500
"""Keys asked for in one statement: below SQLite's oldest limit of 999 variables."""

_EFFECTIVE = os.access in os.supports_effective_ids
_READ_ONLY = "it cannot be written; check the permissions of its folder and of the files there with its name."
_PROBLEMS = {
    sqlite3.SQLITE_FULL: "the disk is full.",
    sqlite3.SQLITE_READONLY: _READ_ONLY,
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened; check the permissions of the file and its folder.",
    sqlite3.SQLITE_NOTADB: "this is not an SQLite file; move it away or choose another workspace.",
    sqlite3.SQLITE_CORRUPT: "this store is damaged; move it away or choose another workspace.",
    sqlite3.SQLITE_BUSY: "another process keeps it locked.",
}


def _explain(problem: sqlite3.Error) -> str:
    """Say what went wrong to someone who does not know SQLite."""
    code = getattr(problem, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_IOERR:
        return f"the disk refused to read or write ({problem}); is it full or gone?"
    return _PROBLEMS.get(code, f"SQLite reports: {problem}.")


class Store:
    """The responses, scores, judgments and runs of one workspace.

    Opening makes the file and its folders. Raises FileProblem where that cannot work: a read-only folder, a
    folder in its place, a file that is no SQLite file or another program's, one of a newer version, a full
    disk.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            is_folder = self.path.is_dir()
        except OSError as problem:
            raise FileProblem(
                self.path.parent, f"this folder cannot be used for the store ({problem.strerror})."
            ) from problem
        if is_folder:
            raise FileProblem(
                self.path, "a folder stands where the store should be; choose another workspace."
            )
        if self.path.exists() and not os.access(self.path, os.W_OK, effective_ids=_EFFECTIVE):
            # SQLite would open it, and leave files beside it that are read-only even when it no longer is.
            raise FileProblem(self.path, _READ_ONLY)
        try:
            self._connection = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)
        except sqlite3.Error as problem:
            raise FileProblem(self.path, _explain(problem)) from problem
        try:
            self._prepare()
        except sqlite3.Error as problem:
            self.close()
            raise FileProblem(self.path, _explain(problem)) from problem
        except FileProblem:
            self.close()
            raise

    @classmethod
    def open(cls, workspace: Path | str) -> Self:
        """Open the store of a workspace folder, made where it is missing."""
        return cls(Path(workspace) / FILE_NAME)

    def get_many(self, table: Table, keys: Iterable[str]) -> dict[str, Any]:
        """Return the stored values of those keys that are there. Raises StageFailed on a disk error."""
        found: dict[str, Any] = {}
        rest = iter(keys)
        try:
            while chunk := list(islice(rest, _CHUNK)):
                marks = ",".join("?" * len(chunk))
                rows = self._connection.execute(
                    f"SELECT key, value FROM {Table(table)} WHERE key IN ({marks})",  # noqa: S608 - an enum's name
                    chunk,
                )
                found.update((key.decode(), from_canonical_json(value)) for key, value in rows)
        except sqlite3.Error as problem:
            raise self._failed("Reading the store", problem) from problem
        return found

    def put_many(self, table: Table, values: Mapping[str, object]) -> int:
        """Store a batch in one transaction and return how many keys were new; a taken key keeps its value.

        Raises StageFailed on a full disk or a disk error, and TypeError for a value that JSON cannot hold;
        in both cases nothing of the batch is stored.
        """
        rows = [(key, canonical_json(value)) for key, value in values.items()]
        if not rows:
            return 0
        # The bytes are cast to text, because sqlite3 refuses strings with lone surrogates.
        insert = f"INSERT INTO {Table(table)} VALUES (?, CAST(? AS TEXT)) ON CONFLICT(key) DO NOTHING"  # noqa: S608
        try:
            with self._transaction():
                return self._connection.executemany(insert, rows).rowcount
        except sqlite3.Error as problem:
            raise self._failed("Storing", problem) from problem

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _prepare(self) -> None:
        """Check whose file it is, then bring it into shape."""
        self._connection.text_factory = bytes
        self._connection.execute("PRAGMA synchronous=FULL")
        self._check()
        self._use_write_ahead_log()
        with self._transaction():
            if self._check() == 0:
                for table in Table:
                    self._connection.execute(
                        f"CREATE TABLE {table} (key TEXT PRIMARY KEY, value TEXT NOT NULL)"
                    )
                self._connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
            # Written even where it stands already: a read-only file is noticed now, not after an hour.
            self._connection.execute(f"PRAGMA user_version={VERSION}")

    def _check(self) -> int:
        """Return the version of the file, 0 where it is empty; refuses a stranger's and a newer one's."""
        version = self._number("PRAGMA user_version")
        application = self._number("PRAGMA application_id")
        tables = self._number("SELECT count(*) FROM sqlite_master")
        if application != APPLICATION_ID and (tables or version or application):
            raise FileProblem(
                self.path, "this SQLite file belongs to another program; choose another workspace."
            )
        if version > VERSION:
            raise FileProblem(
                self.path,
                f"this store has version {version}, written by a newer harness, and this one reads up to "
                f"version {VERSION}; update the harness or choose another workspace.",
            )
        return version

    def _use_write_ahead_log(self) -> None:
        """Switch the log on, waiting for others: SQLite's own busy time-out does not cover this statement."""
        deadline = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                self._connection.execute("PRAGMA journal_mode=WAL").fetchone()
            except sqlite3.OperationalError as problem:
                busy = problem.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
                if not busy or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
            else:
                return

    def _number(self, query: str) -> int:
        (value,) = self._connection.execute(query).fetchone()
        return int(value)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        """Commit at the end; whatever happens before, Ctrl-C included, leaves the file as it was."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def _failed(self, stage: str, problem: sqlite3.Error) -> StageFailed:
        return StageFailed(
            stage, f"{self.path}: {_explain(problem)}", "Put that right, then run the same command again."
        )

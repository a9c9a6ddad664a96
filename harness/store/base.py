"""The whole contract of a store: JSON values under keys, in four tables, a batch at a time.

`NoStore` is the store of `--no-store`. The one on disk is `harness.store.sqlite.Store`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from types import TracebackType
from typing import Any, Protocol, Self


class Table(StrEnum):
    """What is kept."""

    RESPONSES = "responses"
    SCORES = "scores"
    JUDGMENTS = "judgments"
    RUNS = "runs"


class Storage(Protocol):
    """Keeps JSON values; what is stored under a key stays as it is."""

    def get_many(self, table: Table, keys: Iterable[str]) -> dict[str, Any]:
        """Return the stored values of those keys that are there."""
        ...

    def put_many(self, table: Table, values: Mapping[str, object]) -> int:
        """Store a batch whole or not at all and return how many of its keys were new.

        It is on disk when this returns. A key that is taken keeps its value.
        """
        ...


class NoStore:
    """Neither reads nor writes."""

    def get_many(self, table: Table, keys: Iterable[str]) -> dict[str, Any]:  # noqa: ARG002 - the contract's names
        """Find nothing."""
        return {}

    def put_many(self, table: Table, values: Mapping[str, object]) -> int:  # noqa: ARG002 - the contract's names
        """Forget the batch; every key counts as new."""
        return len(values)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Do nothing: there is nothing to close."""

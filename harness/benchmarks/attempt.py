"""The one place where whatever a task's definition raises on a sample becomes that sample's failure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def attempt(work: Callable[[], Any]) -> tuple[Any, str | None]:
    """The result of a sample's work and None, or None and why it failed: one bad sample ends no run."""
    try:
        return work(), None
    except Exception as problem:  # noqa: BLE001 - task definitions run code and templates of many authors
        first = (str(problem).strip() or "no reason given").splitlines()[0]
        return None, f"{type(problem).__name__}: {first}"

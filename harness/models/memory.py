"""What does not fit into memory is cut in two and tried again. Imports torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

S = TypeVar("S")
T = TypeVar("T")


def halving(run: Callable[[Sequence[S]], list[T]], rows: Sequence[S]) -> list[T]:
    """`run(rows)`, or the joined results of its halves where memory runs out; one row that does not fit raises."""
    try:
        return run(rows)
    except (RuntimeError, MemoryError) as problem:
        if len(rows) < 2 or not _out_of_memory(problem):
            raise
    half = len(rows) // 2
    return [*halving(run, rows[:half]), *halving(run, rows[half:])]


def _out_of_memory(problem: BaseException) -> bool:
    text = str(problem).lower()
    known = ("out of memory", "can't allocate memory", "not enough memory")
    return isinstance(problem, (torch.OutOfMemoryError, MemoryError)) or any(part in text for part in known)

"""What does not fit into memory is cut in two and tried again. Imports torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from harness.exceptions import StageFailed

S = TypeVar("S")
T = TypeVar("T")


def halving(run: Callable[[Sequence[S]], list[T]], rows: Sequence[S]) -> list[T]:
    """`run(rows)`, or the joined results of its halves where memory runs out; StageFailed for a row too large."""
    try:
        return run(rows)
    except (RuntimeError, MemoryError) as problem:
        if not out_of_memory(problem):
            raise
        if len(rows) < 2:
            raise StageFailed(
                "The model",
                "one sample alone does not fit into memory.",
                "Free some, or ask for shorter answers or a smaller number format.",
            ) from problem
    half = len(rows) // 2
    return [*halving(run, rows[:half]), *halving(run, rows[half:])]


def out_of_memory(problem: BaseException) -> bool:
    """Whether this is torch's or Python's way to say that memory ran out."""
    text = str(problem).lower()
    known = ("out of memory", "can't allocate memory", "not enough memory")
    return isinstance(problem, (torch.OutOfMemoryError, MemoryError)) or any(part in text for part in known)

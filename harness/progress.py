"""How long-running stages tell the caller how far they are. They never print: the command line does."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Receives the state of one stage; `total` is 0 while it is not known."""

    def __call__(self, stage: str, done: int, total: int, note: str = "") -> None:
        """Report `done` of `total` steps of a stage; `note` is a word for the reader."""
        ...


def silent(stage: str, done: int, total: int, note: str = "") -> None:
    """Discard progress: the default of every stage function."""

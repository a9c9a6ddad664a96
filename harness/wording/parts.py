"""A sentence with emphasis: what the page draws in bold and the terminal prints plainly."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of a sentence. kind: "" plain, "strong", "soft", "base", "tuned"."""

    text: str
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number and the unit that hangs behind it ("%" or nothing)."""

    text: str
    unit: str = ""


Rich = tuple[Part, ...]
"""A sentence with emphasis."""


def plain_text(parts: Rich) -> str:
    """The sentence without emphasis."""
    return "".join(part.text for part in parts)

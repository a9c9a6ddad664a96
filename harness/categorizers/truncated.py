"""Truncated: the answer stops before it is finished."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from harness.records import Category, Finish, Generation, Sample

_TAIL = 60
"""Characters of the end that are shown as evidence."""

TERMINAL = ".!?\u2026\u3002\uff01\uff1f\u061f\u0964"
"""Characters that end a sentence: ASCII, ellipsis, Chinese full-width, Arabic, Devanagari."""

CLOSING = "\"'`*_)]}>\u201d\u2019\u00bb\u300d"
"""Characters that may follow the end of a sentence: quotes, brackets, Markdown."""


@dataclass(frozen=True)
class Truncated:
    """The generation ran into the length limit, or, if asked for, ends in the middle of a sentence."""

    mid_sentence: bool = False
    """Also name answers that stopped by themselves without closing punctuation. Off by default, since "Paris"
    is a whole answer."""

    name: ClassVar[str] = "truncated"
    needs_target: ClassVar[bool] = False

    def categorize(self, generation: Generation, answer: str, sample: Sample) -> Category | None:  # noqa: ARG002
        """Look at the raw text and why it ended. Text that is only whitespace has no sentence to cut."""
        text = generation.text.rstrip()
        tail = f"...{text[-_TAIL:]}" if len(text) > _TAIL else text
        if generation.finish is Finish.LENGTH:
            return Category(self.name, f"length limit after {generation.tokens} tokens: {tail!r}")
        if self.mid_sentence and text and not ends_sentence(text):
            return Category(self.name, f"ends without closing punctuation: {tail!r}")
        return None


def ends_sentence(text: str) -> bool:
    """Whether text ends with terminal punctuation (closing quotes and brackets aside) or a code block."""
    text = text.rstrip()
    return text.rstrip(CLOSING).endswith(tuple(TERMINAL)) or text.endswith("\n```")

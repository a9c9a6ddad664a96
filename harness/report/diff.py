"""Which words two answers share.

difflib over words with `autojunk=False`: its default drops frequent words above 200 and then finds a quarter of the
matches. A word carries the space behind it, so that spaces are neither compared nor marked by themselves. The runs of
each side rebuild its text exactly.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass

_WORD = re.compile(
    r"(?:[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff]"  # writing without spaces: a character is a word
    r"|[^\W\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff]+|[^\w\s])\s*|\s+"
)
_BUDGET = 4_000_000
"""Largest product of word counts that is compared: about a second of difflib."""
_ALIKE = 0.2
"""Texts that share less than this part of the longer one's words are marked whole: stray common words tell nothing."""


@dataclass(frozen=True, slots=True)
class Run:
    """A stretch of text; `changed` where the other side does not have it."""

    text: str
    changed: bool


@dataclass(frozen=True, slots=True)
class Diff:
    """Both sides as runs; `marked` is False where the texts were too long to compare."""

    left: tuple[Run, ...]
    right: tuple[Run, ...]
    marked: bool = True


def word_diff(left: str, right: str) -> Diff:
    """Compare two texts word by word; joined runs give back each text."""
    if left == right:
        same = (Run(left, changed=False),) if left else ()
        return Diff(same, same)
    a, b = _WORD.findall(left), _WORD.findall(right)
    if len(a) * len(b) > _BUDGET:
        return Diff((Run(left, changed=False),), (Run(right, changed=False),), marked=False)
    bare = [word.rstrip() for word in a]
    matcher = difflib.SequenceMatcher(None, bare, [word.rstrip() for word in b], autojunk=False)
    opcodes = _without_crumbs(matcher.get_opcodes(), bare)
    shared = sum(_spoken(bare[a0:a1]) for tag, a0, a1, _, _ in opcodes if tag == "equal")
    if shared < _ALIKE * max(_spoken(bare), _spoken(b)):
        opcodes = [("replace", 0, len(a), 0, len(b))]
    runs_a: list[Run] = []
    runs_b: list[Run] = []
    for tag, a0, a1, b0, b1 in opcodes:
        _append(runs_a, "".join(a[a0:a1]), changed=tag != "equal")
        _append(runs_b, "".join(b[b0:b1]), changed=tag != "equal")
    return Diff(tuple(runs_a), tuple(runs_b))


_Opcode = tuple[str, int, int, int, int]


def _without_crumbs(opcodes: Sequence[_Opcode], words: Sequence[str]) -> list[_Opcode]:
    """A stretch between two changes that shares punctuation alone is a change too."""
    kept: list[_Opcode] = []
    for index, (tag, a0, a1, b0, b1) in enumerate(opcodes):
        inside = 0 < index < len(opcodes) - 1
        crumb = tag == "equal" and inside and not _spoken(words[a0:a1])
        kept.append(("replace" if crumb else tag, a0, a1, b0, b1))
    return kept


def _spoken(words: Sequence[str]) -> int:
    """How many of the words are words or numbers, not punctuation."""
    return sum(1 for word in words if word[:1].isalnum())


def _append(runs: list[Run], text: str, *, changed: bool) -> None:
    if not text:
        return
    if runs and runs[-1].changed == changed:
        runs[-1] = Run(runs[-1].text + text, changed)
    else:
        runs.append(Run(text, changed))

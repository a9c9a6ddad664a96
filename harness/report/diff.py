"""Which words two answers share.

difflib over word tokens with `autojunk=False`: its default drops frequent tokens above 200 and then finds a
quarter of the matches. The parts rebuild both texts exactly.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass

_TOKEN = re.compile(
    r"[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff]"  # writing without spaces: a character is a token
    r"|[^\W\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff]+|\s+|[^\w\s]"
)
_BUDGET = 4_000_000
"""Largest product of token counts that is compared: about a second of difflib."""
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
    a, b = _TOKEN.findall(left), _TOKEN.findall(right)
    if len(a) * len(b) > _BUDGET:
        return Diff((Run(left, changed=False),), (Run(right, changed=False),), marked=False)
    opcodes = _without_crumbs(difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes(), a)
    if _shared_words(opcodes, a) < _ALIKE * max(_words(a), _words(b)):
        opcodes = [("replace", 0, len(a), 0, len(b))]
    runs_a: list[Run] = []
    runs_b: list[Run] = []
    for tag, a0, a1, b0, b1 in opcodes:
        changed = tag != "equal"
        _append(runs_a, "".join(a[a0:a1]), changed=changed)
        _append(runs_b, "".join(b[b0:b1]), changed=changed)
    return Diff(tuple(runs_a), tuple(runs_b))


_Opcode = tuple[str, int, int, int, int]


def _without_crumbs(opcodes: Sequence[_Opcode], a: list[str]) -> list[_Opcode]:
    """Equal stretches between two changes that hold no word are changes too: shared spaces tell nothing."""
    kept: list[_Opcode] = []
    for index, (tag, a0, a1, b0, b1) in enumerate(opcodes):
        inside = 0 < index < len(opcodes) - 1
        crumb = tag == "equal" and inside and not any(token[0].isalnum() for token in a[a0:a1])
        kept.append(("replace" if crumb else tag, a0, a1, b0, b1))
    return kept


def _words(tokens: list[str]) -> int:
    return sum(1 for token in tokens if token[0].isalnum())


def _shared_words(opcodes: list[_Opcode], a: list[str]) -> int:
    return sum(_words(a[a0:a1]) for tag, a0, a1, _, _ in opcodes if tag == "equal")


def _append(runs: list[Run], text: str, *, changed: bool) -> None:
    if not text:
        return
    if runs and runs[-1].changed == changed:
        runs[-1] = Run(runs[-1].text + text, changed)
    else:
        runs.append(Run(text, changed))

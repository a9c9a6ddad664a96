"""Token counters that need no tokenizer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from harness.data.lengths import TokenCounter
from harness.records import Prompt, prompt_text


def per_text(count: Callable[[str], int]) -> TokenCounter:
    """Make a counter of pairs from a counter of one text; a chat prompt counts as its readable text."""

    def counter(pairs: Sequence[tuple[Prompt, str]]) -> list[int]:
        return [count(prompt_text(prompt) + answer) for prompt, answer in pairs]

    return counter

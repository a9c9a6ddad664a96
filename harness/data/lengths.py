"""How long the samples are in tokens, and what truncation would cut. Tokens are counted by the caller."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

from harness.data.templates import PromptTemplate
from harness.exceptions import BadValue
from harness.records import LengthHistogram, Prompt, Sample

TokenCounter = Callable[[Sequence[tuple[Prompt, str]]], Sequence[int]]
"""Tokens of each (prompt, answer) pair, the way training sees it."""

MOST_BARS = 24
"""Bars of the histogram at most."""


def check_side(side: str) -> None:
    """Refuse anything but "left" and "right"."""
    if side not in {"left", "right"}:
        raise BadValue("truncation_side", side, '"right" (cuts the end) or "left" (cuts the start)')


def token_lengths(
    samples: Sequence[Sample], template: PromptTemplate, count: TokenCounter
) -> tuple[int, ...]:
    """Count tokens of prompt plus answer of every sample, in order."""
    return tuple(count([(template.prompt(sample), template.completion(sample)) for sample in samples]))


def length_histogram(lengths: Sequence[int], limit: int, side: str = "right") -> LengthHistogram | None:
    """Draw up a histogram with bars of a round width (1, 2, 5, 10, 20 ... tokens); None for no samples."""
    check_side(side)
    if not lengths:
        return None
    low, high = min(lengths), max(lengths)
    width = _bar_width(high - low + 1)
    start = low // width * width
    bars = (high - start) // width + 1
    counts = [0] * bars
    for length in lengths:
        counts[(length - start) // width] += 1
    over = [length - limit for length in lengths if length > limit]
    return LengthHistogram(
        edges=tuple(start + width * bar for bar in range(bars + 1)),
        counts=tuple(counts),
        limit=limit,
        cut=len(over),
        cut_tokens=sum(over),
        side=side,
        median=float(statistics.median(lengths)),
        longest=high,
    )


def _bar_width(span: int) -> int:
    """Smallest of 1, 2, 5, 10, 20, 50 ... for which at most `MOST_BARS` bars cover the span at any offset."""
    power = 1
    while True:
        for factor in (1, 2, 5):
            if span <= factor * power * (MOST_BARS - 1):
                return factor * power
        power *= 10

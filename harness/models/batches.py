"""How requests become batches: sorted by length, filled to a token budget. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence


def plan_batches(lengths: Sequence[int], budget: int, max_rows: int) -> list[list[int]]:
    """Group request indices so that rows x longest row stays within `budget` tokens.

    lengths: tokens each request will occupy (prompt plus answer). Longest first, so that a batch that does
    not fit in memory shows at once; ties keep the order of the requests. Every batch has at least one row.
    """
    order = sorted(range(len(lengths)), key=lambda index: (-lengths[index], index))
    batches: list[list[int]] = []
    current: list[int] = []
    for index in order:
        width = lengths[current[0]] if current else lengths[index]
        if current and (len(current) >= max_rows or (len(current) + 1) * width > budget):
            batches.append(current)
            current = []
        current.append(index)
    if current:
        batches.append(current)
    return batches


def common_prefix(rows: Sequence[Sequence[int]]) -> int:
    """Number of leading tokens that all rows share, leaving at least one token of each row."""
    if not rows:
        return 0
    shortest = min(len(row) for row in rows) - 1
    first = rows[0]
    for position in range(shortest):
        if any(row[position] != first[position] for row in rows):
            return position
    return max(shortest, 0)

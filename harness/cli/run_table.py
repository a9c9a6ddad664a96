"""Estimates and comparisons as plain tables for a terminal or a log."""

from __future__ import annotations

from collections.abc import Sequence

from harness.records import Comparison, RunResult
from harness.wording.numbers import change, change_range, p_value, significant


def estimate_table(run: RunResult) -> list[str]:
    """One line a measure: value, interval, n."""
    rows = [("task", "metric", "value", "95% interval", "n")]
    for task, estimates in run.estimates.items():
        for found in estimates.values():
            inside = (
                f"{significant(found.low)} to {significant(found.high)}" if found.low is not None else "none"
            )
            scored = str(found.n) if found.scored == found.n else f"{found.scored} of {found.n}"
            rows.append((task, found.label, significant(found.value), inside, scored))
    return aligned(rows)


def comparison_table(comparison: Comparison) -> list[str]:
    """One line a measure, then one a benchmark of general ability: change in points with interval, p, verdict."""
    rows = [("task", "metric", "base", "tuned", "change, points", "95% interval", "p, Holm", "n", "verdict")]
    for metric in (*comparison.metrics, *(each.metric for each in comparison.forgetting)):
        factor = metric.points
        low = None if metric.low is None else metric.low * factor
        high = None if metric.high is None else metric.high * factor
        rows.append(
            (
                metric.task,
                metric.label,
                significant(metric.base.value),
                significant(metric.tuned.value),
                change(None if metric.delta is None else metric.delta * factor),
                change_range(low, high),
                p_value(metric.p_adjusted),
                str(metric.n),
                str(metric.verdict),
            )
        )
    return aligned(rows)


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns padded to one width; the first two to the left, figures to the right, words at the end left."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    last = len(widths) - 1
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if column < 2 or column == last else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines

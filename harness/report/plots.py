"""Geometry of the inline forest plots: a shared axis for a column of rows, 184 x 36 units each.

Rows join into one plot because every row uses the same axis and grid lines run past its edge. One very long whisker
does not squeeze the others: the axis covers every estimate, but whiskers only up to four times the usual reach, and a
longer one ends in an arrow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median_low

from harness.report.figures import PlotAxis, RowPlot, Tick
from harness.wording import numbers

WIDTH = 184.0
_MARGIN = 12.0
_WORD_ROOM = 60.0
_REACH = 4.0


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its interval, in the units of the axis; None where not defined."""

    value: float | None
    low: float | None
    high: float | None


def ticks(low: float, high: float, wanted: int = 4) -> tuple[float, ...]:
    """Round values (1, 2 or 5 times a power of ten apart) inside [low, high], about `wanted` of them."""
    if not high > low:
        return (low,)
    raw = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10, 20) if factor * power >= 0.8 * raw)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return tuple(round(index * step, 10) for index in range(first, last + 1))


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps values in [low, high] to x between the margins of the view box."""

    low: float
    high: float

    def x(self, value: float) -> float:
        """Position of a value; values outside fall outside."""
        share = (value - self.low) / (self.high - self.low)
        return _MARGIN + share * (WIDTH - 2 * _MARGIN)


def change_scale(rows: Sequence[Interval], tolerance: float | None = None) -> Scale:
    """An axis that holds zero, every estimate and every whisker of ordinary length."""
    values = [row.value for row in rows if row.value is not None]
    ends = [end for row in rows for end in (row.low, row.high) if end is not None]
    reaches = [
        max(abs(row.low), abs(row.high)) for row in rows if row.low is not None and row.high is not None
    ]
    limit = _REACH * median_low(reaches) if reaches else 0.0
    if tolerance is not None:
        values.append(-tolerance)
    inner = [0.0, *values, *(max(-limit, min(limit, end)) for end in ends)]
    low, high = min(inner), max(inner)
    if high - low < 1e-9:
        return Scale(-1.0, 1.0)
    slack = 0.04 * (high - low)
    return Scale(low - slack, high + slack)


def _at(value: float) -> str:
    return f"{value:.1f}"


def change_axis(scale: Scale, what: str, sides: tuple[str, str] = ("← worse", "better →")) -> PlotAxis:
    """The head of a column of changes, in points."""
    zero = scale.x(0.0)
    marks = tuple(
        Tick(_at(scale.x(value)), tick_label(value), value == 0) for value in ticks(scale.low, scale.high)
    )
    left_fits, right_fits = zero > _WORD_ROOM, WIDTH - zero > _WORD_ROOM
    return PlotAxis(
        title=f"Axis: {what}",
        desc=f"From {numbers.change(scale.low)} to {numbers.change(scale.high)} points.",
        ticks=marks,
        left=sides[0] if left_fits else "",
        left_x=_at(zero - 8),
        right=sides[1] if right_fits else "",
        right_x=_at(zero + 8),
    )


def tick_label(value: float) -> str:
    """A round value with its sign: +20, \u221240, 0."""
    if value == 0:
        return "0"
    sign = "+" if value > 0 else numbers.MINUS
    return f"{sign}{abs(value):g}"


def share_axis(what: str) -> tuple[Scale, PlotAxis]:
    """An axis over a measure's whole range, from 0 to 100 points."""
    scale = Scale(0.0, 100.0)
    marks = tuple(Tick(_at(scale.x(value)), f"{value:g}", value == 0) for value in (0.0, 25, 50, 75, 100))
    return scale, PlotAxis(title=f"Axis: {what}", desc="From 0 to 100 points of the range.", ticks=marks)


def row_plot(row: Interval, scale: Scale, title: str, desc: str, tolerance: float | None = None) -> RowPlot:
    """Place one estimate on the axis; whiskers beyond the axis are cut and marked."""
    if row.value is None:
        return RowPlot(title, desc)
    left, right = scale.x(scale.low) - _MARGIN + 4, scale.x(scale.high) + _MARGIN - 4
    low = high = ""
    cut_low = cut_high = False
    if row.low is not None and row.high is not None:
        cut_low, cut_high = scale.x(row.low) < left, scale.x(row.high) > right
        low, high = _at(max(scale.x(row.low), left)), _at(min(scale.x(row.high), right))
    return RowPlot(
        title=title,
        desc=desc,
        square=_at(scale.x(row.value) - 4),
        low=low,
        high=high,
        cut_low=cut_low,
        cut_high=cut_high,
        tolerance=_at(scale.x(-tolerance)) if tolerance is not None else "",
    )

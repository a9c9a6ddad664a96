"""What charts and plots show, as frozen data: plain numbers to draw and the words that go with them.

`charts` draws most of these; the inline plots of table rows are drawn by a template from finished positions.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tick:
    """A grid line of an inline plot; x in units of the 184 x 36 view box."""

    x: str
    label: str
    zero: bool = False


@dataclass(frozen=True, slots=True)
class PlotAxis:
    """The head of a column of inline plots.

    left, right: what lies to either side of zero, placed at left_x and right_x; "" where there is no room.
    """

    title: str
    desc: str
    ticks: tuple[Tick, ...]
    left: str = ""
    left_x: str = ""
    right: str = ""
    right_x: str = ""


@dataclass(frozen=True, slots=True)
class RowPlot:
    """One row of a column of inline plots: an estimate with its whisker. "" for what is not defined.

    cut_low, cut_high: the whisker runs on beyond the axis and ends in an arrow.
    """

    title: str
    desc: str
    square: str = ""
    low: str = ""
    high: str = ""
    cut_low: bool = False
    cut_high: bool = False
    tolerance: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A small table of figures under a chart: column heads, then rows whose first cell names the row."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class GlanceRow:
    """A change that decides the verdict, in points; None where not defined."""

    label: str
    value: float
    text: str
    low: float | None
    high: float | None
    tolerance: float | None
    """Signed position of the tolerance line, in points."""


@dataclass(frozen=True, slots=True)
class Glance:
    """The forest plot under the verdict."""

    title: str
    desc: str
    rows: tuple[GlanceRow, ...]
    tolerance_text: str


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """A score at a step, on the measure's own scale."""

    step: int
    value: float
    low: float | None
    high: float | None
    text: str
    kind: str
    """"base", "tuned" or "chosen"."""


@dataclass(frozen=True, slots=True)
class ScoreCurve:
    """The primary measure over training steps; scale is the measure's range."""

    scale: tuple[float, float]
    caption: str
    unit: str
    title: str
    desc: str
    points: tuple[CurvePoint, ...]
    table: Table


@dataclass(frozen=True, slots=True)
class Bars:
    """A histogram: equal bars in order, with counts above and tick labels below.

    quiet: index of the bar drawn lighter (no change); rule: position of a dotted line in bars from the left.
    """

    caption: str
    unit: str
    title: str
    desc: str
    labels: tuple[str, ...]
    """Row names of the numbers table, one for each bar."""
    counts: tuple[int, ...]
    ticks: tuple[tuple[float, str], ...]
    """(position in bars from the left, label)."""
    foot: str
    head: tuple[str, str, str] = ("", "", "")
    quiet: int | None = None
    rule: float | None = None
    rule_text: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """A quantity over training steps."""

    caption: str
    unit: str
    title: str
    desc: str
    points: tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True)
class LossChart:
    """Training and validation loss over steps, with the saved checkpoints."""

    title: str
    desc: str
    raw: tuple[tuple[int, float], ...]
    smooth: tuple[tuple[int, float], ...]
    validation: tuple[tuple[int, float], ...]
    saved: tuple[int, ...]
    chosen: int | None
    unit: str

"""Charts as static SVG: Altair describes them, vl-convert draws them, no script is left in the page.

Colours are CSS variables, so that one drawing serves light and dark. Geometry is fixed (`autosize: none`): the same
numbers give the same bytes. The root element is replaced by one with `role="img"`, a title and a description.
Altair and vl-convert are imported when the first chart is drawn.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from markupsafe import Markup, escape

from harness.report.figures import Bars, Glance, Line, LossChart, ScoreCurve
from harness.report.plots import Interval, Scale, change_scale, tick_label, ticks
from harness.wording.text import visible

INK, SOFT, RULE, STRONG = "var(--ink)", "var(--soft)", "var(--rule)", "var(--strong)"
BASE, TUNED, QUIET = "var(--base)", "var(--tuned)", "var(--h4)"

_ROOT = re.compile(r"^<svg [^>]*>(?:<rect [^>]*fill=\"transparent\"[^>]*/>)?")
_VEGA_LITE = "6.4"
_LABEL_ROOM = 36
"""Least distance of two labels on the horizontal axis, in units."""

Layer = Any
Point = tuple[float, float]
Record = dict[str, float | str]


@dataclass(frozen=True, slots=True)
class _Frame:
    """The drawing area with the ranges it maps, and the paddings around it, in units."""

    x: tuple[float, float]
    y: tuple[float, float]
    width: int = 316
    height: int = 210
    left: int = 44
    top: int = 12
    right: int = 80
    bottom: int = 46

    def up(self, value: float) -> float:
        """Units above the base line."""
        return (value - self.y[0]) / (self.y[1] - self.y[0]) * self.height

    def across(self, value: float) -> float:
        """Units from the left edge."""
        return (value - self.x[0]) / (self.x[1] - self.x[0]) * self.width


class _Canvas:
    """Collects layers that share the two scales of a frame."""

    def __init__(self, frame: _Frame) -> None:
        import altair as alt

        self.alt = alt
        self.frame = frame
        self.layers: list[Layer] = []
        self._x = alt.Scale(domain=list(frame.x), nice=False, zero=False)
        self._y = alt.Scale(domain=list(frame.y), nice=False, zero=False)
        self._x_axis: Layer = None
        self._y_axis: Layer = None

    def _add(self, rows: Sequence[Record], mark: str, **style: Any) -> None:
        """A layer of marks; rows hold x and y, and x2, y2 or text where the mark has them."""
        chart = getattr(self.alt.Chart(self.alt.Data(values=list(rows))), f"mark_{mark}")(**style)
        others = {"x2": "x2:Q", "y2": "y2:Q", "text": "text:N"}
        self.layers.append(
            chart.encode(
                x=self.alt.X("x:Q", title=None, scale=self._x, axis=self._x_axis),
                y=self.alt.Y("y:Q", title=None, scale=self._y, axis=self._y_axis),
                **{name: field for name, field in others.items() if name in rows[0]},
            )
        )

    def axes(self, across: Sequence[float], up: Sequence[float]) -> None:
        """Labels at the given places, horizontal hairlines, and the base line; to be called before any mark."""
        look: dict[str, Any] = {
            "labelColor": SOFT,
            "labelFontSize": 12,
            "labelOverlap": False,
            "ticks": False,
            "labelBound": False,
            "labelFlush": False,
        }
        self._x_axis = self.alt.Axis(
            values=list(across), format=",~r", grid=False, domainColor=STRONG, labelPadding=8, **look
        )
        self._y_axis = self.alt.Axis(
            values=list(up), format=_decimals(up), gridColor=RULE, domain=False, labelPadding=8, **look
        )

    def line(self, points: Sequence[Point], colour: str, width: float = 1.5) -> None:
        """A line through the points."""
        if len(points) > 1:
            self._add(_rows(points), "line", stroke=colour, strokeWidth=width, strokeJoin="round")

    def marks(self, points: Sequence[Point], shape: str, colour: str, size: int = 72) -> None:
        """A filled marker at each point."""
        if points:
            self._add(_rows(points), "point", shape=shape, filled=True, fill=colour, size=size, opacity=1)

    def segment(
        self, start: Point, end: Point, colour: str, width: float = 1, dash: Sequence[int] = ()
    ) -> None:
        """A straight line from a point to another."""
        row: Record = {"x": start[0], "y": start[1], "x2": end[0], "y2": end[1]}
        style = {"stroke": colour, "strokeWidth": width, **({"strokeDash": list(dash)} if dash else {})}
        self._add([row], "rule", **style)

    def bars(self, bars: Sequence[tuple[float, float, float]], colour: str) -> None:
        """Bars from the base line, each as (left, right, top)."""
        rows: list[Record] = [{"x": left, "x2": right, "y": 0, "y2": top} for left, right, top in bars]
        if rows:
            self._add(rows, "rect", fill=colour)

    def texts(self, labels: Sequence[tuple[Point, str]], colour: str = INK, **style: Any) -> None:
        """Labels at points; style: align, dx, dy, bold."""
        bold = style.pop("bold", False)
        look = {"align": "left", "baseline": "alphabetic", "fontSize": 12, **style}
        rows: list[Record] = [{"x": x, "y": y, "text": visible(words)} for (x, y), words in labels if words]
        if rows:
            self._add(rows, "text", fill=colour, fontWeight=600 if bold else 400, **look)

    def text(self, at: Point, words: str, colour: str = INK, **style: Any) -> None:
        """One label at a point."""
        self.texts([(at, words)], colour, **style)

    def foot(self, words: str) -> None:
        """What the horizontal axis shows, under its labels."""
        middle = sum(self.frame.x) / 2
        self.text((middle, self.frame.y[0]), words, SOFT, align="center", dy=39)

    def draw(self, title: str, desc: str) -> Markup:
        """All layers as an SVG element that names and describes itself."""
        import vl_convert

        frame = self.frame
        padding = {"left": frame.left, "top": frame.top, "right": frame.right, "bottom": frame.bottom}
        chart = self.alt.layer(*self.layers).properties(
            width=frame.width,
            height=frame.height,
            autosize=self.alt.AutoSizeParams(type="none"),
            padding=padding,
            background="transparent",
        )
        chart = chart.configure(aria=False, font="inherit").configure_view(stroke=None)
        svg = vl_convert.vegalite_to_svg(chart.to_dict(validate=False), vl_version=_VEGA_LITE)
        width, height = frame.width + frame.left + frame.right, frame.height + frame.top + frame.bottom
        root = (
            f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" class="drawn">'
            f"<title>{escape(visible(title))}</title><desc>{escape(visible(desc))}</desc>"
        )
        return Markup(_ROOT.sub(lambda _: root, svg.strip(), count=1))  # noqa: S704 (drawn here, words escaped)


def _decimals(values: Sequence[float]) -> str:
    """A number format with as many decimals as the finest of some round values needs."""
    most = max((len(f"{value:.6f}".rstrip("0").partition(".")[2]) for value in values), default=0)
    return f",.{most}f"


def _rows(points: Sequence[Point]) -> list[Record]:
    return [{"x": x, "y": y} for x, y in points]


def _thinned(places: Sequence[float], frame: _Frame) -> list[float]:
    """Places with room for a label each; the first and the last always stay."""
    ordered = sorted(set(places))
    kept: list[float] = ordered[:1]
    for place in ordered[1:-1]:
        near_last = frame.across(ordered[-1]) - frame.across(place) < _LABEL_ROOM
        if not near_last and frame.across(place) - frame.across(kept[-1]) >= _LABEL_ROOM:
            kept.append(place)
    return kept + [place for place in ordered[-1:] if place not in kept]


def _span(values: Sequence[float], wanted: int = 4) -> tuple[tuple[float, float], tuple[float, ...]]:
    """A range with round ends around the values, and its round steps."""
    low, high = min(values), max(values)
    if high - low < 1e-12:
        low, high = min(0.0, 2 * low), max(2 * high, 0.0) if low else 1.0
    steps = ticks(low, high, wanted)
    step = steps[1] - steps[0] if len(steps) > 1 else high - low
    bottom = steps[0] if steps[0] <= low + 1e-9 else steps[0] - step
    top = steps[-1] if steps[-1] >= high - 1e-9 else steps[-1] + step
    return (bottom, top), ticks(bottom, top, round((top - bottom) / step))


def loss_chart(view: LossChart) -> Markup:
    """Training and validation loss over steps; hairlines where a checkpoint was saved."""
    lines = [line for line in (view.raw, view.validation) if line]
    last = max(*(step for line in lines for step, _ in line), *view.saved, 1)
    bounds, steps = _span([value for line in lines for _, value in line])
    frame = _Frame(x=(0.0, float(last)), y=bounds)
    canvas = _Canvas(frame)
    canvas.axes(_thinned([0, *(view.saved or ticks(0, last)), last], frame), steps)
    canvas.foot("optimiser step")
    for step in view.saved:
        canvas.segment((step, bounds[0]), (step, bounds[1]), RULE)
    if view.chosen is not None and view.chosen <= last:
        canvas.segment((view.chosen, bounds[0]), (view.chosen, bounds[1]), STRONG)
        late = view.chosen > last / 2
        side = {"align": "right", "dx": -5} if late else {"align": "left", "dx": 5}
        canvas.text((view.chosen, bounds[1]), "chosen", SOFT, dy=12, **side)
    canvas.line(view.raw, QUIET if view.smooth else INK, 1 if view.smooth else 1.5)
    canvas.line(view.smooth, INK)
    canvas.line(view.validation, TUNED, 2)
    canvas.marks(view.validation, "diamond", TUNED, 50)
    _end_labels(canvas, view)
    return canvas.draw(view.title, view.desc)


def _end_labels(canvas: _Canvas, view: LossChart) -> None:
    """Name each line at its end, in its colour, the upper one pushed up where they would meet."""
    ends = []
    if view.raw:
        ends.append(((view.smooth or view.raw)[-1], "training", INK))
    if view.validation:
        ends.append((view.validation[-1], "validation", TUNED))
    ends.sort(key=lambda end: -end[0][1])
    room = 34.0
    shift = 0.0
    if len(ends) == 2:
        gap = canvas.frame.up(ends[0][0][1]) - canvas.frame.up(ends[1][0][1])
        shift = max(0.0, (room - gap) / 2)
    for place, ((step, value), name, colour) in enumerate(ends):
        offset = shift if place else -shift
        dx = 8 + canvas.frame.width - canvas.frame.across(step)
        canvas.text((step, value), name, colour, dx=dx, dy=offset - 2, bold=True)
        canvas.text((step, value), f"{value:.3g}", colour, dx=dx, dy=offset + 12)


def score_chart(view: ScoreCurve) -> Markup:
    """The primary measure over training steps, each with its interval."""
    last = float(max(point.step for point in view.points)) or 1.0
    ends = [end for point in view.points for end in (point.value, point.low, point.high) if end is not None]
    low, high = view.scale
    if max(ends) - min(ends) < 0.02 * (high - low):  # equal scores are drawn as a level line, not as noise
        ends += [max(low, min(ends) - 0.05 * (high - low)), min(high, max(ends) + 0.05 * (high - low))]
    bounds, steps = _span(ends)
    frame = _Frame(x=(0.0, last), y=bounds)
    canvas = _Canvas(frame)
    canvas.axes(_thinned([float(point.step) for point in view.points], frame), steps)
    canvas.foot("optimiser step")
    canvas.line([(point.step, point.value) for point in view.points], TUNED)
    for point in view.points:
        colour = BASE if point.kind == "base" else TUNED
        if point.low is not None and point.high is not None:
            canvas.segment((point.step, point.low), (point.step, point.high), colour, 1.5)
        canvas.marks([(point.step, point.value)], "circle" if point.kind == "base" else "diamond", colour, 90)
    for point in _labelled(view, frame):
        colour = BASE if point.kind == "base" else TUNED
        final = point.step == last
        said = f"base {point.text}" if point.kind == "base" else point.text
        dy = 4 if final else 17
        canvas.text((point.step, point.value), said, colour, dx=10, dy=dy, bold=point.kind != "tuned")
        if point.kind == "chosen":
            canvas.text((point.step, point.value), "chosen", colour, dx=10, dy=dy + 14)
    return canvas.draw(view.title, view.desc)


def _labelled(view: ScoreCurve, frame: _Frame) -> list[Any]:
    """Base and chosen always have their figure; the others where 52 units to the next one are free."""
    taken: list[float] = []
    kept = []
    for point in sorted(view.points, key=lambda p: ("base", "chosen", "tuned").index(p.kind)):
        x = frame.across(point.step)
        if point.kind != "tuned" or all(abs(x - other) >= 72 for other in taken):
            taken.append(x)
            kept.append(point)
    return kept


def line_chart(view: Line) -> Markup:
    """A small chart of one quantity over steps."""
    last = float(max(step for step, _ in view.points)) or 1.0
    bounds, steps = _span([0.0, *(value for _, value in view.points)], 2)
    frame = _Frame(x=(0.0, last), y=bounds, height=92)
    canvas = _Canvas(frame)
    canvas.axes(_thinned([*ticks(0, last), last], frame), steps)
    canvas.foot("optimiser step")
    canvas.line(view.points, INK)
    return canvas.draw(view.title, view.desc)


def bar_chart(view: Bars) -> Markup:
    """A histogram with its counts on the bars."""
    bars, top = len(view.counts), max(1, *view.counts)
    frame = _Frame(
        x=(0.0, float(bars)), y=(0.0, float(top)), width=420, height=156, left=10, top=44, right=10, bottom=42
    )
    canvas = _Canvas(frame)
    canvas.axes([], [])
    gap = min(0.06, 2 * bars / frame.width)
    placed = [
        (index + gap / 2, index + 1 - gap / 2, float(number)) for index, number in enumerate(view.counts)
    ]
    canvas.bars([bar for index, bar in enumerate(placed) if bar[2] and index != view.quiet], STRONG)
    canvas.bars([bar for index, bar in enumerate(placed) if bar[2] and index == view.quiet], QUIET)
    wide = frame.width / bars >= 8 * len(f"{top:,}") + 2
    shown = [(i, number) for i, number in enumerate(view.counts) if number and (wide or number == top)]
    canvas.texts([((i + 0.5, number), f"{number:,}") for i, number in shown], align="center", dy=-5)
    for align in ("left", "center", "right"):
        at = [((place, 0), said) for place, said in view.ticks if _side(place, bars) == align]
        canvas.texts(at, SOFT, align=align, dy=18)
    canvas.foot(view.foot)
    up = -(frame.height + 32)
    for said, place in zip(view.head, (0.0, bars / 2, float(bars)), strict=True):
        side = _side(place, bars)
        quiet = side == "center"
        canvas.text((place, 0), said, SOFT if quiet else INK, align=side, dy=up, bold=not quiet)
    if view.rule is not None:
        canvas.segment((view.rule, 0), (view.rule, top), INK, 1, (2, 3))
        after = view.rule > bars / 2
        canvas.text(
            (view.rule, top),
            view.rule_text,
            INK,
            align="right" if after else "left",
            dx=-6 if after else 6,
            dy=-24,
        )
    return canvas.draw(view.title, view.desc)


def _side(place: float, bars: int) -> str:
    """How a label below a histogram is aligned: at the ends it must not stick out."""
    return "left" if place == 0 else "right" if place == bars else "center"


def glance_chart(view: Glance) -> Markup:
    """The changes that decide the verdict, one under the other on one axis."""
    rows = [Interval(row.value, row.low, row.high) for row in view.rows]
    scale = change_scale(rows)
    lines = [row.tolerance for row in view.rows if row.tolerance is not None]
    scale = replace(
        scale, low=min([scale.low, *(1.15 * line for line in lines)]), high=max([scale.high, *lines])
    )
    pitch = 34
    frame = _Frame(
        x=(scale.low, scale.high), y=(0.0, float(len(rows))), width=326, height=pitch * len(rows), left=146, top=8,
        right=8, bottom=26,
    )  # fmt: skip
    canvas = _Canvas(frame)
    places = ticks(scale.low, scale.high)
    for value in places:
        canvas.segment((value, 0), (value, len(rows)), RULE if value else STRONG)
    canvas.texts([((value, 0), tick_label(value)) for value in places], SOFT, align="center", dy=18)
    canvas.text((scale.low, 0), "change, points", SOFT, dx=-frame.left, dy=18)
    for index, row in enumerate(view.rows):
        _glance_row(canvas, scale, row, len(rows) - index - 0.62)
    return canvas.draw(view.title, view.desc)


def _glance_row(canvas: _Canvas, scale: Scale, row: Any, y: float) -> None:
    canvas.text((scale.low, y), row.label, dx=-canvas.frame.left, dy=4, bold=True)
    if row.tolerance is not None:
        canvas.segment((row.tolerance, y - 0.38), (row.tolerance, y + 0.5), INK, 1, (2, 3))
    if row.low is not None and row.high is not None:
        low, high = max(row.low, scale.low), min(row.high, scale.high)
        canvas.segment((low, y), (high, y), INK, 1.5)
        for end, cut, arrow in (
            (low, row.low < low, "triangle-left"),
            (high, row.high > high, "triangle-right"),
        ):
            if cut:
                canvas.marks([(end, y)], arrow, INK, 40)
            else:
                canvas.segment((end, y - 0.12), (end, y + 0.12), INK, 1.5)
    canvas.marks([(row.value, y)], "square", INK, 100)
    beside = abs(canvas.frame.across(row.value) - canvas.frame.across(0.0)) < 16  # clear of the zero line
    look = {"align": "left", "dx": 6} if beside else {"align": "center"}
    canvas.text((row.value, y), row.text, dy=-10, bold=True, **look)

"""Drawings are read back from the SVG: the marks must stand where the numbers are."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from harness.records import ExperimentResult
from harness.report import charts
from harness.report.figures import Bars, Glance, GlanceRow, Line, ScoreCurve
from harness.report.summary import summarise
from harness.report.views import Page

Parse = Callable[[str], Any]


@pytest.fixture
def page(result: ExperimentResult) -> Page:
    return summarise(result)


def labels(svg: Any) -> list[str]:
    return [node.text for node in svg.all("text") if node.attrs.get("opacity") != "0"]


def bars(counts: tuple[int, ...], **changes: Any) -> Bars:
    plain = Bars(
        "Tokens", "", "Samples by length", "few", ("a",) * len(counts), counts, ((0, "0"),), "tokens"
    )
    return replace(plain, **changes)


def test_a_drawing_stands_alone(page: Page, parse: Parse) -> None:
    assert page.training is not None
    assert page.training.loss is not None
    svg = parse(charts.loss_chart(page.training.loss)).one("svg")
    assert svg.attrs["viewbox"] == "0 0 440 268"
    assert svg.attrs["role"] == "img"
    assert svg.one("title").text == "Training and validation loss by step"
    assert "1.77 to 1.58" in svg.one("desc").text
    assert not svg.all("rect")
    assert all("style" not in node.attrs and "id" not in node.attrs for node in svg.walk())
    colours = {node.attrs[key] for node in svg.walk() for key in ("fill", "stroke") if key in node.attrs}
    assert {colour for colour in colours if not colour.startswith("var(--")} <= {"none", "transparent"}


def test_the_loss_chart_names_its_lines_and_marks_the_saves(page: Page, parse: Parse) -> None:
    assert page.training is not None
    assert page.training.loss is not None
    svg = parse(charts.loss_chart(page.training.loss)).one("svg")
    said = labels(svg)
    for word in ("validation", "training", "1.58", "0", "50", "100", "150", "optimiser step"):
        assert word in said
    without = replace(page.training.loss, validation=(), smooth=(), saved=(), chosen=None)
    assert "validation" not in labels(parse(charts.loss_chart(without)).one("svg"))
    assert "chosen" in said
    early = replace(page.training.loss, chosen=50)
    mark = next(n for n in parse(charts.loss_chart(early)).all("text") if n.text == "chosen")
    assert mark.attrs["text-anchor"] == "start"
    only_validation = replace(page.training.loss, raw=(), smooth=())
    assert "training" not in labels(parse(charts.loss_chart(only_validation)).one("svg"))


def test_the_ends_of_two_close_lines_are_pushed_apart(page: Page, parse: Parse) -> None:
    assert page.training is not None
    assert page.training.loss is not None
    close = replace(page.training.loss, smooth=((10, 2.0), (150, 1.5)), raw=((10, 2.0), (150, 1.5)),
                    validation=((10, 2.1), (150, 1.5)))  # fmt: skip
    svg = parse(charts.loss_chart(close)).one("svg")
    heights = [
        float(re.findall(r"-?[\d.]+", node.attrs["transform"])[1])
        for node in svg.all("text")
        if node.text in ("validation", "training")
    ]
    assert abs(heights[0] - heights[1]) >= 33


def test_bars_are_as_high_as_their_counts(parse: Parse) -> None:
    svg = parse(charts.bar_chart(bars((10, 20, 0, 5)))).one("svg")
    drawn = [node.attrs["d"] for node in svg.all("path") if node.attrs.get("fill") == charts.STRONG]
    heights = [float(re.search(r"v(-?[\d.]+)", path)[1]) for path in drawn]  # type: ignore[index]
    assert [abs(height) for height in heights] == pytest.approx([78.0, 156.0, 39.0])  # of 156 units for 20
    assert [text for text in labels(svg) if text.isdigit()] == ["10", "20", "5", "0"]


def test_narrow_bars_only_name_the_highest(parse: Parse) -> None:
    counts = (*range(1001, 1040), 2500)
    said = labels(parse(charts.bar_chart(bars(counts, ticks=()))).one("svg"))
    assert said == ["2,500", "tokens"]


def test_the_quiet_bar_and_the_limit(parse: Parse) -> None:
    svg = parse(
        charts.bar_chart(bars((4, 5, 6), quiet=1, rule=2.5, rule_text="limit 9", head=("l", "", "r")))
    )
    assert [node.attrs.get("fill") for node in svg.all("path")].count(charts.QUIET) == 1
    assert "limit 9" in labels(svg)
    assert any("stroke-dasharray" in node.attrs for node in svg.all("line"))
    early = labels(parse(charts.bar_chart(bars((4, 5, 6), rule=0.5, rule_text="limit 1"))))
    assert "limit 1" in early


def test_no_counts_at_all(parse: Parse) -> None:
    assert labels(parse(charts.bar_chart(bars((0, 0), ticks=())))) == ["tokens"]


def test_the_score_chart_labels_base_and_chosen(page: Page, parse: Parse) -> None:
    assert page.checkpoints is not None
    assert page.checkpoints.curve is not None
    said = labels(parse(charts.score_chart(page.checkpoints.curve)))
    assert "base 0.397" in said
    assert "chosen" in said
    assert "0.761" in said


def test_many_checkpoints_do_not_crowd_the_labels(page: Page, parse: Parse) -> None:
    assert page.checkpoints is not None
    curve = page.checkpoints.curve
    assert isinstance(curve, ScoreCurve)
    some = curve.points[1]
    many = replace(
        curve,
        points=(
            curve.points[0],
            *(replace(some, step=step, low=None) for step in range(5, 145, 5)),
            curve.points[3],
        ),
    )
    said = labels(parse(charts.score_chart(many)))
    assert said.count(some.text) <= 4
    assert "chosen" in said
    steps = [text for text in said if text.isdigit()]
    assert 4 <= len(steps) <= 10
    assert {"0", "150"} <= set(steps)


def test_flat_scores_still_have_an_axis(page: Page, parse: Parse) -> None:
    assert page.checkpoints is not None
    curve = page.checkpoints.curve
    assert curve is not None
    flat = replace(curve, points=tuple(replace(p, value=0.5, low=None, high=None) for p in curve.points))
    # 0.5 ± 5 % of the range from 0 to 1, not a thousandth of it
    assert {"0.45", "0.50", "0.55"} <= set(labels(parse(charts.score_chart(flat))))
    zero = replace(curve, points=tuple(replace(p, value=0.0, low=0.0, high=0.0) for p in curve.points))
    said = labels(parse(charts.score_chart(zero)))
    assert not [text for text in said if text.startswith("\u2212")]
    line = Line("Rate", "", "Rate by step", "flat", ((1, 0.0), (2, 0.0)))
    assert "optimiser step" in labels(parse(charts.line_chart(line)))


def row(value: float, low: float | None, high: float | None, tolerance: float | None = None) -> GlanceRow:
    return GlanceRow("ROUGE-L", value, f"{value:+.1f}", low, high, tolerance)


def test_the_glance_places_squares_and_whiskers_on_one_axis(parse: Parse) -> None:
    glance = Glance("Change", "two", (row(10.0, 5.0, 15.0), row(-5.0, -10.0, 0.0, -2.0)), "dotted")
    svg = parse(charts.glance_chart(glance))
    assert labels(svg).count("ROUGE-L") == 2
    assert {"+10.0", "-5.0", "change, points", "0"} <= set(labels(svg))
    squares = [node for node in svg.all("path") if node.attrs.get("fill") == charts.INK]
    places = [float(re.findall(r"-?[\d.]+", node.attrs["transform"])[0]) for node in squares]
    # The axis runs from −10 to 15 with 4 % of slack on each side: 27 points on 326 units.
    assert places[0] - places[1] == pytest.approx(15 / 27 * 326, abs=0.2)


def test_a_whisker_beyond_the_glance_ends_in_an_arrow(parse: Parse) -> None:
    usual, odd = row(2.0, 1.0, 3.0), row(-3.0, -90.0, 60.0)
    plain = parse(charts.glance_chart(Glance("Change", "", (usual, usual), "")))
    cut = parse(charts.glance_chart(Glance("Change", "", (usual, odd), "")))

    def marks(svg: Any) -> int:
        return sum(1 for node in svg.all("path") if node.attrs.get("fill") == charts.INK)

    assert marks(plain) == 2
    assert marks(cut) == 4


def test_hostile_names_stay_text(parse: Parse) -> None:
    bad = "<script>alert(1)</script>\x00\ud800"
    glance = Glance(bad, bad, (GlanceRow(bad, 1.0, "+1.0", None, None, None),), "")
    svg = parse(charts.glance_chart(glance))
    assert not svg.all("script")
    assert svg.one("title").text == "<script>alert(1)</script>\\x00\\ud800"
    assert "<script>alert(1)</script>\\x00\\ud800" in labels(svg)


def test_the_figure_of_no_change_stands_beside_the_zero_line(parse: Parse) -> None:
    svg = parse(charts.glance_chart(Glance("Change", "", (row(0.0, -1.0, 1.0),), "")))
    figure = next(node for node in svg.all("text") if node.text == "+0.0")
    assert figure.attrs["text-anchor"] == "start"
    away = parse(charts.glance_chart(Glance("Change", "", (row(9.0, -1.0, 19.0),), "")))
    assert next(node for node in away.all("text") if node.text == "+9.0").attrs["text-anchor"] == "middle"

from __future__ import annotations

import pytest

from harness.report.plots import (
    Interval,
    Scale,
    change_axis,
    change_scale,
    row_plot,
    share_axis,
    tick_label,
    ticks,
)


@pytest.mark.parametrize(
    ("low", "high", "places"),
    [
        (-2.0, 55.0, (0.0, 20.0, 40.0)),
        (0.0, 1.0, (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)),
        (-12.0, 6.0, (-10.0, -5.0, 0.0, 5.0)),
        (3.0, 3.0, (3.0,)),
    ],
)
def test_ticks_are_round(low: float, high: float, places: tuple[float, ...]) -> None:
    assert ticks(low, high) == pytest.approx(places)


def test_tick_labels_have_signs() -> None:
    assert [tick_label(value) for value in (-20.0, 0.0, 2.5)] == ["\u221220", "0", "+2.5"]


def test_a_scale_maps_its_ends_to_the_margins() -> None:
    scale = Scale(-10.0, 10.0)
    assert (scale.x(-10.0), scale.x(0.0), scale.x(10.0)) == (12.0, 92.0, 172.0)


def test_one_long_whisker_does_not_squeeze_the_others() -> None:
    ordinary = [Interval(2.0, -1.0, 5.0)] * 4
    odd = Interval(-6.0, -300.0, 4.0)
    scale = change_scale([*ordinary, odd])
    assert scale.low == pytest.approx(
        -20 - 0.04 * 25
    )  # four times the usual reach of 5 points, and 4 % of slack
    plot = row_plot(odd, scale, "odd", "")
    assert plot.cut_low
    assert not plot.cut_high
    assert float(plot.low) == pytest.approx(4.0)
    assert float(plot.square) + 4 == pytest.approx(scale.x(-6.0), abs=0.05)
    usual = row_plot(ordinary[0], scale, "usual", "")
    assert not usual.cut_low
    assert not usual.cut_high


def test_an_estimate_is_always_inside() -> None:
    scale = change_scale([Interval(1.0, 0.0, 2.0), Interval(90.0, None, None)])
    assert scale.high > 90.0


def test_nothing_to_show_still_has_an_axis() -> None:
    assert change_scale([]) == Scale(-1.0, 1.0)
    assert change_scale([Interval(0.0, 0.0, 0.0)]) == Scale(-1.0, 1.0)


def test_an_estimate_without_interval_has_no_whisker() -> None:
    plot = row_plot(Interval(1.0, None, None), Scale(-2.0, 2.0), "one sample", "")
    assert (plot.low, plot.high) == ("", "")
    assert plot.square == "128.0"


def test_nothing_scored_draws_nothing() -> None:
    plot = row_plot(Interval(None, None, None), Scale(-1.0, 1.0), "empty", "no score")
    assert (plot.square, plot.low, plot.title) == ("", "", "empty")


def test_a_tolerance_is_a_line_below_zero() -> None:
    scale = change_scale([Interval(1.0, 0.5, 2.0)], tolerance=2.0)
    assert scale.low < -2.0
    assert row_plot(Interval(1.0, 0.5, 2.0), scale, "", "", tolerance=2.0).tolerance == f"{scale.x(-2.0):.1f}"


def test_the_words_beside_zero_only_stand_where_there_is_room() -> None:
    both = change_axis(Scale(-10.0, 10.0), "change")
    assert (both.left, both.right) == ("← worse", "better →")
    right = change_axis(Scale(-1.0, 50.0), "change")
    assert (right.left, right.right) == ("", "better →")
    left = change_axis(Scale(-50.0, 1.0), "change")
    assert (left.left, left.right) == ("← worse", "")
    assert [tick.zero for tick in both.ticks].count(True) == 1


def test_scores_are_drawn_over_the_whole_range() -> None:
    scale, axis = share_axis("score")
    assert [tick.label for tick in axis.ticks] == ["0", "25", "50", "75", "100"]
    assert scale.x(50.0) == 92.0

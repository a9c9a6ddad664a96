from __future__ import annotations

from dataclasses import replace

import pytest

from harness.records import Comparison, Environment, Estimate, ExperimentResult, MetricComparison, Verdict

ESTIMATE = Estimate("m", "M", 0.5, 0.4, 0.6, 10, 10, 0.95, "t", "s", (0.0, 1.0), True, False)
METRIC = MetricComparison(
    *("t", "m", "M", ESTIMATE, ESTIMATE, 10, 0.0, -0.1, 0.1, 0.95, 1.0, 1.0, "paired t", 0, 0, 10),
    *(Verdict.NOT_DECIDED, False, None, 0.02),
)
FIRST = Comparison("base", "step-1", (), None, Verdict.NOT_DECIDED, "")
SECOND = replace(FIRST, tuned="step-2")


@pytest.mark.parametrize(
    ("scale", "points"), [((0.0, 1.0), 100.0), ((0.0, 100.0), 1.0), ((-1.0, 1.0), 50.0), ((1.0, 5.0), 25.0)]
)
def test_a_point_is_a_hundredth_of_the_range(scale: tuple[float, float], points: float) -> None:
    assert replace(METRIC, base=replace(ESTIMATE, scale=scale)).points == points


@pytest.mark.parametrize(("chosen", "expected"), [(None, None), (1, FIRST), (2, SECOND)])
def test_the_headline_is_the_comparison_with_the_chosen_run(
    chosen: int | None, expected: Comparison | None
) -> None:
    environment = Environment("0", "3", "p", {}, "cpu", 2, {}, "c")
    result = ExperimentResult("x", (), (FIRST, SECOND), chosen, "", environment)
    assert result.headline is expected


def test_verdicts_stand_in_the_order_in_which_they_are_decided() -> None:
    assert [verdict.value for verdict in Verdict] == ["broken", "better", "worse", "no worse", "not decided"]

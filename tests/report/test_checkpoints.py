from __future__ import annotations

from dataclasses import replace

import pytest

from harness.records import Comparison, ExperimentResult
from harness.report.checkpoints import checkpoints_view
from harness.report.subject import study
from harness.report.views import CheckpointsView


def view(result: ExperimentResult) -> CheckpointsView:
    found = checkpoints_view(study(result))
    assert found is not None
    return found


def test_every_checkpoint_has_its_row_and_the_chosen_one_is_marked(result: ExperimentResult) -> None:
    found = view(result)
    assert [row.name for row in found.rows] == ["step-50", "step-100", "step-150"]
    assert [row.chosen for row in found.rows] == [False, False, True]
    assert [row.loss for row in found.rows] == ["1.77", "1.61", "1.58"]
    assert found.finding == "Step 150 was chosen and did best of three on the test set"
    assert found.lede == "The verdict speaks of step 150. Chosen because: it has the lowest validation loss."
    assert found.base.text == "0.397"


def test_another_checkpoint_did_better_on_the_test_set(result: ExperimentResult) -> None:
    odd = replace(result, chosen=1, chosen_reason="")
    deltas = [comparison.metrics[0].delta or 0 for comparison in result.comparisons]
    ahead = round(100 * (max(deltas) - deltas[0]), 1)
    found = view(odd)
    assert found.finding.replace("\u00a0", " ") == (
        f"Step 50 was chosen; step 150 did better by {ahead} points on the test set"
    )
    assert found.lede == "The verdict speaks of step 50."


def test_where_lower_is_better_the_lowest_is_best(result: ExperimentResult) -> None:
    def turned(comparison: Comparison) -> Comparison:
        metrics = tuple(replace(m, base=replace(m.base, higher_is_better=False)) for m in comparison.metrics)
        return replace(comparison, metrics=metrics, primary=metrics[0])

    found = view(replace(result, comparisons=tuple(turned(one) for one in result.comparisons)))
    assert found.finding.startswith("Step 150 was chosen; step 50 did better by")
    assert found.axis.right == "worse →"


def test_the_curve_starts_at_the_base(result: ExperimentResult) -> None:
    curve = view(result).curve
    assert curve is not None
    assert [point.step for point in curve.points] == [0, 50, 100, 150]
    assert [point.kind for point in curve.points] == ["base", "tuned", "tuned", "chosen"]
    assert curve.points[3].value == pytest.approx(result.runs[3].estimates["held_out"]["rougeL"].value)
    assert curve.table.rows[0] == ("0", "0.397", "0.313 to 0.482")
    assert curve.unit == "score from 0 to 1, 95% intervals, n = 60"


def test_without_steps_there_is_no_curve_and_names_stand_in(result: ExperimentResult) -> None:
    runs = tuple(replace(run, step=None) for run in result.runs)
    found = view(replace(result, runs=runs))
    assert found.curve is None
    assert found.finding.startswith("Step-150 was chosen and did best")
    assert [row.loss for row in found.rows] == ["–", "–", "–"]


def test_a_chosen_checkpoint_without_score(result: ExperimentResult) -> None:
    last = result.comparisons[2]
    nothing = replace(
        last.metrics[0],
        delta=None,
        low=None,
        high=None,
        tuned=replace(last.metrics[0].tuned, value=None, low=None),
    )
    odd = replace(last, metrics=(nothing, *last.metrics[1:]), primary=nothing)
    found = view(replace(result, comparisons=(*result.comparisons[:2], odd)))
    assert found.finding == "Step 150 was chosen; it has no score on the primary metric"
    assert found.rows[2].change == "–"
    assert found.curve is not None
    assert [point.step for point in found.curve.points] == [0, 50, 100]


def test_one_checkpoint_or_none_needs_no_section(result: ExperimentResult, single: ExperimentResult) -> None:
    one = replace(result, runs=result.runs[:2], comparisons=result.comparisons[:1], chosen=1)
    assert checkpoints_view(study(one)) is None
    assert checkpoints_view(study(single)) is None


def test_a_checkpoint_that_was_not_scored_on_the_measure_is_left_out(result: ExperimentResult) -> None:
    first = replace(result.comparisons[0], metrics=result.comparisons[0].metrics[1:])
    found = view(replace(result, comparisons=(first, *result.comparisons[1:])))
    assert [row.name for row in found.rows] == ["step-100", "step-150"]


def test_a_tie_is_no_win(result: ExperimentResult) -> None:
    level = tuple(
        replace(one, metrics=(m := replace(one.metrics[0], delta=0.0), *one.metrics[1:]), primary=m)
        for one in result.comparisons
    )
    found = view(replace(result, comparisons=level))
    assert found.finding == "Step 150 was chosen; none of three did better on the test set"

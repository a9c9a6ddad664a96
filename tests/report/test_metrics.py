from __future__ import annotations

from dataclasses import replace

from harness.records import ExperimentResult, MetricComparison
from harness.report.metrics import metrics_view
from harness.report.subject import study
from harness.report.views import MetricsView
from harness.wording.parts import Quantity


def view(result: ExperimentResult) -> MetricsView:
    return metrics_view(study(result))


def with_metrics(result: ExperimentResult, *metrics: MetricComparison) -> ExperimentResult:
    comparison = replace(result.comparisons[2], metrics=metrics, primary=metrics[0] if metrics else None)
    return replace(result, comparisons=(*result.comparisons[:2], comparison))


def test_a_row_is_written_in_the_measures_unit(result: ExperimentResult) -> None:
    metric = result.comparisons[2].metrics[1]
    row = (
        view(
            with_metrics(
                result,
                replace(
                    metric,
                    base=replace(metric.base, value=0.171),
                    tuned=replace(metric.tuned, value=0.321),
                    delta=0.15,
                    low=0.057,
                    high=0.243,
                    p=0.003,
                    p_adjusted=0.0079,
                    n=140,
                ),
            )
        )
        .groups[0]
        .rows[0]
    )
    assert (row.base, row.tuned) == (Quantity("17.1", "%"), Quantity("32.1", "%"))
    assert (row.change, row.interval, row.p, row.n) == ("+15.0", "+5.7 to +24.3", "0.008", "140")
    assert row.key
    assert not row.few
    assert row.plot.title == "Exact match: change +15.0 points"


def test_a_scale_of_100_is_counted_in_its_own_points(result: ExperimentResult) -> None:
    metric = replace(result.comparisons[2].metrics[2], delta=6.5, low=3.7, high=9.4)
    row = view(with_metrics(result, metric)).groups[0].rows[0]
    assert (row.change, row.interval) == ("+6.5", "+3.7 to +9.4")


def test_few_samples_are_drawn_soft_and_said(result: ExperimentResult) -> None:
    metric = replace(result.comparisons[2].metrics[0], n=29)
    found = view(with_metrics(result, metric))
    assert found.groups[0].rows[0].few
    assert "hold fewer than 30 samples" in found.note


def test_lower_is_better_is_said_and_the_axis_turns_neutral(result: ExperimentResult) -> None:
    metric = result.comparisons[2].metrics[0]
    lower = replace(metric, base=replace(metric.base, higher_is_better=False), delta=-0.2, low=-0.4, high=0.3)
    found = view(with_metrics(result, lower))
    assert found.groups[0].rows[0].note == "primary, lower is better"
    assert found.axis is not None
    assert (found.axis.left, found.axis.right) == ("← lower", "higher →")
    assert "lower is better" in found.note


def test_tasks_become_groups(result: ExperimentResult) -> None:
    metric = result.comparisons[2].metrics[0]
    found = view(with_metrics(result, metric, replace(metric, task="arc_easy", primary=False)))
    assert [group.title for group in found.groups] == ["held_out", "arc_easy"]
    assert [row.key for group in found.groups for row in group.rows] == [True, False]
    assert view(result).groups[0].title == ""


def test_the_tests_table_counts_wins_and_losses(result: ExperimentResult) -> None:
    tests = view(result).tests
    assert tests is not None
    # 48 of 60 samples rose and 12 fell; exact match: topics 2, 4, 9 right only after, 3 and 6 right only before
    assert tests.rows[0] == (
        "ROUGE-L",
        "paired t",
        "48",
        "12",
        "0",
        "< 0.001",
        "< 0.001",
        "60 of 60",
        "60 of 60",
    )
    assert tests.rows[1][2:5] == ("18", "12", "30")


def test_one_metric_needs_no_adjustment_note(result: ExperimentResult) -> None:
    assert "Holm" not in view(with_metrics(result, result.comparisons[2].metrics[0])).note
    assert "p values are Holm-adjusted over the three metrics." in view(result).note


def test_no_metric_at_all(result: ExperimentResult) -> None:
    found = view(with_metrics(result))
    assert (found.finding, found.groups, found.axis, found.tests) == (
        "No metric scored both checkpoints",
        (),
        None,
        None,
    )
    assert "No measure has a score" in found.note


def test_unadjusted_p_stands_in_where_there_is_no_other(result: ExperimentResult) -> None:
    metric = replace(result.comparisons[2].metrics[0], p=0.25, p_adjusted=None)
    assert view(with_metrics(result, metric)).groups[0].rows[0].p == "0.25"


def test_a_single_run_shows_scores(single: ExperimentResult) -> None:
    found = view(single)
    assert found.finding == "ROUGE-L is 0.397 on 60 samples"
    rows = found.scores[0].rows
    assert [row.name for row in rows] == ["ROUGE-L", "Exact match", "BLEU"]
    assert rows[1].value == Quantity("20.0", "%")
    assert rows[1].interval == "11.8 to 31.8"
    assert [row.method for row in rows] == ["Student t", "Wilson", "Student t"]
    assert all(row.n == "60" for row in rows)


def test_a_single_run_says_how_many_were_scored(single: ExperimentResult) -> None:
    run = single.runs[0]
    partly = replace(run.estimates["held_out"]["rougeL"], scored=20)
    none = replace(partly, value=None, low=None, high=None, scored=0)
    rows = view(
        replace(single, runs=(replace(run, estimates={"a": {"x": partly}, "b": {"y": none}, "c": {}}),))
    ).scores
    assert [group.title for group in rows] == ["a", "b"]
    assert (rows[0].rows[0].n, rows[0].rows[0].few) == ("20 of 60", True)
    assert rows[1].rows[0].value == Quantity("–")
    empty = view(replace(single, runs=(replace(run, estimates={}),)))
    assert (empty.finding, empty.axis, empty.note) == ("No metric scored a sample", None, "")


def test_a_single_run_speaks_of_the_usual_primary_measure(single: ExperimentResult) -> None:
    run = single.runs[0]
    turned = {name: run.estimates["held_out"][name] for name in ("bleu", "exact_match", "rougeL")}
    assert view(replace(single, runs=(replace(run, estimates={"held_out": turned}),))).finding.startswith(
        "ROUGE-L is"
    )
    only = {"bleu": turned["bleu"]}
    assert view(replace(single, runs=(replace(run, estimates={"held_out": only}),))).finding.startswith(
        "BLEU is"
    )

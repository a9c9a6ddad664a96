"""Odd results: the page opens and names the problem."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from harness.exceptions import BadValue
from harness.records import ExperimentResult, Finish, MetricComparison, RunResult, Score, Verdict
from harness.report import render_report

Parse = Callable[[str], Any]


def shown(result: ExperimentResult, parse: Parse) -> str:
    """All text of the page's main part on one line."""
    return " ".join(parse(render_report(result)).one("main").text.replace("\u00a0", " ").split())


def only(result: ExperimentResult, count: int) -> ExperimentResult:
    """The result with the first samples alone; nothing can be tested on one pair."""
    runs = tuple(replace(run, samples=run.samples[:count]) for run in result.runs)
    comparisons = tuple(
        replace(
            one,
            metrics=(
                changed := tuple(
                    replace(m, n=count, low=None, high=None, p=None, p_adjusted=None, needed=None,
                            verdict=Verdict.NOT_DECIDED)
                    for m in one.metrics
                )
            ),
            primary=changed[0],
            verdict=Verdict.NOT_DECIDED,
        )
        for one in result.comparisons
    )  # fmt: skip
    return replace(result, runs=runs, comparisons=comparisons)


def test_one_sample_has_no_interval(result: ExperimentResult, parse: Parse) -> None:
    text = shown(only(result, 1), parse)
    assert (
        "It is not decided whether the tuned checkpoint is better in ROUGE-L (+36.4 points, no interval, n = 1)."
        in text
    )
    assert "Only 1 sample was compared. Read the direction, not the size." in text
    assert "It cannot be said: there is no interval." in text


def test_no_score_at_all(result: ExperimentResult, parse: Parse) -> None:
    def bare(run: RunResult) -> RunResult:
        samples = tuple(
            replace(s, scores={n: Score(None, reason="no target") for n in s.scores}) for s in run.samples
        )
        estimates = {
            task: {n: replace(e, value=None, low=None, high=None, scored=0) for n, e in group.items()}
            for task, group in run.estimates.items()
        }
        return replace(run, samples=samples, estimates=estimates)

    runs = tuple(bare(run) for run in result.runs)
    comparisons = tuple(
        replace(one, metrics=(), primary=None, verdict=Verdict.NOT_DECIDED) for one in result.comparisons
    )
    text = shown(replace(result, runs=runs, comparisons=comparisons), parse)
    assert "not decided whether the tuned checkpoint is better: no metric scored both checkpoints" in text
    assert "No metric scored both checkpoints" in text
    assert "No sample was scored on both sides" in text
    assert "60 of 60 answers of the base could not be scored by ROUGE-L, Exact match and BLEU." in text
    assert "not scored: no target" in text


def test_a_measure_without_values_keeps_its_row(result: ExperimentResult, parse: Parse) -> None:
    def emptied(metric: MetricComparison) -> MetricComparison:
        nothing = {"value": None, "low": None, "high": None, "scored": 0}
        return replace(
            metric, base=replace(metric.base, **nothing), tuned=replace(metric.tuned, **nothing), n=0, delta=None,
            low=None, high=None, p=None, p_adjusted=None, verdict=Verdict.NOT_DECIDED, needed=None,
        )  # fmt: skip

    comparisons = tuple(
        replace(one, metrics=(changed := tuple(emptied(m) for m in one.metrics)), primary=changed[0],
                verdict=Verdict.NOT_DECIDED)
        for one in result.comparisons
    )  # fmt: skip
    odd = replace(result, comparisons=comparisons)
    text = shown(odd, parse)
    assert "ROUGE-L scored no sample on both sides" in text
    table = parse(render_report(odd)).one("section", id="metrics").all("table", css="stack")[0]
    assert [cell.text for cell in table.all("td", css="c-chg")] == ["–", "–", "–"]


def test_a_broken_checkpoint(result: ExperimentResult, parse: Parse) -> None:
    broken = replace(result.runs[3], nonfinite=4)
    comparison = replace(
        result.comparisons[2],
        metrics=tuple(replace(m, verdict=Verdict.BROKEN) for m in result.comparisons[2].metrics),
        verdict=Verdict.BROKEN,
    )
    odd = replace(result, runs=(*result.runs[:3], broken), comparisons=(*result.comparisons[:2], comparison))
    text = shown(odd, parse)
    assert (
        "The tuned checkpoint is broken: it returns numbers that are not finite on 4 of 60 samples." in text
    )
    assert "All three metrics are broken" in text
    assert "Do not use this checkpoint." in text
    assert "step-150 returned numbers that are not finite on 4 of 60 samples." in text
    assert "×broken" in text


def test_identical_checkpoints_make_no_difference(result: ExperimentResult, parse: Parse) -> None:
    base = result.runs[0]
    twin = replace(base, name="step-150", step=150)
    metrics = tuple(
        replace(m, tuned=m.base, delta=0.0, low=0.0, high=0.0, p=None, p_adjusted=None, wins=0, losses=0, ties=60,
                verdict=Verdict.NO_WORSE, needed=None)
        for m in result.comparisons[2].metrics
    )  # fmt: skip
    comparison = replace(result.comparisons[2], metrics=metrics, primary=metrics[0], verdict=Verdict.NO_WORSE)
    text = shown(
        replace(result, runs=(base, twin), comparisons=(comparison,), chosen=1, training=None, data=None),
        parse,
    )
    assert (
        "The tuned checkpoint makes no difference: it gave the base's answer to all 60 samples, "
        "so ROUGE-L stayed at 0.397." in text
    )
    assert "Nothing changed: every answer is the same, letter by letter" in text
    assert "Nowhere: all 60 samples scored the same as before." in text
    assert "Nothing got worse." in text
    assert "Checkpoints (fewer than two tuned checkpoints were scored)." in text


def test_a_single_run_uses_the_same_page(single: ExperimentResult, parse: Parse) -> None:
    text = shown(single, parse)
    assert text.startswith("Base scored 0.397 in ROUGE-L (95% interval 0.313 to 0.482, n = 60).")
    assert "Comparison (only one checkpoint was evaluated)." in text
    tree = parse(render_report(single))
    assert [node.attrs["id"] for node in tree.all("section")] == ["verdict", "metrics", "samples", "methods"]
    assert len(tree.all("div", css="pane")) == 60


def test_no_sample_at_all(single: ExperimentResult, parse: Parse) -> None:
    run = replace(single.runs[0], samples=(), estimates={})
    text = shown(replace(single, runs=(run,)), parse)
    assert "Base has no score: no metric could score a sample." in text
    assert "No sample was asked. There is nothing to rely on." in text
    assert "Samples (no sample was asked)." in text


def test_no_run_at_all_is_refused(single: ExperimentResult) -> None:
    with pytest.raises(BadValue, match="runs is 'empty'"):
        render_report(replace(single, runs=()))


def test_a_label_of_300_characters_is_cut(result: ExperimentResult, parse: Parse) -> None:
    name = "A very long name of a metric " * 10
    comparisons = tuple(
        replace(
            one, metrics=(changed := tuple(replace(m, label=name) for m in one.metrics)), primary=changed[0]
        )
        for one in result.comparisons
    )
    tree = parse(render_report(replace(result, comparisons=comparisons)))
    assert len(tree.one("p", css="headline").text) < 200
    assert (
        tree.one("section", id="metrics")
        .all("th", css="c-name")[1]
        .text.startswith("A very long name of a metric A")
    )


def test_failures_are_said_where_they_happened(result: ExperimentResult, parse: Parse) -> None:
    tuned = result.runs[3]
    failed = replace(
        tuned.samples[0], answer="", generation="", finish=Finish.FAILED, failure="out of memory",
        scores={name: Score(None, reason="out of memory") for name in tuned.samples[0].scores},
    )  # fmt: skip
    odd = replace(result, runs=(*result.runs[:3], replace(tuned, samples=(failed, *tuned.samples[1:]))))
    sample = parse(render_report(odd)).one("details", id="s-1")
    pane = sample.all("div", css="pane")[1]
    assert "no answer" in pane.text
    assert "Failed: out of memory" in pane.text
    assert "not scored" in sample.one("p", css="meta").text

from __future__ import annotations

from dataclasses import replace

from harness.records import ExperimentResult
from harness.report.methods import methods_view
from harness.report.subject import study
from harness.report.views import MethodsView


def view(result: ExperimentResult, *missing: tuple[str, str]) -> MethodsView:
    return methods_view(study(result), missing)


def facts(result: ExperimentResult, *missing: tuple[str, str]) -> dict[str, str]:
    return {
        fact.term: f"{fact.text} {fact.code}".strip().replace("\u00a0", " ")
        for fact in view(result, *missing).facts
    }


def test_all_that_is_needed_to_repeat_it(result: ExperimentResult) -> None:
    found = facts(result, ("Forgetting", "no other task was evaluated"))
    assert found["Command"] == "harness run ~/projects/docs-qa.yaml"
    assert found["Data"] == (
        "1,280 rows after 28 duplicates and 4 unusable rows were removed: 1,156 training, 64 validation and 60 test; "
        "near-duplicates stay in one split, seed 7. sha256 9b1e 6c30"
    )
    assert found["Intervals"] == (
        "Scores: Student t for means and Wilson for proportions. Changes: paired t on the same samples, tuned minus "
        "base. p values are adjusted by Holm's method over the metrics of one comparison."
    )
    assert found["Verdicts"].startswith(
        "Better: interval above zero. Worse: below zero. No worse: above minus the tolerance of 2.0 points."
    )
    assert found["Chosen"] == "step-150: it has the lowest validation loss"
    assert found["Seeds"] == "split 7, training 7"
    assert found["Machine"] == "Linux x86_64; cpu, 2 threads"
    assert found["Versions"] == "harness 0.1.0, Python 3.11.9"
    assert found["Not drawn"] == "Forgetting (no other task was evaluated)."
    assert found["Files"] == "results.json sha256 5d0f 8e12"


def test_every_checkpoint_with_its_fingerprint_and_settings(result: ExperimentResult) -> None:
    runs = view(result).runs
    assert runs.head == ("Checkpoint", "Model", "Fingerprint", "dtype", "decoding", "template", "seed")
    assert runs.rows[0] == ("base", "smollm2-135m-q4", "3f9c 21ab", "bfloat16", "greedy", "chat", "7")
    assert len(runs.rows) == 4


def test_the_signature_of_every_estimate(result: ExperimentResult) -> None:
    table = view(result).signatures
    assert table is not None
    assert len(table.rows) == 6  # base and the chosen checkpoint, three measures each
    assert table.rows[0][-1] == "rougeL|stemmer:no|version:0.1.2"


def test_a_single_run_has_no_verdict_rule(single: ExperimentResult) -> None:
    found = facts(single)
    assert "Verdicts" not in found
    assert "Data" not in found
    assert "Not drawn" not in found
    table = view(single).signatures
    assert table is not None
    assert len(table.rows) == 3


def test_where_lower_is_better_it_is_said(result: ExperimentResult) -> None:
    comparison = result.comparisons[2]
    metric = comparison.metrics[0]
    lower = replace(metric, base=replace(metric.base, higher_is_better=False))
    odd = replace(comparison, metrics=(lower,), primary=None)
    found = facts(replace(result, comparisons=(*result.comparisons[:2], odd), chosen_reason=""))
    assert found["Verdicts"].endswith("Where lower is better, the sign is turned first.")
    assert "above minus the tolerance. Otherwise" in found["Verdicts"]
    assert "Chosen" not in found


def test_nothing_scored_nothing_signed(single: ExperimentResult) -> None:
    run = replace(single.runs[0], estimates={})
    bare = replace(
        single, runs=(run,), environment=replace(single.environment, packages={}, seeds={}, threads=1)
    )
    found = view(bare)
    assert (found.signatures, found.packages) == (None, None)
    assert facts(bare)["Intervals"] == "No score."
    assert facts(bare)["Seeds"] == "none"
    assert facts(bare)["Machine"].endswith("1 thread")


def test_other_methods_keep_their_name(single: ExperimentResult) -> None:
    run = single.runs[0]
    odd = replace(run.estimates["held_out"]["rougeL"], method="jackknife")
    found = facts(replace(single, runs=(replace(run, estimates={"held_out": {"rougeL": odd}}),)))
    assert found["Intervals"] == "Scores: jackknife."

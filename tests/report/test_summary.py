from __future__ import annotations

from dataclasses import replace

from harness.records import Category, ExperimentResult
from harness.report.summary import summarise


def missing(result: ExperimentResult) -> str:
    return next((fact.text for fact in summarise(result).methods.facts if fact.term == "Not drawn"), "")


def test_names_at_the_head(result: ExperimentResult, single: ExperimentResult) -> None:
    page = summarise(result)
    assert page.title == "docs-qa: smollm2-135m-q4, base against LoRA, step-150"
    assert [key for key, _ in page.contents] == [
        "verdict",
        "metrics",
        "checkpoints",
        "samples",
        "training",
        "data",
        "methods",
    ]
    assert summarise(replace(result, training=None)).subtitle == "smollm2-135m-q4, base against step-150"
    assert summarise(single).subtitle == "smollm2-135m-q4, base alone"


def test_what_is_not_drawn_is_named_with_its_reason(
    result: ExperimentResult, single: ExperimentResult
) -> None:
    assert (
        missing(result)
        == "Kinds of mistakes (no categorizer found any). Forgetting (no benchmark was run beside the task)."
    )
    assert missing(single) == (
        "Comparison (only one checkpoint was evaluated). Kinds of mistakes (no categorizer found any). "
        "Training (this result holds no training). Data (this result holds no data card)."
    )


def test_kinds_of_mistakes_are_not_missed(result: ExperimentResult) -> None:
    base = result.runs[0]
    told = replace(base.samples[0], categories=(Category("Wrong fact", "7 days"),))
    full = replace(base, samples=(told, *base.samples[1:]))
    assert "mistakes" not in missing(replace(result, runs=(full, *result.runs[1:])))


def test_the_same_result_gives_the_same_summary(result: ExperimentResult) -> None:
    assert summarise(result) == summarise(result)

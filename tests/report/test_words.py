from __future__ import annotations

from dataclasses import replace

import pytest

from harness.records import ExperimentResult, MetricComparison, Verdict
from harness.report import words
from harness.wording.parts import Part, plain_text


@pytest.fixture
def metric(result: ExperimentResult) -> MetricComparison:
    assert result.headline is not None
    assert result.headline.primary is not None
    return result.headline.primary


def test_every_verdict_has_a_symbol_and_a_word() -> None:
    marks = [words.mark(verdict) for verdict in Verdict]
    assert [mark.word for mark in marks] == [verdict.value for verdict in Verdict]
    assert [mark.symbol for mark in marks] == ["×", "▲", "▼", "≥", "○"]
    assert words.mark(Verdict.WORSE, within_tolerance=True).note == "within tolerance"
    assert words.mark(Verdict.BETTER, within_tolerance=True).note == ""


@pytest.mark.parametrize(
    ("verdicts", "sentence"),
    [
        ([], "No metric scored both checkpoints"),
        ([Verdict.NO_WORSE], "ROUGE-L is no worse"),
        ([Verdict.BETTER] * 2, "Both metrics are better"),
        ([Verdict.WORSE] * 3, "All three metrics are worse"),
        (
            [Verdict.BETTER] * 5 + [Verdict.WORSE, Verdict.NO_WORSE, Verdict.NOT_DECIDED],
            "Five of eight metrics are better, one is worse, one is no worse, one is not decided",
        ),
        (
            [Verdict.NOT_DECIDED, Verdict.WORSE, Verdict.NOT_DECIDED],
            "One of three metrics is worse, two are not decided",
        ),
        ([Verdict.BETTER] * 13, "All 13 metrics are better"),
    ],
)
def test_the_tally_of_a_table(metric: MetricComparison, verdicts: list[Verdict], sentence: str) -> None:
    assert words.tally([replace(metric, verdict=verdict) for verdict in verdicts]) == sentence


def test_names_in_a_row() -> None:
    assert words.listed([]) == ""
    assert words.listed(["a"]) == "a"
    assert words.listed(["a", "b"]) == "a and b"
    assert words.listed(["a", "b", "c"]) == "a, b and c"


def test_a_short_name_is_kept_on_one_line() -> None:
    sentence = (Part("It is better: ROUGE-L rose by "), Part("ROUGE-L", "strong"))
    kept = words.kept_together(sentence, "ROUGE-L")
    assert [part.kind for part in kept] == ["", "name", "", "strong"]
    assert plain_text(kept) == plain_text(sentence)
    assert words.kept_together(sentence, "") == sentence
    assert words.kept_together(sentence, "x" * 25) == sentence


def test_a_single_run_in_a_sentence(result: ExperimentResult) -> None:
    run = result.runs[0]
    exact = run.estimates["held_out"]["exact_match"]
    said = plain_text(words.single_headline(run, exact))
    # Wilson at 12 of 60: (0.2 + z²/120 ± z √(0.16/60 + z²/14400)) / (1 + z²/60) = 0.1183, 0.3178
    assert said == "Base scored 20.0% in Exact match (95% interval 11.8 to 31.8, n = 60)."
    alone = plain_text(words.single_headline(run, replace(exact, low=None, high=None, scored=1)))
    assert alone == "Base scored 20.0% in Exact match (n = 1)."
    assert (
        plain_text(words.single_headline(run, None)) == "Base has no score: no metric could score a sample."
    )
    broken = plain_text(words.single_headline(replace(run, nonfinite=1), exact))
    assert broken == "Base is broken: it returned numbers that are not finite on 1 sample."


def test_ranges_of_scores(result: ExperimentResult) -> None:
    estimate = replace(result.runs[0].estimates["held_out"]["rougeL"], low=0.2551, high=0.3694)
    assert words.score_range(estimate) == "0.255 to 0.369"
    assert words.score_range(replace(estimate, low=None)) == "–"


def test_methods_and_splits_have_their_usual_names() -> None:
    assert [words.method(name) for name in ("lora", "full", "bitfit")] == [
        "LoRA",
        "full fine-tuning",
        "bitfit",
    ]
    assert [words.split(name) for name in ("train", "validation", "test")] == [
        "training",
        "validation",
        "test",
    ]

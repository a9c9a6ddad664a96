from __future__ import annotations

from dataclasses import replace

import pytest

from harness.records import Comparison, ExperimentResult, MetricComparison, Verdict
from harness.report.subject import study
from harness.report.verdict import verdict_view
from harness.report.views import VerdictView
from harness.wording.parts import plain_text


def with_primary(result: ExperimentResult, verdict: Verdict, **changes: object) -> ExperimentResult:
    """The experiment with another outcome of the primary metric, its only one."""
    comparison = result.comparisons[2]
    metric = replace(comparison.metrics[0], verdict=verdict, **changes)  # type: ignore[arg-type]
    odd = replace(comparison, metrics=(metric,), primary=metric, verdict=verdict)
    return replace(result, comparisons=(*result.comparisons[:2], odd))


def view(result: ExperimentResult) -> VerdictView:
    return verdict_view(study(result))


def sentence(result: ExperimentResult) -> str:
    return plain_text(view(result).headline).replace("\u00a0", " ")


def answer(result: ExperimentResult, number: int) -> str:
    return plain_text(view(result).answers[number].parts).replace("\u00a0", " ")


def test_the_five_questions_stand_in_order(result: ExperimentResult) -> None:
    questions = [answer.question for answer in view(result).answers]
    assert questions == ["Did it help?", "Where?", "Is it real?", "At what price?", "What next?"]
    links = [answer.link for answer in view(result).answers]
    assert links == ["metrics", "samples", "metrics", "training", "data"]


def test_better(result: ExperimentResult) -> None:
    same = with_primary(result, Verdict.BETTER, delta=0.116, low=0.059, high=0.172, n=140)
    assert sentence(same) == (
        "The tuned checkpoint is better: ROUGE-L rose by 11.6 points (95% interval +5.9 to +17.2, n = 140)."
    )
    strong = [part.text for part in view(same).headline if part.kind == "strong"]
    assert [text.replace("\u00a0", " ") for text in strong] == ["better", "11.6 points"]
    assert answer(result, 0) == "Yes. ROUGE-L 0.397 to 0.761; Exact match 12 to 18 of 60."


def test_worse(result: ExperimentResult) -> None:
    worse = with_primary(result, Verdict.WORSE, delta=-0.101, low=-0.151, high=-0.053)
    assert sentence(worse) == (
        "The tuned checkpoint is worse: ROUGE-L fell by 10.1 points (95% interval −15.1 to −5.3, n = 60)."
    )
    assert answer(worse, 0).startswith("No. ROUGE-L")
    tolerable = with_primary(
        result, Verdict.WORSE, delta=-0.01, low=-0.015, high=-0.005, within_tolerance=True
    )
    assert sentence(tolerable).endswith("n = 60), within the tolerance of 2.0 points.")


def test_no_worse(result: ExperimentResult) -> None:
    same = with_primary(result, Verdict.NO_WORSE, delta=0.001, low=-0.011, high=0.013)
    assert sentence(same) == (
        "The tuned checkpoint is no worse in ROUGE-L (+0.1 points, 95% interval −1.1 to +1.3, n = 60): "
        "the interval stays above −2.0 points."
    )
    assert answer(same, 0).startswith("It did no harm.")
    glance = view(same).glance
    assert glance is not None
    assert glance.rows[0].tolerance == pytest.approx(-2.0)
    assert glance.tolerance_text == "dotted: tolerance −2.0"


def test_not_decided(result: ExperimentResult) -> None:
    open_ = with_primary(result, Verdict.NOT_DECIDED, delta=-0.013, low=-0.044, high=0.018, needed=620, p=0.4)
    assert sentence(open_) == (
        "It is not decided whether the tuned checkpoint is better in ROUGE-L "
        "(−1.3 points, 95% interval −4.4 to +1.8, n = 60): about 620 more samples would decide."
    )
    assert (
        answer(open_, 2)
        == "Not shown: the interval includes zero; paired t on the same 60 samples, p = 0.40."
    )
    without_leaks = replace(open_, data=None)
    assert answer(without_leaks, 4).startswith("Add about 620 test samples; that many would decide.")


def test_broken(result: ExperimentResult) -> None:
    broken = with_primary(result, Verdict.BROKEN)
    runs = (*broken.runs[:3], replace(broken.runs[3], nonfinite=7))
    broken = replace(broken, runs=runs)
    assert sentence(broken) == (
        "The tuned checkpoint is broken: it returns numbers that are not finite on 7 of 60 samples."
    )
    assert view(broken).glance is None
    assert answer(broken, 2) == "No: the numbers are not finite."
    assert answer(broken, 4).startswith("Do not use this checkpoint.")
    assert view(broken).answers[4].link == "training"


def test_lower_is_better_is_worded_by_direction(result: ExperimentResult) -> None:
    metric = result.comparisons[2].metrics[0]
    falling = with_primary(
        result,
        Verdict.BETTER,
        delta=-0.05,
        low=-0.08,
        high=-0.02,
        base=replace(metric.base, higher_is_better=False),
    )
    assert "is better: ROUGE-L fell by 5.0 points" in sentence(falling)
    held = with_primary(
        result,
        Verdict.NO_WORSE,
        delta=0.0,
        low=-0.01,
        high=0.01,
        base=replace(metric.base, higher_is_better=False),
    )
    assert sentence(held).endswith("the interval stays below +2.0 points.")


def test_the_other_metrics_are_counted_after_holm(result: ExperimentResult) -> None:
    assert answer(result, 2).endswith("Of two other metrics, one differs after Holm's adjustment.")
    comparison = result.comparisons[2]

    def with_others(metrics: tuple[MetricComparison, ...]) -> ExperimentResult:
        odd: Comparison = replace(comparison, metrics=metrics)
        return replace(result, comparisons=(*result.comparisons[:2], odd))

    rouge, exact, bleu = comparison.metrics
    assert answer(with_others((rouge, bleu)), 2).endswith("The other metric differs after Holm's adjustment.")
    assert answer(with_others((rouge, exact)), 2).endswith(
        "The other metric does not differ after Holm's adjustment."
    )
    both = (rouge, exact, replace(exact, measure="f1"))
    assert answer(with_others(both), 2).endswith(
        "Of two other metrics, none differs after Holm's adjustment."
    )


def test_the_price_holds_time_weights_length_and_what_is_not_known(result: ExperimentResult) -> None:
    # 1,164 s; 4,884,480 of 139,399,488 weights = 3.50 %
    said = answer(result, 3)
    assert said.startswith("19.4 minutes of training. 3.5% of the weights were trained. Answers are ")
    assert said.endswith("% shorter. What it lost on other tasks was not measured.")
    untold = replace(result, training=None)
    assert not answer(untold, 3).startswith("19.4")
    assert view(untold).answers[3].link == "metrics"


def test_answers_of_the_same_length_are_said_to_be_so(result: ExperimentResult) -> None:
    runs = tuple(
        replace(run, samples=tuple(replace(sample, tokens=10) for sample in run.samples))
        for run in result.runs
    )
    assert "Answers are as long as before." in answer(replace(result, runs=runs), 3)
    silent = tuple(
        replace(run, samples=tuple(replace(sample, tokens=0) for sample in run.samples))
        for run in result.runs
    )
    assert "Answers" not in answer(replace(result, runs=silent), 3)


def test_one_loss_is_in_the_singular(result: ExperimentResult) -> None:
    keep = (0, 1, 2)  # the third topic is the only loss
    runs = tuple(replace(run, samples=tuple(run.samples[i] for i in keep)) for run in result.runs)
    assert "Read the sample that got worse." in answer(replace(result, runs=runs, data=None), 4)


def test_the_glance_adds_what_got_worse_by_more_than_tolerated(result: ExperimentResult) -> None:
    comparison = result.comparisons[2]
    rouge, exact, bleu = comparison.metrics
    worse = replace(exact, verdict=Verdict.WORSE, delta=-0.2, low=-0.3, high=-0.1)
    fine = replace(bleu, verdict=Verdict.WORSE, within_tolerance=True)
    odd = replace(comparison, metrics=(rouge, worse, fine))
    glance = view(replace(result, comparisons=(*result.comparisons[:2], odd))).glance
    assert glance is not None
    assert [row.label for row in glance.rows] == ["ROUGE-L", "Exact match"]
    assert glance.rows[1].value == pytest.approx(-20.0)
    assert glance.title == "The changes that decide the verdict"


def test_several_tasks_are_named(result: ExperimentResult) -> None:
    comparison = result.comparisons[2]
    other = replace(comparison.metrics[1], task="arc_easy", label="Accuracy")
    odd = replace(comparison, metrics=(*comparison.metrics, other))
    base = replace(result.runs[0], estimates={**result.runs[0].estimates, "arc_easy": {"acc": other.base}})
    several = replace(result, runs=(base, *result.runs[1:]), comparisons=(*result.comparisons[:2], odd))
    assert "ROUGE-L on held_out rose by" in sentence(several)
    assert "not measured" not in answer(several, 3)


def test_where_it_cannot_be_said(result: ExperimentResult) -> None:
    runs = tuple(
        replace(run, samples=tuple(replace(sample, scores={}) for sample in run.samples))
        for run in result.runs
    )
    assert answer(replace(result, runs=runs), 1) == "It cannot be said: no sample was scored on both sides."


def test_provenance_names_both_checkpoints_and_the_test_set(result: ExperimentResult) -> None:
    facts = {fact.term: fact for fact in view(result).provenance}
    assert (facts["Base"].text, facts["Base"].code) == ("smollm2-135m-q4", "3f9c 21ab")
    assert (facts["Tuned"].text, facts["Tuned"].code) == ("LoRA, step-150", "0d44 77e1")
    assert facts["Test set"].text == "held_out, 60 samples"
    assert facts["Settings"].text == "dtype bfloat16, decoding greedy, template chat, seed 7"


def test_the_test_sets_hash_changes_with_its_prompts(result: ExperimentResult) -> None:
    def code(some: ExperimentResult) -> str:
        return next(fact.code for fact in view(some).provenance if fact.term == "Test set")

    base = result.runs[0]
    other = replace(base, samples=(replace(base.samples[0], prompt_hash="0" * 16), *base.samples[1:]))
    assert code(result) != code(replace(result, runs=(other, *result.runs[1:])))

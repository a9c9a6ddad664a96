from __future__ import annotations

from dataclasses import replace

from harness.records import ExperimentResult, Finish, RunResult, Score, Verdict
from harness.report.cautions import cautions
from harness.report.subject import study


def said(result: ExperimentResult) -> tuple[str, ...]:
    return cautions(study(result))


def changed(result: ExperimentResult, index: int, run: RunResult) -> ExperimentResult:
    runs = list(result.runs)
    runs[index] = run
    return replace(result, runs=tuple(runs))


def test_the_usual_ones_with_their_counts(result: ExperimentResult) -> None:
    assert said(result) == (
        "Exact match is not decided: about 140 more samples would decide.",
        "6 of 60 answers of the base stopped at the token limit. They are scored as far as written.",
        (
            "2 of 60 test questions also stand in the training data (q-011, q-031). "
            "Their scores show memory, not learning."
        ),
    )


def test_several_undecided_metrics_share_a_sentence(result: ExperimentResult) -> None:
    comparison = result.comparisons[2]
    rouge, exact, bleu = comparison.metrics
    bleu = replace(bleu, verdict=Verdict.NOT_DECIDED, needed=1)
    two = replace(
        result, comparisons=(*result.comparisons[:2], replace(comparison, metrics=(rouge, exact, bleu)))
    )
    assert said(two)[0] == "Exact match and BLEU are not decided: about 140 and 1 more samples would decide."
    one = replace(result, comparisons=(*result.comparisons[:2], replace(comparison, metrics=(rouge, bleu))))
    assert said(one)[0] == "BLEU is not decided: about 1 more sample would decide."


def test_an_undecided_primary_metric_is_the_verdict_and_no_caution(result: ExperimentResult) -> None:
    comparison = result.comparisons[2]
    rouge = replace(comparison.metrics[0], verdict=Verdict.NOT_DECIDED, needed=50)
    odd = replace(comparison, metrics=(rouge,), primary=rouge)
    found = said(replace(result, comparisons=(*result.comparisons[:2], odd)))
    assert not any("would decide" in line for line in found)


def test_warnings_of_the_comparison_come_once(result: ExperimentResult) -> None:
    odd = replace(result.comparisons[2], warnings=("Two prompts differ.", "Two prompts differ."))
    found = said(replace(result, comparisons=(*result.comparisons[:2], odd)))
    assert found.count("Two prompts differ.") == 1


def test_few_samples_are_named(result: ExperimentResult) -> None:
    comparison = result.comparisons[2]
    assert comparison.primary is not None
    few = replace(comparison, primary=replace(comparison.primary, n=29))
    found = said(replace(result, comparisons=(*result.comparisons[:2], few)))
    assert found[0] == "Only 29 samples were compared. Read the direction, not the size."


def test_a_single_run_names_what_was_asked_and_what_failed(single: ExperimentResult) -> None:
    run = single.runs[0]
    failed = replace(run.samples[0], finish=Finish.FAILED, failure="out of memory")
    found = said(changed(single, 0, replace(run, samples=(failed, *run.samples[1:20]))))
    assert found[0] == "Only 20 samples were asked. Read the direction, not the size."
    assert "1 of 20 samples has no answer from base. It is left out, not counted as wrong." in found
    one = said(changed(single, 0, replace(run, samples=run.samples[:1])))
    assert one[0] == "Only 1 sample was asked. Read the direction, not the size."


def test_refusals_and_unscored_answers_are_counted(result: ExperimentResult) -> None:
    tuned = result.runs[3]
    odd = replace(
        tuned.samples[0],
        finish=Finish.REFUSED,
        scores={**tuned.samples[0].scores, "bleu": Score(None, reason="empty")},
    )
    found = said(changed(result, 3, replace(tuned, samples=(odd, *tuned.samples[1:]))))
    assert "The tuned checkpoint refused 1 of 60 samples." in found
    assert (
        "1 of 60 answers of the tuned checkpoint could not be scored by BLEU. It is left out, not counted as zero."
        in found
    )


def test_shortened_prompts_and_answers_without_a_category_are_counted(single: ExperimentResult) -> None:
    run = single.runs[0]
    changed = [replace(sample, cut=9) for sample in run.samples[:2]]
    changed += [replace(run.samples[2], uncategorized=("mine failed: KeyError: 'x'",))]
    run = replace(run, samples=(*changed, *run.samples[3:]))
    found = cautions(study(replace(single, runs=(run,))))
    who = run.name
    assert f"2 of {len(run.samples)} prompts lost their beginning: {who} takes no more tokens." in found
    assert (
        f"1 answer of {who} could not be searched for mistakes of every kind (mine failed: KeyError: 'x')."
        in found
    )


def test_a_failed_sample_is_not_said_to_be_unscored_too(result: ExperimentResult) -> None:
    tuned = result.runs[3]
    failed = replace(
        tuned.samples[0],
        finish=Finish.FAILED,
        failure="timeout",
        scores={name: Score(None, reason="timeout") for name in tuned.samples[0].scores},
    )
    found = said(changed(result, 3, replace(tuned, samples=(failed, *tuned.samples[1:]))))
    assert not any("could not be scored" in line for line in found)


def test_one_answer_cut_off_in_sixty_is_not_worth_a_warning(result: ExperimentResult) -> None:
    tuned = result.runs[3]
    cut = replace(tuned.samples[0], finish=Finish.LENGTH)
    found = said(changed(result, 3, replace(tuned, samples=(cut, *tuned.samples[1:]))))
    assert not any("of the tuned checkpoint stopped" in line for line in found)


def test_a_broken_checkpoint_comes_first(result: ExperimentResult) -> None:
    found = said(changed(result, 1, replace(result.runs[1], nonfinite=2)))
    assert found[0] == (
        "step-50 returned numbers that are not finite on 2 of 60 samples. Its scores say nothing about its answers."
    )

from __future__ import annotations

from dataclasses import replace

from harness.records import (
    Category,
    Estimate,
    ExperimentResult,
    Finish,
    RunResult,
    SampleResult,
    Score,
)
from harness.report.samples import samples_view, status
from harness.report.subject import Pair, study
from harness.report.views import SamplesView


def view(result: ExperimentResult) -> SamplesView:
    found = samples_view(study(result))
    assert found is not None
    return found


def with_sample(run: RunResult, sample: SampleResult, index: int = 0) -> RunResult:
    samples = list(run.samples)
    samples[index] = sample
    return replace(run, samples=tuple(samples))


def test_every_sample_is_there_the_worst_first_and_twenty_open(result: ExperimentResult) -> None:
    found = view(result)
    assert len(found.samples) == 60
    assert len({sample.id for sample in found.samples}) == 60
    assert [sample.name for sample in found.samples[:2]] == ["q-006", "q-016"]
    assert found.samples[0].change == "−91.0"
    assert sum(sample.open for sample in found.samples) == 20
    assert sum(sample.lead for sample in found.samples) == 5
    changes = [float(sample.change.replace("−", "-")) for sample in found.samples]
    assert changes == sorted(changes)
    assert found.finding == "12 samples got worse; read them first"
    assert found.paper == "The first 5 of 60 samples; the file holds all."


def test_unscored_samples_come_last_and_say_why(result: ExperimentResult) -> None:
    tuned = result.runs[3]
    lost = replace(
        tuned.samples[5],
        answer="",
        generation="",
        finish=Finish.FAILED,
        failure="timeout after 30 s",
        scores={name: Score(None, reason="no answer") for name in tuned.samples[5].scores},
    )
    found = view(replace(result, runs=(*result.runs[:3], with_sample(tuned, lost, 5))))
    last = found.samples[-1]
    assert (last.name, last.status, last.change) == ("q-006", "not scored", "–")
    assert last.panes[1].problem == "Failed: timeout after 30 s"
    assert last.panes[1].empty == "no answer"
    assert last.scores[0].values[1] == "not scored: no answer"
    assert [(f.label, f.count) for f in found.filters] == [
        ("All", "60"), ("Worse", "11"), ("Better", "48"), ("Not scored", "1"),
    ]  # fmt: skip


def gauge(result: ExperimentResult, *, binary: bool, higher: bool = True) -> Estimate:
    return replace(result.runs[0].estimates["held_out"]["rougeL"], binary=binary, higher_is_better=higher)


def test_words_for_what_tuning_did(result: ExperimentResult) -> None:
    sample = result.runs[0].samples[0]

    def word(first: float | None, second: float | None, *, binary: bool, higher: bool = True) -> str:
        return status(
            Pair(sample, sample, gauge(result, binary=binary, higher=higher), first, second), compared=True
        )

    assert word(1, 0, binary=True) == "broken"
    assert word(0, 1, binary=True) == "fixed"
    assert word(1, 1, binary=True) == "both right"
    assert word(0, 0, binary=True) == "both wrong"
    assert word(0, 0, binary=True, higher=False) == "both right"
    assert word(0, 1, binary=True, higher=False) == "broken"
    assert word(0.4, 0.3, binary=False) == "worse"
    assert word(0.3, 0.4, binary=False) == "better"
    assert word(0.3, 0.3, binary=False) == "same"
    assert word(None, 0.3, binary=False) == "not scored"
    assert status(Pair(sample, None, None, None, None), compared=False) == ""


def test_a_measure_of_right_and_wrong_breaks_and_fixes(result: ExperimentResult) -> None:
    comparison = result.comparisons[2]
    exact = replace(comparison.metrics[1], primary=True)
    odd = replace(comparison, metrics=(exact,), primary=exact)
    found = view(replace(result, comparisons=(*result.comparisons[:2], odd)))
    assert found.finding == "12 samples broke; read them first"
    assert [(f.symbol, f.label, f.count) for f in found.filters] == [
        ("", "All", "60"), ("▼", "Broken", "12"), ("▲", "Fixed", "18"), ("○", "Both wrong", "30"),
    ]  # fmt: skip
    assert found.histogram is None


def test_scores_of_a_sample_in_table_order(result: ExperimentResult) -> None:
    rouge, exact, bleu = view(result).samples[0].scores
    assert (rouge.name, rouge.values, rouge.change) == ("ROUGE-L", ("1.00", "0.090"), "−91.0")
    assert (exact.name, exact.values, exact.change) == ("Exact match", ("yes", "no"), "▼ broken")
    assert bleu.values[0] == "82.0"
    fixed = next(sample for sample in view(result).samples if sample.name == "q-002")
    assert fixed.scores[1].change == "▲ fixed"
    same = next(sample for sample in view(result).samples if sample.name == "q-005")
    assert same.scores[1].change == "= same"


def test_the_histogram_counts_each_change_once(result: ExperimentResult) -> None:
    bars = view(result).histogram
    assert bars is not None
    assert sum(bars.counts) == 60
    assert bars.labels[0] == "−100 to −80"
    assert bars.labels[4:7] == ("−20 to 0", "no change", "0 to +20")
    assert bars.counts[0] == 6  # q-006 and its five like: −91
    assert bars.head == ("▼ 12 worse", "none the same", "▲ 48 better")
    assert bars.desc == "12 samples scored lower after tuning, none the same, 48 higher."


def test_a_fall_is_better_where_lower_is_better(result: ExperimentResult) -> None:
    comparison = result.comparisons[2]
    rouge = comparison.metrics[0]
    lower = replace(rouge, base=replace(rouge.base, higher_is_better=False))
    odd = replace(comparison, metrics=(lower,), primary=lower)
    found = view(replace(result, comparisons=(*result.comparisons[:2], odd)))
    assert found.histogram is not None
    assert found.histogram.head == ("▲ 12 better", "none the same", "▼ 48 worse")
    assert found.finding == "48 samples got worse; read them first"


def test_nothing_broke_and_nothing_changed(result: ExperimentResult) -> None:
    base = result.runs[0]
    same = replace(
        result,
        runs=(base, replace(base, name="step-150", step=150)),
        comparisons=result.comparisons[2:],
        chosen=1,
    )
    assert view(same).finding == "Nothing changed: every answer is the same, letter by letter"
    assert view(same).histogram is None
    assert view(same).samples[0].note == "Both answers are the same."
    up = replace(
        base,
        samples=tuple(replace(s, answer=f"{s.answer}!", generation=f"{s.answer}!") for s in base.samples),
    )
    held = replace(same, runs=(base, up))
    assert view(held).finding == "Nothing broke: no sample scored lower after tuning"
    one = replace(result, runs=tuple(replace(run, samples=run.samples[5:6]) for run in result.runs))
    assert view(one).finding == "1 sample got worse; read it first"
    none = replace(
        result,
        runs=tuple(
            replace(run, samples=tuple(replace(s, scores={}) for s in run.samples)) for run in result.runs
        ),
    )
    assert view(none).finding == "No sample was scored on both sides"


def test_categories_are_chips_with_their_evidence(result: ExperimentResult) -> None:
    tuned = result.runs[3]
    wrong = replace(
        tuned.samples[5],
        categories=(Category("Invented answer", "24 hours"), Category("Invented answer", "Settings")),
    )
    found = view(replace(result, runs=(*result.runs[:3], with_sample(tuned, wrong, 5))))
    assert found.categories == ("Invented answer",)
    pane = found.samples[0].panes[1]
    assert pane.chips == ("Invented answer",)
    assert pane.reasons == (("Invented answer", "24 hours"), ("Invented answer", "Settings"))


def test_a_sample_of_one_side_only(result: ExperimentResult) -> None:
    tuned = result.runs[3]
    found = view(replace(result, runs=(*result.runs[:3], replace(tuned, samples=tuned.samples[1:]))))
    last = found.samples[-1]
    assert last.name == "q-001"
    assert last.panes[1].empty == "This sample was not asked."
    assert last.panes[0].runs[0].text.startswith("The retention of a queue")
    assert not last.panes[0].runs[0].changed


def test_the_raw_generation_stands_where_an_answer_was_extracted(result: ExperimentResult) -> None:
    tuned = result.runs[3]
    long = replace(tuned.samples[5], generation="Let me think. 24 hours")
    found = view(replace(result, runs=(*result.runs[:3], with_sample(tuned, long, 5))))
    assert found.samples[0].panes[1].generation == "Let me think. 24 hours"
    assert found.samples[0].panes[0].generation == ""


def test_a_plain_prompt_is_the_question_where_there_is_no_other(result: ExperimentResult) -> None:
    runs = tuple(
        with_sample(run, replace(run.samples[5], input="", prompt="Once upon a time", target=None), 5)
        for run in result.runs
    )
    first = view(replace(result, runs=runs)).samples
    odd = next(sample for sample in first if sample.name == "q-006")
    assert (odd.question, odd.target) == ("Once upon a time", None)


def test_metadata_numbers_keep_their_key_and_tasks_are_named_where_there_are_two(
    result: ExperimentResult,
) -> None:
    def other(run: RunResult) -> RunResult:
        sample = replace(run.samples[5], task="other", metadata={"page": "12", "area": "Console"})
        return with_sample(run, sample, 5)

    found = view(replace(result, runs=tuple(other(run) for run in result.runs)))
    odd = next(sample for sample in found.samples if sample.name == "q-006")
    assert odd.meta == "other · page 12 · Console"
    assert odd.status == "not scored"
    assert odd.scores == ()


def test_very_long_answers_are_shown_without_marks(result: ExperimentResult) -> None:
    runs = tuple(
        with_sample(run, replace(run.samples[5], answer=f"{run.name} word " * 1200), 5) for run in result.runs
    )
    first = view(replace(result, runs=runs)).samples[0]
    assert first.note == "The answers are too long to mark their differences."
    assert [run.changed for pane in first.panes for run in pane.runs] == [False, False]


def test_a_single_run_starts_with_the_lowest_score(single: ExperimentResult) -> None:
    found = view(single)
    assert found.finding == "60 samples, the lowest score first"
    assert (found.samples[0].name, found.samples[0].change) == ("q-002", "0.050")
    assert found.filters == ()
    assert not found.compared
    assert [head.text for head in found.heads] == ["● base"]
    assert found.samples[0].scores[0].change == "–"
    bare = replace(
        single.runs[0], samples=tuple(replace(s, scores={}) for s in single.runs[0].samples[:3]), estimates={}
    )
    unscored = view(replace(single, runs=(bare,)))
    assert [sample.change for sample in unscored.samples] == ["–", "–", "–"]
    assert (unscored.note, unscored.paper) == ("", "")


def test_no_sample_no_section(single: ExperimentResult) -> None:
    assert samples_view(study(replace(single, runs=(replace(single.runs[0], samples=()),)))) is None

"""General ability on the page: the section, its heading, the first screen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.benchmark_runs import Scores, with_scores

from harness.records import ExperimentResult, RunResult, Score, Verdict
from harness.report import render_report, write_report
from harness.report.forgetting import SHOWN, finding, price
from harness.report.subject import study
from harness.report.summary import summarise
from harness.stages.compare import CompareSettings, compare
from harness.wording.parts import plain_text

Parse = Callable[[str], Any]


def some(right: int, of: int) -> list[float]:
    return [1.0] * right + [0.0] * (of - right)


BEFORE: Scores = {
    "arc_easy": {"acc": some(60, 100), "acc_norm": some(60, 100)},
    "hellaswag": {"acc": some(20, 40), "acc_norm": some(24, 40)},
    "truthfulqa_mc1": {"acc": some(5, 20)},
    "mmlu_anatomy": {"acc": some(10, 15)},
    "mmlu_virology": {"acc": some(8, 15)},
}
AFTER: Scores = {
    **BEFORE,
    "arc_easy": {"acc": some(30, 100), "acc_norm": some(40, 100)},
    "hellaswag": {"acc": some(20, 40), "acc_norm": some(23, 40)},
    "truthfulqa_mc1": {"acc": some(6, 20)},
}
HELD: Scores = {"arc_easy": {"acc_norm": some(1200, 2000)}}
"""So many that 2 points are known to be kept where none changed."""


def judged(
    result: ExperimentResult, before: Scores, after: Scores, *, source: str = "hub", group: str = ""
) -> ExperimentResult:
    """The experiment with benchmarks of base and of every checkpoint, compared anew."""

    def added(run: RunResult) -> RunResult:
        return with_scores(run, before if run is result.runs[0] else after, source, group)

    runs = tuple(added(run) for run in result.runs)
    comparisons = tuple(compare(runs[0], run, CompareSettings("rougeL")) for run in runs[1:])
    return replace(result, runs=runs, comparisons=comparisons)


@pytest.fixture
def lost(result: ExperimentResult) -> ExperimentResult:
    return judged(result, BEFORE, AFTER, source="shipped", group="mmlu")


def test_a_loss_is_the_heading_and_stands_in_the_verdicts_sentence(
    lost: ExperimentResult, parse: Parse
) -> None:
    tree = parse(render_report(lost))
    section = tree.one("section", id="forgetting")
    # 20 of 100 lost: 20 points; the tolerance of 2 points is the default
    heading = "General ability fell by 20.0 points on arc_easy acc_norm; at most 2.0 points were allowed"
    assert section.one("h2").text == f"Forgetting{heading}".replace(" points", "\u00a0points")
    headline = tree.one("p", css="headline").text.replace("\u00a0", " ")
    assert headline.startswith("The tuned checkpoint is better: ROUGE-L rose by")
    assert ", but it forgets: arc_easy acc_norm fell by 20.0 points (95% interval " in headline
    assert headline.endswith("n = 100), and at most 2.0 were allowed.")
    assert lost.headline is not None
    assert lost.headline.sentence == headline
    price = next(a for a in summarise(lost).verdict.answers if a.question == "At what price?")
    assert plain_text(price.parts).endswith("It forgets: arc_easy acc_norm \u221220.0 points.")
    assert (price.link, "not measured" in plain_text(price.parts)) == ("forgetting", False)
    advice = next(a for a in summarise(lost).verdict.answers if a.question == "What next?")
    assert "To forget less, train for fewer steps or at a lower learning rate." in plain_text(advice.parts)
    glance = summarise(lost).verdict.glance
    assert glance is not None
    assert [row.label for row in glance.rows] == ["ROUGE-L", "arc_easy"]


def test_a_row_for_each_benchmark_and_none_for_its_parts(lost: ExperimentResult, parse: Parse) -> None:
    table = parse(render_report(lost)).one("section", id="forgetting").all("table", css="stack")[0]
    rows = table.one("tbody").all("tr")
    assert [row.one("th").text for row in rows] == [
        "arc_easy acc_norm, home-made",
        "hellaswag acc_norm, home-made",
        "truthfulqa_mc1 acc, home-made",
        "mmlu acc, 2 tasks, home-made",
    ]
    cells = [[cell.text for cell in row.all("td") if "plot" not in cell.attrs["class"]] for row in rows]
    assert [row[:3] for row in cells] == [
        ["60.0%", "40.0%", "\u221220.0"],
        ["60.0%", "57.5%", "\u22122.5"],
        ["25.0%", "30.0%", "+5.0"],
        ["60.0%", "60.0%", "0.0"],
    ]
    assert [row[4:6] for row in cells] == [
        ["25.0%", "100"],
        ["25.0%", "40"],
        ["25.0%", "20"],
        ["25.0%", "30"],
    ]
    assert [row[6].partition("about")[0] for row in cells] == [
        "▼forgets", "○not decided", "○not decided", "○not decided",
    ]  # fmt: skip
    assert "few" in rows[2].attrs["class"]


def test_general_ability_stays_out_of_the_tasks_own_sections(lost: ExperimentResult) -> None:
    page, subject = summarise(lost), study(lost)
    assert subject.tasks == ("held_out",)
    assert len(subject.pairs) == 60
    assert [group.title for group in page.metrics.groups] == [""]
    assert [key for key, _ in page.contents][3:5] == ["samples", "forgetting"]
    runs = page.methods.runs
    assert not any(name.startswith("task ") for name in runs.head)
    names = [fact.term for fact in page.methods.facts if "Forgetting" in fact.text]
    assert names == []


def test_what_a_reader_must_know_stands_below(lost: ExperimentResult) -> None:
    view = summarise(lost).forgetting
    assert view is not None
    assert view.note.startswith(
        "All rows: home-made samples, not comparable with published scores. "
        "On truthfulqa_mc1 the base did not score above guessing, so little could be lost there."
    )
    # 20 questions of arc_easy and 1 of hellaswag, by the measure that judges them
    assert len(view.lost.rows) == SHOWN
    assert view.lost_note == "The first 20 of 21; samples.jsonl holds all."
    assert view.lost.rows[0] == ("arc_easy", "40", "Question 40 of arc_easy", "the right one", "a wrong one")
    assert view.checkpoints is not None
    assert view.checkpoints.head == ("Benchmark", "base", "step-50", "step-100", "step-150")
    assert view.checkpoints.rows[0] == ("arc_easy acc_norm", "60.0%", "40.0%", "40.0%", "40.0%")
    measured = [row[:2] for row in view.measures.rows]
    assert ("arc_easy", "acc") in measured
    assert ("mmlu_virology", "acc") in measured


def test_ability_that_held(result: ExperimentResult) -> None:
    held = judged(result, HELD, HELD)
    assert held.headline is not None
    assert finding(held.headline).replace("\u00a0", " ") == (
        "General ability held: no benchmark lost more than 2.0 points"
    )
    assert price(held.headline) == "General ability held."
    assert "forget" not in held.headline.sentence
    view = summarise(held).forgetting
    assert view is not None
    assert (view.rows[0].note, view.rows[0].mark.word) == ("acc_norm", "no worse")
    assert "home-made" not in view.note


def test_ability_that_is_not_decided(result: ExperimentResult) -> None:
    before: Scores = {"arc_easy": {"acc": some(20, 40)}}
    after: Scores = {"arc_easy": {"acc": some(19, 40)}}
    one = judged(result, before, after).headline
    assert one is not None
    assert price(one) == "Whether general ability held is not decided: the benchmarks have too few samples."
    assert finding(one) == (
        "It is not decided whether general ability held: the only benchmark would need more samples"
    )
    both = judged(result, {**before, "b": {"acc": some(450, 2000)}}, {**after, "b": {"acc": some(450, 2000)}})
    assert both.headline is not None
    assert finding(both.headline) == (
        "It is not decided whether general ability held: one of two benchmarks would need more samples"
    )
    assert price(both.headline) == (
        "General ability held on one of 2 benchmarks; the others have too few samples to tell."
    )


def test_all_of_several_that_are_not_decided(result: ExperimentResult) -> None:
    before, after = ({name: {"acc": some(right, 40)} for name in "ab"} for right in (20, 19))
    found = judged(result, before, after).headline
    assert found is not None
    assert finding(found) == (
        "It is not decided whether general ability held: both benchmarks would need more samples"
    )


def test_a_choice_that_only_the_normalised_measure_rejects_is_not_called_the_tuned_answer(
    result: ExperimentResult,
) -> None:
    before: Scores = {"a": {"acc": some(2, 2), "acc_norm": some(2, 2)}}
    view = summarise(judged(result, before, {"a": {"acc": some(2, 2), "acc_norm": some(1, 2)}})).forgetting
    assert view is not None
    assert [row[-2:] for row in view.lost.rows] == [("the right one", "another one, by acc_norm")]


def test_answers_at_the_token_limit_are_counted_among_written_ones(lost: ExperimentResult) -> None:
    said = [caution for caution in summarise(lost).verdict.cautions if "token limit" in caution]
    assert all("of 60 answers" in caution for caution in said)
    assert said


def test_several_losses_name_the_largest(result: ExperimentResult) -> None:
    before = {name: {"acc": some(80, 100)} for name in ("a", "b", "c")}
    after = {"a": {"acc": some(60, 100)}, "b": {"acc": some(40, 100)}, "c": {"acc": some(70, 100)}}
    found = judged(result, before, after).headline
    assert found is not None
    assert finding(found).replace("\u00a0", " ") == (
        "General ability fell on all three benchmarks, most on b acc: 40.0 points"
    )
    assert found.sentence.endswith("a and c fell too, and at most 2.0 were allowed.")


def test_a_loss_of_unknown_size_says_so(result: ExperimentResult) -> None:
    # 6 of 300 lost, none won: -2.0 points, as many as are allowed; interval -3.59 to -0.41 by Student's t
    worse = judged(result, {"a": {"acc": some(200, 300)}}, {"a": {"acc": some(194, 300)}})
    view = summarise(worse).forgetting
    assert view is not None
    assert (view.rows[0].mark.word, view.rows[0].mark.note) == ("worse", "not shown by how much")


def test_a_broken_checkpoint_judges_nothing(lost: ExperimentResult) -> None:
    assert lost.headline is not None
    broken = replace(lost.headline, verdict=Verdict.BROKEN)
    assert finding(broken) == "General ability cannot be judged: the numbers are not finite"
    assert price(broken) == ""


def test_home_made_samples_are_marked_where_there_is_no_section(
    single: ExperimentResult, lost: ExperimentResult
) -> None:
    said = (
        "Benchmarks were run on small home-made samples. Their scores are not comparable with published ones."
    )
    run = replace(single.runs[0], settings={"data, shipped": "small home-made samples"})
    assert said in summarise(replace(single, runs=(run,))).verdict.cautions
    runs = tuple(replace(run, settings={"data, shipped": "small home-made samples"}) for run in lost.runs)
    assert said not in summarise(replace(lost, runs=runs)).verdict.cautions


def test_a_figure_of_the_whole_task_is_not_a_failure_of_each_sample(single: ExperimentResult) -> None:
    def cautions(method: str) -> tuple[str, ...]:
        run = single.runs[0]
        own = replace(run.estimates["held_out"]["bleu"], measure="word_perplexity", method=method)
        samples = tuple(replace(s, scores={**s.scores, "word_perplexity": Score(None)}) for s in run.samples)
        estimates = {"held_out": {**run.estimates["held_out"], "word_perplexity": own}}
        whole = replace(run, samples=samples, estimates=estimates)
        return tuple(c for c in summarise(replace(single, runs=(whole,))).verdict.cautions if "scored" in c)

    assert len(cautions("t")) == len(cautions("resampled")) + 1


def test_no_benchmark_no_section(result: ExperimentResult) -> None:
    page = summarise(result)
    assert page.forgetting is None
    assert "forgetting" not in dict(page.contents)


@pytest.mark.slow
def test_the_section_fits_on_a_phone_in_light_and_dark(
    lost: ExperimentResult, visit: Callable[..., Any], tmp_path: Path
) -> None:
    path = write_report(lost, tmp_path / "report.html")
    for scheme in ("light", "dark"):
        seen = visit(path, viewport={"width": 390, "height": 844}, color_scheme=scheme)
        assert seen.ask("document.documentElement.scrollWidth") <= 390
        assert seen.complaints == []
        assert len(seen.requests) == 1

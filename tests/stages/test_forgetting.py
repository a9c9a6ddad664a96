"""General ability in a comparison: which tasks are benchmarks, what judges them, when something was lost."""

from __future__ import annotations

from dataclasses import replace

import pytest
from stages.conftest import RunMaker
from support.benchmark_runs import Scores, estimate, sample, with_scores

from harness.records import RunResult, Score, Verdict
from harness.stages.compare import NOT_PAIRED, CompareSettings, compare
from harness.stages.forgetting import guessing, is_benchmark, leading_measure
from harness.stages.resultfile import experiment_to_json
from harness.stages.stored import result_of_runs
from harness.stats.paired_binary import newcombe

LOW = [0.1, 0.2, 0.3, 0.2, 0.1, 0.3]
HIGH = [0.6, 0.6, 0.8, 0.7, 0.6, 0.8]


def some(right: int, of: int) -> list[float]:
    return [1.0] * right + [0.0] * (of - right)


@pytest.fixture
def pair(make_run: RunMaker) -> tuple[RunResult, RunResult]:
    """Base and tuned on a task of their own, where tuned is better."""
    return make_run({"rougeL": LOW}), make_run({"rougeL": HIGH}, name="step-8")


def test_a_benchmark_beside_a_task_is_judged_by_its_own_tolerance(pair: tuple[RunResult, RunResult]) -> None:
    before: Scores = {"hellaswag": {"acc": some(50, 100), "acc_norm": some(60, 100)}}
    after: Scores = {"hellaswag": {"acc": some(50, 100), "acc_norm": some(48, 100)}}
    base, tuned = with_scores(pair[0], before), with_scores(pair[1], after)
    found = compare(base, tuned)
    (judged,) = found.forgetting
    assert [metric.task for metric in found.metrics] == ["held_out"]
    assert [metric.measure for metric in found.benchmarks] == ["acc", "acc_norm"]
    assert (judged.metric.measure, judged.metric.primary, judged.metric.tolerance) == (
        "acc_norm",
        False,
        0.02,
    )
    # 12 of 100 lost, none gained: Newcombe's interval; McNemar's exact p is 2 / 2**12, mid-p half of it
    interval = newcombe(48, 12, 0, 40)
    assert (judged.metric.low, judged.metric.high) == (interval.low, interval.high)
    assert judged.metric.p == pytest.approx(2**-12)
    assert (judged.held, judged.guessing, judged.home_made, judged.tasks) == (False, 0.25, False, 1)
    assert (found.verdict, found.primary) == (Verdict.BETTER, found.metrics[0])
    assert "but it forgets: hellaswag acc_norm fell by 12.0 points" in found.sentence
    wide = compare(base, tuned, CompareSettings(forgetting_tolerance=0.25))
    assert (wide.forgetting[0].held, wide.forgetting[0].metric.verdict) == (True, Verdict.WORSE)
    assert "forgets" not in wide.sentence


@pytest.mark.parametrize(
    ("right", "held"),
    [
        (200, True),  # nothing changed
        (201, True),  # one more right of 400
        (199, True),  # -0.25 points, interval -0.74 to +0.24
        (194, None),  # -1.5 points, interval -2.70 to -0.30: worse, but not shown to be by more than 2
        (190, False),  # -2.5 points, interval -4.04 to -0.96
    ],
)
def test_held_lost_or_open(pair: tuple[RunResult, RunResult], right: int, held: bool | None) -> None:
    base = with_scores(pair[0], {"b": {"acc": some(200, 400)}})
    tuned = with_scores(pair[1], {"b": {"acc": some(right, 400)}})
    assert compare(base, tuned).forgetting[0].held is held


def test_where_lower_is_better_a_rise_is_a_loss(pair: tuple[RunResult, RunResult]) -> None:
    def turned(run: RunResult, right: int) -> RunResult:
        made = with_scores(run, {"b": {"brier": some(right, 100)}})
        own = replace(made.estimates["b"]["brier"], higher_is_better=False)
        return replace(made, estimates={**made.estimates, "b": {"brier": own}})

    found = compare(turned(pair[0], 20), turned(pair[1], 40))
    assert found.forgetting[0].held is False
    assert "b brier rose by 20.0 points" in found.sentence
    assert found.forgetting[0].guessing is None


def test_a_group_stands_for_its_parts_and_p_values_are_of_the_judged_ones(
    pair: tuple[RunResult, RunResult],
) -> None:
    before: Scores = {
        "mmlu_a": {"acc": some(10, 20)},
        "mmlu_b": {"acc": some(10, 20)},
        "arc_easy": {"acc": some(9, 20)},
    }
    after: Scores = {**before, "mmlu_b": {"acc": some(7, 20)}, "arc_easy": {"acc": some(10, 20)}}
    base = with_scores(pair[0], before, "shipped", "mmlu")
    found = compare(base, with_scores(pair[1], after, "shipped", "mmlu"))
    assert [(f.metric.task, f.tasks, f.home_made) for f in found.forgetting] == [
        ("arc_easy", 1, True),
        ("mmlu", 2, True),
    ]
    assert [(m.task, m.p_adjusted is None) for m in found.benchmarks] == [
        ("mmlu_a", True),
        ("mmlu_b", True),
        ("arc_easy", False),
        ("mmlu", False),
    ]
    easy, mmlu = (each.metric for each in found.forgetting)
    # Holm 1979: the smaller of two p is doubled; both end at the larger
    assert mmlu.p is not None
    assert easy.p is not None
    assert mmlu.p_adjusted == pytest.approx(min(1.0, 2 * mmlu.p))
    assert easy.p_adjusted == pytest.approx(max(easy.p, 2 * mmlu.p))


def test_only_benchmarks_are_compared_like_any_task(make_run: RunMaker) -> None:
    empty = replace(make_run({"rougeL": LOW}), estimates={}, samples=())
    before: Scores = {
        "arc_easy": {"acc": some(9, 20), "acc_norm": some(9, 20)},
        "mmlu": {"acc": some(9, 20)},
        "mmlu_a": {"acc": some(9, 20)},
    }
    base, tuned = with_scores(empty, before), with_scores(replace(empty, name="t", fingerprint="t"), before)
    found = compare(base, tuned)
    assert (found.forgetting, found.benchmarks, len(found.metrics)) == ((), (), 4)
    assert found.primary is not None
    assert (found.primary.task, found.primary.measure) == ("arc_easy", "acc_norm")
    # the one that is named is what the tuning was for; the others are general ability
    named = compare(base, tuned, CompareSettings("mmlu/acc"))
    assert [metric.task for metric in named.metrics] == ["mmlu"]
    assert [each.metric.task for each in named.forgetting] == ["arc_easy", "mmlu_a"]


def test_a_named_group_takes_its_parts_along(pair: tuple[RunResult, RunResult]) -> None:
    scores: Scores = {"mmlu_a": {"acc": some(10, 20)}, "mmlu_b": {"acc": some(9, 20)}}
    base, tuned = (with_scores(run, scores, group="mmlu") for run in pair)
    found = compare(base, tuned, CompareSettings("mmlu/acc"))
    assert found.forgetting == ()
    assert {metric.task for metric in found.metrics} == {"held_out", "mmlu_a", "mmlu_b", "mmlu"}


def test_a_figure_of_the_whole_task_is_said_and_not_judged(pair: tuple[RunResult, RunResult]) -> None:
    def perplexity(run: RunResult, value: float) -> RunResult:
        own = estimate(
            "wikitext",
            "word_perplexity",
            [value],
            method="resampled",
            scale=(0.0, 100.0),
            higher_is_better=False,
        )
        whole = replace(
            sample("wikitext", 0, {"x": 0.0}), scores={"word_perplexity": Score(None, reason="whole")}
        )
        return replace(
            run,
            samples=(*run.samples, whole),
            estimates={**run.estimates, "wikitext": {"word_perplexity": own}},
        )

    found = compare(perplexity(pair[0], 20.0), perplexity(pair[1], 23.0))
    (judged,) = found.forgetting
    assert (judged.metric.delta, judged.metric.low, judged.metric.test) == (3.0, None, NOT_PAIRED)
    assert (judged.metric.verdict, judged.held) == (Verdict.NOT_DECIDED, None)
    assert found.warnings == (
        "word_perplexity of wikitext is one figure of the whole task, not of its samples. Its change has no interval.",
    )


def test_a_mean_of_tasks_is_paired_as_such(pair: tuple[RunResult, RunResult]) -> None:
    def macro(run: RunResult, values: Scores) -> RunResult:
        made = with_scores(run, values, group="g")
        mean = sum(sum(v["acc"]) / len(v["acc"]) for v in values.values()) / len(values)
        own = replace(made.estimates["g"]["acc"], value=mean, method="mean of tasks")
        return replace(made, estimates={**made.estimates, "g": {"acc": own}})

    before: Scores = {"g_a": {"acc": some(5, 10)}, "g_b": {"acc": some(20, 40)}}
    after: Scores = {"g_a": {"acc": some(4, 10)}, "g_b": {"acc": some(20, 40)}}
    found = compare(macro(pair[0], before), macro(pair[1], after)).forgetting[0].metric
    # by hand: task g_a lost 0.1, g_b nothing; their mean is -0.05, while the pooled one would be -1/50
    assert found.delta == pytest.approx(-0.05)
    assert found.tuned.value is not None
    assert found.base.value is not None
    assert found.tuned.value - found.base.value == pytest.approx(-0.05)


def test_what_is_a_benchmark_and_what_judges_it() -> None:
    own = estimate("a", "acc", [1.0, 0.0])
    assert is_benchmark({"acc": own})
    assert is_benchmark({"acc": replace(own, signature="acc|group:mmlu|version:2|tasks:4,ab")})
    assert not is_benchmark(
        {"acc": replace(own, signature="acc|task:lm-eval: a study|data:ab|template:chat")}
    )
    assert not is_benchmark({})
    named = {name: replace(own, measure=name) for name in ("f1", "acc", "acc_norm")}
    assert leading_measure(named) == "acc_norm"
    assert leading_measure({"odd": own, "exact_match,strict-match": own}) == "exact_match,strict-match"
    assert leading_measure({"perplexity": replace(own, method="resampled"), "acc": own}) == "acc"
    assert leading_measure({"perplexity": replace(own, method="resampled")}) == "perplexity"


def test_guessing_is_one_over_the_number_of_choices() -> None:
    own = estimate("a", "acc", [1.0, 0.0])
    four = sample("a", 0, {"acc": 1.0})
    five = replace(four, loglikelihoods=(-1.0,) * 5)
    assert guessing([four, five], own) == pytest.approx((1 / 4 + 1 / 5) / 2)
    failed = replace(four, loglikelihoods=(), failure="broken")
    assert guessing([four, failed], own) == 0.25
    # MC2 is a share of probability, a generation has no choices, and a single choice is none
    assert guessing([four], replace(own, binary=False)) is None
    assert guessing([four], replace(own, measure="exact_match")) is None
    assert guessing([replace(four, loglikelihoods=(-1.0,))], own) is None
    assert guessing([], own) is None
    # each choice is asked a second time without its question for acc_mutual_info
    twice = replace(four, loglikelihoods=(-1.0,) * 8, scores={"acc_mutual_info": Score(1.0)})
    assert guessing([twice], own) == 0.25


def test_results_json_holds_it(pair: tuple[RunResult, RunResult]) -> None:
    base, tuned = (with_scores(run, {"b": {"acc": some(10, 20)}}) for run in pair)
    (compared,) = experiment_to_json(result_of_runs([base, tuned]))["comparisons"]
    assert compared["forgetting"][0]["metric"]["task"] == "b"
    assert compared["benchmarks"][0]["measure"] == "acc"

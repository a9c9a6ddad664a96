from __future__ import annotations

from dataclasses import replace

import pytest
from stages.conftest import RunMaker

from harness.exceptions import BadValue, InputError, UnknownName
from harness.records import Finish, RunResult, Verdict
from harness.stages.compare import CompareSettings, check_primary, choose_primary, compare

LOW = [0.1, 0.2, 0.3, 0.2, 0.1, 0.3]
HIGH = [0.6, 0.6, 0.8, 0.7, 0.6, 0.8]


def test_better_with_the_paired_t_of_the_differences(make_run: RunMaker) -> None:
    found = compare(make_run({"rougeL": LOW}), make_run({"rougeL": HIGH}, name="step-8"))
    (metric,) = found.metrics
    # scipy.stats.ttest_rel(HIGH, LOW): 95 % interval by confidence_interval()
    assert metric.delta == pytest.approx(0.48333333)
    assert (metric.low, metric.high) == pytest.approx((0.44049030273939, 0.52617636392727), abs=1e-12)
    assert (metric.wins, metric.losses, metric.ties, metric.n) == (6, 0, 0, 6)
    assert (found.verdict, found.primary, found.base, found.tuned) == (
        Verdict.BETTER,
        metric,
        "base",
        "step-8",
    )
    assert found.sentence.startswith("The tuned checkpoint is better: rougeL rose by 48.3 points")
    assert found.warnings == ()
    assert found.unpaired == {}


def test_worse_and_within_tolerance(make_run: RunMaker) -> None:
    slightly = [value - 0.001 * i for i, value in enumerate(HIGH)]
    base, tuned = make_run({"rougeL": HIGH}), make_run({"rougeL": slightly}, name="step-8")
    found = compare(base, tuned, CompareSettings(tolerance=0.02))
    assert (found.verdict, found.metrics[0].within_tolerance) == (Verdict.WORSE, True)
    assert "within the tolerance of 2.0 points" in found.sentence


def test_lower_is_better_turns_wins_and_verdict_around(make_run: RunMaker) -> None:
    turned = {"wer": {"higher_is_better": False}}
    found = compare(
        make_run({"wer": HIGH}, estimates=turned), make_run({"wer": LOW}, name="step-8", estimates=turned)
    )
    assert (found.verdict, found.metrics[0].wins, found.metrics[0].losses) == (Verdict.BETTER, 6, 0)
    assert found.metrics[0].delta == pytest.approx(-0.48333333)
    assert "wer fell by 48.3 points" in found.sentence


def test_one_pair_decides_nothing(make_run: RunMaker) -> None:
    found = compare(make_run({"rougeL": [0.1]}), make_run({"rougeL": [0.9]}, name="step-8"))
    assert found.verdict is Verdict.NOT_DECIDED
    assert (found.metrics[0].low, found.metrics[0].p, found.metrics[0].n) == (None, None, 1)
    assert found.sentence.startswith("It is not decided")


def test_identical_runs_make_no_difference(make_run: RunMaker) -> None:
    base = make_run({"rougeL": LOW})
    found = compare(base, replace(base, name="again"))
    assert "no difference" in found.sentence
    assert "all 6 samples" in found.sentence
    assert found.metrics[0].ties == 6
    assert found.warnings == ("Both runs are of the same weights: the tuned checkpoint is the base.",)


def test_nothing_scored_on_both_sides(make_run: RunMaker) -> None:
    found = compare(make_run({"rougeL": [0.1, None]}), make_run({"rougeL": [None, 0.9]}, name="step-8"))
    assert (found.verdict, found.metrics[0].n, found.metrics[0].delta) == (Verdict.NOT_DECIDED, 0, None)
    assert "scored no sample on both sides" in found.sentence


def test_no_measure_in_common(make_run: RunMaker) -> None:
    found = compare(make_run({"rougeL": LOW}), make_run({"bleu_like": HIGH}, name="step-8"))
    assert (found.metrics, found.primary, found.verdict) == ((), None, Verdict.NOT_DECIDED)
    assert "no metric scored both" in found.sentence


def test_a_broken_checkpoint_is_broken_however_good_its_numbers(make_run: RunMaker) -> None:
    tuned = make_run({"rougeL": HIGH}, name="step-8", nonfinite=2)
    found = compare(make_run({"rougeL": LOW}), tuned)
    assert (found.verdict, found.metrics[0].verdict) == (Verdict.BROKEN, Verdict.BROKEN)
    assert found.sentence == (
        "The tuned checkpoint is broken: it returns numbers that are not finite on 2 of 6 samples."
    )
    base = compare(make_run({"rougeL": LOW}, nonfinite=1), make_run({"rougeL": HIGH}, name="step-8"))
    assert base.sentence.startswith("The base is broken")


def test_pairs_are_made_by_prompt_whatever_the_order(make_run: RunMaker) -> None:
    prompts = [f"prompt {i}" for i in range(6)]
    tuned = make_run({"rougeL": HIGH}, name="step-8", prompts=prompts)
    tuned = replace(tuned, samples=tuned.samples[::-1])
    found = compare(make_run({"rougeL": LOW}, prompts=prompts), tuned)
    straight = compare(make_run({"rougeL": LOW}), make_run({"rougeL": HIGH}, name="step-8"))
    assert found.metrics[0].low == pytest.approx(straight.metrics[0].low)
    assert found.metrics[0].n == 6


def test_samples_without_a_partner_are_counted_and_named(make_run: RunMaker) -> None:
    base = make_run({"rougeL": LOW}, prompts=[f"prompt {i}" for i in range(6)])
    tuned = make_run({"rougeL": HIGH}, name="step-8", prompts=[f"prompt {i}" for i in range(5)] + ["another"])
    found = compare(base, tuned)
    assert found.metrics[0].n == 5
    assert found.unpaired == {"only in base": ("held_out/s5",), "only in step-8": ("held_out/s5",)}
    assert found.warnings == (
        "1 sample is only in base (held_out/s5). It is left out.",
        "1 sample is only in step-8 (held_out/s5). It is left out.",
    )


def test_samples_whose_target_changed_are_left_out(make_run: RunMaker) -> None:
    base, tuned = make_run({"rougeL": LOW}), make_run({"rougeL": HIGH}, name="step-8")
    other = replace(tuned.samples[2], target="corrected since")
    tuned = replace(tuned, samples=(*tuned.samples[:2], other, *tuned.samples[3:]))
    found = compare(base, tuned)
    assert found.metrics[0].n == 5
    assert found.warnings == ("1 sample is given another target (held_out/s2). It is left out.",)


def test_samples_of_a_benchmark_count_for_its_groups(make_run: RunMaker) -> None:
    def grouped(values: list[float], name: str) -> RunResult:
        run = make_run({"rougeL": values}, name=name)
        samples = tuple(replace(sample, metadata={"groups": "all part"}) for sample in run.samples)
        (task,) = run.estimates
        return replace(run, samples=samples, estimates={**run.estimates, "all": run.estimates[task]})

    found = compare(grouped(LOW, "base"), grouped(HIGH, "step-8"))
    single, group = found.metrics
    assert (group.task, group.n, group.low) == ("all", 6, single.low)


def test_many_without_a_partner_are_named_in_part(make_run: RunMaker) -> None:
    base = make_run({"rougeL": [0.5] * 8})
    tuned = make_run({"rougeL": [0.5]}, name="step-8")
    assert compare(base, tuned).warnings[0] == (
        "7 samples are only in base (held_out/s1, held_out/s2, held_out/s3, held_out/s4, held_out/s5 and 2 more). "
        "They are left out."
    )


def test_a_prompt_that_stands_twice_is_joined_in_order(make_run: RunMaker) -> None:
    prompts = ["same", "same", "other"]
    base = make_run({"rougeL": [0.0, 0.5, 0.2]}, prompts=prompts)
    tuned = make_run({"rougeL": [0.0, 0.9]}, name="step-8", prompts=prompts[:2])
    found = compare(base, tuned)
    # 0 against 0 and .5 against .9, not .5 against 0
    assert (found.metrics[0].n, found.metrics[0].wins, found.metrics[0].ties) == (2, 1, 1)
    assert found.unpaired == {"only in base": ("held_out/s2",)}


def test_holm_over_all_measures_of_the_comparison(make_run: RunMaker) -> None:
    noisy = [0.1, 0.3, 0.2, 0.3, 0.0, 0.4]
    base = make_run({"rougeL": LOW, "rouge1": LOW})
    tuned = make_run({"rougeL": HIGH, "rouge1": noisy}, name="step-8")
    first, second = compare(base, tuned).metrics
    # Holm 1979: the smallest of two p is doubled, the other stays
    assert first.p is not None
    assert second.p is not None
    assert first.p < second.p
    assert first.p_adjusted == pytest.approx(2 * first.p)
    assert second.p_adjusted == pytest.approx(second.p)


def test_the_primary_is_rouge_l_then_exact_match_then_the_first(make_run: RunMaker) -> None:
    def chosen(*names: str, wanted: str | None = None) -> tuple[str, str] | None:
        runs = [make_run(dict.fromkeys(names, LOW)) for _ in range(2)]
        return choose_primary(runs[0], runs[1], wanted)

    assert chosen("bleu", "exact_match", "rougeL") == ("held_out", "rougeL")
    assert chosen("bleu", "exact_match") == ("held_out", "exact_match")
    assert chosen("bleu", "chrf") == ("held_out", "bleu")
    assert chosen("bleu", "chrf", wanted="chrf") == ("held_out", "chrf")
    assert chosen("bleu", "chrf", wanted="held_out/chrf") == ("held_out", "chrf")
    with pytest.raises(UnknownName, match=r"Unknown primary measure 'chfr'. Did you mean 'chrf'\?"):
        chosen("bleu", "chrf", wanted="chfr")


def test_the_primary_measure_gives_the_verdict_and_is_marked(make_run: RunMaker) -> None:
    base = make_run({"rougeL": LOW, "rouge1": HIGH})
    tuned = make_run({"rougeL": HIGH, "rouge1": LOW}, name="step-8")
    assert compare(base, tuned).verdict is Verdict.BETTER
    found = compare(base, tuned, CompareSettings("rouge1"))
    assert (found.verdict, found.primary) == (Verdict.WORSE, found.metrics[1])
    assert [metric.primary for metric in found.metrics] == [False, True]


def test_a_primary_that_nothing_measures_is_refused_beforehand() -> None:
    check_primary(None, {"held_out": ["rougeL"]})
    check_primary("held_out/rougeL", {"held_out": ["rougeL"]})
    with pytest.raises(UnknownName, match="Unknown primary measure 'other/rougeL'"):
        check_primary("other/rougeL", {"held_out": ["rougeL"]})


def test_runs_without_a_common_task_are_refused(make_run: RunMaker) -> None:
    base, tuned = make_run({"rougeL": LOW}), make_run({"rougeL": HIGH}, name="step-8", task="other")
    with pytest.raises(InputError, match=r"'base' and 'step-8' share no task: held_out against other\."):
        compare(base, tuned)
    with pytest.raises(InputError, match=r"held_out against none\."):
        compare(base, replace(tuned, estimates={}))


def test_a_task_that_only_one_run_has_is_left_out_and_said(make_run: RunMaker) -> None:
    def both(left: RunResult, right: RunResult) -> RunResult:
        return replace(
            left, estimates={**left.estimates, **right.estimates}, samples=left.samples + right.samples
        )

    base = both(make_run({"rougeL": LOW}), make_run({"rougeL": LOW}, task="extra"))
    found = compare(base, make_run({"rougeL": HIGH}, name="step-8"))
    assert [metric.task for metric in found.metrics] == ["held_out"]
    assert len(found.unpaired["only in base"]) == 6


def test_other_settings_are_not_compared(make_run: RunMaker) -> None:
    base = make_run({"rougeL": LOW})
    tuned = make_run({"rougeL": HIGH}, name="step-8", estimates={"rougeL": {"signature": "stemmed"}})
    with pytest.raises(InputError, match=r"the signature 'rougeL\|test', tuned 'stemmed'"):
        compare(base, tuned)


def test_failures_and_number_formats_are_warned_of(make_run: RunMaker) -> None:
    base = make_run({"rougeL": LOW}, settings={"dtype": "float32"})
    tuned = make_run({"rougeL": [None, *HIGH[1:]]}, name="step-8", settings={"dtype": "bfloat16"})
    samples = (replace(tuned.samples[0], finish=Finish.FAILED, failure="time-out"), *tuned.samples[1:])
    found = compare(base, replace(tuned, samples=samples))
    assert found.warnings == (
        "No answer from step-8 to 1 of 6 samples (time-out). Such samples are left out, not counted as wrong.",
        "base ran in float32, step-8 in bfloat16. Part of the change may come from that.",
    )
    assert found.metrics[0].n == 5
    unknown = compare(base, make_run({"rougeL": HIGH}, name="step-8"))
    assert unknown.warnings == (
        "base ran in float32, step-8 in an unknown one. Part of the change may come from that.",
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"alpha": 0.0}, r"compare.alpha is 0.0, but must be between 0 and 1"),
        ({"alpha": 1.0}, "compare.alpha"),
        ({"alpha": float("nan")}, "compare.alpha"),
        ({"tolerance": -0.1}, r"compare.tolerance is -0.1, but must be a share from 0 to 1"),
        ({"tolerance": 1.1}, "compare.tolerance"),
    ],
)
def test_impossible_settings(change: dict[str, float], words: str) -> None:
    with pytest.raises(BadValue, match=words):
        CompareSettings(**change)  # type: ignore[arg-type]


def test_alpha_sets_the_level_of_the_intervals(make_run: RunMaker) -> None:
    found = compare(make_run({"rougeL": LOW}), make_run({"rougeL": HIGH}), CompareSettings(alpha=0.1))
    assert found.metrics[0].level == pytest.approx(0.9)

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.exceptions import BadValue
from harness.records import ExperimentResult, Score
from harness.report.subject import Pair, leading, study


def test_pairs_join_base_with_the_chosen_checkpoint(result: ExperimentResult) -> None:
    subject = study(result)
    assert subject.tuned is result.runs[3]
    assert subject.comparison is result.comparisons[2]
    assert len(subject.pairs) == 60
    first = subject.pairs[0]
    assert first.base is not None
    assert first.tuned is not None
    assert first.base.sample_id == first.tuned.sample_id == "q-001"
    assert subject.tasks == ("held_out",)
    assert not subject.unchanged


def test_losses_and_gains_are_counted_in_points(result: ExperimentResult) -> None:
    subject = study(result)
    # Topics 3 and 6 of ten score lower after tuning: 12 of 60 samples; the sixth falls from 1.0 to 0.09.
    assert len(subject.losses) == 12
    assert subject.gains == 48
    assert subject.losses[0].sample.sample_id == "q-006"
    assert subject.losses[0].delta == pytest.approx(-91.0)


def test_where_lower_is_better_a_rise_is_a_loss(result: ExperimentResult) -> None:
    gauge = replace(result.runs[0].estimates["held_out"]["rougeL"], higher_is_better=False)
    sample = result.runs[0].samples[0]
    pair = Pair(sample, sample, gauge, 0.2, 0.5)
    assert pair.delta == pytest.approx(30.0)
    assert pair.gain == pytest.approx(-30.0)


def test_a_scale_of_100_counts_one_point_as_one(result: ExperimentResult) -> None:
    gauge = result.runs[0].estimates["held_out"]["bleu"]
    sample = result.runs[0].samples[0]
    assert Pair(sample, sample, gauge, 10.0, 15.0).delta == pytest.approx(5.0)


def test_samples_of_one_side_only_stay_in_the_list(result: ExperimentResult) -> None:
    base, *others, tuned = result.runs
    cut = replace(
        result,
        runs=(replace(base, samples=base.samples[1:]), *others, replace(tuned, samples=tuned.samples[:-1])),
    )
    subject = study(cut)
    assert len(subject.pairs) == 60
    assert subject.pairs[-1].base is None
    assert subject.pairs[-1].sample.sample_id == "q-001"
    assert [pair.sample.sample_id for pair in subject.pairs if pair.tuned is None] == ["q-060"]
    assert subject.pairs[-1].gain is None
    assert subject.pairs[-1].delta is None


def test_a_prompt_that_stands_twice_is_joined_in_order(result: ExperimentResult) -> None:
    base, *others, tuned = result.runs
    twice = replace(
        result,
        runs=(
            replace(base, samples=(base.samples[0], replace(base.samples[0], sample_id="q-001b"))),
            *others,
            replace(tuned, samples=(tuned.samples[0], replace(tuned.samples[0], sample_id="q-001b"))),
        ),
    )
    pairs = study(twice).pairs
    assert [(p.base and p.base.sample_id, p.tuned and p.tuned.sample_id) for p in pairs] == [
        ("q-001", "q-001"),
        ("q-001b", "q-001b"),
    ]


def test_a_task_without_comparison_is_led_by_its_first_measure(result: ExperimentResult) -> None:
    base = result.runs[0]
    extra = {"other": {"bleu": base.estimates["held_out"]["bleu"]}, "empty": {}}
    run = replace(base, estimates={**base.estimates, **extra})
    found = leading(run, result.headline)
    assert {task: estimate.measure for task, estimate in found.items()} == {
        "held_out": "rougeL",
        "other": "bleu",
    }
    assert leading(run, None)["held_out"].measure == "rougeL"


def test_unscored_samples_have_no_change(result: ExperimentResult) -> None:
    base, *others = result.runs
    unscored = replace(base.samples[0], scores={"rougeL": Score(None, reason="no target")})
    subject = study(replace(result, runs=(replace(base, samples=(unscored, *base.samples[1:])), *others)))
    assert subject.pairs[0].delta is None


def test_a_single_run_has_no_partner(single: ExperimentResult) -> None:
    subject = study(single)
    assert (subject.tuned, subject.comparison) == (None, None)
    assert not subject.unchanged
    assert subject.losses == ()
    assert all(pair.tuned is None for pair in subject.pairs)


def test_an_empty_result_and_an_empty_pair_are_refused(single: ExperimentResult) -> None:
    with pytest.raises(BadValue, match="runs"):
        study(replace(single, runs=()))
    with pytest.raises(BadValue, match="a pair"):
        _ = Pair(None, None, None, None, None).sample

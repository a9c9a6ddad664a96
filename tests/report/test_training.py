from __future__ import annotations

import math
from dataclasses import replace

import pytest

from harness.records import ExperimentResult, Training, TrainingPoint
from harness.report.subject import study
from harness.report.training import falling, smooth, thin, training_view, validation
from harness.report.views import TrainingView


@pytest.fixture
def training(result: ExperimentResult) -> Training:
    assert result.training is not None
    return result.training


def view(result: ExperimentResult, **changes: object) -> TrainingView:
    assert result.training is not None
    changed = replace(result.training, **changes)  # type: ignore[arg-type]
    found = training_view(study(replace(result, training=changed)))
    assert found is not None
    return found


def losses(*values: float) -> tuple[TrainingPoint, ...]:
    return tuple(TrainingPoint(step=50 * i, epoch=0.5, validation_loss=v) for i, v in enumerate(values, 1))


@pytest.mark.parametrize(
    ("points", "finding"),
    [
        (
            losses(1.774, 1.61, 1.582),
            "Validation loss fell from 1.77 to 1.58 and was still falling at the end",
        ),
        (losses(1.774, 1.61, 1.6095), "Validation loss fell from 1.77 to 1.61"),
        (losses(1.774, 1.61, 1.7), "Validation loss was lowest at step 100 (1.61) and rose to 1.70"),
        (losses(1.5, math.nan, 1.2), "Training broke: the loss is not finite from step 100 on"),
        (
            (TrainingPoint(1, 0.1, loss=2.64), TrainingPoint(2, 0.2, loss=1.39)),
            "Training loss fell from 2.64 to 1.39",
        ),
        (
            (TrainingPoint(1, 0.1, loss=1.0), TrainingPoint(2, 0.2, loss=1.5)),
            "Training loss rose from 1.00 to 1.50",
        ),
        ((), "Training ran for 150 steps; no loss curve was logged"),
    ],
)
def test_the_finding_says_what_the_loss_did(
    result: ExperimentResult, points: tuple[TrainingPoint, ...], finding: str
) -> None:
    assert view(result, points=points).finding == finding


def test_still_falling_means_one_percent_below_the_step_before() -> None:
    assert falling(((1, 2.0), (2, 1.97)))
    assert not falling(((1, 2.0), (2, 1.99)))
    assert not falling(((1, 1.0), (2, 2.0), (3, 1.5)))
    assert not falling(((1, 2.0),))


def test_the_price_is_minutes_speed_and_weights(result: ExperimentResult) -> None:
    facts = {fact.term: fact.text for fact in view(result).price}
    assert facts == {
        "Method": "LoRA",
        "Time": "19.4 minutes",  # 1,164 s
        "Speed": "354 tokens a second",  # 412,338 / 1,164 = 354.2
        "Tokens": "412,338 without padding",
        "Trained weights": "4.88 M of 139 M (3.5%)",
        "Saved weights": "9.77 MB a checkpoint",
    }


def test_unknown_time_is_left_out(result: ExperimentResult) -> None:
    assert "Time" not in {fact.term for fact in view(result, timing={}).price}
    untold = {fact.term for fact in view(result, tokens=0).price}
    assert "Time" in untold
    assert "Speed" not in untold


def test_the_chart_has_both_losses_and_the_saved_steps(result: ExperimentResult, training: Training) -> None:
    chart = view(result).loss
    assert chart is not None
    assert len(chart.raw) == 75
    assert chart.validation == ((50, 1.7741), (100, 1.6102), (150, 1.5823)) == validation(training)
    assert (chart.saved, chart.chosen) == ((50, 100, 150), 150)
    assert chart.desc.endswith(
        "validation loss from 1.77 to 1.58 nats a token; checkpoints saved at 50, 100 and 150 steps."
    )
    assert view(result, points=losses(1.0)).loss is None


def test_the_table_joins_loss_validation_and_saves(result: ExperimentResult) -> None:
    table = view(result).table
    assert table is not None
    assert [row[0] for row in table.rows] == ["50", "100", "150"]
    assert [row[3:] for row in table.rows] == [("1.77", "yes"), ("1.61", "yes"), ("1.58", "yes")]
    bare = view(
        result, points=tuple(TrainingPoint(i, i / 9, loss=1.0) for i in range(1, 10)), checkpoints=()
    ).table
    assert bare is not None
    assert len(bare.rows) == 9
    assert view(result, points=()).table is None


def test_a_smoothed_curve_lags_nowhere() -> None:
    straight = tuple((step, 5.0 - 0.1 * step) for step in range(40))
    assert [value for _, value in smooth(straight)] == pytest.approx([value for _, value in straight])
    assert smooth(straight[:19]) == ()


def test_thinning_keeps_the_extremes() -> None:
    raw = tuple((step, math.sin(step)) for step in range(5000))
    raw = (*raw[:777], (777, 9.0), *raw[778:])
    kept = thin(raw)
    assert len(kept) <= 1000
    assert (777, 9.0) in kept
    assert list(kept) == sorted(kept)
    assert thin(raw[:1000]) == raw[:1000]


def test_small_rates_are_written_with_a_power(result: ExperimentResult) -> None:
    rate, norm = view(result).lines
    assert (rate.caption, rate.unit) == ("Learning rate", "× 10⁻⁴")
    # logged at step 8: 2e-4 / 2 * (1 + cos(pi * 8 / 150)) = 1.986e-4
    assert rate.desc == "From 5.00 × 10⁻⁵ to 0, at most 1.99 × 10⁻⁴."
    assert max(value for _, value in rate.points) == pytest.approx(2.0, rel=0.02)
    assert (norm.caption, norm.unit) == ("Gradient norm", "before clipping")
    zeros = tuple(TrainingPoint(step, 0.1, learning_rate=0.0) for step in (1, 2))
    assert view(result, points=zeros).lines[0].desc == "From 0 to 0, at most 0."


def test_settings_are_listed_and_homes_hidden(result: ExperimentResult) -> None:
    found = view(result, settings={"rank": "16", "out": "/home/alice/runs"}).settings
    assert [(fact.term, fact.text) for fact in found] == [("rank", "16"), ("out", "~/runs")]


def test_no_training_no_section(single: ExperimentResult) -> None:
    assert training_view(study(single)) is None

"""Scores samples. The one place where a metric's exception is caught: it becomes a record with its reason."""

from __future__ import annotations

import math
from collections.abc import Sequence

from harness.exceptions import BadValue
from harness.metrics.base import Measure, Metric
from harness.records import Sample, Score

NO_TARGET = "no target"

_REASON = 200
"""Longest reason kept: an exception may quote the whole answer."""


def score_samples(
    metrics: Sequence[Metric],
    answers: Sequence[str],
    samples: Sequence[Sample],
    failures: Sequence[str | None] | None = None,
) -> list[dict[str, Score]]:
    """Score answer i to sample i with every metric: one dict a sample, measure name to score.

    failures: why there is no answer i, or None where there is one. Every declared measure has an entry. It is
    unscored (value None, with a reason) where there is no answer, where the metric needs a target and there
    is none, where the metric raises, and where its value is missing, not finite, or not on the declared
    scale. Sequences of different length raise BadValue.
    """
    reasons = [None] * len(samples) if failures is None else failures
    for name, given in (("answers", answers), ("failures", reasons)):
        if len(given) != len(samples):
            raise BadValue(f"number of {name}", len(given), f"that of the samples, {len(samples)}")
    scored = []
    for answer, sample, failure in zip(answers, samples, reasons, strict=True):
        row: dict[str, Score] = {}
        for metric in metrics:
            row |= _score(metric, answer, sample, failure)
        scored.append(row)
    return scored


def _score(metric: Metric, answer: str, sample: Sample, failure: str | None) -> dict[str, Score]:
    if failure is not None:
        return _unscored(metric, failure)
    if metric.needs_target and sample.target is None:
        return _unscored(metric, NO_TARGET)
    try:
        found = metric.score(answer, sample)
        return {measure.name: _checked(measure, found.get(measure.name)) for measure in metric.measures}
    except Exception as problem:  # noqa: BLE001 - a metric may raise anything; the run goes on and counts it
        return _unscored(metric, f"{metric.name} failed: {type(problem).__name__}: {problem}")


def _unscored(metric: Metric, reason: str) -> dict[str, Score]:
    return {measure.name: Score(None, reason=reason[:_REASON]) for measure in metric.measures}


def _checked(measure: Measure, score: Score | None) -> Score:
    """Replace a value that cannot be averaged by the reason why."""
    if score is None:
        return Score(None, reason=f"{measure.name} gave no value")
    value = score.value
    if value is None:
        return score if score.reason else Score(None, reason=f"{measure.name} gave no value")
    if not all(map(math.isfinite, (value, *score.statistics))):
        return Score(None, reason=f"{measure.name} is not finite")
    # rounding takes a perfect sentence BLEU to 100.00000000000004
    slack = 1e-9 * (measure.high - measure.low)
    if not measure.low - slack <= value <= measure.high + slack:
        scale = f"{measure.low:g} to {measure.high:g}"
        return Score(None, reason=f"{measure.name} is {value:g}, outside its scale of {scale}")
    if measure.binary and value not in (0.0, 1.0):
        return Score(None, reason=f"{measure.name} is {value:g}, but was declared to be 0 or 1")
    return score

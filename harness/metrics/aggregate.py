"""From scores to estimates: a value, its interval, n and signature.

Works from stored scores alone (values and statistics), given the measure; `measure_of` recovers the measure
from a stored estimate, so that runs can be compared later without making the metrics again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from harness.exceptions import BadValue, InputError
from harness.metrics.base import FloatArray, Measure
from harness.metrics.bleu import bleu_from_statistics
from harness.metrics.chrf import chrf_from_statistics
from harness.records import Estimate, Score
from harness.stats import Interval, bootstrap_interval, t_interval, wilson
from harness.stats.bootstrap import Aggregate

CORPUS_MEASURES: Mapping[str, Aggregate] = {"bleu": bleu_from_statistics, "chrf": chrf_from_statistics}
"""The built-in functions of summed statistics; no setting of their metrics changes them."""


def estimate(
    measure: Measure,
    scores: Sequence[Score],
    signature: str,
    level: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """Aggregate the scores of one measure; unscored ones are left out and show as scored < n.

    The interval is Wilson's for binary measures, Student's t for other means, and a percentile bootstrap over
    summed statistics, made from `seed`, for corpus measures. Where nothing is scored, value and interval are
    None; with one score the value stands without an interval (but for Wilson's).
    """
    kept = [score for score in scores if score.value is not None]
    if measure.aggregate is not None:
        method = "bootstrap"
        rows = statistics_of(measure, kept)
        interval = bootstrap_interval(rows, measure.aggregate, level, seed=seed)
    elif measure.binary:
        method = "wilson"
        interval = _share(measure, values_of(kept), level)
    else:
        method = "t"
        interval = t_interval(values_of(kept), level)
    return Estimate(
        measure=measure.name,
        label=measure.label,
        value=interval.value,
        low=interval.low,
        high=interval.high,
        n=len(scores),
        scored=len(kept),
        level=level,
        method=method,
        signature=signature,
        scale=(measure.low, measure.high),
        higher_is_better=measure.higher_is_better,
        binary=measure.binary,
    )


def measure_of(stored: Estimate, measures: Iterable[Measure] = ()) -> Measure:
    """Recover the measure of a stored estimate.

    A mean needs nothing else. The function of a corpus measure (method "bootstrap") is looked up by name
    among `measures`, those of third-party metrics, and then among the built-in `CORPUS_MEASURES`. Raises
    InputError where it is in neither.
    """
    aggregate = None
    if stored.method == "bootstrap":
        known = {m.name: m.aggregate for m in measures if m.aggregate is not None}
        aggregate = known.get(stored.measure, CORPUS_MEASURES.get(stored.measure))
        if aggregate is None:
            raise InputError(
                f"The measure {stored.measure!r} is a function of summed statistics, and no loaded metric "
                "gives that function; name the metric that it comes from."
            )
    low, high = stored.scale
    return Measure(stored.measure, stored.label, low, high, stored.higher_is_better, stored.binary, aggregate)


def values_of(scores: Sequence[Score]) -> FloatArray:
    """Values of scored samples, shape (n,)."""
    return np.array([score.value for score in scores], dtype=np.float64)


def statistics_of(measure: Measure, scores: Sequence[Score]) -> FloatArray:
    """Sufficient statistics of scored samples, shape (n, k); k is 1 or more and the same in every row."""
    widths = {len(score.statistics) for score in scores}
    if len(widths) > 1 or 0 in widths:
        raise BadValue(
            f"numbers of statistics in the scores of {measure.name!r}", sorted(widths), "the same and not 0"
        )
    return np.array([score.statistics for score in scores], dtype=np.float64).reshape(
        len(scores), max(widths, default=0)
    )


def _share(measure: Measure, values: FloatArray, level: float) -> Interval:
    others = values[(values != 0.0) & (values != 1.0)]
    if others.size:
        raise BadValue(f"a score of the binary measure {measure.name!r}", float(others[0]), "0 or 1")
    return wilson(int(values.sum()), values.size, level)

"""Percentile bootstrap for corpus measures: functions of summed per-sample statistics, as BLEU and chrF are.

A resample draws samples with replacement; its sums are multinomial weights times the stored rows, so nothing
is scored again (Efron and Tibshirani 1993, chapters 13 and 16; Koehn 2004 for BLEU). The generator is numpy's
PCG64 made from the seed, and the weights are drawn row after row, so results do not depend on the block size.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from harness.exceptions import BadValue
from harness.stats.arrays import FloatArray, check_between, finite
from harness.stats.intervals import UNDEFINED, Interval
from harness.stats.paired import PairedResult

Aggregate = Callable[[FloatArray], FloatArray]
"""From summed statistics, shape (..., k), to corpus values, shape (...)."""

RESAMPLES = 2000
"""Default number of resamples: the error of a 2.5 % tail is then 0.35 points of probability."""

_BLOCK = 4_000_000
"""Weights held in memory at once (32 MB)."""


def bootstrap_interval(
    stats: npt.ArrayLike,
    aggregate: Aggregate,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Corpus value of `stats`, shape (n, k), one row a sample, with its percentile interval.

    n = 0: all None. n = 1: the value without bounds, since every resample is the same one. Raises BadValue
    where the statistics or the corpus value are not finite.
    """
    check_between(level, "level")
    rows = finite(stats, "stats", dimensions=2)
    n = rows.shape[0]
    if n == 0:
        return UNDEFINED
    value = _corpus_value(rows, aggregate)
    if n == 1:
        return Interval(value, None, None)
    values = np.concatenate([aggregate(weights @ rows) for weights in _weights(n, resamples, seed)])
    low, high = _percentiles(values, level)
    return Interval(value, low, high)


def paired_bootstrap(
    base_stats: npt.ArrayLike,
    tuned_stats: npt.ArrayLike,
    aggregate: Aggregate,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> PairedResult:
    """Difference of two corpus values, tuned - base, both resampled with the same weights.

    base_stats, tuned_stats: shape (n, k), row i of both is the same sample. The interval is the percentile
    interval of the resampled differences d*. p is two-sided, (c + 1) / (resamples + 1), where c counts
    |d* - delta| >= |delta|: the resamples moved to a true difference of zero. n = 0 and n = 1 as in
    `bootstrap_interval`.
    """
    check_between(level, "level")
    base = finite(base_stats, "base_stats", dimensions=2)
    tuned = finite(tuned_stats, "tuned_stats", dimensions=2)
    if base.shape != tuned.shape:
        raise BadValue("shape of tuned_stats", tuned.shape, f"that of base_stats, {base.shape}")
    n = base.shape[0]
    if n == 0:
        return PairedResult(None, None, None, None, 0, None)
    delta = _corpus_value(tuned, aggregate) - _corpus_value(base, aggregate)
    if n == 1:
        return PairedResult(delta, None, None, None, 1, None)
    deltas = np.concatenate(
        [aggregate(weights @ tuned) - aggregate(weights @ base) for weights in _weights(n, resamples, seed)]
    )
    low, high = _percentiles(deltas, level)
    # a difference that only rounding makes counts as equal, or equal checkpoints could look different
    slack = 1e-12 * max(1.0, abs(delta))
    extreme = int(np.count_nonzero(np.abs(deltas - delta) >= abs(delta) - slack))
    p = (extreme + 1) / (resamples + 1)
    return PairedResult(delta, low, high, p, n, float(deltas.std(ddof=1)) * math.sqrt(n))


def _weights(n: int, resamples: int, seed: int) -> Iterator[FloatArray]:
    """Blocks of shape (b, n): how often each of n samples is drawn in each of `resamples` resamples."""
    if resamples < 2:
        raise BadValue("resamples", resamples, "2 or more")
    generator = np.random.default_rng(seed)
    size = max(1, _BLOCK // n)
    share = np.full(n, 1.0 / n)
    for start in range(0, resamples, size):
        block = min(size, resamples - start)
        yield generator.multinomial(n, share, size=block).astype(np.float64)


def _corpus_value(rows: FloatArray, aggregate: Aggregate) -> float:
    value = float(aggregate(rows.sum(axis=0)))
    if not math.isfinite(value):
        raise BadValue("the corpus value", value, "finite")
    return value


def _percentiles(values: FloatArray, level: float) -> tuple[float, float]:
    tail = 50.0 * (1.0 - level)
    low, high = np.percentile(finite(values, "resampled values"), [tail, 100.0 - tail])
    return float(low), float(high)

"""The paired t test: two checkpoints on the same samples.

Miller 2024, "Adding Error Bars to Evals" (arXiv 2411.00640), recommendation 4: the variance of the difference
is that of the per-sample differences, which is smaller wherever the two checkpoints find the same samples
hard.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.stats.arrays import finite, t_two_sided
from harness.stats.intervals import t_interval


@dataclass(frozen=True, slots=True)
class PairedResult:
    """A difference, second minus first, on the scale of the data; None where it is not defined.

    n: pairs. sd: standard deviation of one pair's difference, so that sd / sqrt(n) is the standard error of
    delta; for a bootstrap it is the resampled standard error times sqrt(n).
    """

    delta: float | None
    low: float | None
    high: float | None
    p: float | None
    n: int
    sd: float | None


def paired_t(differences: npt.ArrayLike, level: float = 0.95) -> PairedResult:
    """Mean of `differences`, shape (n,), with its t interval and two-sided p against zero.

    n = 0: all None. n = 1: delta alone. All differences equal (n of 2 or more): there is no spread to base a t
    test on, so p is the sign test's, 2 / 2**n, and the interval is the point itself if that p is below
    1 - level, else not defined; where all are zero, p is 1 and the interval is zero.
    """
    array = finite(differences, "differences")
    n = array.size
    interval = t_interval(array, level)
    if n < 2 or interval.value is None:
        return PairedResult(interval.value, None, None, None, n, None)
    # the standard deviation of equal numbers can be off zero by rounding
    equal = float(np.ptp(array)) == 0.0
    sd = 0.0 if equal else float(array.std(ddof=1))
    if equal and interval.value != 0.0:
        p = 2.0 ** (1 - n)
        low, high = (interval.low, interval.high) if p < 1 - level else (None, None)
        return PairedResult(interval.value, low, high, p, n, sd)
    if sd == 0.0:  # all zero, or so small that their squares are
        p = 1.0 if interval.value == 0.0 else 0.0
    else:
        p = t_two_sided(n - 1, interval.value / (sd / math.sqrt(n)))
    return PairedResult(interval.value, interval.low, interval.high, p, n, sd)

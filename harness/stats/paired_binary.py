"""Two checkpoints on the same samples, scores of 0 and 1: Newcombe's interval and McNemar's test.

The paired t interval fails where few samples change: with none changed it has no width, as if the difference were
known exactly. Newcombe's is made of the two Wilson intervals and their correlation, and stays honest there.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from harness.exceptions import BadValue
from harness.stats.arrays import finite, normal_quantile
from harness.stats.intervals import Interval, wilson
from harness.stats.paired import PairedResult


def paired_binary(base: npt.ArrayLike, tuned: npt.ArrayLike, level: float = 0.95) -> PairedResult:
    """Difference of two shares, tuned - base, both of shape (n,) with values 0 and 1.

    Interval: `newcombe`. p: McNemar's mid-p value. n = 0: all None. sd is that of one pair's difference, or, where no
    sample changed, what the interval's width stands for, so that the number of samples that would decide is finite.
    Raises BadValue for other values, or different lengths.
    """
    first, second = finite(base, "base"), finite(tuned, "tuned")
    if first.size != second.size:
        raise BadValue("number of tuned scores", second.size, f"that of base, {first.size}")
    for name, values in (("base", first), ("tuned", second)):
        if not np.isin(values, (0.0, 1.0)).all():
            raise BadValue(f"a score of {name}", float(values[~np.isin(values, (0.0, 1.0))][0]), "0 or 1")
    n = first.size
    if n == 0:
        return PairedResult(None, None, None, None, 0, None)
    both = int((first * second).sum())
    lost, gained = int(first.sum()) - both, int(second.sum()) - both
    found = newcombe(both, lost, gained, n - both - lost - gained, level)
    if found.value is None or found.low is None or found.high is None:
        raise AssertionError
    z = normal_quantile(0.5 + level / 2)
    changed = lost + gained
    spread = math.sqrt(changed / n - found.value**2) if changed else 0.0
    sd = spread or (found.high - found.low) / (2 * z) * math.sqrt(n)
    return PairedResult(found.value, found.low, found.high, mcnemar_mid_p(lost, gained), n, sd)


def newcombe(both: int, lost: int, gained: int, neither: int, level: float = 0.95) -> Interval:
    """Share gained minus share lost, with the hybrid score interval of method 10 in Newcombe 1998 (Stat Med 17:2635).

    both: samples that are 1 on both sides; lost: 1 only before; gained: 1 only after; neither: 0 on both. With no
    correlation between the sides it is the hybrid score interval of two independent shares.
    """
    n = both + lost + gained + neither
    before, after = wilson(both + lost, n, level), wilson(both + gained, n, level)
    if before.value is None or before.low is None or before.high is None:
        return before
    if after.value is None or after.low is None or after.high is None:
        return after
    correlation = _correlation(both, lost, gained, neither)
    delta = (gained - lost) / n
    low = _distance(after.value - after.low, before.high - before.value, correlation)
    high = _distance(after.high - after.value, before.value - before.low, correlation)
    return Interval(delta, max(-1.0, delta - low), min(1.0, delta + high))


def mcnemar_mid_p(lost: int, gained: int) -> float:
    """Two-sided mid-p value of McNemar's test: the exact binomial p less half the chance of just this table.

    Fagerland, Lydersen, Laake 2013 (BMC Med Res Methodol 13:91): keeps its level, with more power than the exact test.
    """
    changed, fewer = lost + gained, min(lost, gained)
    if lost == gained:
        return 1.0
    from scipy.special import bdtr, gammaln

    exact = min(1.0, 2.0 * float(bdtr(fewer, changed, 0.5)))
    log_here = (
        gammaln(changed + 1) - gammaln(fewer + 1) - gammaln(changed - fewer + 1) - changed * math.log(2)
    )
    return exact - math.exp(float(log_here))


def _correlation(both: int, lost: int, gained: int, neither: int) -> float:
    """Of the two sides, with Newcombe's correction for continuity."""
    n = both + lost + gained + neither
    size = (both + lost) * (gained + neither) * (both + gained) * (lost + neither)
    if not size:
        return 0.0
    product = float(both * neither - lost * gained)
    if product > 0:
        product = max(0.0, product - n / 2)
    return product / math.sqrt(size)


def _distance(left: float, right: float, correlation: float) -> float:
    return math.sqrt(max(0.0, left * left - 2 * correlation * left * right + right * right))

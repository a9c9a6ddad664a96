"""How many samples a comparison needs, and how small a difference it can see.

n = (z(1 - alpha/2) + z(power))^2 * sd^2 / delta^2, where sd is the standard deviation of one pair's
difference (Miller 2024, arXiv 2411.00640, recommendation 5). Both normal quantiles: good from about 20 pairs
on.
"""

from __future__ import annotations

import math

from harness.exceptions import BadValue
from harness.stats.arrays import check_between, normal_quantile

POWER = 0.8
"""Chance of seeing a difference that is there; the usual choice."""


def samples_needed(sd: float, delta: float, level: float = 0.95, power: float = POWER) -> int:
    """Pairs needed so that a true difference `delta` (not 0) is seen with the chance `power`."""
    if delta == 0.0 or not math.isfinite(delta):
        raise BadValue("delta", delta, "a finite number other than 0")
    return math.ceil((_quantiles(sd, level, power) * sd / delta) ** 2)


def detectable_delta(sd: float, n: int, level: float = 0.95, power: float = POWER) -> float:
    """Give the smallest true difference that `n` pairs see with the chance `power`."""
    if n < 1:
        raise BadValue("n", n, "1 or more")
    return _quantiles(sd, level, power) * sd / math.sqrt(n)


def _quantiles(sd: float, level: float, power: float) -> float:
    check_between(level, "level")
    check_between(power, "power")
    if sd < 0.0 or not math.isfinite(sd):
        raise BadValue("sd", sd, "a finite number of 0 or more")
    return normal_quantile(0.5 + level / 2) + normal_quantile(power)

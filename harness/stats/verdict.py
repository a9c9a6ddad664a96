"""What a comparison says: the first that applies of broken, better, worse, no worse, not decided.

The rule looks at the interval of the paired difference and at nothing else, so that a verdict and the picture
of the interval can never disagree.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from harness.exceptions import BadValue
from harness.records import Verdict
from harness.stats.paired import PairedResult
from harness.stats.power import detectable_delta, samples_needed

MOST = 1_000_000
"""Where more samples than this would be needed, no number is given: nobody has them."""


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict. within_tolerance belongs to WORSE, needed (more samples) to NOT_DECIDED."""

    verdict: Verdict
    within_tolerance: bool = False
    needed: int | None = None


def decide(
    paired: PairedResult,
    tolerance: float,
    *,
    higher_is_better: bool = True,
    nonfinite: int = 0,
    level: float = 0.95,
) -> Decision:
    """Decide on a paired difference (tuned - base).

    tolerance: the loss that is still acceptable, 0 or more, on the scale of the measure. nonfinite: samples
    on which a checkpoint returned numbers that are not finite. Where lower is better, the sign is turned
    first. BROKEN: nonfinite is not 0. BETTER: the interval lies above zero. WORSE: below zero;
    `within_tolerance` where it still lies above -tolerance. NO_WORSE: the interval lies above -tolerance.
    Otherwise NOT_DECIDED, also where there is no interval; `needed` is described at `_needed`.
    """
    if not 0.0 <= tolerance < math.inf:
        raise BadValue("tolerance", tolerance, "a finite number of 0 or more")
    if nonfinite:
        return Decision(Verdict.BROKEN)
    if paired.delta is None or paired.low is None or paired.high is None:
        return Decision(Verdict.NOT_DECIDED)
    delta, low, high = paired.delta, paired.low, paired.high
    if not higher_is_better:
        delta, low, high = -delta, -high, -low
    if low > 0.0:
        return Decision(Verdict.BETTER)
    tolerable = low > -tolerance
    if high < 0.0:
        return Decision(Verdict.WORSE, within_tolerance=tolerable)
    if tolerable:
        return Decision(Verdict.NO_WORSE)
    return Decision(Verdict.NOT_DECIDED, needed=_needed(paired, delta, tolerance, level))


def _needed(paired: PairedResult, delta: float, tolerance: float, level: float) -> int | None:
    """About how many more samples would decide, if the true difference is the one observed.

    Two ways lead to a decision: the interval leaves zero out (distance |delta|), or it leaves -tolerance out
    (distance delta + tolerance, where that is above 0). Each needs n = (z(1 - alpha/2) + z(0.8))^2 sd^2 /
    distance^2 samples for 80 % power (Miller 2024, arXiv 2411.00640; see `power`); the smaller counts, less
    the samples there are, and at least 1. None where sd is unknown or 0, or neither distance is above 0, or
    more than `MOST` samples would be needed: then more samples of the same kind decide nothing.
    """
    distances = [d for d in (abs(delta), delta + tolerance) if d > 0.0]
    if not paired.sd or not distances or max(distances) < detectable_delta(paired.sd, MOST, level):
        return None
    return max(1, samples_needed(paired.sd, max(distances), level) - paired.n)

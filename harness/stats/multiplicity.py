"""Adjusting the p-values of a family of tests, so that the more is measured the less is found by chance."""

from __future__ import annotations

import math
from collections.abc import Sequence

from harness.exceptions import BadValue


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down adjustment (Holm 1979), in the order given; it controls the family-wise error rate.

    None, a test that could not be made, stays None and does not count as part of the family.
    """
    known = [(p, place) for place, p in enumerate(p_values) if p is not None]
    for p, _ in known:
        if math.isnan(p) or not 0.0 <= p <= 1.0:
            raise BadValue("p value", p, "from 0 to 1")
    adjusted: list[float | None] = [None] * len(p_values)
    running = 0.0
    for rank, (p, place) in enumerate(sorted(known)):
        running = max(running, min(1.0, (len(known) - rank) * p))
        adjusted[place] = running
    return adjusted

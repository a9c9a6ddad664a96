"""Two checkpoints on the same samples, one measure: the paired difference, its test, and the verdict.

Like `aggregate`, it needs only stored scores and estimates. Which sample of one run belongs to which of the
other is the caller's business: both sides come aligned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from harness.exceptions import BadValue, InputError
from harness.metrics.aggregate import statistics_of, values_of
from harness.metrics.base import Measure
from harness.records import Estimate, MetricComparison, Score
from harness.stats import PairedResult, decide, holm, paired_binary, paired_bootstrap, paired_t
from harness.stats.bootstrap import RESAMPLES

_TIE = 1e-9
"""Share of the range within which two scores are equal: two ways of rounding the same fraction."""


@dataclass(frozen=True, slots=True)
class Side:
    """One run's part: its estimate, and its scores of the paired samples in the common order."""

    estimate: Estimate
    scores: Sequence[Score]


@dataclass(frozen=True, slots=True)
class Rules:
    """How a comparison is decided."""

    tolerance: float = 0.02
    """The loss that is still acceptable, as a share of the measure's range."""
    level: float = 0.95
    """Of the two-sided interval: 1 - alpha."""
    seed: int = 0
    """Of the bootstrap."""
    resamples: int = RESAMPLES

    def __post_init__(self) -> None:
        if not 0.0 <= self.tolerance <= 1.0:
            raise BadValue("tolerance", self.tolerance, "a share of the measure's range, from 0 to 1")
        if not 0.0 < self.level < 1.0:
            raise BadValue("level", self.level, "between 0 and 1, for example 0.95")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a comparison stands: its task, and whether it is the one that gives the overall verdict."""

    task: str
    primary: bool = False


def compare_measure(
    measure: Measure,
    base: Side,
    tuned: Side,
    place: Place,
    rules: Rules | None = None,
    *,
    nonfinite: int = 0,
) -> MetricComparison:
    """Compare tuned with base over the samples that both have scored; delta = tuned - base.

    Means: the paired t test on per-sample differences; of 0 and 1: Newcombe's interval and McNemar's mid-p. Corpus
    measures: the difference of
    the two corpus values over those samples, with the paired bootstrap. Wins, losses and ties count
    per-sample values, a win being tuned's better one. nonfinite: samples on which either checkpoint returned
    numbers that are not finite. p_adjusted is left to `adjust`. Raises InputError where the two estimates are
    of different measures, scales or signatures: their numbers do not mean the same.
    """
    rules = rules or Rules()
    _check_same(base.estimate, tuned.estimate)
    if len(base.scores) != len(tuned.scores):
        raise BadValue("number of tuned scores", len(tuned.scores), f"that of base, {len(base.scores)}")
    pairs = [
        (b, t)
        for b, t in zip(base.scores, tuned.scores, strict=True)
        if b.value is not None and t.value is not None
    ]
    base_scores, tuned_scores = [b for b, _ in pairs], [t for _, t in pairs]
    paired, test = _paired(measure, base_scores, tuned_scores, rules)
    width = measure.high - measure.low
    decision = decide(
        paired,
        rules.tolerance * width,
        higher_is_better=measure.higher_is_better,
        nonfinite=nonfinite,
        level=rules.level,
    )
    gains = values_of(tuned_scores) - values_of(base_scores)
    if not measure.higher_is_better:
        gains = -gains
    wins, losses = int((gains > _TIE * width).sum()), int((gains < -_TIE * width).sum())
    return MetricComparison(
        task=place.task,
        measure=measure.name,
        label=measure.label,
        base=base.estimate,
        tuned=tuned.estimate,
        n=paired.n,
        delta=paired.delta,
        low=paired.low,
        high=paired.high,
        level=rules.level,
        p=paired.p,
        p_adjusted=None,
        test=test,
        wins=wins,
        losses=losses,
        ties=len(pairs) - wins - losses,
        verdict=decision.verdict,
        within_tolerance=decision.within_tolerance,
        needed=decision.needed,
        tolerance=rules.tolerance,
        primary=place.primary,
    )


def adjust(comparisons: Sequence[MetricComparison]) -> tuple[MetricComparison, ...]:
    """Fill p_adjusted by Holm's method, taking the given comparisons as one family; the verdicts stay."""
    adjusted = holm([comparison.p for comparison in comparisons])
    return tuple(replace(c, p_adjusted=p) for c, p in zip(comparisons, adjusted, strict=True))


def _paired(
    measure: Measure, base: list[Score], tuned: list[Score], rules: Rules
) -> tuple[PairedResult, str]:
    """The difference and the name of its test."""
    if measure.aggregate is None:
        before, after = values_of(base), values_of(tuned)
        if measure.binary and np.isin([before, after], (0.0, 1.0)).all():
            return paired_binary(before, after, rules.level), "McNemar, mid-p"
        return paired_t(after - before, rules.level), "paired t"
    rows = statistics_of(measure, base + tuned)
    found = paired_bootstrap(
        rows[: len(base)],
        rows[len(base) :],
        measure.aggregate,
        rules.level,
        resamples=rules.resamples,
        seed=rules.seed,
    )
    return found, "paired bootstrap"


def _check_same(base: Estimate, tuned: Estimate) -> None:
    for what in ("measure", "scale", "higher_is_better", "signature"):
        left, right = getattr(base, what), getattr(tuned, what)
        if left != right:
            raise InputError(
                f"The scores of {base.measure!r} cannot be compared: base has the {what} {left!r}, "
                f"tuned {right!r}. Score both with the same settings and versions."
            )

"""The two runs a report is about, joined by sample.

`study` picks base and chosen checkpoint out of an experiment and pairs their samples. What a pair is ordered by is its
task's leading measure: the primary one, or the first that was compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from harness.exceptions import BadValue
from harness.records import Comparison, Estimate, ExperimentResult, RunResult, SampleResult
from harness.stages.compare import PRIMARY_ORDER, keyed
from harness.wording.headline import unchanged


@dataclass(frozen=True, slots=True)
class Pair:
    """What base and tuned did with one sample; one of them may be missing.

    gauge: the estimate of the leading measure of the sample's task, for its name and scale.
    first, second: the sample's score on it, None where unscored.
    """

    base: SampleResult | None
    tuned: SampleResult | None
    gauge: Estimate | None
    first: float | None
    second: float | None

    @property
    def sample(self) -> SampleResult:
        """The side that is there; they share id, question and target."""
        side = self.base or self.tuned
        if side is None:
            raise BadValue("a pair", "empty", "a sample of at least one run")
        return side

    @property
    def delta(self) -> float | None:
        """Tuned minus base in points of the measure's range."""
        if self.first is None or self.second is None or self.gauge is None:
            return None
        low, high = self.gauge.scale
        return 100.0 * (self.second - self.first) / (high - low)

    @property
    def gain(self) -> float | None:
        """The change with its sign turned where lower is better."""
        if self.delta is None or self.gauge is None:
            return None
        return self.delta if self.gauge.higher_is_better else -self.delta


@dataclass(frozen=True)
class Subject:
    """An experiment with the pair of runs its verdict speaks of; tuned and comparison are None for a single run."""

    result: ExperimentResult
    base: RunResult
    tuned: RunResult | None
    comparison: Comparison | None
    pairs: tuple[Pair, ...]

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks the verdict is about, in the order in which they were asked; no general ability."""
        general = _general(self.comparison)
        return tuple(task for task in self.base.estimates if task not in general)

    @cached_property
    def unchanged(self) -> bool:
        """Whether every sample got the same answer from both, letter by letter."""
        return self.tuned is not None and unchanged(self.base, self.tuned)

    @cached_property
    def losses(self) -> tuple[Pair, ...]:
        """Pairs that scored lower after tuning, the largest loss first."""
        lost = [pair for pair in self.pairs if pair.gain is not None and pair.gain < 0]
        return tuple(sorted(lost, key=lambda pair: pair.gain or 0.0))

    @cached_property
    def gains(self) -> int:
        """How many pairs scored higher after tuning."""
        return sum(1 for pair in self.pairs if pair.gain is not None and pair.gain > 0)


def leading(result: RunResult, comparison: Comparison | None) -> dict[str, Estimate]:
    """Task -> estimate of the measure that its samples are ordered by."""
    chosen: dict[str, Estimate] = {}
    for metric in comparison.metrics if comparison is not None else ():
        if metric.primary or metric.task not in chosen:
            chosen[metric.task] = metric.base
    if comparison is not None and comparison.primary is not None:
        chosen[comparison.primary.task] = comparison.primary.base
    for task, estimates in result.estimates.items():
        if task not in chosen and estimates:
            preferred = (estimates[name] for name in PRIMARY_ORDER if name in estimates)
            chosen[task] = next(preferred, next(iter(estimates.values())))
    return chosen


def study(result: ExperimentResult) -> Subject:
    """Find the runs the report is about and pair their samples in the order of the base run."""
    if not result.runs:
        raise BadValue("runs", "empty", "at least the run of one checkpoint")
    base = result.runs[0]
    compared = bool(result.chosen) and bool(result.comparisons)
    comparison = result.headline if compared else None
    tuned = result.runs[result.chosen] if comparison is not None and result.chosen else None
    gauges = leading(base, comparison)
    general = _general(comparison)
    pairs = tuple(pair for pair in _pairs(base, tuned, gauges) if pair.sample.task not in general)
    return Subject(result, base, tuned, comparison, pairs)


def _general(comparison: Comparison | None) -> set[str]:
    """Benchmarks that measure what tuning may have cost."""
    return {metric.task for metric in comparison.benchmarks} if comparison is not None else set()


def _pairs(base: RunResult, tuned: RunResult | None, gauges: dict[str, Estimate]) -> tuple[Pair, ...]:
    left, right = keyed(base), keyed(tuned) if tuned else {}
    keys = list(left) + [key for key in right if key not in left]
    return tuple(_pair(left.get(key), right.get(key), gauges.get(key[0])) for key in keys)


def _pair(base: SampleResult | None, tuned: SampleResult | None, gauge: Estimate | None) -> Pair:
    return Pair(base, tuned, gauge, _value(base, gauge), _value(tuned, gauge))


def _value(sample: SampleResult | None, gauge: Estimate | None) -> float | None:
    if sample is None or gauge is None:
        return None
    score = sample.scores.get(gauge.measure)
    return None if score is None else score.value

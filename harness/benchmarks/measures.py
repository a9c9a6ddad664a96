"""From lm-eval's per-sample values to scores and estimates with intervals, tasks and groups."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from harness.metrics.aggregate import estimate, values_of
from harness.metrics.base import FloatArray, Measure
from harness.records import Estimate, Score
from harness.stats import Interval, bootstrap_interval

Key = tuple[str, str]
"""lm-eval's metric and filter."""
LEVEL = 0.95
_BINARY = {"acc", "acc_norm", "acc_bytes", "acc_mutual_info", "exact_match"}
_PERCENT = ("bleu", "rouge", "chrf", "ter")
_SLOW = {"bleu", "chrf", "ter"}
"""Aggregations that take seconds a call: no bootstrap of them."""
_DRAWS = 1000
_WHOLE = "this measure is of the whole task, not of one sample"


@dataclass(frozen=True, slots=True)
class TaskScores:
    """Scores of each sample, by measure name, and the task's estimates."""

    rows: tuple[Mapping[str, Score], ...]
    estimates: Mapping[str, Estimate]


def measure_name(key: Key) -> str:
    """lm-eval's `metric,filter`, the filter left out where it is its plain one."""
    metric, kind = key
    return metric if kind == "none" else f"{metric},{kind}"


def score_task(
    task: Any, values: Sequence[Mapping[Key, Any] | str], signature: str, level: float = LEVEL
) -> TaskScores:
    """Aggregate a task. values: for each sample what lm-eval made of it, or why there is nothing."""
    keys = list(dict.fromkeys(key for row in values if not isinstance(row, str) for key in row))
    keys = keys or [(metric, "none") for metric in task.aggregation()]
    rows: list[dict[str, Score]] = [{} for _ in values]
    estimates: dict[str, Estimate] = {}
    for key in keys:
        function = task.aggregation().get(key[0])
        own = [row if isinstance(row, str) else row.get(key, _NOTHING) for row in values]
        measure = _measure(task, key, [value for value in own if not isinstance(value, str)])
        marked = f"{measure.name}|{signature}"
        if function is None or getattr(function, "__name__", "") in {"mean", "nanmean"}:
            scores = [_score(value) for value in own]
            estimates[measure.name] = estimate(measure, scores, marked, level)
        else:
            scores = [Score(None, reason=v if isinstance(v, str) else _WHOLE) for v in own]
            items = [value for value in own if not isinstance(value, str)]
            estimates[measure.name] = _whole(measure, function, items, len(own), (marked, level))
        for row, score in zip(rows, scores, strict=True):
            row[measure.name] = score
    return TaskScores(tuple(rows), estimates)


_NOTHING = "the task gives this sample no value"


def _score(value: Any) -> Score:
    if isinstance(value, str):
        return Score(None, reason=value)
    try:
        number = float(value)
    except (TypeError, ValueError):
        return Score(None, reason=f"the task's value {value!r} is no number")
    if not math.isfinite(number):
        return Score(None, reason="the measure is not a finite number here")
    return Score(number)


def _measure(task: Any, key: Key, values: Sequence[Any]) -> Measure:
    metric = key[0]
    own = callable(getattr(task.config, "process_results", None))
    whole_numbers = all(isinstance(v, (bool, int, np.bool_, np.integer)) and v in {0, 1} for v in values)
    binary = bool(values) and (
        whole_numbers if own else metric in _BINARY and all(v in {0, 1} for v in values)
    )
    hundred = metric.startswith(_PERCENT) and not metric.endswith("_acc")
    high = 100.0 if hundred or "perplexity" in metric else 1.0
    better = bool(task.higher_is_better().get(metric, True))
    name = measure_name(key)
    return Measure(name, name, 0.0, high, higher_is_better=better, binary=binary)


def _whole(
    measure: Measure, function: Callable[[Any], Any], items: list[Any], n: int, how: tuple[str, float]
) -> Estimate:
    """An aggregate that is no mean: lm-eval's own value, the interval from resampled samples where that is quick."""
    signature, level = how
    interval = _interval(function, items, level)
    return Estimate(
        measure=measure.name,
        label=measure.label,
        value=interval.value,
        low=interval.low,
        high=interval.high,
        n=n,
        scored=len(items),
        level=level,
        method="none" if interval.low is None else "resampled",
        signature=signature,
        scale=(measure.low, measure.high),
        higher_is_better=measure.higher_is_better,
        binary=False,
    )


def _interval(function: Callable[[Any], Any], items: list[Any], level: float) -> Interval:
    if not items:
        return Interval(None, None, None)
    name = getattr(function, "__name__", "")
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        value = _finite(function(items))
        if value is None or name in _SLOW or len(items) == 1:
            return Interval(value, None, None)
        if name in _RATIOS:
            rows = np.array(items, dtype=np.float64)
            found = bootstrap_interval(rows, _RATIOS[name], level, seed=0)
            return Interval(value, found.low, found.high)
        draws = np.random.default_rng(0).integers(len(items), size=(_DRAWS, len(items)))
        drawn = [_finite(function([items[place] for place in row])) for row in draws]
    kept = [each for each in drawn if each is not None]
    if len(kept) < _DRAWS:
        return Interval(value, None, None)
    low, high = np.quantile(kept, [0.5 - level / 2, 0.5 + level / 2])
    return Interval(value, float(low), float(high))


def _finite(value: Any) -> float | None:
    number = float(value)
    return number if math.isfinite(number) else None


def _perplexity(sums: FloatArray) -> FloatArray:
    """exp(-log-likelihood per word or byte) of summed (log-likelihood, count), shape (..., 2)."""
    found: FloatArray = np.exp(-sums[..., 0] / sums[..., 1])
    return found


def _bits(sums: FloatArray) -> FloatArray:
    """Bits per byte of summed (log-likelihood, bytes), shape (..., 2)."""
    found: FloatArray = -sums[..., 0] / sums[..., 1] / math.log(2)
    return found


_RATIOS: Mapping[str, Callable[[FloatArray], FloatArray]] = {
    "weighted_perplexity": _perplexity,
    "bits_per_byte": _bits,
}


def group_estimates(
    group: Any, tasks: Mapping[str, TaskScores], signatures: Mapping[str, str], level: float = LEVEL
) -> dict[str, Estimate]:
    """lm-eval's own aggregate of a group's tasks, with an interval.

    Weighted by size: that of the pooled samples (Wilson's for 0 and 1). Otherwise, the mean of the tasks'
    means: normal, from each task's own variance.
    """
    own = [task.task_name for task in group.get_all_tasks() if task.task_name in tasks]
    weights = {config.metric: config.weight_by_size for config in group.aggregate_metric_list or ()}
    totals = group.aggregate({name: _totals(tasks[name]) for name in own})
    found: dict[str, Estimate] = {}
    for key, value in totals.items():
        metric, comma, kind = key.partition(",")
        if not comma or metric not in weights:
            continue
        name = measure_name((metric, kind))
        parts = [tasks[task].estimates[name] for task in own if name in tasks[task].estimates]
        scores = [row[name] for task in own for row in tasks[task].rows if name in row]
        first = parts[0]
        measure = Measure(
            name,
            first.label,
            *first.scale,
            higher_is_better=first.higher_is_better,
            binary=all(part.binary for part in parts),
        )
        signature = f"{name}|group:{group.name}|version:{group.version}|tasks:{_joined(own, signatures)}"
        pooled = estimate(measure, scores, signature, level)
        if weights[metric]:
            found[name] = replace(pooled, value=float(value))
        else:
            found[name] = _macro(pooled, float(value), [tasks[t].rows for t in own], level)
    return found


def _joined(names: Sequence[str], signatures: Mapping[str, str]) -> str:
    from harness.models.digest import digest

    return f"{len(names)},{digest([signatures[name] for name in names])[:12]}"


def _totals(scores: TaskScores) -> dict[str, Any]:
    """A task as lm-eval's groups read it."""
    found: dict[str, Any] = {"sample_len": max((e.scored for e in scores.estimates.values()), default=0)}
    for name, each in scores.estimates.items():
        metric, _, kind = name.partition(",")
        if each.value is not None:
            found[f"{metric},{kind or 'none'}"] = each.value
            found[f"{metric}_stderr,{kind or 'none'}"] = "N/A"
    return found


def _macro(
    pooled: Estimate, value: float, tasks: Sequence[Sequence[Mapping[str, Score]]], level: float
) -> Estimate:
    from harness.stats.arrays import normal_quantile

    variance = 0.0
    known = True
    for rows in tasks:
        numbers = values_of([row[pooled.measure] for row in rows if row[pooled.measure].value is not None])
        known = known and numbers.size > 1
        variance += float(numbers.var(ddof=1)) / numbers.size if numbers.size > 1 else 0.0
    half = normal_quantile(0.5 + level / 2) * math.sqrt(variance) / len(tasks)
    low, high = (value - half, value + half) if known else (None, None)
    return replace(pooled, value=value, low=low, high=high, method="mean of tasks")

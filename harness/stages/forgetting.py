"""General ability: which tasks of a run are benchmarks, what each is judged by, and whether too much was lost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from statistics import fmean

from harness.metrics.comparison import adjust
from harness.records import Estimate, Forgetting, MetricComparison, RunResult, SampleResult, Verdict

LEADING = ("acc_norm", "acc", "exact_match", "em", "f1")
"""A benchmark is judged by the first of these that it has: the measures its published scores are given in."""
_WHOLE = {"resampled", "none"}
"""How intervals of measures are made that samples have no share in, such as perplexities."""
_GUESSED = {"acc", "acc_norm", "acc_bytes"}
_SHIPPED = "data:shipped,"


def is_benchmark(estimates: Mapping[str, Estimate]) -> bool:
    """Whether a task, or a group of tasks, was run through lm-eval; its signatures say so."""
    parts = [part for found in estimates.values() for part in found.signature.split("|")]
    return any(part.startswith(("lm-eval:", "group:")) for part in parts)


def is_paired(estimate: Estimate) -> bool:
    """Whether a measure has a value of each sample: a perplexity is one figure of the whole task."""
    return estimate.method not in _WHOLE


def leading_measure(estimates: Mapping[str, Estimate]) -> str:
    """What a benchmark is judged by."""
    paired = [name for name, found in estimates.items() if is_paired(found)] or list(estimates)
    order = {metric: place for place, metric in enumerate(LEADING)}
    return min(paired, key=lambda name: order.get(name.partition(",")[0], len(order)))


def tested_tasks(shared: Sequence[str], run: RunResult, primary: tuple[str, str] | None) -> list[str]:
    """Tasks that the tuning was for; the other ones measure general ability.

    These are all but the benchmarks, and the one that gives the primary measure with its parts. Where only
    benchmarks were run and none is named as primary, the comparison is of these.
    """
    own = [task for task in shared if not is_benchmark(run.estimates[task])]
    if primary is None:
        return own or list(shared)
    if primary[0] in own:
        return own
    tasks = {name: {sample.task for sample in found} for name, found in by_task(run.samples).items()}
    whole = tasks.get(primary[0], set())
    return [task for task in shared if task in {*own, primary[0]} or tasks.get(task, {""}) <= whole]


def by_task(samples: Iterable[SampleResult]) -> dict[str, list[SampleResult]]:
    """Samples by task, and by each group that their task belongs to."""
    found: dict[str, list[SampleResult]] = {}
    for sample in samples:
        for name in (sample.task, *sample.metadata.get("groups", "").split()):
            found.setdefault(name, []).append(sample)
    return found


def outermost(names: Sequence[str], samples: Mapping[str, Sequence[SampleResult]]) -> list[str]:
    """The benchmarks that are no part of another one: `mmlu`, not its subjects."""
    tasks = {name: {sample.task for sample in samples.get(name, ())} for name in names}

    def inside(name: str, other: str) -> bool:
        if not tasks[name] or name == other:
            return False
        # a group of one task, or of one smaller group, stands for it
        same = tasks[name] == tasks[other] and (name in tasks[name], len(name)) > (
            other in tasks[other],
            len(other),
        )
        return tasks[name] < tasks[other] or same

    return [name for name in names if not any(inside(name, other) for other in names)]


def guessing(samples: Sequence[SampleResult], estimate: Estimate) -> float | None:
    """What guessing scores: the mean of 1 / number of choices, where one choice of several is right."""
    metric = estimate.measure.partition(",")[0]
    counts = [len(sample.loglikelihoods) for sample in samples if sample.failure is None]
    if metric not in _GUESSED or not estimate.binary or not counts or min(counts) < 2:
        return None
    if any("acc_mutual_info" in sample.scores for sample in samples):
        counts = [count // 2 for count in counts]  # each choice is also asked without its question
    return fmean(1 / count for count in counts)


def forgetting(base: RunResult, compared: Sequence[MetricComparison]) -> tuple[Forgetting, ...]:
    """Judge each benchmark by its leading measure; p values are adjusted over these."""
    samples = by_task(base.samples)
    names = list(dict.fromkeys(metric.task for metric in compared))
    leads = []
    for name in outermost(names, samples):
        own = {metric.measure: metric for metric in compared if metric.task == name}
        leads.append(own[leading_measure({measure: found.base for measure, found in own.items()})])
    return tuple(_judged(metric, samples.get(metric.task, []), base) for metric in adjust(leads))


def _judged(metric: MetricComparison, samples: Sequence[SampleResult], base: RunResult) -> Forgetting:
    tasks = sorted({sample.task for sample in samples})
    signatures = [e.signature for task in tasks for e in base.estimates.get(task, {}).values()]
    return Forgetting(
        metric=metric,
        tasks=max(1, len(tasks)),
        guessing=guessing(samples, metric.base),
        home_made=any(part.startswith(_SHIPPED) for text in signatures for part in text.split("|")),
        held=_held(metric),
    )


def _held(metric: MetricComparison) -> bool | None:
    if metric.low is None or metric.high is None or metric.delta is None:
        return None
    if metric.verdict in {Verdict.BETTER, Verdict.NO_WORSE} or metric.within_tolerance:
        return True
    turn = 1 if metric.base.higher_is_better else -1
    loss = -turn * metric.delta * metric.points / 100
    return False if metric.verdict is Verdict.WORSE and loss > metric.tolerance else None


def marked(
    compared: Sequence[MetricComparison], judged: Sequence[Forgetting]
) -> tuple[MetricComparison, ...]:
    """All measures of the benchmarks, the leading ones with their adjusted p values."""
    leads = {(each.metric.task, each.metric.measure): each.metric for each in judged}
    return tuple(
        replace(metric, p_adjusted=leads[key].p_adjusted)
        if (key := (metric.task, metric.measure)) in leads
        else metric
        for metric in compared
    )

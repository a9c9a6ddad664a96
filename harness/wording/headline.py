"""The verdict of a comparison as a sentence; written once, for every place where it stands."""

from __future__ import annotations

from harness.records import Comparison, Estimate, Forgetting, MetricComparison, RunResult, Verdict
from harness.wording import numbers
from harness.wording.numbers import NBSP, change, count, magnitude, plural
from harness.wording.parts import Part, Quantity, Rich, plain_text
from harness.wording.text import redact, shorten


def label(name: str, limit: int = 60) -> str:
    """A name from outside, on one line of reasonable length."""
    return shorten(redact(name), limit)


def quantity(value: float | None, scale: tuple[float, float], *, binary: bool) -> Quantity:
    """A score in its own unit: a share of samples in percent, everything else on the measure's scale."""
    if value is not None and binary and scale == (0.0, 1.0):
        return Quantity(numbers.percent(value), "%")
    return Quantity(numbers.significant(value))


def score(estimate: Estimate) -> Quantity:
    """The aggregate of one measure."""
    return quantity(estimate.value, estimate.scale, binary=estimate.binary)


def score_text(estimate: Estimate) -> str:
    """The aggregate of one measure with its unit: 0.312, 17.1%."""
    written = score(estimate)
    return written.text + written.unit


def metric_name(metric: MetricComparison, tasks: int) -> str:
    """The label of a measure; with its task where there are several."""
    return label(metric.label) + (f" on {label(metric.task)}" if tasks > 1 else "")


def tolerance_points(metric: MetricComparison) -> float:
    """The tolerated loss in points."""
    return 100.0 * metric.tolerance


def tolerance_line(metric: MetricComparison) -> float:
    """Where the tolerance stands on an axis of changes: below zero where higher is better, else above."""
    points = tolerance_points(metric)
    return -points if metric.base.higher_is_better else points


def evidence(metric: MetricComparison, *, amount: bool = False) -> str:
    """In parentheses behind a metric: (95% interval +5.9 to +17.2, n = 140), the change itself first if wanted."""
    said = []
    if amount and metric.delta is not None:
        said.append(f"{change(metric.delta * metric.points)}{NBSP}points")
    if metric.low is None or metric.high is None:
        said.append("no interval")
    else:
        ends = f"{change(metric.low * metric.points)}{NBSP}to{NBSP}{change(metric.high * metric.points)}"
        said.append(f"{numbers.level(metric.level)} interval {ends}")
    return f"({', '.join(said)}, n{NBSP}={NBSP}{count(metric.n)})"


def moved(metric: MetricComparison) -> str:
    """The verb of a change: rose, fell, did not change."""
    if metric.delta is None or metric.delta == 0:
        return "did not change"
    return "rose" if metric.delta > 0 else "fell"


def points(amount: float) -> str:
    """The size of a change with its unit, kept on one line."""
    size = magnitude(amount)
    return f"{size}{NBSP}{'point' if size == '1.0' else 'points'}"


def headline(comparison: Comparison, base: RunResult, tuned: RunResult, tasks: int = 1) -> Rich:
    """The verdict of a comparison as a sentence with emphasis."""
    primary = comparison.primary
    if comparison.verdict is Verdict.BROKEN:
        return _broken(base, tuned)
    if primary is None:
        return (
            Part("It is "),
            Part("not decided", "strong"),
            Part(
                " whether the tuned checkpoint is better: no metric scored both checkpoints on the same samples."
            ),
        )
    name = metric_name(primary, tasks)
    if primary.delta is None:
        return (
            Part("It is "),
            Part("not decided", "strong"),
            Part(f" whether the tuned checkpoint is better: {name} scored no sample on both sides."),
        )
    return _SENTENCES[comparison.verdict](primary, name)


def _broken(base: RunResult, tuned: RunResult) -> Rich:
    both = [run for run in (tuned, base) if run.nonfinite]
    who = "The base" if both == [base] else "The tuned checkpoint"
    run = base if both == [base] else tuned
    where = f" on {count(run.nonfinite)} of {plural(len(run.samples), 'sample')}" if run.nonfinite else ""
    return (
        Part(f"{who} is "),
        Part("broken", "strong"),
        Part(f": it returns numbers that are not finite{where}."),
    )


def _clear(metric: MetricComparison, name: str, word: str) -> Rich:
    amount = (metric.delta or 0.0) * metric.points
    parts = [
        Part("The tuned checkpoint is "),
        Part(word, "strong"),
        Part(f": {name} {moved(metric)} by "),
        Part(points(amount), "strong"),
        Part(" "),
        Part(evidence(metric), "soft"),
    ]
    if word == "worse" and metric.within_tolerance:
        parts.append(Part(f", within the tolerance of {points(tolerance_points(metric))}"))
    return (*parts, Part("."))


def _better(metric: MetricComparison, name: str) -> Rich:
    return _clear(metric, name, "better")


def _worse(metric: MetricComparison, name: str) -> Rich:
    return _clear(metric, name, "worse")


def _no_worse(metric: MetricComparison, name: str) -> Rich:
    side = "above" if metric.base.higher_is_better else "below"
    line = change(tolerance_line(metric))
    return (
        Part("The tuned checkpoint is "),
        Part("no worse", "strong"),
        Part(f" in {name} "),
        Part(evidence(metric, amount=True), "soft"),
        Part(f": the interval stays {side} {line}{NBSP}points."),
    )


def _not_decided(metric: MetricComparison, name: str) -> Rich:
    more = (
        f": about {plural(metric.needed, 'more sample')} would decide." if metric.needed is not None else "."
    )
    return (
        Part("It is "),
        Part("not decided", "strong"),
        Part(f" whether the tuned checkpoint is better in {name} "),
        Part(evidence(metric, amount=True), "soft"),
        Part(more),
    )


_SENTENCES = {
    Verdict.BETTER: _better,
    Verdict.WORSE: _worse,
    Verdict.NO_WORSE: _no_worse,
    Verdict.NOT_DECIDED: _not_decided,
}


def no_difference(samples: int, metric: MetricComparison | None) -> Rich:
    """The verdict where every answer is the same, letter by letter."""
    where = (
        f", so {label(metric.label)} stayed at {score_text(metric.base)}"
        if metric is not None and metric.base.value is not None
        else ""
    )
    return (
        Part("The tuned checkpoint makes "),
        Part("no difference", "strong"),
        Part(f": it gave the base's answer to {all_of(samples)}{where}."),
    )


def all_of(samples: int) -> str:
    """Every one of so many samples: "all 60 samples"."""
    return "the only sample" if samples == 1 else f"all {plural(samples, 'sample')}"


def unchanged(base: RunResult, tuned: RunResult) -> bool:
    """Whether every sample got the same answer from both, letter by letter."""
    answers = {(sample.task, sample.sample_id): sample for sample in base.samples}
    if not tuned.samples or len(answers) != len(tuned.samples):
        return False
    found = [answers.get((sample.task, sample.sample_id)) for sample in tuned.samples]
    return all(
        old is not None
        and (old.generation, old.loglikelihoods) == (new.generation, new.loglikelihoods)
        and old.failure is None
        and new.failure is None
        for old, new in zip(found, tuned.samples, strict=True)
    )


def comparison_sentence(comparison: Comparison, base: RunResult, tuned: RunResult) -> str:
    """The verdict in plain text, with ordinary spaces; identical answers make no difference."""
    sentence = plain_text(verdict_sentence(comparison, base, tuned))
    return sentence.replace(NBSP, " ")


def verdict_sentence(comparison: Comparison, base: RunResult, tuned: RunResult) -> Rich:
    """The verdict with emphasis; what was forgotten stands in the same sentence."""
    tasks = len({metric.task for metric in comparison.metrics})
    if comparison.verdict is Verdict.BROKEN:
        return headline(comparison, base, tuned, tasks)
    if unchanged(base, tuned):
        return no_difference(len(tuned.samples), comparison.primary)
    sentence = headline(comparison, base, tuned, tasks)
    lost = forgotten(comparison)
    return _forgetting(sentence, comparison.verdict, lost) if lost else sentence


def forgotten(comparison: Comparison) -> list[Forgetting]:
    """Benchmarks on which more was lost than is tolerated, the largest loss first."""
    return sorted((each for each in comparison.forgetting if each.held is False), key=_loss, reverse=True)


def _loss(each: Forgetting) -> float:
    return abs((each.metric.delta or 0.0) * each.metric.points)


def benchmark_name(metric: MetricComparison) -> str:
    """A benchmark with the measure it is judged by: hellaswag acc_norm."""
    return f"{label(metric.task)} {label(metric.label)}"


def _forgetting(sentence: Rich, verdict: Verdict, lost: list[Forgetting]) -> Rich:
    """The sentence, without its full stop, and the loss that weighs most; the others by name."""
    *before, last = sentence
    worst = lost[0].metric
    others = [label(each.metric.task) for each in lost[1:]]
    also = ""
    if others:
        names = others[0] if len(others) == 1 else f"{', '.join(others[:-1])} and {others[-1]}"
        also = f", {names} {moved(worst)} too"
    joined = {Verdict.WORSE: ", and it ", Verdict.NOT_DECIDED: "; it "}.get(verdict, ", but it ")
    return (
        *before,
        Part(last.text.removesuffix(".") + joined, last.kind),
        Part("forgets", "strong"),
        Part(f": {benchmark_name(worst)} {moved(worst)} by "),
        Part(points(_loss(lost[0])), "strong"),
        Part(" "),
        Part(evidence(worst), "soft"),
        Part(f"{also}, and at most {magnitude(tolerance_points(worst))} were allowed."),
    )

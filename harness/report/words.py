"""Findings as sentences: plain verbs, past tense for results, no praise.

Every sentence here says only what its arguments hold. A verdict's words are the same wherever they stand.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from harness.records import Comparison, Estimate, MetricComparison, RunResult, Verdict
from harness.report import numbers
from harness.report.numbers import NBSP, change, count, in_words, magnitude, plural
from harness.report.text import redact, shorten
from harness.report.views import Mark, Part, Quantity, Rich

FEW = 30
"""Below this many samples a row is drawn hollow and soft: read the direction, not the size."""

_MARKS = {
    Verdict.BETTER: Mark("▲", "better", "better"),
    Verdict.WORSE: Mark("▼", "worse", "worse"),
    Verdict.NO_WORSE: Mark("≥", "no worse", "no"),
    Verdict.NOT_DECIDED: Mark("○", "not decided", "not"),
    Verdict.BROKEN: Mark("×", "broken", "broken"),
}


def mark(verdict: Verdict, *, within_tolerance: bool = False) -> Mark:
    """The symbol and the word of a verdict."""
    plain = _MARKS[verdict]
    if verdict is Verdict.WORSE and within_tolerance:
        return Mark(plain.symbol, plain.word, plain.css, "within tolerance")
    return plain


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


def score_range(estimate: Estimate) -> str:
    """The interval of one aggregate: 0.255 to 0.369, 12.0 to 24.1."""
    if estimate.low is None or estimate.high is None:
        return numbers.UNKNOWN
    ends = [
        quantity(end, estimate.scale, binary=estimate.binary).text for end in (estimate.low, estimate.high)
    ]
    return f"{ends[0]} to {ends[1]}"


_METHODS = {"lora": "LoRA", "qlora": "QLoRA", "full": "full fine-tuning"}


def method(name: str) -> str:
    """A tuning method as it is usually written."""
    return _METHODS.get(name, label(name, 30))


def split(name: str) -> str:
    """A split's name in a sentence: training, validation, test."""
    return "training" if name == "train" else label(name, 20)


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


def single_headline(run: RunResult, estimate: Estimate | None) -> Rich:
    """What one checkpoint scored, where nothing was compared."""
    name = label(run.name)
    if run.nonfinite:
        return (
            Part(f"{name} is "),
            Part("broken", "strong"),
            Part(f": it returned numbers that are not finite on {plural(run.nonfinite, 'sample')}."),
        )
    if estimate is None or estimate.value is None:
        return (Part(f"{name} has "), Part("no score", "strong"), Part(": no metric could score a sample."))
    ends = score_range(estimate)
    inside = f"{numbers.level(estimate.level)} interval {ends}, " if estimate.low is not None else ""
    return (
        Part(f"{name} scored "),
        Part(score_text(estimate), "strong"),
        Part(f" in {label(estimate.label)} "),
        Part(f"({inside}n = {count(estimate.scored)})", "soft"),
        Part("."),
    )


_ORDER = (Verdict.BETTER, Verdict.WORSE, Verdict.NO_WORSE, Verdict.NOT_DECIDED, Verdict.BROKEN)


def tally(metrics: Sequence[MetricComparison]) -> str:
    """The heading of the metric table: "Five of eight metrics are better, one is worse"."""
    if not metrics:
        return "No metric scored both checkpoints"
    if len(metrics) == 1:
        return f"{label(metrics[0].label)} is {metrics[0].verdict}"
    counts = Counter(metric.verdict for metric in metrics)
    total = len(metrics)
    if len(counts) == 1:
        whole = "Both" if total == 2 else f"All {in_words(total)}"
        return f"{whole} metrics are {metrics[0].verdict}"
    found = [(verdict, counts[verdict]) for verdict in _ORDER if counts[verdict]]
    first, number = found[0]
    parts = [f"{in_words(number, capital=True)} of {in_words(total)} metrics {_be(number)} {first}"]
    parts += [f"{in_words(some)} {_be(some)} {verdict}" for verdict, some in found[1:]]
    return ", ".join(parts)


def _be(number: int) -> str:
    return "is" if number == 1 else "are"


def listed(items: Sequence[str]) -> str:
    """Names in a sentence: "a", "a and b", "a, b and c"."""
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} and {items[-1]}"

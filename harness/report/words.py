"""Findings as sentences: plain verbs, past tense for results, no praise.

The words of a verdict itself stand in `harness.wording.headline`, because the terminal and `results.json` say them
too; what only the page says is here. Every sentence says only what its arguments hold.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from harness.records import Estimate, MetricComparison, RunResult, Verdict
from harness.report.views import Mark
from harness.wording import numbers
from harness.wording.headline import (
    all_of,
    evidence,
    label,
    metric_name,
    points,
    quantity,
    score,
    score_text,
    tolerance_line,
    tolerance_points,
)
from harness.wording.numbers import count, in_words, plural
from harness.wording.parts import Part, Rich
from harness.wording.text import shorten

__all__ = [
    "FEW",
    "all_of",
    "evidence",
    "kept_together",
    "label",
    "listed",
    "mark",
    "method",
    "metric_name",
    "points",
    "quantity",
    "score",
    "score_range",
    "score_text",
    "shorten",
    "single_headline",
    "split",
    "tally",
    "tolerance_line",
    "tolerance_points",
]

FEW = 30
"""Below this many samples a row is drawn hollow and soft: read the direction, not the size."""

_ONE_LINE = 24

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


def kept_together(parts: Rich, name: str) -> Rich:
    """The sentence with a short name marked, so that no line breaks inside it."""
    if not name or len(name) > _ONE_LINE:
        return parts
    found: list[Part] = []
    for part in parts:
        before, hit, after = part.text.partition(name)
        if part.kind or not hit:
            found.append(part)
        else:
            found += [piece for piece in (Part(before), Part(name, "name"), Part(after)) if piece.text]
    return tuple(found)


def single_headline(run: RunResult, estimate: Estimate | None) -> Rich:
    """What one checkpoint scored, where nothing was compared."""
    name = label(run.name)
    name = name[:1].upper() + name[1:]
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

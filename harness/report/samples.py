"""Every test sample with both answers side by side, the largest loss first."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from harness.records import Finish, RunResult, SampleResult, prompt_text
from harness.report import words
from harness.report.diff import Diff, Run, word_diff
from harness.report.figures import Bars
from harness.report.subject import Pair, Subject
from harness.report.views import Filter, Mark, Pane, SampleScore, SamplesView, SampleView
from harness.wording import numbers
from harness.wording.numbers import change, count, plural
from harness.wording.parts import Part
from harness.wording.text import redact

OPEN = 20
"""Samples drawn fully; the others open on a click."""
ON_PAPER = 5
"""Samples that are printed."""

_MARKS = {
    "broken": Mark("▼", "broken", "worse"),
    "worse": Mark("▼", "worse", "worse"),
    "fixed": Mark("▲", "fixed", "better"),
    "better": Mark("▲", "better", "better"),
    "both right": Mark("=", "both right", "no"),
    "both wrong": Mark("○", "both wrong", "not"),
    "same": Mark("=", "same", "no"),
    "not scored": Mark("–", "not scored", "not"),
    "": Mark("", "", "no"),
}
_FINISH = {
    Finish.LENGTH: "stopped at the token limit",
    Finish.REFUSED: "refused",
    Finish.FAILED: "failed",
    Finish.NONFINITE: "numbers that are not finite",
}


def samples_view(subject: Subject) -> SamplesView | None:
    """Summarise all samples, or None where no sample was asked."""
    if not subject.pairs:
        return None
    compared = subject.tuned is not None
    ordered = sorted(enumerate(subject.pairs), key=lambda item: _rank(item[1], compared=compared))
    samples = tuple(_sample(subject, pair, index, place) for place, (index, pair) in enumerate(ordered))
    counts = Counter(sample.status for sample in samples)
    heads = [Part(f"● {'Base' if compared else words.label(subject.base.name, 30)}", "base")]
    if compared:
        heads.append(Part("◆ Tuned", "tuned"))
    return SamplesView(
        finding=_finding(subject, counts),
        histogram=_histogram(subject) if compared else None,
        filters=_filters(counts, len(samples)),
        categories=tuple(dict.fromkeys(name for sample in samples for name in sample.categories)),
        samples=samples,
        heads=tuple(heads),
        compared=compared,
        note=_note(subject, compared=compared),
        paper=f"The first {ON_PAPER} of {plural(len(samples), 'sample')}; the file holds all."
        if len(samples) > ON_PAPER
        else "",
    )


def _rank(pair: Pair, *, compared: bool) -> tuple[int, float]:
    """Scored samples by gain, the worst first; unscored ones last. A single run: the lowest score first."""
    if compared:
        return (1, 0.0) if pair.gain is None else (0, pair.gain)
    if pair.first is None or pair.gauge is None:
        return (1, 0.0)
    return (0, pair.first if pair.gauge.higher_is_better else -pair.first)


def status(pair: Pair, *, compared: bool) -> str:
    """What tuning did to a sample: right and wrong for measures that are 0 or 1, better and worse for others."""
    if not compared:
        return ""
    if pair.gain is None or pair.gauge is None:
        return "not scored"
    if pair.gain:
        names = ("fixed", "broken") if pair.gauge.binary else ("better", "worse")
        return names[0] if pair.gain > 0 else names[1]
    if not pair.gauge.binary:
        return "same"
    return "both right" if bool(pair.first) == pair.gauge.higher_is_better else "both wrong"


def _finding(subject: Subject, counts: Counter[str]) -> str:
    if subject.tuned is None:
        return f"{plural(len(subject.pairs), 'sample')}, the lowest score first"
    if subject.unchanged:
        return "Nothing changed: every answer is the same, letter by letter"
    broken, worse = counts["broken"], counts["worse"]
    if broken + worse:
        verb = "broke" if broken else "got worse"
        return (
            f"{plural(broken + worse, 'sample')} {verb}; read {'it' if broken + worse == 1 else 'them'} first"
        )
    if counts["not scored"] == len(subject.pairs):
        return "No sample was scored on both sides"
    return "Nothing broke: no sample scored lower after tuning"


def _filters(counts: Counter[str], total: int) -> tuple[Filter, ...]:
    if set(counts) == {""}:
        return ()
    shown = [Filter("", "", "All", count(total))]
    shown += [
        Filter(name, mark.symbol, mark.word[:1].upper() + mark.word[1:], count(counts[name]))
        for name, mark in _MARKS.items()
        if counts[name]
    ]
    return tuple(shown)


def _note(subject: Subject, *, compared: bool) -> str:
    gauges = list(dict.fromkeys(words.label(p.gauge.label) for p in subject.pairs if p.gauge is not None))
    by = words.listed(gauges)
    if not compared:
        return f"Ordered by {by}." if by else ""
    order = f"Ordered by the change in {by}. " if by else ""
    return f"{order}Underlined words are only in tuned, struck words only in base."


def _sample(subject: Subject, pair: Pair, index: int, place: int) -> SampleView:
    compared = subject.tuned is not None
    sample = pair.sample
    state = status(pair, compared=compared)
    panes, note = _panes(subject, pair)
    several = len({p.sample.task for p in subject.pairs}) > 1
    extra = [_told(key, value) for key, value in sample.metadata.items()]
    question = sample.input or prompt_text(sample.prompt)
    return SampleView(
        id=f"s-{index + 1}",
        name=words.label(sample.sample_id, 40),
        status=state,
        mark=_MARKS[state],
        change=change(pair.delta) if compared else _lone(pair),
        meta=" · ".join(([words.label(sample.task, 40)] if several else []) + extra[:4]),
        brief=words.label(question, 120),
        question=question,
        context=prompt_text(sample.prompt),
        target=sample.target,
        panes=panes,
        scores=_scores(subject, pair),
        categories=tuple(
            dict.fromkeys(
                words.label(c.name) for side in (pair.base, pair.tuned) if side for c in side.categories
            )
        ),
        note=note,
        open=place < OPEN,
        lead=place < ON_PAPER,
    )


def _told(key: str, value: str) -> str:
    """One metadata value; with its key where the value alone would be a mere number."""
    told = words.label(value, 40)
    return told if any(letter.isalpha() for letter in told) else f"{words.label(key, 30)} {told}"


def _lone(pair: Pair) -> str:
    """The score of a single run's sample."""
    if pair.first is None or pair.gauge is None:
        return numbers.UNKNOWN
    written = words.quantity(pair.first, pair.gauge.scale, binary=False)
    return written.text


def _panes(subject: Subject, pair: Pair) -> tuple[tuple[Pane, ...], str]:
    """Both answers with their differences marked, and a note where they could not be compared."""
    if subject.tuned is None:
        runs = (Run(pair.base.answer, changed=False),) if pair.base else ()
        return (_pane(pair.base, subject.base, "base", runs),), ""
    texts = [side.answer.replace("\r\n", "\n") if side else "" for side in (pair.base, pair.tuned)]
    if all(side is not None for side in (pair.base, pair.tuned)):
        diff = word_diff(texts[0], texts[1])
    else:
        left, right = ((Run(text, changed=False),) if text else () for text in texts)
        diff = Diff(left, right)
    panes = (
        _pane(pair.base, subject.base, "base", diff.left),
        _pane(pair.tuned, subject.tuned, "tuned", diff.right),
    )
    note = "" if diff.marked else "The answers are too long to mark their differences."
    if pair.base and pair.tuned and not note and pair.base.answer == pair.tuned.answer and pair.base.answer:
        note = "Both answers are the same."
    return panes, note


def _pane(sample: SampleResult | None, run: RunResult, kind: str, runs: Sequence[Run]) -> Pane:
    title = "● Base" if kind == "base" else f"◆ Tuned, {words.label(run.name, 30)}"
    if sample is None:
        return Pane(kind, title, "", (), "This sample was not asked.", "", (), (), "")
    reason = f": {redact(sample.failure)}" if sample.failure else ""
    problem = _FINISH.get(sample.finish, "")
    return Pane(
        kind=kind,
        title=title,
        note=plural(sample.tokens, "token"),
        runs=tuple(runs),
        empty="" if sample.answer.strip() else "no answer",
        problem=f"{problem[:1].upper()}{problem[1:]}{reason}" if problem or reason else "",
        chips=tuple(dict.fromkeys(words.label(category.name) for category in sample.categories)),
        reasons=tuple((words.label(c.name), c.evidence) for c in sample.categories if c.evidence),
        generation=sample.generation if sample.generation.strip() != sample.answer.strip() else "",
    )


def _scores(subject: Subject, pair: Pair) -> tuple[SampleScore, ...]:
    """Every measure of the sample's task, in table order, with why a score is missing."""
    task = pair.sample.task
    estimates = {
        **(subject.tuned.estimates.get(task, {}) if subject.tuned else {}),
        **subject.base.estimates.get(task, {}),
    }
    found = []
    for name, estimate in estimates.items():
        values, raws = [], []
        sides = (pair.base, pair.tuned) if subject.tuned is not None else (pair.base,)
        for side in sides:
            score = side.scores.get(name) if side is not None else None
            raw = score.value if score is not None else None
            raws.append(raw)
            reason = score.reason if score is not None else None
            values.append(_written(raw, reason, binary=estimate.binary))
        low, high = estimate.scale
        delta = None
        if len(raws) == 2 and raws[0] is not None and raws[1] is not None:
            delta = 100.0 * (raws[1] - raws[0]) / (high - low)
        turn = 1 if estimate.higher_is_better else -1
        found.append(
            SampleScore(
                words.label(estimate.label), tuple(values), _moved(delta, turn, binary=estimate.binary)
            )
        )
    return tuple(found)


def _written(value: float | None, reason: str | None, *, binary: bool) -> str:
    if value is None:
        return f"not scored: {words.label(reason, 120)}" if reason else numbers.UNKNOWN
    if binary and value in (0.0, 1.0):
        return "yes" if value else "no"
    return numbers.significant(value)


def _moved(delta: float | None, turn: int, *, binary: bool) -> str:
    if delta is None:
        return numbers.UNKNOWN
    if not binary:
        return change(delta)
    if delta == 0:
        return "= same"
    return "▲ fixed" if delta * turn > 0 else "▼ broken"


def _histogram(subject: Subject) -> Bars | None:
    """Changes per sample on the primary measure, in bins of 20 points with those unchanged apart."""
    gains = [pair for pair in subject.pairs if pair.delta is not None]
    gauges = {pair.gauge.measure for pair in gains if pair.gauge is not None}
    if len(gains) < 2 or len(gauges) != 1 or any(p.gauge is not None and p.gauge.binary for p in gains):
        return None
    deltas = [pair.delta for pair in gains if pair.delta is not None]
    if not any(deltas):
        return None
    label = next(words.label(pair.gauge.label, 40) for pair in gains if pair.gauge is not None)
    counts = [0] * 11
    for delta in deltas:
        counts[_bin(delta)] += 1
    names = [_bin_name(index) for index in range(11)]
    lower, higher = sum(1 for d in deltas if d < 0), sum(1 for d in deltas if d > 0)
    same = len(deltas) - lower - higher
    turned = next(not pair.gauge.higher_is_better for pair in gains if pair.gauge is not None)
    left, right = ("▲ {} better", "▼ {} worse") if turned else ("▼ {} worse", "▲ {} better")
    return Bars(
        caption=f"{label}, change per sample",
        unit="samples in bins of 20 points",
        title=f"Change in {label} per sample",
        desc=f"{plural(lower, 'sample')} scored lower after tuning, {_some(same)} the same, {count(higher)} higher.",
        labels=tuple(names),
        counts=tuple(counts),
        ticks=(
            (0, f"{numbers.MINUS}100"),
            (2.5, f"{numbers.MINUS}50"),
            (5.5, "0"),
            (8.5, "+50"),
            (11, "+100"),
        ),
        foot=f"change in {words.shorten(label, 24)} of one sample, points",
        head=(left.format(count(lower)), f"{_some(same)} the same", right.format(count(higher))),
        quiet=5,
    )


def _some(number: int) -> str:
    return count(number) if number else "none"


def _bin(delta: float) -> int:
    """0 to 4 below zero, 5 no change, 6 to 10 above; 20 points each."""
    if delta == 0:
        return 5
    steps = min(5, max(1, math.ceil(abs(delta) / 20 - 1e-9)))
    return 5 + steps if delta > 0 else 5 - steps


def _bin_name(index: int) -> str:
    if index == 5:
        return "no change"
    near, far = 20 * (abs(index - 5) - 1), 20 * abs(index - 5)
    sign = "+" if index > 5 else numbers.MINUS
    ends = [f"{sign}{size}" if size else "0" for size in (near, far)]
    return " to ".join(ends if index > 5 else reversed(ends))

"""The first screen: the verdict in a sentence, five questions, warnings, and where the numbers come from."""

from __future__ import annotations

import hashlib
from statistics import fmean

from harness.records import Comparison, MetricComparison, RunResult, Verdict
from harness.report import words
from harness.report.cautions import cautions
from harness.report.figures import Glance, GlanceRow
from harness.report.forgetting import price
from harness.report.subject import Subject, leading
from harness.report.training import falling, training_seconds, validation
from harness.report.views import Answer, Fact, VerdictView
from harness.wording import numbers
from harness.wording.headline import forgotten, verdict_sentence
from harness.wording.numbers import change, count, plural
from harness.wording.parts import Part, Rich


def verdict_view(subject: Subject) -> VerdictView:
    """Summarise the verdict of the chosen checkpoint, or the scores of a single run."""
    return VerdictView(
        headline=headline(subject),
        glance=_glance(subject),
        answers=_answers(subject),
        cautions=cautions(subject),
        provenance=_provenance(subject),
    )


def headline(subject: Subject) -> Rich:
    """The verdict sentence."""
    if subject.comparison is None or subject.tuned is None:
        first = next(iter(leading(subject.base, None).values()), None)
        sentence = words.single_headline(subject.base, first)
        return words.kept_together(sentence, words.label(first.label) if first else "")
    primary = subject.comparison.primary
    sentence = verdict_sentence(subject.comparison, subject.base, subject.tuned)
    return words.kept_together(sentence, words.label(primary.label) if primary else "")


def _glance(subject: Subject) -> Glance | None:
    """The primary change, and at most two losses by more than is tolerated: of general ability, else of measures."""
    comparison = subject.comparison
    if comparison is None or comparison.primary is None or comparison.primary.delta is None:
        return None
    if comparison.verdict is Verdict.BROKEN:
        return None
    worse = [
        metric
        for metric in comparison.metrics
        if metric.verdict is Verdict.WORSE and not metric.within_tolerance and metric != comparison.primary
    ]
    lost = [each.metric for each in forgotten(comparison)]
    shown = [(comparison.primary, len(subject.tasks))]
    shown += [(metric, 0) for metric in lost[:2]] or [(metric, len(subject.tasks)) for metric in worse[:2]]
    rows = tuple(_glance_row(metric, tasks) for metric, tasks in shown if metric.delta is not None)
    line = next((row.tolerance for row in rows if row.tolerance is not None), None)
    return Glance(
        title="The change that decides the verdict"
        if len(rows) == 1
        else "The changes that decide the verdict",
        desc=" ".join(_said(metric, tasks) for metric, tasks in shown),
        rows=rows,
        tolerance_text=f"dotted: tolerance {change(line)}" if line is not None else "",
    )


def _glance_row(metric: MetricComparison, tasks: int) -> GlanceRow:
    amount = (metric.delta or 0.0) * metric.points
    return GlanceRow(
        label=words.shorten(_named(metric, tasks), 19),
        value=amount,
        text=change(amount),
        low=None if metric.low is None else metric.low * metric.points,
        high=None if metric.high is None else metric.high * metric.points,
        tolerance=None if metric.verdict is Verdict.BETTER else words.tolerance_line(metric),
    )


def _named(metric: MetricComparison, tasks: int) -> str:
    """A measure; without a number of tasks it is a benchmark's, and that is what is named."""
    return words.metric_name(metric, tasks) if tasks else words.label(metric.task)


def _said(metric: MetricComparison, tasks: int) -> str:
    return f"{_named(metric, tasks)} {change((metric.delta or 0.0) * metric.points)} points {words.evidence(metric)}."


def _answers(subject: Subject) -> tuple[Answer, ...]:
    if subject.comparison is None or subject.tuned is None:
        return ()
    return (
        _did_it_help(subject, subject.comparison),
        _where(subject),
        _is_it_real(subject.comparison),
        _at_what_price(subject, subject.tuned),
        _what_next(subject, subject.comparison),
    )


_HELPED = {
    Verdict.BETTER: "Yes.",
    Verdict.WORSE: "No.",
    Verdict.NO_WORSE: "It did no harm.",
    Verdict.NOT_DECIDED: "Not decided.",
    Verdict.BROKEN: "It cannot be said: the numbers are not finite.",
}


def _did_it_help(subject: Subject, comparison: Comparison) -> Answer:
    primary = comparison.primary
    start = "No difference." if subject.unchanged else _HELPED[comparison.verdict]
    parts = [Part(start)]
    if primary is not None and primary.delta is not None and comparison.verdict is not Verdict.BROKEN:
        parts += [Part(f" {words.metric_name(primary, len(subject.tasks))} "), *_from_to(primary)]
        exact = next((m for m in comparison.metrics if m.base.binary and m is not primary and m.n), None)
        if exact is not None and exact != primary:
            parts += [Part(f"; {words.label(exact.label)} "), *_right(exact), Part(f" of {count(exact.n)}")]
        parts.append(Part("."))
    return Answer("Did it help?", tuple(parts), "metrics", "Metrics")


def _from_to(metric: MetricComparison) -> Rich:
    return (
        Part(words.score_text(metric.base), "base"),
        Part(" to "),
        Part(words.score_text(metric.tuned), "tuned"),
    )


def _right(metric: MetricComparison) -> Rich:
    """Counts of a measure whose scores are 0 or 1."""
    sides = [round((side.value or 0.0) * side.scored) for side in (metric.base, metric.tuned)]
    return Part(count(sides[0]), "base"), Part(" to "), Part(count(sides[1]), "tuned")


def _where(subject: Subject) -> Answer:
    scored = [pair for pair in subject.pairs if pair.gain is not None]
    if not scored:
        return Answer(
            "Where?", (Part("It cannot be said: no sample was scored on both sides."),), "samples", "Samples"
        )
    same = len(scored) - subject.gains - len(subject.losses)
    if same == len(scored):
        text = f"Nowhere: {words.all_of(len(scored))} scored the same as before."
    else:
        text = (
            f"{count(subject.gains)} of {plural(len(scored), 'sample')} scored higher, "
            f"{count(len(subject.losses))} lower, {count(same) if same else 'none'} the same."
        )
    if subject.losses:
        worst = subject.losses[0]
        text += f" Largest loss: {words.label(worst.sample.sample_id, 40)}, {change(worst.delta)} points."
    return Answer("Where?", (Part(text),), "samples", "Samples")


def _is_it_real(comparison: Comparison) -> Answer:
    primary = comparison.primary
    if primary is None or primary.low is None or primary.high is None:
        text = "It cannot be said: there is no interval."
    elif comparison.verdict is Verdict.BROKEN:
        text = "No: the numbers are not finite."
    else:
        test = f"{primary.test} on the same {plural(primary.n, 'sample')}"
        p = f", p {_relation(primary.p)}" if primary.p is not None else ""
        clear = primary.low > 0 or primary.high < 0
        start = "Yes for the primary metric" if clear else "Not shown: the interval includes zero"
        text = f"{start}; {test}{p}."
        text += _others(comparison, primary)
    return Answer("Is it real?", (Part(text),), "metrics", "Metrics")


def _relation(p: float) -> str:
    written = numbers.p_value(p)
    return written if written.startswith("<") else f"= {written}"


def _others(comparison: Comparison, primary: MetricComparison) -> str:
    """How many of the other measures agree after the Holm adjustment."""
    others = [m for m in comparison.metrics if m != primary and m.p_adjusted is not None]
    if not others:
        return ""
    alpha = 1 - primary.level
    held = sum(1 for m in others if (m.p_adjusted or 0.0) < alpha)
    if len(others) == 1:
        return f" The other metric {'differs' if held else 'does not differ'} after Holm's adjustment."
    some = numbers.in_words(held) if held else "none"
    return (
        f" Of {numbers.in_words(len(others))} other metrics, {some} {'differ' if held > 1 else 'differs'} "
        "after Holm's adjustment."
    )


def _at_what_price(subject: Subject, tuned: RunResult) -> Answer:
    said = []
    training = subject.result.training
    if training is not None:
        seconds = training_seconds(training)
        if seconds:
            said.append(f"{numbers.duration(seconds)} of training.")
        share = training.trainable_parameters / max(1, training.total_parameters)
        said.append(f"{numbers.percent(share)}% of the weights were trained.")
    said += _lengths(subject, tuned)
    forgets = price(subject.comparison) if subject.comparison is not None else ""
    if forgets:
        said.append(forgets)
    elif len(subject.tasks) == 1:
        said.append("What it lost on other tasks was not measured.")
    link = ("training", "Training") if training is not None else ("metrics", "Metrics")
    if forgets:
        link = ("forgetting", "Forgetting")
    return Answer("At what price?", (Part(" ".join(said)),), *link)


def _lengths(subject: Subject, tuned: RunResult) -> list[str]:
    before, after = (
        [sample.tokens for sample in run.samples if sample.failure is None and sample.task in subject.tasks]
        for run in (subject.base, tuned)
    )
    if not before or not after or not fmean(before):
        return []
    ratio = fmean(after) / fmean(before) - 1
    if abs(ratio) < 0.005:
        return ["Answers are as long as before."]
    return [f"Answers are {abs(100 * ratio):.0f}% {'shorter' if ratio < 0 else 'longer'}."]


def _what_next(subject: Subject, comparison: Comparison) -> Answer:
    card, training = subject.result.data, subject.result.training
    primary = comparison.primary
    said: list[str] = []
    link = ("samples", "Samples")
    if comparison.verdict is Verdict.BROKEN:
        said.append("Do not use this checkpoint. Train again at a lower learning rate or in float32.")
        link = ("training", "Training") if training is not None else link
    elif card is not None and card.leaks:
        said.append("Take the leaked questions out of the training data, then repeat.")
        link = ("data", "Data")
    elif comparison.verdict is Verdict.NOT_DECIDED and primary is not None and primary.needed is not None:
        said.append(f"Add about {plural(primary.needed, 'test sample')}; that many would decide.")
    if forgotten(comparison) and comparison.verdict is not Verdict.BROKEN:
        said.append("To forget less, train for fewer steps or at a lower learning rate.")
    if subject.losses and comparison.verdict is not Verdict.BROKEN:
        number = len(subject.losses)
        said.append(
            "Read the sample that got worse."
            if number == 1
            else f"Read the {count(number)} samples that got worse, the largest loss first."
        )
    elif not said:
        said.append("Nothing got worse.")
    if training is not None and comparison.verdict is not Verdict.BROKEN and falling(validation(training)):
        said.append("Validation loss was still falling at the last step: train longer.")
    return Answer("What next?", (Part(" ".join(said)),), *link)


def _provenance(subject: Subject) -> tuple[Fact, ...]:
    base, tuned, training = subject.base, subject.tuned, subject.result.training
    facts = [
        Fact(
            "Base" if tuned else "Checkpoint", words.label(base.model), numbers.short_digest(base.fingerprint)
        )
    ]
    if tuned is not None:
        how = f"{words.method(training.method)}, " if training is not None else ""
        facts.append(
            Fact("Tuned", f"{how}{words.label(tuned.name)}", numbers.short_digest(tuned.fingerprint))
        )
    tasks = words.listed([words.label(task, 30) for task in subject.tasks]) or "no task"
    facts.append(Fact("Test set", f"{tasks}, {plural(len(subject.pairs), 'sample')}", _prompts(base)))
    told = [(k, v) for k, v in base.settings.items() if not k.startswith(("task ", "group ", "data,"))][:4]
    settings = ", ".join(f"{words.label(k, 20)} {words.label(v, 24)}" for k, v in told)
    facts.append(Fact("Settings", settings or "none given", _signature(base)))
    return tuple(facts)


def _prompts(run: RunResult) -> str:
    """One short hash for all prompts of a run."""
    joined = "\n".join(sample.prompt_hash for sample in run.samples)
    return numbers.short_digest(hashlib.sha256(joined.encode("utf-8", "backslashreplace")).hexdigest())


def _signature(run: RunResult) -> str:
    """One short hash for the signatures of all estimates of a run."""
    joined = "\n".join(e.signature for group in run.estimates.values() for e in group.values())
    return numbers.short_digest(hashlib.sha256(joined.encode("utf-8", "backslashreplace")).hexdigest())

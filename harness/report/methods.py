"""All that is needed to repeat the numbers, and what the page does not show."""

from __future__ import annotations

from harness.records import ExperimentResult
from harness.report import words
from harness.report.figures import Table
from harness.report.subject import Subject
from harness.report.views import Fact, MethodsView
from harness.wording import numbers
from harness.wording.text import redact

_INTERVALS = {
    "wilson": "Wilson for proportions",
    "t": "Student t for means",
    "bootstrap": "percentile bootstrap over summed statistics for corpus scores",
}


def methods_view(subject: Subject, missing: tuple[tuple[str, str], ...]) -> MethodsView:
    """Summarise how the result came about. missing: (section, reason) of every section that is not drawn."""
    result = subject.result
    environment = result.environment
    facts = [Fact("Command", "", redact(environment.command))]
    facts += _data(result)
    facts += [Fact("Intervals", _intervals(subject)), *_verdicts(subject)]
    seeds = ", ".join(f"{words.label(name, 30)} {seed}" for name, seed in environment.seeds.items())
    facts += [
        Fact("Seeds", seeds or "none"),
        Fact(
            "Machine",
            f"{redact(environment.platform)}; {redact(environment.device)}, {_threads(environment.threads)}",
        ),
        Fact("Versions", f"harness {environment.harness}, Python {environment.python}"),
    ]
    if missing:
        facts.append(Fact("Not drawn", " ".join(f"{name} ({reason})." for name, reason in missing)))
    facts += [
        Fact("Files" if index == 0 else "", redact(name), f"sha256 {numbers.short_digest(digest)}")
        for index, (name, digest) in enumerate(result.digests.items())
    ]
    packages = tuple(
        (words.label(name), words.label(version)) for name, version in environment.packages.items()
    )
    return MethodsView(
        facts=tuple(facts),
        runs=_runs(result),
        packages=Table(("Package", "Version"), packages) if packages else None,
        signatures=_signatures(subject),
    )


def _threads(number: int) -> str:
    return numbers.plural(number, "thread")


def _data(result: ExperimentResult) -> list[Fact]:
    card = result.data
    if card is None:
        return []
    splits = words.listed([f"{numbers.count(n)} {words.split(name)}" for name, n in card.splits.items()])
    removed = card.exact_duplicates + card.near_duplicates
    return [
        Fact(
            "Data",
            f"{numbers.plural(card.kept, 'row')} after {numbers.plural(removed, 'duplicate')} and "
            f"{numbers.plural(sum(card.skipped.values()), 'unusable row')} were removed: {splits or 'not split'}; "
            f"near-duplicates stay in one split, seed {card.seed}.",
            f"sha256 {numbers.short_digest(card.digest)}",
        )
    ]


def _intervals(subject: Subject) -> str:
    """Formulas in words, only for the methods that were used."""
    used: list[str] = []
    for run in subject.result.runs:
        for group in run.estimates.values():
            used += [estimate.method for estimate in group.values() if estimate.value is not None]
    said = [_INTERVALS.get(method, words.label(method)) for method in dict.fromkeys(used)]
    text = f"Scores: {words.listed(said)}." if said else "No score."
    tests = dict.fromkeys(m.test for c in subject.result.comparisons for m in c.metrics)
    if tests:
        named = words.listed([words.label(test) for test in tests])
        text += f" Changes: {named} on the same samples, tuned minus base."
    if subject.comparison is not None and any(m.p_adjusted is not None for m in subject.comparison.metrics):
        text += " p values are adjusted by Holm's method over the metrics of one comparison."
    return text


def _verdicts(subject: Subject) -> list[Fact]:
    if subject.comparison is None:
        return []
    primary = subject.comparison.primary
    line = "minus the tolerance"
    if primary is not None:
        line += f" of {words.points(words.tolerance_points(primary))}"
    text = (
        f"Better: interval above zero. Worse: below zero. No worse: above {line}. Otherwise not decided. "
        "Broken: a checkpoint returned numbers that are not finite."
    )
    if any(not metric.base.higher_is_better for metric in subject.comparison.metrics):
        text += " Where lower is better, the sign is turned first."
    facts = [Fact("Verdicts", text)]
    if subject.result.chosen_reason:
        chosen = words.label(subject.tuned.name, 30) if subject.tuned else ""
        facts.append(Fact("Chosen", f"{chosen}: {words.label(subject.result.chosen_reason, 300)}"))
    return facts


def _runs(result: ExperimentResult) -> Table:
    """Every checkpoint with its fingerprint and settings; settings that all share stand once in the head row."""
    names = list(dict.fromkeys(key for run in result.runs for key in run.settings))
    # signatures of benchmarks stand in the table of signatures; MMLU alone has 57
    general = {f"task {metric.task}" for each in result.comparisons for metric in each.benchmarks}
    names = [name for name in names if name not in general]
    head = ("Checkpoint", "Model", "Fingerprint", *(words.label(name, 30) for name in names))
    rows = tuple(
        (
            words.label(run.name, 40),
            redact(run.model),
            numbers.short_digest(run.fingerprint),
            *(words.label(run.settings.get(name, numbers.UNKNOWN), 80) for name in names),
        )
        for run in result.runs
    )
    return Table(head, rows)


def _signatures(subject: Subject) -> Table | None:
    rows = []
    shown = [subject.base] if subject.tuned is None else [subject.base, subject.tuned]
    for run in shown:
        for task, group in run.estimates.items():
            rows += [
                (
                    words.label(run.name, 30),
                    words.label(task, 30),
                    words.label(estimate.label, 400),
                    words.score_text(estimate),
                    words.score_range(estimate),
                    f"{numbers.count(estimate.scored)} of {numbers.count(estimate.n)}",
                    redact(estimate.signature),
                )
                for estimate in group.values()
            ]
    if not rows:
        return None
    return Table(("Checkpoint", "Task", "Metric", "Score", "Interval", "Scored", "Signature"), tuple(rows))

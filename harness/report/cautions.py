"""What a reader must know before relying on the verdict: what happened with its count, then what it means."""

from __future__ import annotations

from harness.records import Finish, MetricComparison, RunResult, Verdict
from harness.report import words
from harness.report.subject import Subject
from harness.stages.forgetting import is_paired
from harness.wording.numbers import count, plural


def cautions(subject: Subject) -> tuple[str, ...]:
    """Every warning once, the weightiest first."""
    found = [
        *_broken(subject),
        *_small(subject),
        *_home_made(subject),
        *(subject.comparison.warnings if subject.comparison else ()),
        *_undecided(subject),
    ]
    for run, who in _runs(subject):
        # A comparison words the failures of its own runs.
        found += [] if subject.comparison else _failed(run, who)
        found += [*_refused(run, who), *_unscored(run, who), *_cut_off(run, who), *_shortened(run, who)]
    found += _data(subject)
    return tuple(dict.fromkeys(found))


def _runs(subject: Subject) -> list[tuple[RunResult, str]]:
    if subject.tuned is None:
        return [(subject.base, words.label(subject.base.name))]
    return [(subject.base, "the base"), (subject.tuned, "the tuned checkpoint")]


def _broken(subject: Subject) -> list[str]:
    return [
        f"{words.label(run.name)} returned numbers that are not finite on {count(run.nonfinite)} of {_asked(run)}. "
        "Its scores say nothing about its answers."
        for run in subject.result.runs
        if run.nonfinite
    ]


def _home_made(subject: Subject) -> list[str]:
    """Said here only where there is no section on forgetting, which says it of each benchmark."""
    if "data, shipped" not in subject.base.settings or (subject.comparison and subject.comparison.forgetting):
        return []
    return [
        "Benchmarks were run on small home-made samples. Their scores are not comparable with published ones."
    ]


def _asked(run: RunResult) -> str:
    return plural(len(run.samples), "sample")


def _small(subject: Subject) -> list[str]:
    if not subject.pairs:
        return ["No sample was asked. There is nothing to rely on."]
    primary = subject.comparison.primary if subject.comparison else None
    asked = primary.n if primary else len(subject.pairs)
    if asked >= words.FEW:
        return []
    what = "was compared" if asked == 1 else "were compared"
    if primary is None:
        what = "was asked" if asked == 1 else "were asked"
    return [f"Only {plural(asked, 'sample')} {what}. Read the direction, not the size."]


def _undecided(subject: Subject) -> list[str]:
    """Metrics beside the primary one that more samples would decide, in one sentence."""
    comparison = subject.comparison
    if comparison is None:
        return []
    several = len(subject.tasks) > 1
    open_ = [
        metric
        for metric in comparison.metrics
        if metric.verdict is Verdict.NOT_DECIDED
        and not _same(metric, comparison.primary)
        and metric.needed is not None
    ]
    if not open_:
        return []
    names = words.listed([words.metric_name(metric, 2 if several else 1) for metric in open_])
    needed = words.listed([count(metric.needed or 0) for metric in open_])
    be = "is" if len(open_) == 1 else "are"
    more = "more sample" if len(open_) == 1 and open_[0].needed == 1 else "more samples"
    return [f"{names} {be} not decided: about {needed} {more} would decide."]


def _same(metric: MetricComparison, primary: MetricComparison | None) -> bool:
    return primary is not None and (metric.task, metric.measure) == (primary.task, primary.measure)


def _failed(run: RunResult, who: str) -> list[str]:
    failed = sum(1 for sample in run.samples if sample.failure is not None)
    if not failed:
        return []
    have, they = ("has", "It is") if failed == 1 else ("have", "They are")
    return [
        f"{count(failed)} of {_asked(run)} {have} no answer from {who}. {they} left out, not counted as wrong."
    ]


def _refused(run: RunResult, who: str) -> list[str]:
    refused = sum(1 for sample in run.samples if sample.finish is Finish.REFUSED)
    if not refused:
        return []
    return [f"{who[:1].upper()}{who[1:]} refused {count(refused)} of {_asked(run)}."]


def _unscored(run: RunResult, who: str) -> list[str]:
    """Answers that a measure could not score, one sentence for each distinct number of them."""
    gaps: dict[tuple[int, int], list[str]] = {}
    for task, estimates in run.estimates.items():
        asked = [sample for sample in run.samples if sample.task == task]
        for name, estimate in estimates.items():
            if not is_paired(estimate):
                continue  # one figure of the whole task: no sample has a score
            found = (sample.scores.get(name) for sample in asked if sample.failure is None)
            missing = sum(1 for score in found if score is not None and score.value is None)
            if missing:
                gaps.setdefault((missing, len(asked)), []).append(words.label(estimate.label))
    return [
        f"{count(missing)} of {plural(total, 'answer')} of {who} could not be scored by {words.listed(labels)}. "
        f"{'It is' if missing == 1 else 'They are'} left out, not counted as zero."
        for (missing, total), labels in gaps.items()
    ]


def _cut_off(run: RunResult, who: str) -> list[str]:
    written = [
        sample for sample in run.samples if not sample.loglikelihoods
    ]  # choices of a benchmark never stop
    cut = sum(1 for sample in written if sample.finish is Finish.LENGTH)
    if cut * 20 < len(written) or not cut:
        return []
    they = "It is" if cut == 1 else "They are"
    answers = plural(len(written), "answer")
    return [
        f"{count(cut)} of {answers} of {who} stopped at the token limit. {they} scored as far as written."
    ]


def _shortened(run: RunResult, who: str) -> list[str]:
    """Questions that the model could not read whole, answers that a categorizer could not look at."""
    found = []
    if cut := sum(1 for sample in run.samples if sample.cut):
        found.append(
            f"{count(cut)} of {plural(len(run.samples), 'prompt')} lost {'its' if cut == 1 else 'their'} beginning: "
            f"{who} takes no more tokens."
        )
    if failed := [sample for sample in run.samples if sample.uncategorized]:
        reason = words.label(failed[0].uncategorized[0], 120)
        found.append(
            f"{plural(len(failed), 'answer')} of {who} could not be searched for mistakes of every kind ({reason})."
        )
    return found


def _data(subject: Subject) -> list[str]:
    """The data card words its own warnings, leaks among them."""
    return list(subject.result.data.warnings) if subject.result.data is not None else []

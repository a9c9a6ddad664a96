"""General ability: every benchmark, tuned against base, and whether more was lost than is tolerated."""

from __future__ import annotations

from dataclasses import replace

from harness.records import Comparison, Forgetting, MetricComparison, SampleResult, Verdict
from harness.report import plots, words
from harness.report.figures import Table
from harness.report.metrics import change_plot, in_points
from harness.report.plots import Scale
from harness.report.subject import Subject
from harness.report.views import ForgettingRow, ForgettingView, Mark
from harness.stages.compare import keyed
from harness.wording import numbers
from harness.wording.headline import benchmark_name, forgotten
from harness.wording.numbers import change, count, in_words, plural

SHOWN = 20
"""Questions no longer answered right that are named."""


def forgetting_view(subject: Subject) -> ForgettingView | None:
    """Summarise the benchmarks of the verdict's comparison, or None where none was run beside a task."""
    comparison = subject.comparison
    if comparison is None or not comparison.forgetting:
        return None
    judged = comparison.forgetting
    lines = [-words.tolerance_line(each.metric) for each in judged]
    scale = plots.change_scale([in_points(each.metric) for each in judged], max(lines))
    turned = any(not each.metric.base.higher_is_better for each in judged)
    level = numbers.level(judged[0].metric.level)
    sides = ("← lower", "higher →") if turned else ("← worse", "better →")
    lost = _lost(subject, judged)
    return ForgettingView(
        finding=finding(comparison),
        lede=_lede(judged),
        level=level,
        axis=plots.change_axis(scale, f"change with {level} interval", sides),
        rows=tuple(_row(each, scale) for each in judged),
        note=_note(judged),
        lost=Table(
            ("Benchmark", "Sample", "Question", "Right answer", "Tuned's answer"), tuple(lost[:SHOWN])
        ),
        lost_note=f"The first {SHOWN} of {count(len(lost))}; samples.jsonl holds all."
        if len(lost) > SHOWN
        else "",
        checkpoints=_checkpoints(subject, judged),
        measures=_measures(comparison.benchmarks),
    )


def finding(comparison: Comparison) -> str:
    """Whether general ability held, fell, or cannot be told."""
    judged = comparison.forgetting
    allowed = words.points(words.tolerance_points(judged[0].metric))
    if comparison.verdict is Verdict.BROKEN:
        return "General ability cannot be judged: the numbers are not finite"
    total = "the only benchmark" if len(judged) == 1 else f"{in_words(len(judged))} benchmarks"
    if lost := forgotten(comparison):
        worst = lost[0].metric
        amount = words.points(abs(in_points(worst).value or 0.0))
        where = benchmark_name(worst)
        if len(lost) == 1:
            return f"General ability fell by {amount} on {where}; at most {allowed} were allowed"
        which = _every(len(lost)) if len(lost) == len(judged) else f"{in_words(len(lost))} of {total}"
        return f"General ability fell on {which}, most on {where}: {amount}"
    open_ = sum(each.held is None for each in judged)
    if not open_:
        return f"General ability held: no benchmark lost more than {allowed}"
    which = f"{in_words(open_)} of {total}"
    if open_ == len(judged):
        which = total if open_ == 1 else _every(open_)
    return f"It is not decided whether general ability held: {which} would need more samples"


def _every(number: int) -> str:
    return "both benchmarks" if number == 2 else f"all {in_words(number)} benchmarks"


def price(comparison: Comparison) -> str:
    """The same for the first screen, in a sentence; "" where no benchmark was run."""
    judged = comparison.forgetting
    if not judged or comparison.verdict is Verdict.BROKEN:
        return ""
    said = [
        f"{benchmark_name(e.metric)} {change(in_points(e.metric).value)} points"
        for e in forgotten(comparison)
    ]
    if said:
        return f"It forgets: {words.listed(said)}."
    held = sum(each.held is True for each in judged)
    if held == len(judged):
        return "General ability held."
    if not held:
        return "Whether general ability held is not decided: the benchmarks have too few samples."
    total = plural(len(judged), "benchmark")
    return f"General ability held on {in_words(held)} of {total}; the others have too few samples to tell."


def _lede(judged: tuple[Forgetting, ...]) -> str:
    metric = judged[0].metric
    line = change(-words.tolerance_points(metric))
    return (
        "These benchmarks ask for what the training data did not teach. A benchmark holds where the whole interval of "
        f"its change lies above {line} points (dotted)."
    )


def _row(each: Forgetting, scale: Scale) -> ForgettingRow:
    metric = each.metric
    points = in_points(metric)
    interval = numbers.change_range(points.low, points.high)
    name = words.label(metric.task)
    notes = [words.label(metric.label, 30)]
    if each.tasks > 1:
        notes.append(f"{count(each.tasks)} tasks")
    if each.home_made:
        notes.append("home-made")
    if not metric.base.higher_is_better:
        notes.append("lower is better")
    guessed = each.guessing
    return ForgettingRow(
        name=name,
        note=", ".join(notes),
        base=words.score(metric.base),
        tuned=words.score(metric.tuned),
        change=change(points.value),
        interval=interval,
        plot=change_plot(metric, name, scale, -words.tolerance_line(metric)),
        guessing=words.quantity(guessed, metric.base.scale, binary=True),
        n=count(metric.n),
        mark=_mark(each),
        few=metric.n < words.FEW,
    )


def _mark(each: Forgetting) -> Mark:
    metric = each.metric
    mark = words.mark(metric.verdict, within_tolerance=metric.within_tolerance)
    if each.held is False:
        return replace(mark, word="forgets")
    if metric.verdict is Verdict.WORSE and not each.held:
        return replace(mark, note="not shown by how much")
    if metric.verdict is Verdict.NOT_DECIDED and metric.needed is not None:
        return replace(mark, note=f"about {count(metric.needed)} more")
    return mark


def _note(judged: tuple[Forgetting, ...]) -> str:
    said = []
    home = [words.label(each.metric.task) for each in judged if each.home_made]
    if home:
        which = words.listed(home) if len(home) < len(judged) else "All rows"
        said.append(f"{which}: home-made samples, not comparable with published scores.")
    blind = [words.label(each.metric.task) for each in judged if _at_chance(each)]
    if blind:
        said.append(
            f"On {words.listed(blind)} the base did not score above guessing, so little could be lost there."
        )
    several = sum(each.metric.p_adjusted is not None for each in judged) > 1
    said.append("Intervals are paired and unadjusted" + ("; p values are Holm-adjusted." if several else "."))
    if any(each.metric.n < words.FEW for each in judged):
        said.append("Grey rows hold fewer than 30 samples: read the direction, not the size.")
    return " ".join(said)


def _at_chance(each: Forgetting) -> bool:
    low = each.metric.base.low
    return each.guessing is not None and low is not None and low <= each.guessing


def _lost(subject: Subject, judged: tuple[Forgetting, ...]) -> list[tuple[str, ...]]:
    """Questions that the base answered right and tuned does not, in the order of the benchmarks."""
    if subject.tuned is None:
        return []
    left, right = keyed(subject.base), keyed(subject.tuned)
    rows: list[tuple[str, ...]] = []
    for each in judged:
        if not each.metric.base.binary:
            continue
        for key, base in left.items():
            tuned = right.get(key)
            if tuned is not None and _belongs(base, each.metric.task) and _fell(base, tuned, each.metric):
                task = words.label(base.task, 40)
                told = (
                    words.label(base.input, 160),
                    words.label(base.target or "", 80),
                    _wrong(base, tuned, each.metric),
                )
                rows.append((task, words.label(base.sample_id, 20), *told))
    return rows


def _wrong(base: SampleResult, tuned: SampleResult, metric: MetricComparison) -> str:
    """What tuned answered: the likeliest choice, which need not be the one that a normalised measure takes."""
    if tuned.answer == base.target:
        return f"another one, by {words.label(metric.label, 30)}"
    return words.label(tuned.answer, 80)


def _belongs(sample: SampleResult, task: str) -> bool:
    return task in (sample.task, *sample.metadata.get("groups", "").split())


def _fell(base: SampleResult, tuned: SampleResult, metric: MetricComparison) -> bool:
    before, after = base.scores.get(metric.measure), tuned.scores.get(metric.measure)
    best = 1.0 if metric.base.higher_is_better else 0.0
    return before is not None and after is not None and before.value == best and after.value == 1.0 - best


def _checkpoints(subject: Subject, judged: tuple[Forgetting, ...]) -> Table | None:
    """The score of every checkpoint on every benchmark; None for a single tuned one."""
    runs = subject.result.runs
    if len(runs) < 3:
        return None
    head = ("Benchmark", *(words.label(run.name, 30) for run in runs))
    rows = []
    for each in judged:
        found = [run.estimates.get(each.metric.task, {}).get(each.metric.measure) for run in runs]
        written = (words.score_text(estimate) if estimate else numbers.UNKNOWN for estimate in found)
        rows.append((benchmark_name(each.metric), *written))
    return Table(head, tuple(rows))


def _measures(metrics: tuple[MetricComparison, ...]) -> Table:
    head = (
        "Benchmark",
        "Measure",
        "Base",
        "Tuned",
        "Change, points",
        "Interval",
        "Better",
        "Worse",
        "n",
        "p",
        "p, Holm",
    )
    rows = []
    for metric in metrics:
        points = in_points(metric)
        rows.append(
            (
                words.label(metric.task, 60),
                words.label(metric.label, 60),
                words.score_text(metric.base),
                words.score_text(metric.tuned),
                change(points.value),
                numbers.change_range(points.low, points.high),
                count(metric.wins),
                count(metric.losses),
                count(metric.n),
                numbers.p_value(metric.p),
                numbers.p_value(metric.p_adjusted),
            )
        )
    return Table(head, tuple(rows))

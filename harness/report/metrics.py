"""The metric table: every measure, tuned against base, or the scores of a single checkpoint."""

from __future__ import annotations

from harness.records import Comparison, Estimate, MetricComparison, RunResult
from harness.report import plots, words
from harness.report.figures import RowPlot, Table
from harness.report.plots import Interval, Scale
from harness.report.subject import Subject, leading
from harness.report.views import MetricGroup, MetricRow, MetricsView, ScoreGroup, ScoreRow
from harness.wording import numbers
from harness.wording.numbers import change, count

_INTERVAL_BY = {"t": "Student t", "wilson": "Wilson"}


def metrics_view(subject: Subject) -> MetricsView:
    """Summarise all measures of the verdict's comparison, or of the only run."""
    if subject.comparison is None:
        return _single(subject.base)
    return _compared(subject.comparison)


def in_points(metric: MetricComparison) -> Interval:
    """A change with its interval in points."""
    factor = metric.points
    return Interval(*(None if v is None else v * factor for v in (metric.delta, metric.low, metric.high)))


def change_plot(metric: MetricComparison, name: str, scale: Scale, tolerance: float | None = None) -> RowPlot:
    """A row's change with its interval, drawn and said."""
    points = in_points(metric)
    interval = numbers.change_range(points.low, points.high)
    said = "No interval."
    if points.low is not None:
        said = f"{numbers.level(metric.level)} interval {interval} points."
    return plots.row_plot(points, scale, f"{name}: change {change(points.value)} points", said, tolerance)


def _compared(comparison: Comparison) -> MetricsView:
    metrics = comparison.metrics
    scale = plots.change_scale([in_points(metric) for metric in metrics])
    turned = any(not metric.base.higher_is_better for metric in metrics)
    level = numbers.level(metrics[0].level) if metrics else "95%"
    sides = ("← lower", "higher →") if turned else ("← worse", "better →")
    tasks = list(dict.fromkeys(metric.task for metric in metrics))
    groups = tuple(
        MetricGroup(
            words.label(task) if len(tasks) > 1 else "",
            tuple(_row(metric, comparison, scale) for metric in metrics if metric.task == task),
        )
        for task in tasks
    )
    return MetricsView(
        finding=words.tally(metrics),
        level=level,
        axis=plots.change_axis(scale, f"change with {level} interval", sides) if metrics else None,
        groups=groups,
        scores=(),
        note=_note(metrics),
        tests=_tests(metrics) if metrics else None,
    )


def _note(metrics: tuple[MetricComparison, ...]) -> str:
    if not metrics:
        return "No measure has a score from both checkpoints. Samples says why for each one."
    said = ["One point is a hundredth of the metric's range. Intervals are paired and unadjusted"]
    several = len(metrics) > 1 and any(metric.p_adjusted is not None for metric in metrics)
    said[0] += (
        f"; p values are Holm-adjusted over the {numbers.in_words(len(metrics))} metrics." if several else "."
    )
    if any(metric.n < words.FEW for metric in metrics):
        said.append(
            "Grey rows with hollow markers hold fewer than 30 samples: read the direction, not the size."
        )
    if any(not metric.base.higher_is_better for metric in metrics):
        said.append("Where a row says so, lower is better.")
    return " ".join(said)


def _row(metric: MetricComparison, comparison: Comparison, scale: Scale) -> MetricRow:
    name = words.label(metric.label)
    primary = comparison.primary
    key = primary is not None and (metric.task, metric.measure) == (primary.task, primary.measure)
    points = in_points(metric)
    interval = numbers.change_range(points.low, points.high)
    notes = (["primary"] if key else []) + ([] if metric.base.higher_is_better else ["lower is better"])
    return MetricRow(
        name=name,
        note=", ".join(notes),
        base=words.score(metric.base),
        tuned=words.score(metric.tuned),
        change=change(points.value),
        interval=interval,
        plot=change_plot(metric, name, scale),
        p=numbers.p_value(metric.p if metric.p_adjusted is None else metric.p_adjusted),
        n=count(metric.n),
        mark=words.mark(metric.verdict, within_tolerance=metric.within_tolerance),
        key=key,
        few=metric.n < words.FEW,
    )


def _tests(metrics: tuple[MetricComparison, ...]) -> Table:
    head = ("Metric", "Paired test", "Better", "Worse", "Same", "p", "p, Holm", "Base scored", "Tuned scored")
    rows = tuple(
        (
            words.label(metric.label, 200),
            words.label(metric.test),
            count(metric.wins),
            count(metric.losses),
            count(metric.ties),
            numbers.p_value(metric.p),
            numbers.p_value(metric.p_adjusted),
            f"{count(metric.base.scored)} of {count(metric.base.n)}",
            f"{count(metric.tuned.scored)} of {count(metric.tuned.n)}",
        )
        for metric in metrics
    )
    return Table(head, rows)


def _single(run: RunResult) -> MetricsView:
    estimates = [e for group in run.estimates.values() for e in group.values()]
    scale, axis = plots.share_axis("score as a share of the metric's range")
    level = numbers.level(estimates[0].level) if estimates else "95%"
    groups = tuple(
        ScoreGroup(
            words.label(task) if len(run.estimates) > 1 else "",
            tuple(_score_row(estimate, scale) for estimate in group.values()),
        )
        for task, group in run.estimates.items()
        if group
    )
    lead = leading(run, None).values()
    first = next((e for e in (*lead, *estimates) if e.value is not None), None)
    finding = (
        f"{words.label(first.label)} is {words.score_text(first)} on {numbers.plural(first.scored, 'sample')}"
        if first
        else "No metric scored a sample"
    )
    note = "The plot shows each score as a share of its metric's range, in points." if estimates else ""
    return MetricsView(finding, level, axis if estimates else None, (), groups, note, None)


def _score_row(estimate: Estimate, scale: Scale) -> ScoreRow:
    name = words.label(estimate.label)
    low, high = estimate.scale
    share = [
        None if value is None else 100.0 * (value - low) / (high - low)
        for value in (estimate.value, estimate.low, estimate.high)
    ]
    written = words.score_text(estimate)
    interval = words.score_range(estimate)
    return ScoreRow(
        name=name,
        value=words.score(estimate),
        interval=interval,
        plot=plots.row_plot(Interval(*share), scale, f"{name}: {written}", f"Interval {interval}."),
        n=count(estimate.scored)
        if estimate.scored == estimate.n
        else f"{count(estimate.scored)} of {count(estimate.n)}",
        method=_INTERVAL_BY.get(estimate.method, words.label(estimate.method, 30)),
        few=estimate.scored < words.FEW,
    )

"""Every tuned checkpoint on the primary measure: how the score moved with training, and which one was chosen."""

from __future__ import annotations

from harness.records import Comparison, Estimate, MetricComparison, RunResult
from harness.report import plots, words
from harness.report.figures import CurvePoint, ScoreCurve, Table
from harness.report.metrics import in_points
from harness.report.plots import Interval, Scale
from harness.report.subject import Subject
from harness.report.views import CheckpointRow, CheckpointsView
from harness.wording import numbers
from harness.wording.numbers import change

_Line = tuple[RunResult, Comparison, MetricComparison]


def checkpoints_view(subject: Subject) -> CheckpointsView | None:
    """Summarise all checkpoints, or None where fewer than two tuned ones have a score to compare."""
    primary = subject.comparison.primary if subject.comparison else None
    if primary is None or subject.tuned is None:
        return None
    lines = _lines(subject, primary)
    if len(lines) < 2:
        return None
    scale = plots.change_scale([in_points(metric) for _, _, metric in lines])
    level = numbers.level(primary.level)
    losses = _validation(subject)
    return CheckpointsView(
        finding=_finding(lines, subject.tuned),
        lede=_lede(subject),
        level=level,
        label=words.metric_name(primary, len(subject.tasks)),
        base=words.score(primary.base),
        axis=plots.change_axis(
            scale,
            f"change with {level} interval",
            ("← worse", "better →") if primary.base.higher_is_better else ("← better", "worse →"),
        ),
        rows=tuple(_row(line, scale, losses, subject.tuned) for line in lines),
        curve=_curve(lines, primary, subject.tuned),
    )


def _lines(subject: Subject, primary: MetricComparison) -> list[_Line]:
    found: list[_Line] = []
    for run, comparison in zip(subject.result.runs[1:], subject.result.comparisons, strict=True):
        metric = next(
            (m for m in comparison.metrics if (m.task, m.measure) == (primary.task, primary.measure)), None
        )
        if metric is not None:
            found.append((run, comparison, metric))
    return found


def _validation(subject: Subject) -> dict[int, float]:
    points = subject.result.training.points if subject.result.training else ()
    return {point.step: point.validation_loss for point in points if point.validation_loss is not None}


def _finding(lines: list[_Line], chosen: RunResult) -> str:
    """Name the chosen checkpoint and how it stands among the others on the test set."""
    name = _called(chosen)
    scored = [(run, metric) for run, _, metric in lines if metric.delta is not None]
    mine = next((metric for run, metric in scored if run is chosen), None)
    if mine is None or mine.delta is None:
        return f"{_first_up(name)} was chosen; it has no score on the primary metric"
    turn = 1 if mine.base.higher_is_better else -1
    best_run, best = max(scored, key=lambda item: turn * (item[1].delta or 0.0))
    ahead = turn * ((best.delta or 0.0) - mine.delta) * mine.points
    total = numbers.in_words(len(lines))
    rivals = [metric for run, metric in scored if run is not chosen]
    if ahead <= 0 and any(metric.delta == mine.delta for metric in rivals):
        return f"{_first_up(name)} was chosen; none of {total} did better on the test set"
    if ahead <= 0:
        return f"{_first_up(name)} was chosen and did best of {total} on the test set"
    return f"{_first_up(name)} was chosen; {_called(best_run)} did better by {words.points(ahead)} on the test set"


def _called(run: RunResult) -> str:
    """A checkpoint in a sentence: by its step where it has one."""
    return f"step {numbers.count(run.step)}" if run.step is not None else words.label(run.name, 30)


def _first_up(text: str) -> str:
    return text[:1].upper() + text[1:]


def _lede(subject: Subject) -> str:
    reason = subject.result.chosen_reason.strip()
    name = _called(subject.tuned) if subject.tuned else ""
    if not reason:
        return f"The verdict speaks of {name}."
    return f"The verdict speaks of {name}. Chosen because: {words.label(reason, 300).rstrip('.')}."


def _row(line: _Line, scale: Scale, losses: dict[int, float], chosen: RunResult) -> CheckpointRow:
    run, comparison, metric = line
    points: Interval = in_points(metric)
    interval = numbers.change_range(points.low, points.high)
    name = words.label(run.name, 40)
    same = run is chosen
    return CheckpointRow(
        name=name,
        value=words.score(metric.tuned),
        change=change(points.value),
        interval=interval,
        plot=plots.row_plot(
            points, scale, f"{name}: change {change(points.value)} points", f"Interval {interval} points."
        ),
        loss=numbers.significant(losses.get(run.step)) if run.step is not None else numbers.UNKNOWN,
        mark=words.mark(comparison.verdict, within_tolerance=metric.within_tolerance),
        chosen=same,
        few=metric.n < words.FEW,
    )


def _curve(lines: list[_Line], primary: MetricComparison, chosen: RunResult) -> ScoreCurve | None:
    """The score over steps; None where a step is unknown or nothing was scored."""
    stepped = [
        (run.step, metric.tuned, "chosen" if run is chosen else "tuned")
        for run, _, metric in lines
        if run.step is not None and metric.tuned.value is not None
    ]
    if len(stepped) < 2 or primary.base.value is None:
        return None
    all_points = [(0, primary.base, "base"), *sorted(stepped, key=lambda item: item[0])]
    points = tuple(point for item in all_points if (point := _point(*item)) is not None)
    low, high = primary.base.scale
    label = words.label(primary.label, 40)
    level = numbers.level(primary.level)
    return ScoreCurve(
        scale=primary.base.scale,
        caption=f"{label} by checkpoint",
        unit=f"score from {low:g} to {high:g}, {level} intervals, n = {numbers.count(primary.n)}",
        title=f"{label} at each saved checkpoint",
        desc="; ".join(
            f"{'base' if point.kind == 'base' else f'step {point.step}'} {point.text}" for point in points
        )
        + ".",
        points=points,
        table=Table(
            ("Step", label, f"{level} interval"),
            tuple(
                (numbers.count(step), words.score_text(estimate), words.score_range(estimate))
                for step, estimate, _ in all_points
            ),
        ),
    )


def _point(step: int, estimate: Estimate, kind: str) -> CurvePoint | None:
    if estimate.value is None:
        return None
    return CurvePoint(step, estimate.value, estimate.low, estimate.high, words.score_text(estimate), kind)

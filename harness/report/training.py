"""The training that made the checkpoints: did it behave, what did it cost, how was it set."""

from __future__ import annotations

import math
from collections.abc import Sequence

from harness.records import ExperimentResult, Training, TrainingPoint
from harness.report import words
from harness.report.figures import Line, LossChart, Table
from harness.report.subject import Subject
from harness.report.views import Fact, TrainingView
from harness.wording import numbers
from harness.wording.numbers import count, significant
from harness.wording.text import redact

Series = tuple[tuple[int, float], ...]
"""(step, value), by step, finite."""

CLOCK = "seconds"
"""The figure under `timing` that holds the seconds spent in optimiser steps."""
_MOST_POINTS = 1000
_SMOOTH_FROM = 20


def training_seconds(training: Training) -> float | None:
    """Seconds of training, None where they were not recorded."""
    return training.timing.get(CLOCK)


def _series(points: Sequence[TrainingPoint], name: str) -> Series:
    found = ((point.step, getattr(point, name)) for point in points)
    return tuple((step, value) for step, value in found if value is not None and math.isfinite(value))


def validation(training: Training) -> Series:
    """Validation loss by step."""
    return _series(training.points, "validation_loss")


def falling(losses: Series) -> bool:
    """Whether the last loss is at least 1 % below the one before and the lowest of all."""
    if len(losses) < 2:
        return False
    last = losses[-1][1]
    return last < 0.99 * losses[-2][1] and last <= min(value for _, value in losses)


def training_view(subject: Subject) -> TrainingView | None:
    """Summarise the training, or None where there was none."""
    training = subject.result.training
    if training is None:
        return None
    return TrainingView(
        finding=_finding(training),
        lede=_lede(training),
        loss=_loss(training, subject.result),
        lines=_lines(training),
        table=_table(training),
        price=_price(training),
        settings=tuple(Fact(words.label(k, 40), redact(v)) for k, v in training.settings.items()),
    )


def _first_bad(training: Training) -> int | None:
    """The first step whose loss is not finite."""
    for point in training.points:
        for value in (point.loss, point.validation_loss):
            if value is not None and not math.isfinite(value):
                return point.step
    return None


def _finding(training: Training) -> str:
    broken = _first_bad(training)
    if broken is not None:
        return f"Training broke: the loss is not finite from step {count(broken)} on"
    losses = validation(training)
    if len(losses) > 1:
        (_, first), (_, last) = losses[0], losses[-1]
        best_step, best = min(losses, key=lambda item: item[1])
        if best < last:
            return (
                f"Validation loss was lowest at step {count(best_step)} ({significant(best)}) "
                f"and rose to {significant(last)}"
            )
        still = " and was still falling at the end" if falling(losses) else ""
        return f"Validation loss fell from {significant(first)} to {significant(last)}{still}"
    train = _series(training.points, "loss")
    if len(train) > 1:
        verb = "fell" if train[-1][1] < train[0][1] else "rose"
        return f"Training loss {verb} from {significant(train[0][1])} to {significant(train[-1][1])}"
    return f"Training ran for {numbers.plural(training.steps, 'step')}; no loss curve was logged"


def _lede(training: Training) -> str:
    saved = len(training.checkpoints)
    return (
        f"{numbers.plural(training.steps, 'step')}, {training.epochs:.3g} "
        f"{'epoch' if training.epochs == 1 else 'epochs'}, {numbers.plural(saved, 'checkpoint')} saved."
    )


def smooth(raw: Series) -> Series:
    """Centred moving average, narrower towards the ends so that it lags nowhere; empty for short curves."""
    if len(raw) < _SMOOTH_FROM:
        return ()
    reach = max(2, len(raw) // 25)
    found = []
    for index, (step, _) in enumerate(raw):
        side = min(reach, index, len(raw) - 1 - index)
        around = raw[index - side : index + side + 1]
        found.append((step, math.fsum(value for _, value in around) / len(around)))
    return tuple(found)


def thin(raw: Series) -> Series:
    """At most about a thousand points: the smallest and the largest value of each stretch stay."""
    if len(raw) <= _MOST_POINTS:
        return raw
    width = math.ceil(len(raw) / (_MOST_POINTS // 2))
    kept: list[tuple[int, float]] = []
    for start in range(0, len(raw), width):
        part = raw[start : start + width]
        ends = {min(part, key=lambda item: item[1]), max(part, key=lambda item: item[1])}
        kept += sorted(ends)
    return tuple(kept)


def _loss(training: Training, result: ExperimentResult) -> LossChart | None:
    raw, check = _series(training.points, "loss"), validation(training)
    if len(raw) < 2 and len(check) < 2:
        return None
    chosen = result.runs[result.chosen].step if result.chosen else None
    averaged = smooth(raw)
    said = [
        f"{name} loss from {significant(line[0][1])} to {significant(line[-1][1])}"
        for name, line in (("Training", raw), ("validation", check))
        if line
    ]
    saved = tuple(step for step, _ in training.checkpoints)
    return LossChart(
        title="Training and validation loss by step" if check else "Training loss by step",
        desc=f"{', '.join(said)} nats a token; checkpoints saved at {words.listed([count(s) for s in saved]) or 'no'}"
        f" {'step' if len(saved) == 1 else 'steps'}.",
        raw=thin(raw),
        smooth=thin(averaged),
        validation=check,
        saved=saved,
        chosen=chosen,
        unit="nats a token" + ("; thin line: raw training loss" if averaged else ""),
    )


def _lines(training: Training) -> tuple[Line, ...]:
    found = []
    for name, caption in (("learning_rate", "Learning rate"), ("gradient_norm", "Gradient norm")):
        series = _series(training.points, name)
        if len(series) < 2:
            continue
        values = [value for _, value in series]
        desc = f"From {_small(values[0])} to {_small(values[-1])}, at most {_small(max(values))}."
        power = math.floor(math.log10(max(values))) if max(values) > 0 else 0
        small = power < -2
        factor = 10.0**power if small else 1.0
        before = "before clipping" if name == "gradient_norm" else ""
        unit = f"× 10{_superscript(power)}" if small else before
        drawn = thin(tuple((step, value / factor) for step, value in series))
        found.append(Line(caption, unit, f"{caption} by step", desc, drawn))
    return tuple(found)


def _small(value: float) -> str:
    if value == 0 or abs(value) >= 0.01:
        return significant(value)
    power = math.floor(math.log10(abs(value)))
    return f"{significant(value / 10.0**power, 2)} × 10{_superscript(power)}"


def _superscript(power: int) -> str:
    return str(power).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def _table(training: Training) -> Table | None:
    """Losses at the steps that have a validation loss or a checkpoint; all logged steps where there are none."""
    saved = {step for step, _ in training.checkpoints}
    rows = [p for p in training.points if p.step in saved or p.validation_loss is not None]
    rows = rows or list(training.points)[:: max(1, len(training.points) // 20)]
    if not rows:
        return None
    near = {point.step: _nearest_loss(training.points, point.step) for point in rows}
    merged: dict[int, tuple[str, ...]] = {}
    for point in rows:
        old = merged.get(point.step)
        loss = significant(near[point.step])
        check = significant(point.validation_loss) if point.validation_loss is not None or not old else old[3]
        merged[point.step] = (
            count(point.step),
            f"{point.epoch:.2f}",
            loss,
            check,
            "yes" if point.step in saved else "",
        )
    return Table(
        ("Step", "Epoch", "Training loss, nats", "Validation loss, nats", "Saved"), tuple(merged.values())
    )


def _nearest_loss(points: Sequence[TrainingPoint], step: int) -> float | None:
    """The training loss logged at a step, or last before it."""
    before = [point.loss for point in points if point.step <= step and point.loss is not None]
    return before[-1] if before else None


def _price(training: Training) -> tuple[Fact, ...]:
    seconds = training_seconds(training)
    share = training.trainable_parameters / max(1, training.total_parameters)
    facts = [Fact("Method", words.method(training.method))]
    if seconds:
        facts.append(Fact("Time", numbers.duration(seconds)))
        if training.tokens:
            facts.append(Fact("Speed", f"{significant(training.tokens / seconds, 1)} tokens a second"))
    facts += [
        Fact("Tokens", f"{count(training.tokens)} without padding"),
        Fact(
            "Trained weights",
            f"{numbers.size(training.trainable_parameters, '')} of {numbers.size(training.total_parameters, '')} "
            f"({numbers.percent(share)}%)",
        ),
        Fact("Saved weights", f"{numbers.size(training.adapter_bytes)} a checkpoint"),
    ]
    return tuple(facts)

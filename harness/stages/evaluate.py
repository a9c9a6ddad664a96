"""Evaluate one checkpoint on tasks: answers from the store or the model, scores, categories, estimates."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from harness.categorizers.runner import categorize
from harness.exceptions import InputError
from harness.metrics.aggregate import estimate
from harness.metrics.runner import score_samples
from harness.models.base import Model
from harness.models.digest import digest
from harness.progress import Progress, silent
from harness.records import (
    Environment,
    Estimate,
    Finish,
    Generation,
    RunResult,
    SampleResult,
    Score,
    prompt_hash,
)
from harness.records.samples import prompt_json
from harness.store.base import Storage, Table
from harness.store.cached import answer
from harness.tasks import Task

LEVEL = 0.95


@dataclass(frozen=True)
class RunLabel:
    """How a run is named: "base", "step-50", and the training step it belongs to."""

    name: str
    step: int | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    environment: Environment | None = None


@dataclass(frozen=True)
class _TaskResult:
    samples: tuple[SampleResult, ...]
    estimates: Mapping[str, Estimate]
    model_seconds: float
    tokens: int


def evaluate(
    model: Model,
    tasks: Sequence[Task],
    store: Storage,
    label: RunLabel,
    progress: Progress = silent,
    level: float = LEVEL,
) -> RunResult:
    """Run every task on one checkpoint. With everything stored no weights are loaded."""
    check_names(tasks)
    started = time.perf_counter()
    results = {task.name: _run_task(model, task, store, progress, level) for task in tasks}
    samples = tuple(sample for result in results.values() for sample in result.samples)
    model_seconds = sum(result.model_seconds for result in results.values())
    tokens = sum(result.tokens for result in results.values())
    timing = {"model_seconds": model_seconds, "seconds": time.perf_counter() - started}
    if model_seconds:
        timing["tokens_per_second"] = tokens / model_seconds
    return RunResult(
        name=label.name,
        model=model.name,
        fingerprint=model.fingerprint,
        step=label.step,
        settings={**label.settings, **_settings(model, tasks)},
        estimates={name: result.estimates for name, result in results.items()},
        samples=samples,
        nonfinite=sum(sample.finish is Finish.NONFINITE for sample in samples),
        timing=timing,
        environment=label.environment,
    )


def check_names(tasks: Sequence[Task]) -> None:
    """Refuse two tasks of one name: the second one's numbers would replace the first one's."""
    for name, times in Counter(task.name for task in tasks).items():
        if times > 1:
            raise InputError(
                f"{times} tasks have the name {name!r}; give them names of their own with `name:`."
            )


def _run_task(model: Model, task: Task, store: Storage, progress: Progress, level: float) -> _TaskResult:
    prompts = task.prompts()
    answered = answer(model, prompts, task.asked, store, progress)
    generations = answered.generations
    answers = [generation.text.strip() for generation in generations]
    scores = score_samples(task.metrics, answers, task.samples, [_no_answer(g) for g in generations])
    found = categorize(task.categorizers, generations, answers, task.samples)
    samples = tuple(
        SampleResult(
            task=task.name,
            sample_id=sample.id,
            prompt=prompt,
            prompt_hash=prompt_hash(prompt),
            input=sample.input,
            target=sample.target,
            generation=generation.text,
            answer=text,
            tokens=generation.tokens,
            finish=generation.finish,
            failure=generation.failure,
            scores=row,
            categories=categories,
            metadata=sample.metadata,
            cut=generation.cut,
            uncategorized=tuple(reason for ident, reason in found.failures if ident == sample.id),
        )
        for sample, prompt, generation, text, row, categories in zip(
            task.samples, prompts, generations, answers, scores, found.categories, strict=True
        )
    )
    seconds = _measured_seconds(model, task, store, answered.computed, answered.model_seconds)
    estimates = _estimates(task, scores, level)
    return _TaskResult(samples, estimates, seconds, sum(generation.tokens for generation in generations))


def _no_answer(generation: Generation) -> str | None:
    """Why there is nothing to score, or None."""
    if generation.finish in {Finish.FAILED, Finish.NONFINITE}:
        return generation.failure or "the model gave no answer"
    return None


def _estimates(task: Task, scores: Sequence[Mapping[str, Score]], level: float) -> dict[str, Estimate]:
    found = {}
    for metric in task.metrics:
        for measure in metric.measures:
            rows = [row[measure.name] for row in scores]
            signature = f"{metric.signature}|{task.signature}"
            found[measure.name] = estimate(measure, rows, signature, level)
    return found


def _measured_seconds(model: Model, task: Task, store: Storage, computed: int, seconds: float) -> float:
    """Time inside the model for the whole task; taken from the first complete run where all was stored since."""
    asked = [prompt_json(prompt) for prompt in task.prompts()]
    key = digest(["seconds", model.fingerprint, task.signature, asked])
    if computed == len(set(asked)):
        store.put_many(Table.RUNS, {key: {"model_seconds": seconds}})
        return seconds
    stored = store.get_many(Table.RUNS, [key])
    return float(stored[key]["model_seconds"]) if key in stored and not computed else seconds


def _settings(model: Model, tasks: Sequence[Task]) -> dict[str, str]:
    """What a reader needs to repeat the run."""
    settings = {f"task {task.name}": task.signature for task in tasks}
    for task in tasks:
        for reason, rows in task.skipped.items():
            settings[f"task {task.name}, skipped, {reason}"] = f"{rows:,} rows"
    dtype = getattr(model, "dtype", None)
    if isinstance(dtype, str):
        settings["dtype"] = dtype
    return settings

"""Benchmarks: lm-eval's tasks, prompts, metrics and groups, on a model of the harness. Imports lm_eval."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Protocol

from harness.benchmarks.adaptive import language_model
from harness.benchmarks.answers import Outcome, ask, record, request_count
from harness.benchmarks.cuts import tokens_cut
from harness.benchmarks.lm import HarnessLM
from harness.benchmarks.measures import TaskScores, group_estimates, score_task
from harness.benchmarks.requests import Planned, plan
from harness.benchmarks.rng import seeded
from harness.benchmarks.settings import SHIPPED, BenchSettings
from harness.benchmarks.suites import choose
from harness.benchmarks.tasks import Leaf, Loaded, load_tasks, quiet
from harness.benchmarks.templates import compiled_once
from harness.exceptions import InputError
from harness.models.base import Model
from harness.models.digest import digest
from harness.progress import Progress, silent
from harness.records import Environment, Estimate, RunResult, SampleResult
from harness.store.base import Storage

_STAGE = "Benchmarks"


class Label(Protocol):
    """How a run is named; `harness.stages.evaluate.RunLabel` is one."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def step(self) -> int | None: ...  # noqa: D102
    @property
    def settings(self) -> Mapping[str, str]: ...  # noqa: D102
    @property
    def environment(self) -> Environment | None: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class _Planned:
    leaf: Leaf
    samples: tuple[Planned, ...]
    signature: str


@dataclass(frozen=True, slots=True)
class _Scored:
    scores: TaskScores
    samples: tuple[SampleResult, ...]
    outcomes: tuple[Outcome, ...]


def bench(
    model: Model,
    selection: Sequence[str],
    store: Storage,
    settings: BenchSettings,
    label: Label,
    progress: Progress = silent,
) -> RunResult:
    """Run tasks, groups and suites by lm-eval's names; with everything stored the model is not asked.

    All prompts are made before the model runs, so that what is wrong with a task or its data is said first
    (InputError). A sample that cannot be asked or scored is a failed record, left out of the estimates. The
    random generators of the process are as they were afterwards.
    """
    started = time.perf_counter()
    chosen = choose(selection, settings)
    lm = language_model(model, store, settings.precision)
    with seeded(), quiet(), compiled_once():
        template = lm.apply_chat_template if settings.apply_chat_template else None
        if template is not None:
            template([{"role": "user", "content": "?"}])  # one without a template is said now
        loaded = load_tasks(chosen, settings)
        planned = [_plan(leaf, settings, template) for leaf in loaded.leaves]
        prepared = time.perf_counter() - started
        timing: dict[str, float] = {}
        scored: dict[str, _Scored] = {}
        counts = [request_count(each.samples) for each in planned]
        for place, each in enumerate(planned):
            before = lm.model_seconds
            lm.progress = _shifted(progress, sum(counts[:place]), sum(counts), each.leaf.name)
            scored[each.leaf.name] = _run(lm, each, loaded)
            timing[f"model_seconds {each.leaf.name}"] = lm.model_seconds - before
    samples = tuple(sample for each in scored.values() for sample in each.samples)
    timing |= {
        "model_seconds": lm.model_seconds,
        "preparing_seconds": prepared,
        "seconds": time.perf_counter() - started,
    }
    return RunResult(
        name=label.name,
        model=model.name,
        fingerprint=lm.fingerprint,
        step=label.step,
        settings={
            **label.settings,
            **_settings(lm, settings, planned, scored),
            **_notes(loaded, settings),
        },
        estimates=_estimates(loaded, planned, scored),
        samples=samples,
        nonfinite=sum(outcome.nonfinite for each in scored.values() for outcome in each.outcomes),
        timing=timing,
        environment=label.environment,
    )


def _shifted(progress: Progress, before: int, everything: int, name: str) -> Progress:
    """One bar for all tasks: a task's own progress, moved by what the tasks before it hold."""

    def show(stage: str, done: int, total: int, note: str = "") -> None:  # noqa: ARG001 - the contract's names
        progress(_STAGE, before + done, everything, name)

    return show


def _plan(leaf: Leaf, settings: BenchSettings, template: Any) -> _Planned:
    samples = tuple(plan(leaf, settings, template))
    usable = [sample for sample in samples if sample.failure is None]
    if not usable:
        raise InputError(f"No sample of {leaf.name!r} can be asked: {samples[0].failure}.")
    return _Planned(leaf, samples, _signature(leaf, samples, settings))


def _run(lm: HarnessLM, planned: _Planned, loaded: Loaded) -> _Scored:
    leaf = planned.leaf
    outcomes = tuple(ask(lm, leaf.task, planned.samples))
    scores = score_task(leaf.task, [outcome.row for outcome in outcomes], planned.signature)
    groups = " ".join(
        group.name
        for group in loaded.groups
        if leaf.name in {task.task_name for task in group.get_all_tasks()}
    )
    cuts = tokens_cut(lm.model, planned.samples)
    samples = []
    for outcome, row, cut in zip(outcomes, scores.rows, cuts, strict=True):
        metadata = {"groups": groups} if groups else {}
        if outcome.sample.leaked:
            metadata["few-shots"] = "hold this sample's own question"
        samples.append(record(leaf.name, leaf.task, outcome, row, metadata, cut))
    return _Scored(scores, tuple(samples), outcomes)


def _signature(leaf: Leaf, samples: Sequence[Planned], settings: BenchSettings) -> str:
    """All that changes the task's numbers, but the model."""
    task = leaf.task
    shots = int(task.get_config("num_fewshot") or 0)
    docs: list[Any] = [sample.doc for sample in samples]
    if shots and hasattr(task, "sampler"):
        docs += list(task.sampler.fewshot_docs())
    total = len(task.eval_docs)
    which = "all" if len(samples) == total else f"first {len(samples)} of {total}"
    if len(samples) < total and settings.sample_seed is not None:
        which = f"random {len(samples)} of {total}, seed {settings.sample_seed}"
    chat = "no"
    if settings.apply_chat_template:
        chat = "multi-turn" if settings.fewshot_as_multiturn else "one turn"
    system = settings.system_instruction
    return "|".join(
        [
            f"task:{leaf.name}",
            f"lm-eval:{version('lm_eval')}",
            f"version:{task.VERSION}",
            f"shots:{shots}" + (f",seed {settings.fewshot_seed}" if shots else ""),
            f"chat:{chat}",
            f"system:{digest(system)[:12] if system else 'no'}",
            f"samples:{which}",
            f"data:{settings.source if leaf.local else 'hub'},{_data_digest(docs)}",
        ]
    )


def _data_digest(docs: Sequence[Any]) -> str:
    import hashlib
    import json

    text = json.dumps(docs, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _estimates(
    loaded: Loaded, planned: Sequence[_Planned], scored: Mapping[str, _Scored]
) -> dict[str, Mapping[str, Estimate]]:
    found: dict[str, Mapping[str, Estimate]] = {name: each.scores.estimates for name, each in scored.items()}
    tasks = {name: each.scores for name, each in scored.items()}
    signatures = {each.leaf.name: each.signature for each in planned}
    for group in loaded.groups:
        own = group_estimates(group, tasks, signatures)
        if own:
            found[group.name] = own
    return found


def _settings(
    lm: HarnessLM, settings: BenchSettings, planned: Sequence[_Planned], scored: Mapping[str, _Scored]
) -> dict[str, str]:
    """What a reader needs to repeat the run, and what to know of it."""
    found = {f"task {each.leaf.name}": each.signature for each in planned}
    if lm.dtype is not None:
        found["dtype"] = lm.dtype
    if settings.system_instruction:
        found["system instruction"] = settings.system_instruction
    for name, each in scored.items():
        total = f"of {len(each.samples):,} samples"
        if name in lm.cautions:
            found[f"task {name}, precision"] = lm.cautions[name]
        leaked = sum(outcome.sample.leaked for outcome in each.outcomes)
        cut = sum(sample.cut > 0 for sample in each.samples)
        failed = [sample for sample in each.samples if sample.failure is not None]
        if leaked:
            found[f"task {name}, few-shots that hold the sample's own question"] = f"{leaked:,} {total}"
        if cut:
            found[f"task {name}, prompts cut at their beginning"] = f"{cut:,} {total}"
        if failed:
            first = f"first: sample {failed[0].sample_id}, {failed[0].failure}"
            found[f"task {name}, failed"] = f"{len(failed):,} {total} ({first})"
    return found


def _notes(loaded: Loaded, settings: BenchSettings) -> dict[str, str]:
    notes = {f"group {name}": note for name, note in loaded.notes.items()}
    if settings.source == SHIPPED and any(leaf.local for leaf in loaded.leaves):
        notes["data, shipped"] = (
            "small home-made samples, whose scores are not comparable with published ones"
        )
    return notes

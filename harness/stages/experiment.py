"""The pipeline: prepare, tune, evaluate base and every saved checkpoint, compare, store.

Each step reads what the one before it stored and is skipped where its result is already there, so the same
command after a kill goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.checkpoints.aliases import alias_names
from harness.checkpoints.open import open_model
from harness.data.prepared import Prepared
from harness.data.settings import DataSettings
from harness.data.templates import get_template
from harness.exceptions import InputError
from harness.metrics import create_metrics
from harness.models.base import Model
from harness.models.digest import digest
from harness.models.hf import HfModel
from harness.progress import Progress, silent
from harness.records import Comparison, ExperimentResult, RunResult, Training
from harness.stages.benchmarks import Entry, check, entry_of, is_entry, with_benchmarks
from harness.stages.compare import check_primary, compare
from harness.stages.environment import environment
from harness.stages.evaluate import RunLabel, check_names, evaluate
from harness.stages.heldout import changed, experiment_keys, held_out, held_out_file, measure_names, remember
from harness.stages.layout import CHECKPOINTS, DATA, EVALUATIONS, check_folder
from harness.stages.preparation import check_data, measure_once, prepare_once
from harness.stages.resultfile import write_experiment
from harness.stages.runfiles import write_run
from harness.stages.settings import ExperimentSettings, Spec, check_lengths, is_held_out
from harness.store.base import Storage
from harness.tasks import HELD_OUT, Task, load_task
from harness.tuning import TuneSettings, check_model_folder, finetune


@dataclass(frozen=True)
class Workplace:
    """Where an experiment works: its folder, the store, and who is told how far it is."""

    folder: Path
    store: Storage
    progress: Progress = silent


def run_experiment(settings: ExperimentSettings, place: Workplace) -> ExperimentResult:
    """Do all of an experiment and write it into `place.folder`; the report is drawn by the caller."""
    check_folder(place.folder)
    entries = [entry_of(spec, f"tasks.{n}") for n, spec in enumerate(settings.tasks) if is_entry(spec)]
    others = _other_tasks(settings, entries)
    prepared = training = None
    if settings.data is not None:
        check_data(settings.data)
    opened = None if settings.model in alias_names() else _open(settings, place.progress)
    if settings.data is not None:
        prepared = prepare_once(settings.data, place.folder / DATA, place.progress)
    # An alias may have to be fetched, which is only worth while with data that can be used.
    base = opened or _open(settings, place.progress)
    tuner = base if isinstance(base, HfModel) else None
    if settings.data is not None and tuner is not None:
        prepared = measure_once(settings.data, tuner, place.folder / DATA, place.progress)
    tasks = _tasks(settings, prepared, others, place.folder / DATA)
    if settings.tune is not None and prepared is not None and tuner is not None and settings.data is not None:
        training = tune(tuner, prepared, settings.data, settings.tune, place)
    asked = _Asked(tasks, entries)
    made = environment(_seeds(settings, entries), tuner.resolved[1] if tuner else "remote")
    runs = [_evaluate(base, asked, RunLabel("base", environment=made), place)]
    for step, folder in training.checkpoints if training else ():
        model = checkpoint_model(base, Path(folder), f"{base.name} step {step}")
        runs.append(_evaluate(model, asked, RunLabel(f"step-{step}", step, environment=made), place))
    measures = [measure for task in tasks for metric in task.metrics for measure in metric.measures]
    comparisons = tuple(compare(runs[0], run, settings.compare, measures) for run in runs[1:])
    chosen, reason = choose(runs, training)
    result = ExperimentResult(
        name=settings.name,
        runs=tuple(runs),
        comparisons=comparisons,
        chosen=chosen,
        chosen_reason=reason,
        environment=made,
        data=prepared.card if prepared else None,
        training=training,
        digests=_digests(base, comparisons, prepared),
    )
    write_experiment(result, place.folder)
    return result


def _open(settings: ExperimentSettings, progress: Progress) -> Model:
    how = settings.evaluate
    model = open_model(settings.model, how.model_settings(), allow_pickle=how.allow_pickle, progress=progress)
    if settings.tune is not None:
        trainable(model)
    return model


def trainable(model: Model) -> HfModel:
    """The model, if it can be fine-tuned: weights on disk that are no adapter."""
    if not isinstance(model, HfModel):
        raise InputError(f"The model {model.name!r} cannot be fine-tuned: only weights on disk can.")
    if model.adapter is not None:
        raise InputError(f"The model {model.name!r} is an adapter; fine-tune its base instead.")
    if model.settings.trust_remote_code:
        raise InputError(
            "trust_remote_code cannot be used with `tune:`: training runs no code of a checkpoint."
        )
    check_model_folder(model.folder)
    return model


def tune(
    base: HfModel, prepared: Prepared, data: DataSettings, settings: TuneSettings, place: Workplace
) -> Training:
    """Fine-tune on the prepared training rows; the length limit is that of the data settings."""
    check_lengths(data, settings)
    base.pool.release()
    where = settings.device if settings.device != "auto" else base.settings.device
    limits = {"max_length": data.max_length, "truncation_side": data.truncation_side, "device": where}
    return finetune(
        base.folder,
        prepared.train,
        prepared.validation,
        get_template(data.template),
        replace(settings, **limits),  # type: ignore[arg-type]
        place.folder / CHECKPOINTS,
        place.progress,
    )


def checkpoint_model(base: Model, folder: Path, name: str) -> HfModel:
    """The model of a saved checkpoint: an adapter on the loaded base, or weights of its own."""
    if not isinstance(base, HfModel):
        raise InputError(f"The model {base.name!r} has no checkpoints.")
    if (folder / "adapter_config.json").is_file():
        return base.with_adapter(folder, name)
    return replace(base, name=name, folder=folder, adapter=None)


@dataclass(frozen=True)
class _Asked:
    """What every checkpoint is asked: tasks of ours, and benchmarks."""

    tasks: Sequence[Task]
    entries: Sequence[Entry]


def _evaluate(model: Model, asked: _Asked, label: RunLabel, place: Workplace) -> RunResult:
    def told(stage: str, done: int, total: int, note: str = "") -> None:
        place.progress(f"{stage.lower()}, {label.name}", done, total, note)

    run = evaluate(model, asked.tasks, place.store, label, told)
    run = with_benchmarks(run, model, asked.entries, place.store, told)
    write_run(run, place.folder / EVALUATIONS / label.name)
    return run


def _other_tasks(settings: ExperimentSettings, entries: Sequence[Entry]) -> list[Task]:
    """Load all tasks but held_out, check the benchmarks, and refuse a primary measure that nothing scores."""
    others = [load_task(spec) for spec in settings.tasks if not is_held_out(spec) and not is_entry(spec)]
    check_names(others)
    measures = {task.name: measure_names(task.metrics) for task in others}
    general = check(entries, measures)
    for spec in settings.tasks:
        if is_held_out(spec):
            measures[HELD_OUT] = measure_names(
                create_metrics(held_out_file(_own_keys(settings, spec)).metrics)
            )
    check_primary(settings.compare.primary, {**measures, **general})
    return others


def _own_keys(settings: ExperimentSettings, spec: Spec) -> dict[str, Any]:
    """Keys of held_out: the experiment's, changed by those that stand beside its name."""
    changes = {} if isinstance(spec, str) else {key: spec[key] for key in spec if key != "task"}
    return changed(experiment_keys(settings), changes)


def _tasks(
    settings: ExperimentSettings, prepared: Prepared | None, others: Sequence[Task], folder: Path
) -> list[Task]:
    """All tasks in the order of the experiment file; the keys of held_out are left beside its data in `folder`."""
    waiting = list(others)
    tasks = []
    for spec in settings.tasks:
        if is_held_out(spec) and prepared is not None:
            keys = _own_keys(settings, spec)
            remember(keys, folder)
            tasks.append(held_out(prepared, keys))
        elif not is_entry(spec):
            tasks.append(waiting.pop(0))
    return tasks


def choose(runs: Sequence[RunResult], training: Training | None) -> tuple[int | None, str]:
    """Which checkpoint the verdict speaks of, decided on the validation split and never on the test split."""
    if len(runs) < 2:
        return None, "there is one checkpoint only"
    losses = (
        {p.step: p.validation_loss for p in training.points if p.validation_loss is not None}
        if training
        else {}
    )
    known = [(losses[run.step], index) for index, run in enumerate(runs) if run.step in losses]
    if len(known) == len(runs) - 1:
        loss, index = min(known)
        return index, f"lowest validation loss, {loss:.3f}, of {len(known)} saved"
    return len(runs) - 1, "the last one saved; there is no validation loss to choose by"


def _seeds(settings: ExperimentSettings, entries: Sequence[Entry]) -> dict[str, int]:
    seeds = {"decoding": settings.evaluate.seed, "bootstrap": settings.compare.seed}
    if entries:
        seeds["few-shots"] = entries[0].settings.fewshot_seed
    if settings.data is not None:
        seeds["split"] = settings.data.split.seed
    if settings.tune is not None:
        seeds["training"] = settings.tune.seed
    return seeds


def _digests(base: Model, comparisons: Sequence[Comparison], prepared: Prepared | None) -> Mapping[str, str]:
    found = {"base": base.fingerprint}
    if prepared is not None:
        found["data file"] = prepared.card.digest
    if comparisons:
        found["signatures"] = digest(
            [[m.base.signature for m in (*c.metrics, *c.benchmarks)] for c in comparisons]
        )
    return found

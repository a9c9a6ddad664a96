"""The pipeline: prepare, tune, evaluate base and every saved checkpoint, compare, store.

Each step reads what the one before it stored and is skipped where its result is already there, so the same
command after a kill goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from harness.checkpoints.open import open_model
from harness.data.loading import load_rows
from harness.data.prepare import prepare
from harness.data.prepared import Prepared, read_prepared, write_prepared
from harness.data.settings import DataSettings
from harness.data.templates import get_template
from harness.exceptions import FileProblem, InputError
from harness.models.base import Model
from harness.models.digest import digest
from harness.models.hf import HfModel
from harness.progress import Progress, silent
from harness.records import Comparison, ExperimentResult, RunResult, Training
from harness.stages.compare import compare
from harness.stages.environment import environment
from harness.stages.evaluate import RunLabel, evaluate
from harness.stages.resultfile import write_experiment
from harness.stages.runfiles import write_run
from harness.stages.settings import ExperimentSettings
from harness.store.base import Storage
from harness.tasks import HELD_OUT, Task, TaskFile, load_task, make_task
from harness.tuning import TuneSettings, finetune

DATA = "data"
CHECKPOINTS = "checkpoints"
EVALUATIONS = "eval"
_KEY = "prepared.json"


@dataclass(frozen=True)
class Workplace:
    """Where an experiment works: its folder, the store, and who is told how far it is."""

    folder: Path
    store: Storage
    progress: Progress = silent


def run_experiment(settings: ExperimentSettings, place: Workplace) -> ExperimentResult:
    """Do all of an experiment and write it into `place.folder`; the report is drawn by the caller."""
    check_folder(place.folder)
    how = settings.evaluate
    base = open_model(
        settings.model, how.model_settings(), allow_pickle=how.allow_pickle, progress=place.progress
    )
    prepared = training = None
    tuner = base if isinstance(base, HfModel) else None
    if settings.tune is not None and tuner is None:
        raise InputError(f"The model {base.name!r} cannot be fine-tuned: only weights on disk can.")
    other_tasks = [load_task(spec) for spec in settings.tasks if spec != HELD_OUT]
    if settings.data is not None:
        prepared = prepare_once(settings.data, tuner, place.folder / DATA, place.progress)
    tasks = _tasks(settings, prepared, other_tasks)
    if settings.tune is not None and prepared is not None and tuner is not None and settings.data is not None:
        training = tune(tuner, prepared, settings.data, settings.tune, place)
    runs = [_evaluate(base, tasks, RunLabel("base"), place)]
    for step, folder in training.checkpoints if training else ():
        model = checkpoint_model(base, Path(folder), f"{base.name} step {step}")
        runs.append(_evaluate(model, tasks, RunLabel(f"step-{step}", step), place))
    measures = [measure for task in tasks for metric in task.metrics for measure in metric.measures]
    comparisons = tuple(compare(runs[0], run, settings.compare, measures) for run in runs[1:])
    chosen, reason = choose(runs, training)
    result = ExperimentResult(
        name=settings.name,
        runs=tuple(runs),
        comparisons=comparisons,
        chosen=chosen,
        chosen_reason=reason,
        environment=environment(
            _seeds(settings), base.resolved[1] if isinstance(base, HfModel) else "remote"
        ),
        data=prepared.card if prepared else None,
        training=training,
        digests=_digests(base, comparisons, prepared),
    )
    write_experiment(result, place.folder)
    return result


def check_folder(folder: Path) -> None:
    """Refuse an output folder that is a file or cannot be written, before any work."""
    if folder.exists() and not folder.is_dir():
        raise FileProblem(folder, "this is a file; the output needs a folder.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".writable"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as problem:
        raise FileProblem(folder, f"this folder cannot be written ({problem.strerror}).") from problem


def prepare_once(
    data: DataSettings, model: HfModel | None, folder: Path, progress: Progress = silent
) -> Prepared:
    """Prepare the data, or read what an earlier run prepared from the same file with the same settings."""
    sources = [load_rows(path).digest for path in (data.path, data.test_path) if path is not None]
    key = digest({"settings": asdict(data), "files": sources, "tokens": model.fingerprint if model else None})
    marker = folder / _KEY
    if marker.is_file() and marker.read_text(encoding="utf-8") == key:
        return read_prepared(folder)
    marker.unlink(missing_ok=True)
    prepared = prepare(data, model.count_tokens if model else None, progress)
    write_prepared(prepared, folder)
    marker.write_text(key, encoding="utf-8")
    return prepared


def tune(
    base: HfModel, prepared: Prepared, data: DataSettings, settings: TuneSettings, place: Workplace
) -> Training:
    """Fine-tune on the prepared training rows; the length limit is that of the data settings."""
    if base.adapter is not None:
        raise InputError(f"The model {base.name!r} is an adapter; fine-tune its base, or merge it first.")
    limits = {"max_length": data.max_length, "truncation_side": data.truncation_side}
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


def _evaluate(model: Model, tasks: Sequence[Task], label: RunLabel, place: Workplace) -> RunResult:
    def told(stage: str, done: int, total: int, note: str = "") -> None:
        place.progress(f"{stage.lower()}, {label.name}", done, total, note)

    run = evaluate(model, tasks, place.store, label, told)
    write_run(run, place.folder / EVALUATIONS / label.name)
    return run


def _tasks(settings: ExperimentSettings, prepared: Prepared | None, others: Sequence[Task]) -> list[Task]:
    waiting = list(others)
    return [held_out(settings, prepared) if spec == HELD_OUT else waiting.pop(0) for spec in settings.tasks]


def held_out(settings: ExperimentSettings, prepared: Prepared | None) -> Task:
    """The test split of the experiment as a task."""
    if prepared is None or settings.data is None:
        raise InputError(f"The task {HELD_OUT!r} needs `data:` in the experiment.")
    how = TaskFile(
        name=HELD_OUT,
        data="",
        template=settings.data.template,
        metrics=settings.metrics,
        categorizers=settings.categorizers,
        decoding=settings.evaluate.decoding(),
    )
    return make_task(HELD_OUT, prepared.test, how)


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


def _seeds(settings: ExperimentSettings) -> dict[str, int]:
    seeds = {"decoding": settings.evaluate.seed, "bootstrap": settings.compare.seed}
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
        found["signatures"] = digest([[m.base.signature for m in c.metrics] for c in comparisons])
    return found

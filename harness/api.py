"""The Python front door: the verbs as functions on models.

import harness

base = harness.load_model("smollm2-135m-q4")
tuned = harness.finetune(base, data="docs.jsonl", method="lora")
harness.compare(base, tuned, task="held_out").to_html("report.html")
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.exceptions import BadValue, FileProblem, HarnessError, InputError
from harness.metrics import metric
from harness.models.base import Model
from harness.models.digest import digest
from harness.progress import Progress, silent
from harness.records import Comparison, ExperimentResult, Message, RunResult, Sample, Score, Verdict
from harness.store import NoStore, Storage, Store

if TYPE_CHECKING:
    from harness.data.settings import DataSettings
    from harness.tuning import TuneSettings

__all__ = [
    "BadValue",
    "Compared",
    "FileProblem",
    "HarnessError",
    "InputError",
    "Message",
    "Model",
    "Sample",
    "Score",
    "Verdict",
    "bench",
    "compare",
    "evaluate",
    "finetune",
    "load_model",
    "metric",
    "prepare",
    "run",
]


def load_model(
    spec: str | Path | Mapping[str, Any],
    *,
    dtype: str = "auto",
    device: str = "auto",
    allow_pickle: bool = False,
) -> Model:
    """Open an alias, hub id, folder, adapter folder, .gguf file, `lm_eval:NAME`, or `{kind: {setting: value}}`.

    Weights are read when they are first needed. Raises InputError for what cannot be opened.
    """
    from harness.checkpoints.open import open_model
    from harness.models.hf import HfSettings

    return open_model(spec, HfSettings(dtype=dtype, device=device), allow_pickle=allow_pickle)


def prepare(data: str | Path, out: str | Path | None = None, **settings: Any) -> Any:
    """Clean and split a data file; returns `Prepared` (train, validation, test, card), written to `out` if given.

    settings: the keys of the `data:` block of an experiment file.
    """
    from harness.data.prepare import prepare as prepare_stage
    from harness.data.prepared import write_prepared
    from harness.data.settings import DataSettings
    from harness.tasks.strict import build

    prepared = prepare_stage(build(DataSettings, {"path": str(data), **settings}, where="data"))
    if out is not None:
        write_prepared(prepared, out)
    return prepared


def finetune(
    base: Model | str | Path,
    data: str | Path,
    method: str = "lora",
    *,
    out: str | Path | None = None,
    data_settings: Mapping[str, Any] | None = None,
    progress: Progress = silent,
    **settings: Any,
) -> Model:
    """Fine-tune `base` on a data file; returns the last checkpoint as a model.

    out: folder of prepared data and checkpoints, by default WORKSPACE/DATA-METHOD-DIGEST, one for each choice
    of settings; the same call again returns what is finished there. data_settings and settings: the keys of
    the `data:` and `tune:` blocks.
    """
    from harness.data.settings import DataSettings
    from harness.models.hf import HfModel
    from harness.stages.finetune import finetune_on, split_lengths
    from harness.tasks.strict import build
    from harness.tuning import TuneSettings

    if isinstance(base, Path):
        base = str(base)
    if not isinstance(base, str | HfModel):
        raise InputError(f"The model {base.name!r} cannot be fine-tuned: only weights on disk can.")
    lengths, keys = split_lengths(settings)
    prepared = build(DataSettings, {"path": str(data), **(data_settings or {}), **lengths}, where="data")
    tune = build(TuneSettings, {"method": method, **keys}, where="tune")
    folder = Path(out) if out is not None else _default_folder(base, prepared, tune)
    return finetune_on(base, prepared, tune, folder, progress=progress).model


def evaluate(
    model: Model,
    task: str | Sequence[str] = "held_out",
    *,
    name: str | None = None,
    workspace: str | Path | None = None,
    store: bool = True,
    progress: Progress = silent,
    **changes: Any,
) -> RunResult:
    """Score one model on one or more tasks (names, YAML files, data files).

    changes: keys of the task to change, such as `limit=100` or `metrics=["rouge"]`.
    """
    from harness.stages.environment import environment_of
    from harness.stages.evaluate import RunLabel
    from harness.stages.evaluate import evaluate as evaluate_stage
    from harness.stages.heldout import task_for

    names = [task] if isinstance(task, str) else list(task)
    tasks = [task_for(each, model, changes) for each in names]
    label = RunLabel(name or model.name, environment=environment_of(model, tasks))
    with _store(workspace, store=store) as opened:
        return evaluate_stage(model, tasks, opened, label, progress)


def bench(
    model: Model,
    tasks: str | Sequence[str],
    *,
    data_dir: str | Path | None = None,
    name: str | None = None,
    workspace: str | Path | None = None,
    store: bool = True,
    progress: Progress = silent,
    **settings: Any,
) -> RunResult:
    """Run standard benchmarks: suites, groups and tasks by lm-eval's names.

    data_dir: folder of local benchmark files, or "shipped" for the product's own small samples; without it data
    come from the hub. settings: those of `BenchSettings`, such as limit, num_fewshot, sample_seed and
    apply_chat_template. Two such runs, of base and tuned, are what `compare` takes.
    """
    from harness.benchmarks import BenchSettings
    from harness.benchmarks import bench as bench_tasks
    from harness.stages.environment import environment
    from harness.stages.evaluate import RunLabel
    from harness.tasks.strict import build

    folder = None if data_dir is None else Path(data_dir)
    how = build(BenchSettings, {**settings, "data_dir": folder}, where="bench")
    resolved = getattr(model, "resolved", None)
    made = environment({"few-shots": how.fewshot_seed}, resolved[1] if resolved else "remote")
    names = [tasks] if isinstance(tasks, str) else list(tasks)
    label = RunLabel(name or model.name, environment=made)
    with _store(workspace, store=store) as opened:
        return bench_tasks(model, names, opened, how, label, progress)


@dataclass(frozen=True)
class Compared:
    """A comparison with the runs it is made of."""

    result: ExperimentResult

    @property
    def comparison(self) -> Comparison:
        """Base against the last checkpoint."""
        headline = self.result.headline
        if headline is None:
            raise InputError("There is one run only, so nothing is compared.")
        return headline

    @property
    def verdict(self) -> Verdict:
        """better, worse, no worse, not decided or broken."""
        return self.comparison.verdict

    def __str__(self) -> str:
        return self.comparison.sentence

    def to_html(self, path: str | Path) -> Path:
        """Write the report as one self-contained HTML file."""
        from harness.report import write_report

        return write_report(self.result, Path(path))


def compare(
    base: Model | RunResult | str | Path,
    *tuned: Model | RunResult | str | Path,
    task: str | Sequence[str] = "held_out",
    primary: str | None = None,
    alpha: float = 0.05,
    tolerance: float = 0.02,
    workspace: str | Path | None = None,
    progress: Progress = silent,
) -> Compared:
    """Compare tuned checkpoints with their base: models (evaluated on `task`), runs, or run folders.

    `held_out` is the test split of the last tuned model's own fine-tuning.
    """
    from harness.stages.compare import CompareSettings, check_primary
    from harness.stages.environment import environment_of
    from harness.stages.evaluate import RunLabel, check_names
    from harness.stages.evaluate import evaluate as evaluate_stage
    from harness.stages.heldout import history, measure_names, task_for
    from harness.stages.runfiles import read_run
    from harness.stages.stored import result_of_runs

    if not tuned:
        raise InputError("compare needs a base and at least one tuned checkpoint.")
    settings = CompareSettings(primary, alpha, tolerance)
    sides = [read_run(Path(side)) if isinstance(side, str | Path) else side for side in (base, *tuned)]
    models = [side for side in sides if not isinstance(side, RunResult)]
    if not models:
        return Compared(result_of_runs([side for side in sides if isinstance(side, RunResult)], settings))
    names = [task] if isinstance(task, str) else list(task)
    tasks = [task_for(each, models[-1]) for each in names]
    check_names(tasks)
    check_primary(primary, {each.name: measure_names(each.metrics) for each in tasks})
    runs = []
    with _store(workspace, store=True) as opened:
        for index, side in enumerate(sides):
            if isinstance(side, RunResult):
                runs.append(side)
            else:
                label = RunLabel("base" if index == 0 else side.name, environment=environment_of(side, tasks))
                runs.append(evaluate_stage(side, tasks, opened, label, progress))
    data, training = history(models[-1])
    return Compared(replace(result_of_runs(runs, settings), data=data, training=training))


def run(
    experiment: str | Path, *, workspace: str | Path | None = None, progress: Progress = silent
) -> Compared:
    """Run an experiment file; results.json lies in WORKSPACE/NAME."""
    from harness.stages.experiment import Workplace, run_experiment
    from harness.stages.settings import load_experiment

    settings = load_experiment(Path(experiment))
    folder = Path(workspace or _workspace()) / settings.name
    with _store(workspace, store=True) as opened:
        return Compared(run_experiment(settings, Workplace(folder, opened, progress)))


def _default_folder(base: Model | str, data: DataSettings, tune: TuneSettings) -> Path:
    """One folder for each choice of base and settings, so that a second training does not replace the first."""
    named = digest([base if isinstance(base, str) else base.fingerprint, asdict(data), asdict(tune)])
    return _workspace() / f"{Path(data.path).stem}-{tune.method}-{named[:8]}"


def _workspace() -> Path:
    return Path(os.environ.get("HARNESS_WORKSPACE") or "runs")


def _store(workspace: str | Path | None, *, store: bool) -> AbstractContextManager[Storage]:
    """The workspace's store, or none."""
    return Store.open(Path(workspace or _workspace())) if store else NoStore()

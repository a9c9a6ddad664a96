"""The experiment file: what describes data, tuning, evaluation and comparison, checked before anything loads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.categorizers import create_categorizers
from harness.checkpoints.aliases import alias_names
from harness.data.settings import DataSettings
from harness.exceptions import BadValue, InputError, UnknownName
from harness.metrics import create_metrics
from harness.models.base import Decoding
from harness.models.hf import HfSettings
from harness.stages.benchmarks import entry_of, is_entry
from harness.stages.compare import CompareSettings
from harness.tasks import DEFAULT_METRICS, HELD_OUT, build, read_yaml
from harness.tuning import TuneSettings

Spec = str | Mapping[str, Any]
DTYPES = ("auto", "float32", "bfloat16", "float16")


@dataclass(frozen=True)
class EvaluateSettings:
    """The `evaluate:` block: how checkpoints answer."""

    max_new_tokens: int = 128
    temperature: float = 0.0
    top_p: float = 1.0
    stop: tuple[str, ...] = ()
    seed: int = 0
    dtype: str = "auto"
    device: str = "auto"
    token_budget: int = HfSettings.token_budget
    max_rows: int = HfSettings.max_rows
    trust_remote_code: bool = False
    allow_pickle: bool = False

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise UnknownName("dtype", self.dtype, DTYPES)
        self.decoding()
        self.model_settings()

    def decoding(self) -> Decoding:
        """The part that changes what is asked."""
        return Decoding(self.max_new_tokens, self.temperature, self.top_p, self.stop, self.seed)

    def model_settings(self) -> HfSettings:
        """The part that changes how it runs."""
        return HfSettings(self.dtype, self.device, self.token_budget, self.max_rows, self.trust_remote_code)


@dataclass(frozen=True)
class ExperimentSettings:
    """The keys of an experiment file."""

    name: str
    model: Spec
    data: DataSettings | None = None
    tune: TuneSettings | None = None
    tasks: tuple[Spec, ...] = (HELD_OUT,)
    """held_out, names and files of tasks, and benchmarks: {suite: NAME, limit: N}, {task: NAME of lm-eval's, ...}."""
    metrics: tuple[Spec, ...] = DEFAULT_METRICS
    """Of held_out."""
    categorizers: str | tuple[Spec, ...] = "default"
    evaluate: EvaluateSettings = field(default_factory=EvaluateSettings)
    compare: CompareSettings = field(default_factory=CompareSettings)
    plugins: tuple[str, ...] = ()
    """Python files with `@harness.metric` functions, relative to the experiment file."""

    def __post_init__(self) -> None:
        if not self.name or "/" in self.name or self.name.startswith("."):
            raise BadValue("name", self.name, "a name that can be a folder, without slashes")
        if not self.tasks:
            raise BadValue("tasks", list(self.tasks), "at least one task")
        if self.tune is not None and self.data is None:
            raise InputError("The experiment has a `tune:` block but no `data:` block to train on.")
        if self.tune is not None and self.data is not None:
            check_lengths(self.data, self.tune)
        own = [spec for spec in self.tasks if is_held_out(spec)]
        if len(own) > 1:
            raise BadValue("tasks", list(self.tasks), f"a list that names {HELD_OUT!r} once at most")
        if own and self.data is None:
            raise InputError(
                f"The task {HELD_OUT!r} is the test split of `data:`, and the experiment has no `data:`."
            )


def is_held_out(spec: Spec) -> bool:
    """Whether an entry of `tasks:` is the experiment's own test split, plain or with keys changed."""
    return (spec if isinstance(spec, str) else spec.get("task")) == HELD_OUT


def check_lengths(data: DataSettings, tune: TuneSettings) -> None:
    """Refuse a length limit for training that is not the data's: the data card shows what that one cuts."""
    standard = TuneSettings()
    for key in ("max_length", "truncation_side"):
        wanted, used = getattr(tune, key), getattr(data, key)
        if wanted not in {used, getattr(standard, key)}:
            raise BadValue(f"tune.{key}", wanted, f"left out; data.{key} decides, and that is {used!r}")


def load_experiment(path: Path) -> ExperimentSettings:
    """Read and check an experiment file.

    Relative paths (data, model, tasks, data_dir of benchmarks, plugins) are taken from the file's folder if they
    are there.
    """
    content = read_yaml(path)
    settings = build(ExperimentSettings, content)
    for plugin in settings.plugins:
        load_plugin(path.parent / plugin)
    create_metrics(settings.metrics)
    create_categorizers(settings.categorizers)
    folder = path.parent
    data = settings.data
    if data is not None:
        test = None if data.test_path is None else _near(data.test_path, folder)
        data = replace(data, path=_near(data.path, folder), test_path=test)
    tasks = tuple(_near_task(spec, folder) for spec in settings.tasks)
    for place, spec in enumerate(tasks):
        if is_entry(spec):
            entry_of(spec, f"tasks.{place}")
    model = settings.model
    if isinstance(model, str) and model not in alias_names():
        model = _near(model, folder)
    return replace(settings, data=data, tasks=tasks, model=model)


def _near(name: str, folder: Path) -> str:
    return str(folder / name) if (folder / name).exists() else name


def _near_task(spec: Spec, folder: Path) -> Spec:
    if not isinstance(spec, str) and isinstance(spec.get("data_dir"), str):
        return {**spec, "data_dir": _near(spec["data_dir"], folder)}
    name = spec if isinstance(spec, str) else str(spec.get("task", ""))
    if not Path(name).suffix or is_held_out(spec):
        return spec
    near = _near(name, folder)
    return near if isinstance(spec, str) else {**spec, "task": near}


def load_plugin(path: Path) -> None:
    """Run a user's Python file, which registers its plugins."""
    from importlib.util import module_from_spec, spec_from_file_location

    if not path.is_file():
        raise InputError(f"The plugin file {path} does not exist.")
    spec = spec_from_file_location(f"harness_plugin_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise InputError(f"The plugin file {path} is not a Python file.")
    module = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except InputError:
        raise
    except Exception as problem:
        raise InputError(
            f"The plugin file {path} cannot be loaded: {type(problem).__name__}: {problem}"
        ) from problem

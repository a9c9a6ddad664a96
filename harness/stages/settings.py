"""The experiment file: what describes data, tuning, evaluation and comparison, checked before anything loads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.data.settings import DataSettings
from harness.exceptions import BadValue, InputError
from harness.metrics import create_metrics
from harness.models.base import Decoding
from harness.models.hf import HfSettings
from harness.stages.compare import CompareSettings
from harness.tasks import DEFAULT_METRICS, HELD_OUT, build, read_yaml
from harness.tuning import TuneSettings

Spec = str | Mapping[str, Any]


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
        if HELD_OUT in self.tasks and self.data is None:
            raise InputError(
                f"The task {HELD_OUT!r} is the test split of `data:`, and the experiment has no `data:`."
            )


def load_experiment(path: Path) -> ExperimentSettings:
    """Read and check an experiment file; a relative data path is taken from the file's folder if it is there."""
    content = read_yaml(path)
    settings = build(ExperimentSettings, content)
    for plugin in settings.plugins:
        load_plugin(path.parent / plugin)
    create_metrics(settings.metrics)
    if settings.data is not None:
        settings = replace(settings, data=_near(settings.data, path.parent))
    return settings


def _near(data: DataSettings, folder: Path) -> DataSettings:
    def found(name: str) -> str:
        return str(folder / name) if (folder / name).is_file() else name

    test = None if data.test_path is None else found(data.test_path)
    return replace(data, path=found(data.path), test_path=test)


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

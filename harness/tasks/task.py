"""A task: samples, how they are asked, how answers are scored."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.categorizers import create_categorizers
from harness.categorizers.base import Categorizer
from harness.data.columns import map_rows
from harness.data.loading import load_rows
from harness.data.templates import PromptTemplate, get_template
from harness.exceptions import BadValue, FileProblem, InputError, UnknownName
from harness.metrics import create_metrics
from harness.metrics.base import Metric
from harness.models.base import Decoding
from harness.models.digest import digest
from harness.records import Prompt, Sample
from harness.resources import resource
from harness.tasks.strict import build, read_yaml

DEFAULT_METRICS: tuple[str, ...] = ("exact_match", "rouge", "bleu", "chrf", "token_f1")
HELD_OUT = "held_out"
"""The test split of the experiment itself."""
Spec = str | Mapping[str, Any]


@dataclass(frozen=True)
class Task:
    """What is measured. The prompt of a sample is `template.prompt(sample)`."""

    name: str
    samples: tuple[Sample, ...]
    template: PromptTemplate
    metrics: tuple[Metric, ...]
    categorizers: tuple[Categorizer, ...] = ()
    decoding: Decoding = field(default_factory=Decoding)
    random_baseline: float | None = None
    skipped: Mapping[str, int] = field(default_factory=dict)
    """Rows of the data file that became no sample, by reason."""

    def prompts(self) -> list[Prompt]:
        """One prompt a sample, in order."""
        return [self.template.prompt(sample) for sample in self.samples]

    @property
    def asked(self) -> Decoding:
        """The decoding with the template's own stop strings added."""
        stops = (
            *self.decoding.stop,
            *(stop for stop in self.template.stop if stop not in self.decoding.stop),
        )
        return replace(self.decoding, stop=stops)

    @property
    def signature(self) -> str:
        """All that changes a number but metric and model; `data` is a digest of what is asked and the targets."""
        asked = self.asked
        how = (
            "greedy"
            if asked.temperature == 0
            else f"t={asked.temperature:g},p={asked.top_p:g},seed={asked.seed}"
        )
        stops = f",stop={list(asked.stop)!r}" if asked.stop else ""
        rows = [[sample.input, sample.context, sample.target] for sample in self.samples]
        data = f"data:{digest(rows)[:12]}"
        return f"task:{self.name}|{data}|template:{self.template.signature}|{how},max={asked.max_new_tokens}{stops}"


@dataclass(frozen=True)
class TaskFile:
    """The keys of a task's YAML file."""

    name: str
    data: str
    """Data file, relative to the YAML file, or a hub data set."""
    columns: Mapping[str, str] | None = None
    template: str = "chat"
    metrics: tuple[Spec, ...] = DEFAULT_METRICS
    categorizers: str | tuple[Spec, ...] = "default"
    decoding: Decoding = field(default_factory=Decoding)
    random_baseline: float | None = None
    limit: int | None = None
    """Only the first so many samples."""
    about: str = ""

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise BadValue("limit", self.limit, "1 or more")
        if self.random_baseline is not None and not math.isfinite(self.random_baseline):
            raise BadValue("random_baseline", self.random_baseline, "a finite number")


def make_task(name: str, samples: Sequence[Sample], how: TaskFile) -> Task:
    """A task over given samples with the settings of a task file; bad settings raise here."""
    kept = tuple(samples)[: how.limit]
    if not kept:
        raise InputError(f"The task {name!r} has no samples.")
    return Task(
        name=name,
        samples=kept,
        template=get_template(how.template),
        metrics=tuple(create_metrics(how.metrics)),
        categorizers=tuple(create_categorizers(how.categorizers)),
        decoding=how.decoding,
        random_baseline=how.random_baseline,
    )


def shipped_tasks() -> dict[str, Path]:
    """Names and files of the task definitions that ship with the product."""
    folder = resource("tasks")
    found = {}
    for path in sorted(folder.glob("*.yaml")):
        content = read_yaml(path)
        if "data" in content and isinstance(content["data"], str):
            found[str(content["name"])] = path
    return found


def load_task(spec: str | Mapping[str, Any]) -> Task:
    """Load a task: a shipped name, a YAML file, a data file, or `{task: NAME, limit: N, ...}`."""
    if isinstance(spec, Mapping):
        changes = dict(spec)
        name = changes.pop("task", None)
        if not isinstance(name, str) or not name:
            raise BadValue("a task", dict(spec), "a name, a file, or {task: NAME, limit: N, ...}")
    else:
        name, changes = spec, {}
    if name == HELD_OUT:
        raise InputError(
            f"The task {HELD_OUT!r} is the test split of an experiment; it cannot be loaded alone."
        )
    content, folder = _definition(name)
    settings = build(TaskFile, {**content, **changes}, where=name)
    near = folder / settings.data
    loaded = load_rows(str(near) if near.exists() else settings.data)
    mapped = map_rows(loaded, settings.columns)
    mapped.check_usable(loaded.source)
    return replace(make_task(settings.name, mapped.samples, settings), skipped=mapped.skipped_counts)


def _definition(name: str) -> tuple[dict[str, Any], Path]:
    """The keys of a task and the folder its data path is relative to."""
    path = Path(name)
    if path.suffix in {".yaml", ".yml"}:
        return read_yaml(path), path.parent
    if path.suffix in {".jsonl", ".json", ".csv", ".tsv", ".parquet"}:
        if not path.exists():
            raise FileProblem(path, "there is no such data file.")
        return {"name": path.stem, "data": path.name}, path.parent
    shipped = shipped_tasks()
    if name not in shipped:
        raise UnknownName("task", name, [*shipped, HELD_OUT])
    return read_yaml(shipped[name]), shipped[name].parent

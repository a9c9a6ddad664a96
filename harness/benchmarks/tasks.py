"""Loads tasks through lm-eval, on the hub's data or on local files. Importing this imports lm_eval."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import datasets
from jinja2 import TemplateError
from lm_eval.tasks._yaml_loader import load_yaml  # the one place that resolves `!function`

from harness.benchmarks.first_sample import tried_on_a_usable_sample
from harness.benchmarks.index import FOLDERS, TASKS_FOLDER, manager_of
from harness.benchmarks.local_data import Split, layout_of, read_local
from harness.benchmarks.settings import BenchSettings
from harness.benchmarks.suites import Chosen
from harness.exceptions import FileProblem, HarnessError, InputError

_BROKEN = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    RuntimeError,
    ImportError,
    TemplateError,
    datasets.exceptions.DatasetsError,
)
"""What task definitions and the hub's client raise when a task cannot be made."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """One task of lm-eval, ready to be asked.

    problems: index of a sample -> why it cannot be scored; local: whether its data are local files.
    """

    name: str
    task: Any
    limit: float | None
    problems: Mapping[int, str]
    local: bool


@dataclass(frozen=True, slots=True)
class Loaded:
    """All tasks and groups of a selection. notes: what a reader must know of them, by name."""

    leaves: tuple[Leaf, ...]
    groups: tuple[Any, ...]
    notes: Mapping[str, str]


def load_tasks(chosen: Sequence[Chosen], settings: BenchSettings) -> Loaded:
    """Make every task of a selection, its few-shot examples and seed set as `lm_eval.simple_evaluate` does.

    Raises UnknownName, FileProblem for local files, InputError for a task that cannot be made or run here,
    or that is in the selection twice.
    """
    leaves: dict[str, Leaf] = {}
    groups: dict[str, Any] = {}
    notes: dict[str, str] = {}
    for item in chosen:
        sources = _Sources(settings.folder)
        found = _load(item.name, sources)
        notes.update(sources.notes)
        groups.update(found.get("groups", {}))
        for name, task in found["tasks"].items():
            if name in leaves:
                raise InputError(f"The task {name!r} is in the selection twice; leave one of its groups out.")
            _check(name, task)
            _set_shots(task, item.num_fewshot, settings.fewshot_seed)
            local = name in sources.problems
            leaves[name] = Leaf(name, task, item.limit, sources.problems.get(name, {}), local)
    kept = tuple(group for group in groups.values() if group.get_all_tasks())
    return Loaded(tuple(leaves.values()), kept, notes)


def _load(name: str, sources: _Sources) -> Any:
    manager = manager_of(name)
    if sources.folder is not None:
        sources.localise(name, manager.task_index)
    with quiet(), tried_on_a_usable_sample():
        try:
            return manager.load([name])
        except HarnessError:
            raise
        except _BROKEN as problem:
            reason = (str(problem) or type(problem).__name__).strip().splitlines()[0].rstrip(".")
            where = "" if sources.folder is not None else " Local files can be given with a data folder."
            raise InputError(f"The benchmark {name!r} cannot be loaded: {reason}.{where}") from problem


class _Sources:
    """Points the tasks of a manager at local files; remembers which rows cannot be scored."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self.problems: dict[str, Mapping[int, str]] = {}
        self.notes: dict[str, str] = {}

    def localise(self, wanted: str, index: dict[str, Any]) -> None:
        """Replace the definitions of all tasks that have a layout, and leave absent MMLU subjects out of groups."""
        assert self.folder is not None
        if not self.folder.is_dir():
            raise FileProblem(self.folder, "there is no such data folder.")
        for name, entry in list(index.items()):
            if layout_of(name) and entry.kind.name == "TASK" and _is_own(entry.yaml_path):
                config = {**load_yaml(entry.yaml_path), "custom_dataset": self._reader(name)}
                index[name] = replace(entry, yaml_path=None, cfg=config)
        subjects = [name for name in index if name.startswith("mmlu_") and index[name].kind.name == "TASK"]
        there = {name for name in subjects if self._is_there(name)}
        for entry in index.values():
            if entry.kind.name == "TAG" and entry.tags <= set(subjects):
                entry.tags &= there
        if wanted in index and index[wanted].kind.name != "TASK" and wanted.startswith("mmlu") and subjects:
            if not there:
                raise FileProblem(self.folder / "mmlu", "there is no folder of an MMLU subject here.")
            if len(there) < len(subjects):
                self.notes[wanted] = f"{len(there)} of {len(subjects)} subjects have local files"

    def _is_there(self, name: str) -> bool:
        layout = layout_of(name)
        return layout is not None and self.folder is not None and (self.folder / layout.folder).is_dir()

    def _reader(self, name: str) -> Any:
        def read(**_: object) -> dict[str, Any]:
            assert self.folder is not None
            splits, _scored = read_local(name, self.folder)
            self.problems[name] = next((split.problems for split in splits.values() if split.problems), {})
            return {split: _dataset(rows) for split, rows in splits.items()}

        return read


def _is_own(path: Path | None) -> bool:
    """Whether a definition is one of those whose data have a known layout: other tasks' names begin alike."""
    return path is not None and any(path.parent == TASKS_FOLDER / folder for folder in FOLDERS)


def _dataset(split: Split) -> Any:
    return datasets.Dataset.from_list(list(split.rows))


def _check(name: str, task: Any) -> None:
    if getattr(task, "UNSAFE_CODE", False):
        raise InputError(f"The task {name!r} runs code that the model writes, which is not done here.")
    if getattr(task, "MULTIMODAL", False):
        raise InputError(f"The task {name!r} needs pictures or sound; only text can be asked here.")


def _set_shots(task: Any, wanted: int | None, seed: int) -> None:
    """As `simple_evaluate`: a task that sets 0 itself keeps it, one that sets nothing gets 0."""
    own = task.get_config("num_fewshot")
    if wanted is not None and own != 0:
        task.set_config(key="num_fewshot", value=wanted)
    elif own is None:
        task.set_config(key="num_fewshot", value=0)
    task.set_fewshot_seed(seed=seed)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep lm-eval's and datasets' own notes and bars off the terminal."""
    import logging

    logger = logging.getLogger("lm_eval")
    level, bars = logger.level, datasets.are_progress_bars_disabled()
    logger.setLevel(logging.ERROR)
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        logger.setLevel(level)
        if not bars:
            datasets.enable_progress_bars()

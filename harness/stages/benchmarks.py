"""Benchmarks inside an experiment: entries of `tasks:` that lm-eval runs, checked beforehand, run once, merged.

lm_eval takes seconds to import. That is done only for an entry whose result is not stored already.
"""

from __future__ import annotations

import difflib
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import harness.benchmarks
import harness.metrics
import harness.stats
from harness.benchmarks.local_data import layout_of, read_local
from harness.benchmarks.settings import BenchSettings
from harness.benchmarks.suites import SUITES, Chosen, choose
from harness.exceptions import BadValue, FileProblem, InputError, MissingExtra, UnknownName
from harness.models.base import Model
from harness.models.digest import digest
from harness.models.files import files_digest
from harness.progress import Progress, silent
from harness.records import RunResult
from harness.stages.evaluate import RunLabel
from harness.stages.runfiles import run_from_json, run_to_json, sample_from_json, sample_to_json
from harness.store.base import Storage, Table
from harness.tasks import HELD_OUT, build, shipped_tasks

Spec = str | Mapping[str, Any]
TABLE = {
    "arc_easy": ("acc", "acc_norm"),
    "arc_challenge": ("acc", "acc_norm"),
    "hellaswag": ("acc", "acc_norm"),
    "mmlu": ("acc",),
    "truthfulqa_mc1": ("acc",),
    "truthfulqa_mc2": ("acc",),
}
"""Tasks and groups of lm-eval that local files can serve, with their measures: known without importing it."""
_FILES = {".yaml", ".yml", ".jsonl", ".json", ".csv", ".tsv", ".parquet"}
_MMLU = "mmlu"
_MISSPELT = 0.8
"""A name as close as this to one of our own is taken for a misspelling of it. No task of lm-eval is."""


@dataclass(frozen=True)
class _Keys:
    """The keys of an entry."""

    suite: str | None = None
    task: str | None = None
    limit: float | None = None
    num_fewshot: int | None = None
    sample_seed: int | None = None
    apply_chat_template: bool = False
    system_instruction: str | None = None
    fewshot_as_multiturn: bool = False
    data_dir: str | None = None


@dataclass(frozen=True)
class Entry:
    """A suite, group or task of lm-eval, and how it is run."""

    name: str
    settings: BenchSettings

    @cached_property
    def chosen(self) -> tuple[Chosen, ...]:
        """What the name stands for."""
        return choose([self.name], self.settings)


def is_entry(spec: Spec) -> bool:
    """Whether an entry of `tasks:` is a benchmark: a suite, or a name that is no task or file of ours."""
    if not isinstance(spec, str) and "suite" in spec:
        return True
    name = spec if isinstance(spec, str) else spec.get("task")
    return (
        isinstance(name, str) and Path(name).suffix not in _FILES and name not in {HELD_OUT, *shipped_tasks()}
    )


def entry_of(spec: Spec, where: str) -> Entry:
    """Read an entry. Raises UnknownName or BadValue for its keys and values, and for a suite that is not there."""
    given = {"task": spec} if isinstance(spec, str) else dict(spec)
    keys = asdict(build(_Keys, given, where))
    suite, task, folder = keys.pop("suite"), keys.pop("task"), keys.pop("data_dir")
    if suite is not None and task is not None:
        raise BadValue(where, given, "a suite or a task, not both")
    if suite is not None and suite not in SUITES:
        raise UnknownName("suite", suite, SUITES)
    name = suite if suite is not None else task
    if not name:
        raise BadValue(where, given, "the name of a suite or a task")
    if suite is None and name not in TABLE and name not in SUITES:
        _refuse_misspelt(name)
    return Entry(name, BenchSettings(**keys, data_dir=None if folder is None else Path(folder)))


def _refuse_misspelt(name: str) -> None:
    own = [HELD_OUT, *shipped_tasks()]
    if difflib.get_close_matches(name, own, n=1, cutoff=_MISSPELT):
        raise UnknownName("task", name, [*own, *TABLE, *SUITES])


def check(entries: Sequence[Entry], taken: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Refuse, before any work, what cannot be run: names, local files, a task that comes twice.

    taken: names of the experiment's other tasks. Returns the measures of each benchmark by name. Only tasks
    that no local files of the table serve are loaded through lm-eval here.
    """
    if not entries:
        return {}
    _version()
    measures: dict[str, tuple[str, ...]] = {}
    seen = set(taken)
    loose = [entry for entry in entries if not _is_local(entry)]
    several = [entry for entry in entries if any(c.name.startswith(_MMLU) for c in entry.chosen)]
    for entry in entries:
        if entry.settings.folder is not None:
            _check_files(entry, entry.settings.folder)
        if entry in loose or (entry in several and len(several) > 1):
            found = _loaded(entry)
        else:
            found = {chosen.name: TABLE.get(chosen.name, ("acc",)) for chosen in entry.chosen}
        for name in found:
            if name in seen:
                raise InputError(f"The task {name!r} is named twice in `tasks:`.")
            seen.add(name)
        measures |= found
    return measures


def _is_local(entry: Entry) -> bool:
    """Whether all that the entry asks stands in local files whose tasks are known here."""
    folder = entry.settings.folder
    return folder is not None and all(_served(chosen.name, folder) for chosen in entry.chosen)


def _served(name: str, folder: Path) -> bool:
    """Whether a name is one of the table, or an MMLU subject that has a folder."""
    layout = layout_of(name)
    return name in TABLE or (layout is not None and (folder / layout.folder).is_dir())


def _check_files(entry: Entry, folder: Path) -> None:
    if not folder.is_dir():
        raise FileProblem(folder, "there is no such data folder.")
    for chosen in entry.chosen:
        if chosen.name == _MMLU:
            subjects = sorted(path.name for path in (folder / _MMLU).glob("*") if path.is_dir())
            if not subjects:
                raise FileProblem(folder / _MMLU, "there is no folder of an MMLU subject here.")
            for subject in subjects:
                read_local(f"{_MMLU}_{subject}", folder)
        elif _served(chosen.name, folder):
            read_local(chosen.name, folder)


def _loaded(entry: Entry) -> dict[str, tuple[str, ...]]:
    """Load an entry's tasks through lm-eval; names of tasks and groups with the measures they will have."""
    from harness.benchmarks.measures import measure_name
    from harness.benchmarks.rng import seeded
    from harness.benchmarks.tasks import load_tasks, quiet

    try:
        with seeded(), quiet():
            loaded = load_tasks(entry.chosen, entry.settings)
    except UnknownName as problem:
        raise UnknownName("task", problem.given, {*problem.allowed, HELD_OUT, *shipped_tasks()}) from problem
    found: dict[str, tuple[str, ...]] = {}
    for leaf in loaded.leaves:
        filters = [each.name for each in getattr(leaf.task, "_filters", ())] or ["none"]
        found[leaf.name] = tuple(measure_name((m, f)) for m in leaf.task.aggregation() for f in filters)
    for group in loaded.groups:
        leaves = [task.task_name for task in group.get_all_tasks()]
        found[group.name] = tuple(dict.fromkeys(name for leaf in leaves for name in found[leaf]))
    return found


def with_benchmarks(
    run: RunResult, model: Model, entries: Sequence[Entry], store: Storage, progress: Progress = silent
) -> RunResult:
    """Run every entry on the model and add what comes out to its run."""
    label = RunLabel(run.name, run.step, environment=run.environment)
    for entry in entries:
        run = _merged(run, _once(entry, model, store, label, progress))
    return run


def _once(entry: Entry, model: Model, store: Storage, label: RunLabel, progress: Progress) -> RunResult:
    """The result of one entry: the stored one if all that goes into its numbers is the same, else made."""
    started = time.perf_counter()
    key = _key(entry, model)
    stored = store.get_many(Table.RUNS, [key]) if key is not None else {}
    if key in stored:
        kept, samples = json.loads(stored[key])
        run = run_from_json(kept)
        return replace(
            run,
            samples=tuple(map(sample_from_json, samples)),
            timing={**run.timing, "seconds": time.perf_counter() - started},
        )
    run = harness.benchmarks.bench(model, [entry.name], store, entry.settings, label, progress)
    if key is not None and all(sample.failure is None for sample in run.samples):
        # as text: the store sorts the keys of what it keeps, and the order of tasks is that of the tables
        text = json.dumps([run_to_json(run), [sample_to_json(sample) for sample in run.samples]])
        store.put_many(Table.RUNS, {key: text})
    return run


def _key(entry: Entry, model: Model) -> str | None:
    """Of a stored result: weights, tasks, settings, data, and the code that scores.

    None for data of the hub, which cannot be known to be the same without loading them.
    """
    folder = entry.settings.folder
    if folder is None or not _is_local(entry):
        return None
    settings: dict[str, Any] = {**asdict(entry.settings), "data_dir": entry.settings.source}
    return digest(
        {
            "model": model.fingerprint,
            "tasks": [asdict(chosen) for chosen in entry.chosen],
            "settings": settings,
            "data": _contents(path for name in _folders(entry) for path in (folder / name).rglob("*.jsonl")),
            "lm-eval": _version(),
            "code": _code(),
        }
    )


def _folders(entry: Entry) -> list[str]:
    names = [layout_of(chosen.name) for chosen in entry.chosen if chosen.name != _MMLU]
    found = {layout.folder for layout in names if layout is not None}
    return sorted(found | {_MMLU for chosen in entry.chosen if chosen.name == _MMLU})


def _contents(paths: Iterable[Path]) -> list[list[str]]:
    return [[path.parent.name, path.name, files_digest([path])] for path in sorted(paths)]


def _code() -> list[list[str]]:
    """Of the rooms that make scores and estimates: numbers of another version are not served."""
    rooms = (harness.benchmarks, harness.metrics, harness.stats)
    return _contents(path for room in rooms for path in Path(str(room.__file__)).parent.glob("*.py"))


def _version() -> str:
    try:
        return version("lm-eval")
    except PackageNotFoundError as problem:
        raise MissingExtra("Running benchmarks", "lm_eval", "lm-eval") from problem


def _merged(run: RunResult, part: RunResult) -> RunResult:
    for name in part.estimates:
        if name in run.estimates:
            raise InputError(f"The task {name!r} is named twice in `tasks:`.")
    timing = dict(run.timing)
    for name, seconds in part.timing.items():
        timing[name] = timing.get(name, 0.0) + seconds
    return replace(
        run,
        settings={**run.settings, **part.settings},
        estimates={**run.estimates, **part.estimates},
        samples=(*run.samples, *part.samples),
        nonfinite=run.nonfinite + part.nonfinite,
        timing=timing,
    )

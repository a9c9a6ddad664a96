"""Where lm-eval keeps the definition of each task: names are looked up without reading 13,000 files each time.

The tasks that local files can serve stand in four small folders. The index of all other names is made once
per lm-eval version and kept as JSON in the user's cache. Importing this module imports lm_eval.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lm_eval.tasks
from lm_eval.tasks import TaskManager
from lm_eval.tasks._index import Entry, Kind  # lm-eval has no public name for them

from harness.benchmarks.suites import SUITES
from harness.checkpoints.cache import cache_folder
from harness.data.files import write_whole
from harness.exceptions import HarnessError, UnknownName

TASKS_FOLDER = Path(lm_eval.tasks.__file__).parent
FOLDERS = ("arc", "hellaswag", "mmlu/default", "truthfulqa")
"""Folders of the tasks that start without the full index."""
_NEAR = 5


def manager_of(name: str) -> Any:
    """A `TaskManager` that knows the name; UnknownName, with the nearest names, where lm-eval has none such.

    A path of a YAML file of the user's own is also a name.
    """
    quick = TaskManager(include_defaults=False, include_path=[TASKS_FOLDER / folder for folder in FOLDERS])
    if name in quick.task_index:
        return quick
    full = TaskManager(include_defaults=False)
    full.task_index.update(_full_index())
    if name not in full.task_index and not _is_file(name):
        near = difflib.get_close_matches(name, full.task_index, n=_NEAR, cutoff=0.5)
        raise UnknownName("benchmark", name, {*near, *SUITES, "arc_easy", "hellaswag", "mmlu"})
    return full


def _is_file(name: str) -> bool:
    return Path(name).suffix in {".yaml", ".yml"} and Path(name).is_file()


def index_file() -> Path:
    """Where the full index of the installed lm-eval is kept."""
    return cache_folder() / "lm_eval" / f"index-{version('lm_eval')}.json"


def _full_index() -> dict[str, Any]:
    path = index_file()
    try:
        return _read(json.loads(path.read_bytes()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass  # not there yet, or damaged: made anew
    entries = TaskManager().task_index
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(_plain(entries)).encode())
    except (OSError, HarnessError):
        pass  # a cache that cannot be written costs the next start a few seconds
    return dict(entries)


def _plain(entries: Mapping[str, Any]) -> dict[str, list[Any]]:
    return {
        name: [
            entry.kind.name,
            entry.yaml_path and entry.yaml_path.relative_to(TASKS_FOLDER).as_posix(),
            sorted(entry.tags),
        ]
        for name, entry in entries.items()
    }


def _read(rows: Mapping[str, list[Any]]) -> dict[str, Any]:
    return {
        name: Entry(name, Kind[kind], path and TASKS_FOLDER / path, None, set(tags))
        for name, (kind, path, tags) in rows.items()
    }

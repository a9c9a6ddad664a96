"""Finds the task a user names; `held_out` is the test split of an experiment, or beside a fine-tuned checkpoint."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from harness.data.prepared import CARD, Prepared, read_prepared
from harness.exceptions import FileProblem, InputError, UnknownName
from harness.metrics.base import Metric
from harness.models.base import Model
from harness.models.hf import HfModel
from harness.records import DataCard, Training
from harness.stages.layout import CHECKPOINTS, DATA, write_output
from harness.stages.settings import ExperimentSettings
from harness.tasks import HELD_OUT, Task, TaskFile, build, load_task, make_task
from harness.tuning import stored_training

_FILE = "held_out.json"
_FIXED = ("name", "data", "columns")
"""Keys of a task that the experiment's own data decides."""


def task_for(name: str, model: Model, changes: Mapping[str, Any] | None = None) -> Task:
    """Load a task by name or file, with some of its keys changed."""
    if name != HELD_OUT:
        return load_other(name, changes)
    return _held_out_in(data_folder(model), changes)


def _held_out_in(folder: Path, changes: Mapping[str, Any] | None) -> Task:
    """The test split of prepared data, asked as the experiment beside it asks."""
    prepared = read_prepared(folder)
    keys = {"template": prepared.card.template, **_remembered(folder)}
    return held_out(prepared, changed(keys, changes or {}))


def changed(keys: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Keys of a task with some of them changed; of `decoding` only what is named."""
    merged = {**keys, **changes}
    if isinstance(keys.get("decoding"), Mapping) and isinstance(changes.get("decoding"), Mapping):
        merged["decoding"] = {**keys["decoding"], **changes["decoding"]}
    return merged


def load_other(name: str, changes: Mapping[str, Any] | None = None) -> Task:
    """Load a task that needs no model to be found; a fine-tuned or experiment folder names its own test split."""
    if (data := Path(name) / DATA / CARD).is_file():
        return _held_out_in(data.parent, changes)
    return load_task({"task": name, **changes}) if changes else load_task(name)


def held_out(prepared: Prepared, keys: Mapping[str, Any]) -> Task:
    """The test split as a task; keys: those of a task file, but for what the data itself decides."""
    return make_task(HELD_OUT, prepared.test, held_out_file(keys))


def held_out_file(keys: Mapping[str, Any]) -> TaskFile:
    """Check the keys of a held_out task; raises UnknownName for one that cannot be changed."""
    allowed = [field.name for field in fields(TaskFile) if field.name not in _FIXED]
    for key in keys:
        if key not in allowed:
            raise UnknownName(f"key of the task {HELD_OUT!r}:", str(key), allowed)
    return build(TaskFile, {"name": HELD_OUT, "data": "", **keys}, where=HELD_OUT)


def experiment_keys(settings: ExperimentSettings) -> dict[str, Any]:
    """How an experiment asks and scores its own test split, as keys of a task file."""
    if settings.data is None:
        raise InputError(f"The task {HELD_OUT!r} needs `data:` in the experiment.")
    return {
        "template": settings.data.template,
        "metrics": list(settings.metrics),
        "categorizers": settings.categorizers,
        "decoding": asdict(settings.evaluate.decoding()),
    }


def remember(keys: Mapping[str, Any], folder: Path) -> None:
    """Write the keys beside the prepared data, so that `eval CHECKPOINT --task held_out` asks the same."""
    write_output(folder / _FILE, json.dumps(keys, indent=2).encode() + b"\n")


def _remembered(folder: Path) -> dict[str, Any]:
    path = folder / _FILE
    if not path.is_file():
        return {}
    try:
        return dict(json.loads(path.read_bytes()))
    except (ValueError, TypeError) as problem:
        raise FileProblem(path, "this does not hold the keys of a task; remove it or run again.") from problem


def data_folder(model: Model) -> Path:
    """The prepared data that a checkpoint was fine-tuned on: `OUT/data` beside `OUT/checkpoints/...`."""
    if isinstance(model, HfModel):
        folder = (model.adapter or model.folder).parent.parent / DATA
        if (folder / CARD).is_file():
            return folder
    raise InputError(
        f"The task {HELD_OUT!r} is the test split of a fine-tuning, and {model.name!r} is not a checkpoint of one; "
        "name the folder of the fine-tuning, or a data file, instead."
    )


def history(model: Model) -> tuple[DataCard | None, Training | None]:
    """What a checkpoint learned from and how, where it is one of a fine-tuning that is still there."""
    try:
        folder = data_folder(model)
    except InputError:
        return None, None
    return read_prepared(folder).card, stored_training(folder.parent / CHECKPOINTS)


def measure_names(metrics: Sequence[Metric]) -> list[str]:
    """Names of all that some metrics measure, in table order."""
    return [measure.name for metric in metrics for measure in metric.measures]

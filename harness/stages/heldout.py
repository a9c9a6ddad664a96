"""Finds the task a user names; `held_out` is the test split beside a fine-tuned checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.data.prepared import read_prepared
from harness.exceptions import InputError
from harness.models.base import Model
from harness.models.hf import HfModel
from harness.stages.experiment import DATA
from harness.tasks import HELD_OUT, Task, TaskFile, build, load_task, make_task


def task_for(name: str, model: Model, changes: Mapping[str, Any] | None = None) -> Task:
    """Load a task by name or file, with some of its keys changed."""
    changed = dict(changes or {})
    if name != HELD_OUT:
        return load_task({"task": name, **changed}) if changed else load_task(name)
    prepared = read_prepared(data_folder(model))
    keys = {"name": HELD_OUT, "data": "", "template": prepared.card.template, **changed}
    return make_task(HELD_OUT, prepared.test, build(TaskFile, keys, where=HELD_OUT))


def data_folder(model: Model) -> Path:
    """The prepared data that a checkpoint was fine-tuned on: `OUT/data` beside `OUT/checkpoints/...`."""
    if isinstance(model, HfModel):
        folder = (model.adapter or model.folder).parent.parent / DATA
        if (folder / "card.json").is_file():
            return folder
    raise InputError(
        f"The task {HELD_OUT!r} is the test split of a fine-tuning, and {model.name!r} is not a checkpoint of one; "
        "name a data file instead."
    )

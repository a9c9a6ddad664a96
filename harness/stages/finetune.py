"""Prepare data and fine-tune a model on it: the first half of an experiment as a stage of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.checkpoints.aliases import alias_names
from harness.checkpoints.open import open_model
from harness.data.prepared import Prepared
from harness.data.settings import DataSettings
from harness.models.hf import HfModel
from harness.progress import Progress, silent
from harness.records import Training
from harness.stages.experiment import Workplace, checkpoint_model, trainable, tune
from harness.stages.layout import DATA, check_folder
from harness.stages.preparation import check_data, measure_once, prepare_once
from harness.stages.settings import check_lengths
from harness.store.base import NoStore
from harness.tuning import TuneSettings


@dataclass(frozen=True)
class Tuned:
    """A finished fine-tuning: the last checkpoint as a model, the data it learned from, the record."""

    model: HfModel
    prepared: Prepared
    training: Training
    data: DataSettings


def finetune_on(
    model: str | HfModel,
    data: DataSettings,
    settings: TuneSettings,
    out: Path,
    *,
    progress: Progress = silent,
) -> Tuned:
    """Fine-tune into `out`; the same call again goes on, or returns what is finished."""
    check_folder(out)
    check_lengths(data, settings)
    check_data(data)
    opened = None if model in alias_names() else _open(model, progress)
    prepare_once(data, out / DATA, progress)
    base = opened or _open(model, progress)
    prepared = measure_once(data, base, out / DATA, progress)
    training = tune(base, prepared, data, settings, Workplace(out, NoStore(), progress))
    step, folder = training.checkpoints[-1]
    return Tuned(checkpoint_model(base, Path(folder), f"{base.name} step {step}"), prepared, training, data)


def _open(model: str | HfModel, progress: Progress) -> HfModel:
    return trainable(model if isinstance(model, HfModel) else open_model(model, progress=progress))


def split_lengths(tune: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Divide tuning keys into (keys that belong to the data, the rest): the data settings own the length limit."""
    lengths = ("max_length", "truncation_side")
    own = {key: value for key, value in tune.items() if key in lengths}
    return own, {key: value for key, value in tune.items() if key not in lengths}

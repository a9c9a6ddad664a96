"""Prepare data and fine-tune a model on it: the first half of an experiment as a stage of its own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.checkpoints.open import open_model
from harness.data.prepared import Prepared
from harness.data.settings import DataSettings
from harness.exceptions import InputError
from harness.models.hf import HfModel
from harness.progress import Progress, silent
from harness.records import Training
from harness.stages.experiment import DATA, Workplace, check_folder, checkpoint_model, prepare_once, tune
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
    allow_pickle: bool = False,
) -> Tuned:
    """Fine-tune into `out`; the same call again goes on, or returns what is finished."""
    check_folder(out)
    base = (
        model
        if isinstance(model, HfModel)
        else open_model(model, allow_pickle=allow_pickle, progress=progress)
    )
    if not isinstance(base, HfModel):
        raise InputError(f"The model {base.name!r} cannot be fine-tuned: only weights on disk can.")
    prepared = prepare_once(data, base, out / DATA, progress)
    training = tune(base, prepared, data, settings, Workplace(out, NoStore(), progress))
    step, folder = training.checkpoints[-1]
    return Tuned(checkpoint_model(base, Path(folder), f"{base.name} step {step}"), prepared, training, data)

"""Fine-tunes a model folder on samples, or goes on with, or returns, the training that is already there."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.data.templates import PromptTemplate
from harness.exceptions import InputError, StageFailed
from harness.models.digest import digest
from harness.models.files import TOKENIZER_FILES, files_digest, weight_files
from harness.progress import Progress, silent
from harness.records import Sample, Training, TrainingPoint
from harness.records.samples import prompt_json
from harness.tuning.encoding import Encoded, SampleEncoder, encode_samples
from harness.tuning.loading import check_model_folder, load_base, load_tokenizer, lora_config, quiet, resolve
from harness.tuning.order import log_interval, steps_per_epoch
from harness.tuning.saves import (
    complete_checkpoints,
    drop_incomplete,
    open_training,
    session_of,
    sound_checkpoints,
    store_training,
    stored_training,
    trainer_state,
    training_lock,
)
from harness.tuning.settings import TuneSettings

if TYPE_CHECKING:
    from harness.tuning.trainer import AnswerTrainer

_FORMAT = 1
"""Raised when the same settings come to train differently, so that old saves are not continued."""


@dataclass(frozen=True)
class _Session:
    """What this call trains on, and from where it goes on."""

    train: list[Encoded]
    validation: list[Encoded]
    left_out: int
    """Training samples of whose answer truncation left nothing."""
    steps: int
    resolved: Mapping[str, str]
    out: Path
    sound: list[tuple[int, Path]]
    """Complete saves of earlier sessions."""
    progress: Progress


def finetune(
    model_folder: Path,
    train: Sequence[Sample],
    validation: Sequence[Sample],
    template: PromptTemplate,
    settings: TuneSettings,
    out: Path,
    progress: Progress = silent,
) -> Training:
    """Train `model_folder` (safetensors) on the samples; saves and the record go into `out`.

    The same call after a kill goes on from the last complete save, after the end it returns the stored
    record. A call with other settings, data or base starts anew and moves the earlier saves into
    `out/replaced-*`. With no validation samples there is no validation loss. All of the record but `timing`
    depends on the arguments alone, on one machine with as many threads. Raises InputError before training
    for what cannot be used, StageFailed when it breaks half-way.
    """
    if not train:
        raise InputError("There are no training samples.")
    check_model_folder(model_folder)
    name = training_digest(model_folder, train, validation, template, settings)
    if stored := stored_training(out, name):
        return stored
    with quiet(), training_lock(out):
        tokenizer = load_tokenizer(model_folder)
        encoder = SampleEncoder(tokenizer, template, settings.max_length, settings.truncation_side)
        encoded, left_out = encode_samples(encoder, train)
        if not encoded:
            raise InputError(
                f"Nothing is left to train on: max_length {settings.max_length} cuts off every answer."
            )
        resolved = open_training(out, name, resolve(settings))
        sound = sound_checkpoints(out)
        drop_incomplete(out, sound)
        steps = total_steps(len(encoded), settings)
        checked, _ = encode_samples(encoder, validation)
        session = _Session(encoded, checked, left_out, steps, resolved, out, sound, progress)
        if not sound or sound[-1][0] < steps:
            _train(build_trainer(model_folder, tokenizer, settings, session), session)
    training = _record(settings, session)
    store_training(out, name, resolved, training)
    return training


def _train(trainer: AnswerTrainer, session: _Session) -> None:
    from harness.models.memory import out_of_memory

    try:
        trainer.train(resume_from_checkpoint=str(session.sound[-1][1]) if session.sound else None)
    except (RuntimeError, MemoryError) as problem:
        if not out_of_memory(problem):
            raise
        resume = "Free some, or lower tune.batch_size (with more gradient_accumulation) or data.max_length."
        raise StageFailed("Training", "there is not enough memory.", resume) from problem


def training_digest(
    model_folder: Path,
    train: Sequence[Sample],
    validation: Sequence[Sample],
    template: PromptTemplate,
    settings: TuneSettings,
) -> str:
    """SHA-256 over settings, rendered data and the base's files: all that decides a training."""

    def rendered(samples: Sequence[Sample]) -> list[list[str]]:
        return [[prompt_json(template.prompt(sample)), template.completion(sample)] for sample in samples]

    files = [
        *weight_files(model_folder),
        *(model_folder / name for name in ("config.json", *TOKENIZER_FILES)),
    ]
    return digest(
        {
            "format": _FORMAT,
            "settings": asdict(settings),
            "template": template.signature,
            "train": rendered(train),
            "validation": rendered(validation),
            "base": files_digest(files),
        }
    )


def total_steps(samples: int, settings: TuneSettings) -> int:
    """Optimiser steps of a training on that many samples."""
    if settings.max_steps is not None:
        return settings.max_steps
    epoch = steps_per_epoch(samples, settings.batch_size, settings.gradient_accumulation)
    return max(1, math.ceil(settings.epochs * epoch))


def build_trainer(
    model_folder: Path, tokenizer: Any, settings: TuneSettings, session: _Session
) -> AnswerTrainer:
    """Build the trainer of one session, model loaded and adapters in place."""
    from harness.tuning.trainer import AnswerTrainer, Job, check_space

    model = load_base(model_folder, settings, session.resolved)
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    done, folder = session.sound[-1] if session.sound else (0, None)
    job = Job(
        train=session.train,
        validation=session.validation,
        pad=0 if pad is None else int(pad),
        seconds=session_of(folder).seconds if folder else 0.0,
        progress=session.progress,
    )
    trainer = AnswerTrainer(
        job, _arguments(settings, session), model, tokenizer, lora_config(model, settings)
    )
    check_space(session.out, trainer.model, math.ceil((session.steps - done) / settings.save_every))
    return trainer


def _arguments(settings: TuneSettings, session: _Session) -> Any:
    from trl import SFTConfig

    return SFTConfig(
        output_dir=str(session.out),
        max_steps=session.steps,
        per_device_train_batch_size=settings.batch_size,
        gradient_accumulation_steps=settings.gradient_accumulation,
        learning_rate=settings.learning_rate,
        warmup_steps=round(settings.warmup * session.steps),
        lr_scheduler_type="constant_with_warmup" if settings.schedule == "constant" else settings.schedule,
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        seed=settings.seed,
        logging_steps=log_interval(settings.save_every, session.steps),
        logging_first_step=False,
        logging_nan_inf_filter=False,
        save_strategy="steps",
        save_steps=settings.save_every,
        # Frozen weights already have their format; autocast would only add conversions.
        bf16=settings.method == "full" and session.resolved["dtype"] == "bfloat16",
        use_cpu=session.resolved["device"] == "cpu",
        gradient_checkpointing=False,
        include_num_input_tokens_seen="non_padding",
        dataset_kwargs={"skip_prepare_dataset": True},
        max_length=None,
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        report_to="none",
        disable_tqdm=True,
    )


def _record(settings: TuneSettings, session: _Session) -> Training:
    """Make the record of a finished training from its last save alone."""
    saves = complete_checkpoints(session.out)
    folder = saves[-1][1]
    state, remembered = trainer_state(folder), session_of(folder)
    tokens = int(state["num_input_tokens_seen"])
    shown = {name: str(value) for name, value in asdict(settings).items()} | dict(session.resolved)
    shown |= {
        "max_steps": str(session.steps),
        "training samples": str(len(session.train)),
        "validation samples": str(len(session.validation)),
        "left out, answer cut off": str(session.left_out),
    }
    return Training(
        method=settings.method,
        settings=shown,
        points=curve(state["log_history"]),
        steps=int(state["global_step"]),
        epochs=float(state["epoch"]),
        trainable_parameters=remembered.trainable_parameters,
        total_parameters=remembered.total_parameters,
        tokens=tokens,
        checkpoints=tuple((step, str(path)) for step, path in saves),
        adapter_bytes=sum(path.stat().st_size for path in weight_files(folder)),
        timing={"seconds": remembered.seconds, "tokens_per_second": tokens / remembered.seconds},
    )


def curve(history: Sequence[Mapping[str, float]]) -> tuple[TrainingPoint, ...]:
    """Turn the trainer's log into points, one a step."""
    points: dict[int, dict[str, float]] = {}
    names = {
        "loss": "loss",
        "eval_loss": "validation_loss",
        "learning_rate": "learning_rate",
        "grad_norm": "gradient_norm",
    }
    for entry in history:
        found = {ours: float(entry[theirs]) for theirs, ours in names.items() if theirs in entry}
        if found:
            points.setdefault(int(entry["step"]), {"epoch": float(entry.get("epoch") or 0.0)}).update(found)
    return tuple(TrainingPoint(step=step, **points[step]) for step in sorted(points))

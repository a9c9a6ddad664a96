"""Trl's `SFTTrainer`, faster on a processor, silent, repeatable after a kill. Slow to import."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Sampler
from transformers import PrinterCallback, TrainerCallback
from trl import SFTConfig, SFTTrainer

from harness.exceptions import FileProblem, StageFailed
from harness.models.reason import first_line
from harness.progress import Progress
from harness.tuning.adapters import fuse_adapters
from harness.tuning.encoding import IGNORED, Encoded
from harness.tuning.loss import PLAIN, answer_loss
from harness.tuning.order import epoch_order
from harness.tuning.saves import Session, mark_complete

STAGE = "training"
RESUME = "Run the same command again to go on from the last complete save."
_EVALUATION_TOKENS = 4096
_UNWANTED = ("training_args.bin", "README.md")
"""Pickled arguments with this machine's paths, and a model card with placeholders."""


@dataclass(frozen=True)
class Job:
    """What the trainer needs beside its arguments."""

    train: Sequence[Encoded]
    validation: Sequence[Encoded]
    pad: int
    """Token that fills rows."""
    seconds: float
    """Training time of earlier sessions."""
    progress: Progress


class OrderSampler(Sampler[int]):
    """Indices of the current epoch, as `epoch_order` plans them."""

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int) -> None:
        self.lengths, self.batch_size, self.seed = lengths, batch_size, seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch; the trainer calls it before each, resumed ones included."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        return iter(epoch_order(self.lengths, self.batch_size, self.seed, self.epoch))


def collate(rows: Sequence[Mapping[str, Sequence[int]]], pad: int) -> dict[str, torch.Tensor]:
    """Rows padded at the end to the longest: input_ids, labels, attention_mask, each (rows, length)."""
    tokens = [torch.tensor(row["input_ids"]) for row in rows]
    labels = [torch.tensor(row["labels"]) for row in rows]
    return {
        "input_ids": pad_sequence(tokens, batch_first=True, padding_value=pad),
        "labels": pad_sequence(labels, batch_first=True, padding_value=IGNORED),
        "attention_mask": pad_sequence([torch.ones_like(row) for row in tokens], batch_first=True),
    }


class AnswerTrainer(SFTTrainer):  # type: ignore[misc]
    """Trains on answers only; saves are marked when complete; a loss that is not finite ends the training."""

    loss_is_scaled_for_ga = True

    def __init__(self, job: Job, args: SFTConfig, model: Any, tokenizer: Any, peft_config: Any) -> None:
        from datasets import Dataset

        self.job = job
        self.started = time.monotonic()
        rows = [{"input_ids": list(item.input_ids), "labels": list(item.labels)} for item in job.train]
        super().__init__(
            model=model,
            args=args,
            train_dataset=Dataset.from_list(rows),
            data_collator=lambda batch: collate(batch, job.pad),
            processing_class=tokenizer,
            peft_config=peft_config,
        )
        fuse_adapters(self.model)
        self.remove_callback(PrinterCallback)
        self.add_callback(Watch(self))

    def _send_telemetry(self) -> None:
        """Nothing is sent anywhere."""

    def _get_train_sampler(self, *_: Any) -> OrderSampler:
        lengths = [len(item.input_ids) for item in self.job.train]
        return OrderSampler(lengths, self.args.train_batch_size, self.args.seed)

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Negative log-likelihood a token over all forward passes of the optimiser step."""
        if self.aux_loss_enabled or return_outputs:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        total, count = self.answer_loss(model, inputs)
        return total / (count if num_items_in_batch is None else num_items_in_batch)

    def answer_loss(self, model: Any, inputs: Any) -> tuple[torch.Tensor, int]:
        """See `harness.tuning.loss.answer_loss`."""
        inner = self.accelerator.unwrap_model(model)
        head = inner.get_output_embeddings()
        return answer_loss(model, head, inputs, plain=inner.config.model_type in PLAIN)

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Loss a token over the validation samples, logged as `eval_loss`."""
        if not self.job.validation:
            return {}
        self.model.eval()
        total, count = 0.0, 0
        with torch.no_grad(), self.accelerator.autocast():
            for batch in _evaluation_batches(self.job.validation):
                rows = [{"input_ids": item.input_ids, "labels": item.labels} for item in batch]
                inputs = self._prepare_inputs(collate(rows, self.job.pad))
                loss, tokens = self.answer_loss(self.model, inputs)
                total, count = total + loss.item(), count + tokens
        self.model.train()
        metrics = {"eval_loss": total / count}
        self.log(metrics)
        return metrics

    def log(self, logs: dict[str, float], *_: Any) -> None:
        """Log one point; stop when it is not finite, before such weights can be saved."""
        for name in ("loss", "grad_norm", "eval_loss"):
            if not math.isfinite(logs.get(name, 0.0)):
                raise StageFailed(
                    STAGE,
                    f"the {_NAMES[name]} of step {self.state.global_step} is {logs[name]}.",
                    "A lower learning rate may help; the last complete save is kept.",
                )
        super().log(logs)

    def seconds(self) -> float:
        """Training time so far, over all sessions."""
        return self.job.seconds + time.monotonic() - self.started

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        folder = Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}"
        try:
            # Past SFTTrainer's own, which only adds a model card to the output folder.
            super(SFTTrainer, self)._save_checkpoint(model, trial)
            for name in _UNWANTED:
                (folder / name).unlink(missing_ok=True)
            mark_complete(folder, Session(self.seconds(), *parameters(self.model)))
        except (OSError, RuntimeError, SafetensorError) as problem:
            shutil.rmtree(folder, ignore_errors=True)
            raise StageFailed(
                STAGE, f"{folder.name} could not be written ({first_line(problem)}).", RESUME
            ) from problem


_NAMES = {"loss": "loss", "grad_norm": "gradient norm", "eval_loss": "validation loss"}


class Watch(TrainerCallback):  # type: ignore[misc]
    """Tells the caller how far the training is, logs its end, and measures the base before the first step."""

    def __init__(self, trainer: AnswerTrainer) -> None:
        self.trainer = trainer
        self.loss: float | None = None
        self.first = (0, 0.0)

    def on_train_begin(self, _args: Any, state: Any, _control: Any, **_: Any) -> None:
        """Measure the untrained model's validation loss, the curve's first point."""
        if state.global_step == 0:
            self.trainer.evaluate()
        self.first = (state.global_step, time.monotonic())
        self.trainer.job.progress(STAGE, state.global_step, state.max_steps, "")

    def on_step_end(self, _args: Any, state: Any, control: Any, **_: Any) -> Any:
        """Every save is evaluated first, and the last step is logged where the interval does not meet it."""
        last = state.global_step >= state.max_steps
        control.should_log |= last
        control.should_evaluate = last or state.global_step % state.save_steps == 0
        done, since = self.first
        left = (time.monotonic() - since) / (state.global_step - done) * (state.max_steps - state.global_step)
        loss = "" if self.loss is None else f"loss {self.loss:.3f}, "
        self.trainer.job.progress(STAGE, state.global_step, state.max_steps, f"{loss}{_duration(left)} left")
        return control

    def on_log(self, _args: Any, _state: Any, _control: Any, logs: Any = None, **_: Any) -> None:
        """Remember the loss for the next note."""
        self.loss = (logs or {}).get("loss", self.loss)


def parameters(model: torch.nn.Module) -> tuple[int, int]:
    """(trainable, all) parameters, adapters included, shared ones once."""
    sizes = [(item.numel(), item.requires_grad) for item in model.parameters()]
    return sum(size for size, trained in sizes if trained), sum(size for size, _ in sizes)


def check_space(out: Path, model: torch.nn.Module, saves: int) -> None:
    """Refuse a disk that cannot hold the saves: weights and two Adam moments in float32 each."""
    needed = parameters(model)[0] * 4 * 3 * saves + (1 << 24)
    free = shutil.disk_usage(out).free
    if free < needed:
        raise FileProblem(
            out,
            f"{saves} saves of this training need {needed >> 20} MiB, but only {free >> 20} MiB are free.",
        )


def _evaluation_batches(items: Sequence[Encoded]) -> Iterator[list[Encoded]]:
    batch: list[Encoded] = []
    for item in sorted(items, key=lambda item: len(item.input_ids)):
        if batch and (len(batch) + 1) * len(item.input_ids) > _EVALUATION_TOKENS:
            yield batch
            batch = []
        batch.append(item)
    yield batch


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"

"""How a model is fine-tuned: one frozen dataclass, every field checked when it is made."""

from __future__ import annotations

import math
from dataclasses import dataclass

from harness.exceptions import BadValue, UnknownName

METHODS = ("lora", "full")
SCHEDULES = ("linear", "cosine", "constant")
DTYPES = ("auto", "float32", "bfloat16")
DEVICES = ("auto", "cpu", "cuda", "mps")
SIDES = ("right", "left")


@dataclass(frozen=True, slots=True)
class TuneSettings:
    """All of a training but model, data and folder; the `tune:` block of an experiment file."""

    method: str = "lora"
    """"lora" trains low-rank adapters (Hu et al. 2021, arXiv:2106.09685), "full" every weight."""
    epochs: float = 2.0
    max_steps: int | None = None
    """Optimiser steps; None derives them from `epochs`."""
    batch_size: int = 8
    """Samples a forward pass."""
    gradient_accumulation: int = 1
    """Forward passes an optimiser step."""
    learning_rate: float = 3e-4
    warmup: float = 0.05
    """Share of all steps in which the learning rate rises from 0."""
    schedule: str = "cosine"
    """"linear" or "cosine" fall to 0 after the warm-up, "constant" stays."""
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    rank: int = 16
    alpha: float = 32.0
    """An adapter's output is scaled by alpha / rank."""
    dropout: float = 0.0
    """Share of an adapter's inputs that is zeroed in training."""
    targets: str | tuple[str, ...] = "all-linear"
    """Layers that get adapters, for example ("q_proj", "v_proj"); all linear ones but the head."""
    max_length: int = 1024
    """Longest sequence in tokens, prompt plus answer; the rest is cut off."""
    truncation_side: str = "right"
    """End that is cut off: "right" loses the end of the answer, "left" the start of the prompt."""
    save_every: int = 50
    """Steps between saves; the last step is always saved."""
    seed: int = 7
    dtype: str = "auto"
    """"auto": bfloat16 where the processor multiplies it natively, else float32."""
    device: str = "auto"
    """"auto", "cpu", "cuda" or "mps"; CUDA_VISIBLE_DEVICES says which of several GPUs."""

    def __post_init__(self) -> None:
        if isinstance(self.targets, list):
            object.__setattr__(self, "targets", tuple(self.targets))
        _known("tuning method", self.method, METHODS)
        _known("schedule", self.schedule, SCHEDULES)
        _known("dtype", self.dtype, DTYPES)
        _known("device", self.device, DEVICES)
        _known("truncation side", self.truncation_side, SIDES)
        for name in ("batch_size", "gradient_accumulation", "rank", "save_every"):
            _whole(f"tune.{name}", getattr(self, name), 1)
        _whole("tune.max_length", self.max_length, 2)
        _whole("tune.seed", self.seed, 0)
        if self.max_steps is not None:
            _whole("tune.max_steps", self.max_steps, 1)
        for name in ("epochs", "learning_rate", "max_grad_norm", "alpha"):
            _number(f"tune.{name}", getattr(self, name), "a number above 0", low=0, open_low=True)
        _number("tune.weight_decay", self.weight_decay, "a number, 0 or more", low=0)
        for name in ("warmup", "dropout"):
            value = getattr(self, name)
            _number(f"tune.{name}", value, "a share from 0 to below 1", low=0, below=1)
        if not self.targets or not all(_is_name(target) for target in self._target_list):
            raise BadValue("tune.targets", self.targets, '"all-linear" or names of layers')

    @property
    def _target_list(self) -> tuple[object, ...]:
        return (self.targets,) if isinstance(self.targets, str) else tuple(self.targets)


def _is_name(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _known(what: str, given: object, allowed: tuple[str, ...]) -> None:
    if given not in allowed:
        raise UnknownName(what, str(given), allowed)


def _whole(setting: str, value: object, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise BadValue(setting, value, f"a whole number, {least} or more")


def _number(
    setting: str, value: object, allowed: str, *, low: float, open_low: bool = False, below: float = math.inf
) -> None:
    fits = (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and (low < value < below or (value == low and not open_low))
    )
    if not fits:
        raise BadValue(setting, value, allowed)

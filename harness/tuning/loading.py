"""Loads what is trained: model, tokenizer, number format, adapters. Silent, offline, safetensors only."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.exceptions import FileProblem, UnknownName
from harness.models.files import weight_files
from harness.models.reason import first_line
from harness.tuning.settings import TuneSettings


def check_model_folder(folder: Path) -> None:
    """Refuse what is no transformers model with safetensors weights."""
    if not folder.is_dir():
        raise FileProblem(folder, "there is no such model folder.")
    if not (folder / "config.json").is_file() or not weight_files(folder):
        raise FileProblem(folder, "is no model folder: it must hold config.json and *.safetensors weights.")


def resolve(settings: TuneSettings) -> dict[str, str]:
    """Choose device and number format on this machine. Imports torch."""
    from harness.models.processor import resolve_device, resolve_dtype

    device = resolve_device(settings.device)
    return {"device": device, "dtype": resolve_dtype(settings.dtype, device)}


def load_tokenizer(folder: Path) -> Any:
    """Load the tokenizer of a model folder."""
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as problem:
        raise FileProblem(folder, f"its tokenizer cannot be loaded ({first_line(problem)}).") from problem


def load_base(folder: Path, settings: TuneSettings, resolved: Mapping[str, str]) -> Any:
    """Load the model to train.

    Under adapters the weights are frozen and held in the resolved format. Trained weights are held in
    float32, since bfloat16 would round small updates away; products are computed in the resolved format.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from harness.tuning.attention import register
    from harness.tuning.loss import PLAIN

    frozen = settings.method != "full"
    dtype = getattr(torch, resolved["dtype"]) if frozen else torch.float32
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        short = resolved["device"] == "cpu" and config.model_type in PLAIN
        return AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=dtype,
            attn_implementation=register() if short else None,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
        )
    except (OSError, ValueError) as problem:
        raise FileProblem(folder, f"the model cannot be loaded ({first_line(problem)}).") from problem


def lora_config(model: Any, settings: TuneSettings) -> Any:
    """Build peft's LoRA settings, None for a full training; an unknown layer is refused."""
    from peft import LoraConfig
    from torch.nn import Linear

    if settings.method == "full":
        return None
    targets = settings.targets
    if targets != "all-linear":
        names = {
            name.rpartition(".")[2] for name, module in model.named_modules() if isinstance(module, Linear)
        }
        targets = (targets,) if isinstance(targets, str) else targets
        for target in targets:
            if target not in names:
                raise UnknownName("layer in tune.targets", target, names)
    return LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=targets if isinstance(targets, str) else list(targets),
        task_type="CAUSAL_LM",
    )


@contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers, datasets, trl and torch from writing to the console."""
    import datasets
    import transformers

    verbosity, bars = transformers.logging.get_verbosity(), transformers.logging.is_progress_bar_enabled()
    data_bars = datasets.are_progress_bars_disabled()
    others = [logging.getLogger(name) for name in ("trl", "accelerate", "peft", "datasets")]
    levels = [logger.level for logger in others]
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    datasets.disable_progress_bars()
    for logger in others:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        transformers.logging.set_verbosity(verbosity)
        if bars:
            transformers.logging.enable_progress_bar()
        if not data_bars:
            datasets.enable_progress_bars()
        for logger, level in zip(others, levels, strict=True):
            logger.setLevel(level)

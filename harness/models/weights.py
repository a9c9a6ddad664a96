"""Loads transformers weights once and puts any number of adapters on them. Imports torch and transformers."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from harness.exceptions import FileProblem
from harness.models.processor import DTYPES

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


@dataclass
class LoadedWeights:
    """A base model in memory with its tokenizer; adapters are added on first use and then switched."""

    model: Any
    tokenizer: Any
    adapters: dict[Path, str] = field(default_factory=dict)

    def use(self, adapter: Path | None) -> Any:
        """The model with this adapter active, or with none."""
        if adapter is None:
            if self.adapters:
                self.model.base_model.disable_adapter_layers()
            return self.model
        from peft import PeftModel

        if adapter not in self.adapters:
            name = f"adapter{len(self.adapters)}"
            if self.adapters:
                self.model.load_adapter(str(adapter), adapter_name=name)
            else:
                self.model = PeftModel.from_pretrained(self.model, str(adapter), adapter_name=name)
            self.model.eval()
            self.adapters[adapter] = name
        self.model.base_model.enable_adapter_layers()
        self.model.set_adapter(self.adapters[adapter])
        return self.model


class WeightsPool:
    """Keeps the base used last, so that a base and its adapters need the memory of one base."""

    def __init__(self) -> None:
        self._key: tuple[Path, str, str] | None = None
        self._weights: LoadedWeights | None = None

    def get(self, folder: Path, dtype: str, device: str, *, trust_remote_code: bool) -> LoadedWeights:
        """Load a folder of safetensors, or return it if it is the one in memory."""
        key = (folder, dtype, device)
        if self._weights is None or self._key != key:
            self._weights = None
            self._weights = load(folder, dtype, device, trust_remote_code=trust_remote_code)
            self._key = key
        return self._weights


def load(folder: Path, dtype: str, device: str, *, trust_remote_code: bool = False) -> LoadedWeights:
    """Read model and tokenizer from a local folder; pickled weights are refused."""
    with quiet_transformers():
        try:
            tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=trust_remote_code)
            model = AutoModelForCausalLM.from_pretrained(
                folder, dtype=DTYPES[dtype], use_safetensors=True, trust_remote_code=trust_remote_code
            )
        except (OSError, ValueError, KeyError) as problem:
            reason = str(problem).splitlines()[0] if str(problem) else type(problem).__name__
            raise FileProblem(folder, f"no model can be loaded from this folder ({reason})") from problem
    return LoadedWeights(model.to(device).eval(), tokenizer)


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Keep transformers' progress bars and advice off the terminal."""
    level = transformers_logging.get_verbosity()
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity(logging.ERROR)
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(level)
        if bars:
            transformers_logging.enable_progress_bar()


def cache_layers(model: torch.nn.Module) -> int:
    """Number of layers that hold keys and values."""
    config: Any = model.config
    return int(config.get_text_config(decoder=True).num_hidden_layers)

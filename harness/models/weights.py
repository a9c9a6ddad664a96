"""Loads transformers weights once and puts any number of adapters on them. Imports torch and transformers."""

from __future__ import annotations

import logging
import os
import pickle
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from harness.exceptions import FileProblem
from harness.models.architecture import Architecture
from harness.models.files import Stamp, weight_files, weights_stamp
from harness.models.processor import DTYPES
from harness.models.reason import first_line

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

_SHORT = 128
"""A model that takes fewer tokens than this has little to share."""
_UNLOADABLE = (
    *(OSError, EOFError, ValueError, KeyError, TypeError, RuntimeError),
    *(SafetensorError, pickle.UnpicklingError),
)
"""What transformers, peft and safetensors raise on files that are damaged or do not fit."""


@dataclass
class LoadedWeights:
    """A base model in memory with its tokenizer; adapters are added on first use and then switched."""

    model: Any
    tokenizer: Any
    architecture: Architecture
    adapters: dict[tuple[Path, Stamp], str] = field(default_factory=dict)
    """Names in `model` by folder and state of its files: a folder may come to hold another adapter."""
    virtual: dict[tuple[Path, Stamp], Any] = field(default_factory=dict)
    """Prompt-tuned and prefix-tuned models: they only put virtual tokens before the base, whose layers stay as they
    are, so each is a shell of its own around it."""
    trees: dict[tuple[Path, Stamp] | None, bool] = field(default_factory=dict)
    """Whether the model can be scored on the prefix tree: of the base, which speaks for its LoRA adapters, and of
    each adapter with virtual tokens."""
    spoiled: bool = False
    """An adapter failed half-way: its layers may be in the base, which must be loaded afresh."""

    def use(self, adapter: Path | None) -> Any:
        """The model with this adapter active, or with none."""
        key = (adapter, weights_stamp(adapter)) if adapter is not None else None
        if key is not None and key not in self.adapters and key not in self.virtual:
            self._add(*key)
        if key is None or key in self.virtual:
            if self.adapters:
                self.model.base_model.disable_adapter_layers()
            return self.model if key is None else self.virtual[key]
        self.model.base_model.enable_adapter_layers()
        self.model.set_adapter(self.adapters[key])
        return self.model

    def fits_tree(self, adapter: Path | None, device: str) -> bool:
        """Whether log-likelihoods may be scored on the prefix tree; found out once, with a warning if not."""
        from harness.models.tree_check import fits_tree

        if self.architecture.longest and self.architecture.longest < _SHORT:
            return False
        model = self.use(adapter)
        virtual = getattr(getattr(model, "active_peft_config", None), "is_prompt_learning", False)
        key = (adapter, weights_stamp(adapter)) if adapter is not None and virtual else None
        if key not in self.trees:
            pad = self.tokenizer.pad_token_id
            self.trees[key] = fits_tree(model, 0 if pad is None else pad, device)
            if not self.trees[key]:
                warnings.warn(
                    f"Models of the kind {self.architecture.config.model_type!r} do not fit the prefix tree; "
                    "they are scored in plain batches, which takes longer.",
                    stacklevel=2,
                )
        return self.trees[key]

    def _add(self, adapter: Path, stamp: Stamp) -> None:
        from peft import PeftConfig, PeftModel

        name = f"adapter{len(self.adapters)}"
        self.spoiled = True
        try:
            with warnings.catch_warnings():
                # peft itself asks for a name that transformers has given up
                warnings.filterwarnings(
                    "ignore", message=".*is_gradient_checkpointing", category=FutureWarning
                )
                # peft only warns of weights that are not there, and leaves them random
                warnings.filterwarnings("error", message="Found missing adapter keys")
                if PeftConfig.from_pretrained(str(adapter)).is_prompt_learning:
                    plain = self.model.get_base_model() if self.adapters else self.model
                    self.virtual[adapter, stamp] = PeftModel.from_pretrained(plain, str(adapter)).eval()
                    self.spoiled = False
                    return
                if self.adapters:
                    missing = self.model.load_adapter(str(adapter), adapter_name=name).missing_keys
                    if any(f".{name}." in key for key in missing):
                        raise ValueError(f"weights are missing, such as {missing[0]}")
                else:
                    self.model = PeftModel.from_pretrained(self.model, str(adapter), adapter_name=name)
        except (*_UNLOADABLE, UserWarning) as problem:
            raise FileProblem(
                adapter, f"this adapter cannot be put on its base model ({first_line(problem)})"
            ) from problem
        self.model.eval()
        self.adapters[adapter, stamp] = name
        self.spoiled = False


class WeightsPool:
    """Keeps the base used last, so that a base and its adapters need the memory of one base.

    In two number formats it is kept twice: adaptive precision goes back and forth between them.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[Path, Stamp, str, str], LoadedWeights] = {}
        self._tokenizers: dict[tuple[Path, Stamp], Any] = {}

    def get(
        self,
        folder: Path,
        dtype: str,
        device: str,
        *,
        trust_remote_code: bool = False,
        allow_pickle: bool = False,
    ) -> LoadedWeights:
        """Load a folder of weights, or return it if it is the one in memory."""
        key = (folder, weights_stamp(folder), dtype, device)
        if key not in self._kept or self._kept[key].spoiled:
            self._kept = {
                other: weights
                for other, weights in self._kept.items()
                if other[:2] == key[:2] and other != key and not weights.spoiled
            }
            self._kept[key] = load(
                folder, dtype, device, trust_remote_code=trust_remote_code, allow_pickle=allow_pickle
            )
        return self._kept[key]

    def tokenizer(self, folder: Path, *, trust_remote_code: bool = False) -> Any:
        """The tokenizer of a folder, loaded without its weights and kept."""
        key = folder, weights_stamp(folder)
        if key not in self._tokenizers:
            self._tokenizers = {key: load_tokenizer(folder, trust_remote_code=trust_remote_code)}
        return self._tokenizers[key]

    def release(self) -> None:
        """Give the memory of the loaded base back, before a training loads its own."""
        self._kept = {}


def load_tokenizer(folder: Path, *, trust_remote_code: bool = False) -> Any:
    """Read the tokenizer of a local folder; FileProblem where there is none that can be used."""
    with quiet_transformers():
        try:
            return AutoTokenizer.from_pretrained(
                folder, trust_remote_code=trust_remote_code, local_files_only=True
            )
        except (*_UNLOADABLE, ImportError) as problem:
            raise FileProblem(
                folder, f"no tokenizer can be loaded from this folder ({first_line(problem)})"
            ) from problem


def load(
    folder: Path, dtype: str, device: str, *, trust_remote_code: bool = False, allow_pickle: bool = False
) -> LoadedWeights:
    """Read model and tokenizer from a local folder; pickled weights only where allowed and nothing else is there.

    Weights that are missing from the files are refused: transformers would make them up at random.
    """
    settings = {"trust_remote_code": trust_remote_code, "local_files_only": True}
    with quiet_transformers():
        try:
            tokenizer = AutoTokenizer.from_pretrained(folder, **settings)
            model, info = AutoModelForCausalLM.from_pretrained(
                folder,
                dtype=DTYPES[dtype],
                use_safetensors=bool(weight_files(folder)) or not allow_pickle,
                output_loading_info=True,
                **settings,
            )
        except (*_UNLOADABLE, ImportError) as problem:
            raise FileProblem(
                folder, f"no model can be loaded from this folder ({first_line(problem)})"
            ) from problem
    if info["missing_keys"]:
        missing = sorted(info["missing_keys"])
        raise FileProblem(
            folder, f"{len(missing)} of the model's weights are not in its files, such as {missing[0]}."
        )
    _check_vocabulary(folder, model, tokenizer)
    return LoadedWeights(model.to(device).eval(), tokenizer, Architecture.of(model))


def _check_vocabulary(folder: Path, model: Any, tokenizer: Any) -> None:
    """Refuse a tokenizer of another model, whose tokens the embedding would not find."""
    highest = max(tokenizer.get_vocab().values(), default=-1)
    rows = int(model.get_input_embeddings().weight.shape[0])
    if highest >= rows:
        raise FileProblem(
            folder,
            f"the tokenizer does not fit the model: its tokens go up to number {highest:,}, but the model knows "
            f"only {rows:,} (numbers 0 to {rows - 1:,}).",
        )


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

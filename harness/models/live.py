"""A model that lives in memory, such as one in training, scored and asked without leaving a trace.

Between two batches it is as it was found: the train mode of every module and torch's random state are put back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch

from harness.models.architecture import Architecture
from harness.models.base import Decoding, GeneratedBatch, ScoredBatch
from harness.models.hf import HfModel, HfSettings
from harness.models.processor import DTYPES
from harness.models.weights import LoadedWeights, WeightsPool
from harness.records import Prompt

B = TypeVar("B")


@dataclass(frozen=True, eq=False)
class LiveModel(HfModel):
    """A transformers or peft model and its tokenizer as a `Model`; make it with `LiveModel.of`."""

    loaded: LoadedWeights

    @classmethod
    def of(
        cls, model: Any, tokenizer: Any, name: str = "live", settings: HfSettings | None = None
    ) -> LiveModel:
        """Take a model where it is, in the number format it has. InputError for one that cannot be batched."""
        plain = model.get_base_model() if hasattr(model, "get_base_model") else model
        loaded = LoadedWeights(model, tokenizer, Architecture.of(plain))
        return cls(name, Path(), None, settings or HfSettings(), WeightsPool(), loaded)

    @property
    def resolved(self) -> tuple[str, str]:
        """(dtype, device) of the model's weights."""
        first = next(self.loaded.model.parameters())
        names = {dtype: name for name, dtype in DTYPES.items()}
        return names.get(first.dtype, str(first.dtype)), str(first.device)

    @property
    def fingerprint(self) -> str:
        """Digest of all weights as they are now, of the configuration and the tokenizer.

        Made anew each time: after a training step it is another model.
        """
        digest = hashlib.sha256()
        for name, tensor in sorted(self.loaded.model.state_dict().items()):
            flat = tensor.detach().to("cpu").contiguous().flatten().view(torch.uint8)
            digest.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)}\n".encode())
            digest.update(flat.numpy().data)
        tokenizer = self.loaded.tokenizer
        backend = getattr(tokenizer, "backend_tokenizer", None)
        vocabulary = backend.to_str() if backend is not None else str(sorted(tokenizer.get_vocab().items()))
        digest.update(f"{self.loaded.architecture.config.to_json_string()}\n{vocabulary}\n".encode())
        digest.update(str(tokenizer.chat_template).encode())
        return digest.hexdigest()

    @property
    def weights(self) -> LoadedWeights:
        """The model itself."""
        return self.loaded

    @property
    def tokenizer(self) -> Any:
        """The tokenizer it was given with."""
        return self.loaded.tokenizer

    def generate(
        self, prompts: Sequence[Prompt], decoding: Decoding, have: Collection[int] = ()
    ) -> Iterator[GeneratedBatch]:
        """See `HfModel.generate`."""
        return self._undisturbed(super().generate(prompts, decoding, have))

    def loglikelihood(
        self, pairs: Sequence[tuple[Prompt, str]], have: Collection[int] = ()
    ) -> Iterator[ScoredBatch]:
        """See `HfModel.loglikelihood`."""
        return self._undisturbed(super().loglikelihood(pairs, have))

    def rolling(self, texts: Sequence[str], have: Collection[int] = ()) -> Iterator[ScoredBatch]:
        """See `HfModel.rolling`."""
        return self._undisturbed(super().rolling(texts, have))

    def _undisturbed(self, batches: Iterator[B]) -> Iterator[B]:
        while True:
            with evaluating(self.loaded.model):
                found = next(batches, None)
            if found is None:
                return
            yield found


@contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """Evaluation mode for a while; then every module's own mode and torch's random state as before."""
    modes = [(module, module.training) for module in model.modules()]
    devices = range(torch.cuda.device_count()) if torch.cuda.is_available() else ()
    with torch.random.fork_rng(devices=devices):
        model.eval()
        try:
            yield
        finally:
            for module, mode in modes:
                module.training = mode

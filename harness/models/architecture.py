"""What a decoder's forward pass takes and what it must remember between tokens. Imports transformers."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

from transformers.cache_utils import Cache, DummyLayer, DynamicCache, DynamicLayer

from harness.exceptions import InputError
from harness.models.cache import GrowingCache

_OPTIONAL = ("position_ids", "logits_to_keep")
_NEEDED = ("attention_mask", "past_key_values")


@dataclass(frozen=True)
class Architecture:
    """How one kind of decoder is called.

    config: the transformers configuration; takes: which optional arguments its forward pass knows; full: every
    layer sees all tokens, by position and not by place in the row, so that a shared prefix may stand apart from
    the left-padded rest.
    """

    config: Any
    takes: frozenset[str]
    full: bool
    layers: int

    @classmethod
    def of(cls, model: Any) -> Architecture:
        """Read it from a transformers model (without adapters); InputError where batches cannot be run."""
        config = model.config.get_text_config(decoder=True)
        parameters = inspect.signature(model.forward).parameters
        layers = DynamicCache(config=config).layers
        known = all(isinstance(layer, (DynamicLayer, DummyLayer)) for layer in layers)
        if not known or any(name not in parameters for name in _NEEDED):
            raise InputError(
                f"Models of the kind {config.model_type!r} cannot be run here: they do not remember plain keys "
                "and values of every token (state space, recurrent or linear attention layers)."
            )
        local = "local" in getattr(config, "attention_layers", ())  # GPT-Neo's windows are not in its cache
        plain = all(type(layer) is DynamicLayer for layer in layers)
        takes = frozenset(name for name in _OPTIONAL if name in parameters)
        return cls(config, takes, plain and not local and "position_ids" in takes, len(layers))

    def cache(self, capacity: int) -> Cache:
        """An empty cache: one that grows in place where every layer sees all tokens, else transformers' own."""
        return GrowingCache(self.layers, capacity) if self.full else DynamicCache(config=self.config)

    def accepted(self, **arguments: Any) -> dict[str, Any]:
        """Those of the optional arguments that the forward pass takes."""
        return {name: value for name, value in arguments.items() if name in self.takes}

    @property
    def longest(self) -> int | None:
        """Most tokens the model was built for, None where its configuration does not say."""
        found = getattr(self.config, "max_position_embeddings", None)
        return int(found) if found else None

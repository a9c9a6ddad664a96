"""Virtual tokens of prompt-tuned and prefix-tuned models: the start of every row's keys and values.

peft's own forward pass puts them before a row's padding, which moves the positions of all that follows, and
generation with a cache of one's own does not know them at all. Here they are run, or read, once into an empty
cache; the base model then goes on from there as from any other prefix.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from transformers.cache_utils import Cache


def virtual_tokens(model: Any) -> int:
    """How many virtual tokens stand before everything a model reads; 0 but for peft's prompt learning."""
    config = getattr(model, "active_peft_config", None)
    if config is None or not config.is_prompt_learning:
        return 0
    return int(config.num_virtual_tokens)


def without_virtual(model: Any) -> Any:
    """The model that reads what follows the virtual tokens; any other model is that itself."""
    return model.get_base_model() if virtual_tokens(model) else model


def begin(model: Any, cache: Cache, device: str) -> int:
    """Put the virtual tokens into an empty cache, one row; returns their number."""
    count = virtual_tokens(model)
    if not count:
        return 0
    given = model.get_prompt(batch_size=1)
    base = model.get_base_model()
    if isinstance(given, torch.Tensor):  # embeddings
        base(
            inputs_embeds=given.to(base.dtype),
            attention_mask=torch.ones(1, count, dtype=torch.long, device=device),
            past_key_values=cache,
            use_cache=True,
        )
    else:
        for place, layer in enumerate(given.layers):
            cache.update(layer.keys, layer.values, place)
    return count

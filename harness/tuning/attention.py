"""Attention for short rows on a processor, where torch's fused kernel is slow in training.

On rows of 130 tokens forward and backward of `scaled_dot_product_attention` took 24 ms in bfloat16, these
three products 6 ms (two cores, AVX-512). Scores are kept for the way back, so long rows go to torch's
kernel instead.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

NAME = "harness_short"
LARGEST = 1 << 23
"""Most scores of one layer (rows x heads x length x length) that are kept."""
_OTHER_MATHS = ("softcap", "s_aux", "position_bias")


def register() -> str:
    """Make the attention known to transformers; returns the name for `attn_implementation`."""
    from transformers import AttentionInterface
    from transformers.masking_utils import AttentionMaskInterface, eager_mask

    AttentionInterface.register(NAME, short_attention)
    AttentionMaskInterface.register(NAME, eager_mask)
    return NAME


def short_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor,
    **options: Any,
) -> tuple[Tensor, None]:
    """Softmax attention, (rows, length, heads, size) from query (rows, heads, length, size).

    key, value: (rows, key heads, length, size), each key head serving as many query heads. attention_mask:
    added to the scores, (rows, 1, length, length). Equal to torch's kernel but for the order of roundings.
    """
    rows, heads, length, size = query.shape
    groups, keys = key.shape[1], key.shape[2]
    other = options.get("dropout") or any(options.get(name) is not None for name in _OTHER_MATHS)
    if other or rows * heads * length * keys > LARGEST:
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        found: tuple[Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, **options
        )
        return found
    scaling = options.get("scaling") or size**-0.5
    with torch.autocast(query.device.type, enabled=False):
        asked = (query.to(value.dtype) * scaling).reshape(rows * groups, -1, size)
        scores = torch.bmm(asked, key.to(value.dtype).reshape(rows * groups, keys, size).transpose(1, 2))
        scores = scores.view(rows, heads, length, keys).add_(attention_mask[..., :keys])
        weights = torch.softmax(scores, -1).view(rows * groups, -1, keys)
        mixed = torch.bmm(weights, value.reshape(rows * groups, keys, size)).view(rows, heads, length, size)
    return mixed.transpose(1, 2).contiguous(), None

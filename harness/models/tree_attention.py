"""Attention for rows of a prefix tree: a trunk, then branches, after a prefix that all rows share.

A token sees the prefix, the trunk up to itself and, on a branch, its own ancestors. On a processor the three
parts are computed by torch's fused kernel one after the other and put together by their log-sum-exp (as in
flash attention, Dao et al. 2022, arXiv:2205.14135), so that the prefix is neither copied for each row nor
masked; elsewhere one call with an explicit mask does the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

NAME = "harness_tree"
_STEP = 128
"""Tokens of a trunk that ask together."""
_OTHER_MATHS = ("softcap", "s_aux", "position_bias", "sliding_window")
KeysValues = list[tuple[Tensor, Tensor]]
"""Of each layer, (1, key heads, length, size)."""


class OtherMaths(NotImplementedError):
    """This model's attention is more than a softmax over all ancestors."""


@dataclass
class TreeRows:
    """How the rows of the forward pass that is going on are laid out.

    The tokens of all rows go through the model one after the other, without padding; only attention sees rows.
    slots: (rows, columns), which token stands in each column, 0 where there is none; places: (tokens,), in
    which of the rows' columns, counted through, each token stands; trunk: columns of the trunk, short ones
    padded at their end; seen: bool (rows, 1, branch columns, all columns), which trunk and branch columns a
    branch column sees, None where no row has branches; prefix: keys and values of what all rows share, one pair
    a layer, None at the root; kept: filled with the tokens' own keys and values, if given.
    """

    slots: Tensor
    places: Tensor
    trunk: int
    seen: Tensor | None = None
    prefix: KeysValues | None = None
    kept: KeysValues | None = None
    whole: Tensor | None = field(default=None, repr=False)
    """The mask of everything, made when it is first needed."""
    _added: Tensor | None = field(default=None, repr=False)

    def added(self, dtype: torch.dtype, groups: int) -> Tensor:
        """`seen` as what is added to the scores, each line `groups` times: 0 or minus infinity. Made once a pass."""
        assert self.seen is not None
        if self._added is None:
            seen = self.seen.repeat_interleave(groups, 2)
            self._added = torch.zeros(seen.shape, dtype=dtype).masked_fill_(~seen, float("-inf"))
        return self._added


_current: ContextVar[TreeRows] = ContextVar("tree_rows")


def register() -> str:
    """Make the attention known to transformers; returns its name."""
    from transformers import AttentionInterface
    from transformers.masking_utils import AttentionMaskInterface

    AttentionInterface.register(NAME, tree_attention)
    AttentionMaskInterface.register(NAME, _no_mask)
    return NAME


def _no_mask(*_: Any, **__: Any) -> None:
    return None


@contextmanager
def laid_out(rows: TreeRows) -> Iterator[None]:
    """Say how the rows of the forward passes inside are laid out."""
    token = _current.set(rows)
    try:
        yield
    finally:
        _current.reset(token)


def tree_attention(
    module: Any, query: Tensor, key: Tensor, value: Tensor, _mask: Tensor | None, **options: Any
) -> tuple[Tensor, None]:
    """Attention of one layer, (1, tokens, heads, size) from query (1, heads, tokens, size).

    Raises OtherMaths for what a plain softmax does not cover.
    """
    rows = _current.get()
    if any(options.get(name) is not None for name in _OTHER_MATHS):
        raise OtherMaths("soft caps, sinks, windows and position biases are not known to the prefix tree")
    if rows.kept is not None:
        rows.kept.append((key, value))
    prefix = None if rows.prefix is None else rows.prefix[module.layer_idx]
    scale = options.get("scaling")
    attend = _in_parts if query.device.type == "cpu" else _masked
    asked, keys, values = (_in_rows(part, rows.slots) for part in (query, key, value))
    found = attend(asked, keys, values, rows, prefix, scale)
    heads, size = query.shape[1], query.shape[3]
    return found.transpose(1, 2).reshape(-1, heads, size).index_select(0, rows.places)[None], None


def _in_rows(tensor: Tensor, slots: Tensor) -> Tensor:
    """(rows, heads, columns, size) from (1, heads, tokens, size)."""
    count, columns = slots.shape
    if count == 1 and columns == tensor.shape[2]:
        return tensor
    picked = tensor[0].transpose(0, 1).index_select(0, slots.view(-1))
    return picked.view(count, columns, *picked.shape[1:]).transpose(1, 2)


def _in_parts(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    rows: TreeRows,
    prefix: tuple[Tensor, Tensor] | None,
    scale: float | None,
) -> Tensor:
    count, heads, columns, size = query.shape
    groups = heads // key.shape[1]
    # query heads that share a key head become queries side by side: no key is copied or packed for each of them
    asked = query.view(count, -1, groups, columns, size).transpose(2, 3)
    asked = asked.reshape(count, -1, columns * groups, size)
    trunk = rows.trunk
    parts = []
    if trunk:
        parts += _trunk(asked[:, :, : trunk * groups], key[:, :, :trunk], value[:, :, :trunk], groups, scale)
    if rows.seen is not None:
        parts.append(
            _fused(asked[:, :, trunk * groups :], key, value, rows.added(query.dtype, groups), scale)
        )
    own, own_sum = parts[0] if len(parts) == 1 else (torch.cat(pair, 2) for pair in zip(*parts, strict=True))
    if prefix is not None:
        # every row sees the same prefix: one long row of queries keeps the kernel's blocks large
        every = asked.transpose(0, 1).reshape(1, key.shape[1], -1, size)
        found, found_sum = _fused(every, *prefix, None, scale)
        found = found.view(-1, count, columns * groups, size).transpose(0, 1)
        found_sum = found_sum.view(-1, count, columns * groups).transpose(0, 1)
        # two softmaxes over different keys become one: each counts as much as its sum of exponentials
        share = torch.sigmoid(found_sum - own_sum)[..., None].to(own.dtype)
        own = torch.lerp(own, found, share)
    return own.reshape(count, -1, columns, groups, size).transpose(2, 3).reshape(query.shape)


def _trunk(
    query: Tensor, key: Tensor, value: Tensor, groups: int, scale: float | None
) -> list[tuple[Tensor, Tensor]]:
    """Causal attention in steps: torch's kernel would go through up to 512 keys that a query does not see."""
    length = key.shape[2]
    width = 1 << max(length + _STEP, 1024).bit_length()
    later = _later(width, groups, query.dtype)
    parts = []
    for start in range(0, length, _STEP):
        end = min(start + _STEP, length)
        first = width - start - _STEP
        mask = later[: (end - start) * groups, first : first + end][None, None]
        asked = query[:, :, start * groups : end * groups]
        parts.append(_fused(asked, key[:, :, :end], value[:, :, :end], mask, scale))
    return parts


@lru_cache(8)
def _later(width: int, groups: int, dtype: torch.dtype) -> Tensor:
    """What is added to the scores of one step, whose own keys are the last ones: minus infinity after the query."""
    mask = torch.full((_STEP, _STEP), float("-inf"), dtype=dtype).triu_(1)
    return torch.cat([torch.zeros(_STEP, width - _STEP, dtype=dtype), mask], 1).repeat_interleave(groups, 0)


def _fused(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scale: float | None
) -> tuple[Tensor, Tensor]:
    """Torch's kernel for processors: output, and log-sum-exp (rows, heads, queries) in float32."""
    kernel = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu  # noqa: SLF001 - the public one keeps the sum
    found, total = kernel(query, key, value, 0.0, False, attn_mask=mask, scale=scale)
    return found, total


def _masked(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    rows: TreeRows,
    prefix: tuple[Tensor, Tensor] | None,
    scale: float | None,
) -> Tensor:
    """The same in one call, with keys and values of the prefix copied to each row."""
    count, _, columns, _ = query.shape
    if rows.whole is None:
        rows.whole = whole_mask(rows, columns, query.device, 0 if prefix is None else prefix[0].shape[2])
    if prefix is not None:
        key, value = (
            torch.cat([shared.expand(count, -1, -1, -1), own], 2)
            for shared, own in zip(prefix, (key, value), strict=True)
        )
    groups = query.shape[1] // key.shape[1]
    return scaled_dot_product_attention(
        query, _repeated(key, groups), _repeated(value, groups), attn_mask=rows.whole, scale=scale
    )


def whole_mask(rows: TreeRows, columns: int, device: torch.device, prefix: int) -> Tensor:
    """Which of prefix, trunk and branch columns each column sees: bool (rows or 1, 1, columns, all)."""
    own = torch.ones(columns, columns, dtype=torch.bool, device=device).tril()[None, None]
    if rows.seen is not None:
        own = own.expand(rows.seen.shape[0], -1, -1, -1).clone()
        own[:, :, rows.trunk :] = rows.seen
    shared = torch.ones(*own.shape[:3], prefix, dtype=torch.bool, device=device)
    return torch.cat([shared, own], 3)


def _repeated(tensor: Tensor, groups: int) -> Tensor:
    """Each key head once for every query head that it serves."""
    return tensor if groups == 1 else tensor.repeat_interleave(groups, 1)

"""A key-value cache that grows in place and can drop rows.

transformers' DynamicCache copies all keys and values at every token. Here each layer keeps a buffer with room
to spare, writes new tokens into it and hands out a view.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers.cache_utils import Cache, DynamicLayer

from harness.exceptions import BadValue

_STEP = 64
"""Tokens of room added when a buffer is full."""


class GrowingLayer(DynamicLayer):  # type: ignore[misc]
    """Keys and values of one layer, shape (rows, heads, tokens, head size), inside larger buffers."""

    def __init__(self, capacity: int) -> None:
        super().__init__()
        self._capacity = capacity
        self._buffers: tuple[torch.Tensor, torch.Tensor] | None = None
        self._length = 0

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_args: Any, **_kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append the new tokens; returns views of all keys and all values."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        start, end = self._length, self._length + key_states.shape[-2]
        keys, values = self._room(key_states, value_states, end)
        keys[:, :, start:end] = key_states
        values[:, :, start:end] = value_states
        self._show(end)
        return self.keys, self.values

    def _room(
        self, key_states: torch.Tensor, value_states: torch.Tensor, end: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if self._buffers is not None and end <= self._buffers[0].shape[-2]:
            return self._buffers
        size = max(self._capacity, end if self._buffers is None else end + _STEP)
        old = self._buffers
        fresh = []
        for index, states in enumerate((key_states, value_states)):
            shape = (*states.shape[:2], size, states.shape[-1])
            buffer = states.new_empty(shape)
            if old is not None:
                buffer[:, :, : self._length] = old[index][:, :, : self._length]
            fresh.append(buffer)
        self._buffers = (fresh[0], fresh[1])
        return self._buffers

    def _show(self, length: int) -> None:
        if self._buffers is None:
            return
        self._length = length
        self.keys = self._buffers[0][:, :, :length]
        self.values = self._buffers[1][:, :, :length]

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        """Keep only the given rows (an index tensor), in that order."""
        if self._buffers is not None:
            keys, values = self._buffers
            self._buffers = (keys.index_select(0, indices), values.index_select(0, indices))
            self._show(self._length)

    def batch_repeat_interleave(self, repeats: int) -> None:
        """Repeat each row `repeats` times."""
        if self._buffers is not None:
            keys, values = self._buffers
            self._buffers = (keys.repeat_interleave(repeats, dim=0), values.repeat_interleave(repeats, dim=0))
            self._show(self._length)

    def reorder_cache(self, beam_idx: torch.LongTensor) -> None:
        """Put the rows into another order."""
        self.batch_select_indices(beam_idx)

    def crop(self, tokens_to_remove: int) -> None:
        """Forget the last tokens; as in transformers the number is negative."""
        if tokens_to_remove > 0:
            raise BadValue("tokens_to_remove", tokens_to_remove, "0 or less")
        self._show(max(0, self._length + tokens_to_remove))

    def reset(self) -> None:
        """Forget all tokens."""
        self._buffers, self._length = None, 0
        super().reset()


class GrowingCache(Cache):  # type: ignore[misc]
    """One GrowingLayer a layer, for decoder-only models with full attention."""

    def __init__(self, layers: int, capacity: int) -> None:
        super().__init__(layers=[GrowingLayer(capacity) for _ in range(layers)])

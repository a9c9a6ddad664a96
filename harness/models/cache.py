"""A key-value cache that grows in place and can drop rows.

transformers' DynamicCache copies all keys and values at every token. Here each layer keeps a buffer with room
to spare, writes new tokens into it and hands out a view.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers.cache_utils import Cache, DynamicLayer

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

    def keep(self, rows: torch.Tensor) -> None:
        """Keep only the given rows (an index tensor), in that order."""
        if self._buffers is not None:
            self._buffers = (self._buffers[0].index_select(0, rows), self._buffers[1].index_select(0, rows))
            self._show(self._length)

    def spread(self, rows: int) -> None:
        """Copy a cache of one row to `rows` rows."""
        if self._buffers is not None:
            keys, values = self._buffers
            self._buffers = (keys.repeat(rows, 1, 1, 1), values.repeat(rows, 1, 1, 1))
            self._show(self._length)


class GrowingCache(Cache):  # type: ignore[misc]
    """One GrowingLayer a layer, for decoder-only models with full attention."""

    def __init__(self, layers: int, capacity: int) -> None:
        super().__init__(layers=[GrowingLayer(capacity) for _ in range(layers)])

    def keep(self, rows: torch.Tensor) -> None:
        """Drop all rows but these."""
        for layer in self.layers:
            layer.keep(rows)

    def spread(self, rows: int) -> None:
        """Turn a cache of one row into one of `rows` equal rows."""
        for layer in self.layers:
            layer.spread(rows)

"""GrowingCache against transformers' own DynamicCache."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers.cache_utils import DynamicCache

from harness.exceptions import BadValue
from harness.models.cache import GrowingCache

LAYERS, HEADS, SIZE = 2, 3, 4


def states(rows: int, tokens: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    source = torch.Generator().manual_seed(seed)
    keys, values = torch.randn(2, rows, HEADS, tokens, SIZE, generator=source).unbind(0)
    return keys, values


def write(rows: int, tokens: int, seed: int, *caches: Any) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """The same keys and values into every layer of every cache; what the last layer hands out."""
    found = []
    for cache in caches:
        for layer in range(LAYERS):
            handed = cache.update(*states(rows, tokens, seed + layer), layer)
        found.append(handed)
    return found


def same(ours: GrowingCache, theirs: DynamicCache) -> None:
    assert ours.get_seq_length() == theirs.get_seq_length()
    assert ours.get_mask_sizes(2, 0) == theirs.get_mask_sizes(2, 0)
    for mine, other in zip(ours.layers, theirs.layers, strict=True):
        assert torch.equal(mine.keys, other.keys)
        assert torch.equal(mine.values, other.values)


@pytest.mark.parametrize("capacity", [0, 5, 6, 200], ids=lambda capacity: f"room for {capacity}")
def test_holds_what_transformers_holds_through_growth_and_dropped_rows(capacity: int) -> None:
    ours, theirs = GrowingCache(LAYERS, capacity), DynamicCache()
    assert ours.get_seq_length() == 0
    write(1, 5, 10, ours, theirs)
    same(ours, theirs)
    for cache in (ours, theirs):
        cache.batch_repeat_interleave(4)
    same(ours, theirs)
    for step in range(70):  # past the room that is added at once
        mine, other = write(4, 1, 100 + step, ours, theirs)
        assert torch.equal(mine[0], other[0])
        assert torch.equal(mine[1], other[1])
    for cache in (ours, theirs):
        cache.batch_select_indices(torch.tensor([3, 0]))
    same(ours, theirs)
    write(2, 3, 500, ours, theirs)
    same(ours, theirs)


def test_reorders_crops_and_forgets_as_transformers_does() -> None:
    ours, theirs = GrowingCache(LAYERS, 8), DynamicCache()
    write(3, 6, 1, ours, theirs)
    for cache in (ours, theirs):
        cache.reorder_cache(torch.tensor([2, 2, 1]))
        cache.crop(-2)
    same(ours, theirs)
    write(3, 1, 7, ours, theirs)  # what was cut off must not come back
    same(ours, theirs)
    for cache in (ours, theirs):
        cache.reset()
        cache.crop(0)
    assert ours.get_seq_length() == 0
    write(1, 2, 9, ours, theirs)
    same(ours, theirs)


def test_crop_to_a_length_is_refused() -> None:
    with pytest.raises(BadValue, match="tokens_to_remove is 3, but must be 0 or less"):
        GrowingCache(LAYERS, 8).layers[0].crop(3)


def test_rows_of_an_empty_cache_need_no_keys() -> None:
    cache = GrowingCache(LAYERS, 8)
    cache.batch_repeat_interleave(3)
    cache.batch_select_indices(torch.tensor([0]))
    assert cache.get_seq_length() == 0


def test_new_tokens_are_written_in_place() -> None:
    cache = GrowingCache(LAYERS, 16)
    write(2, 4, 1, cache)
    before = cache.layers[0].keys.data_ptr()
    write(2, 1, 2, cache)
    assert cache.layers[0].keys.data_ptr() == before

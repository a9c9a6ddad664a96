from __future__ import annotations

from typing import Any

import pytest
from support.tiny_model import random_model
from transformers.cache_utils import DynamicSlidingWindowLayer

from harness.exceptions import InputError
from harness.models.architecture import Architecture
from harness.models.cache import GrowingCache


@pytest.mark.parametrize(
    ("kind", "changes", "full"),
    [
        ("llama", {}, True),
        ("qwen2", {}, True),
        ("mistral", {"sliding_window": None}, True),
        ("mistral", {"sliding_window": 8}, False),
        ("gemma2", {"sliding_window": 8, "head_dim": 8}, False),
        ("bloom", {}, False),  # takes no position ids
    ],
)
def test_only_full_attention_by_position_shares_a_prefix(
    kind: str, changes: dict[str, Any], full: bool
) -> None:
    found = Architecture.of(random_model(kind, **changes))
    assert found.full is full
    assert isinstance(found.cache(8), GrowingCache) is full


def test_windows_get_transformers_own_layers() -> None:
    cache = Architecture.of(random_model("gemma2", sliding_window=8, head_dim=8)).cache(8)
    assert isinstance(cache.layers[0], DynamicSlidingWindowLayer)


@pytest.mark.parametrize("kind", ["mamba", "rwkv"])
def test_models_without_keys_and_values_are_refused_in_a_sentence(kind: str) -> None:
    with pytest.raises(InputError, match=rf"^Models of the kind '{kind}' cannot be run here: .*\.$"):
        Architecture.of(random_model(kind))


def test_the_longest_sequence_is_the_configuration_s() -> None:
    assert Architecture.of(random_model(max_position_embeddings=96)).longest == 96
    assert Architecture.of(random_model("gpt2", n_positions=64, max_position_embeddings=64)).longest == 64


def test_no_longest_sequence_where_there_is_none() -> None:
    config = type("Config", (), {})()
    assert Architecture(config, frozenset(), full=True, layers=2).longest is None


def test_arguments_that_are_not_taken_are_left_out() -> None:
    found = Architecture(None, frozenset({"logits_to_keep"}), full=True, layers=2)
    assert found.accepted(position_ids=1, logits_to_keep=2) == {"logits_to_keep": 2}

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AutoModelForCausalLM

from harness.tuning import attention
from harness.tuning.attention import register, short_attention


def inputs(
    dtype: torch.dtype = torch.float32,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Two rows of 7, the second padded after 5; four query heads on two key heads of size 8."""
    torch.manual_seed(3)
    query = torch.randn(2, 4, 7, 8, dtype=dtype, requires_grad=True)
    key, value = (torch.randn(2, 2, 7, 8, dtype=dtype, requires_grad=True) for _ in range(2))
    allowed = torch.ones(7, 7, dtype=torch.bool).tril().expand(2, 1, 7, 7).clone()
    allowed[1, :, :, 5:] = False
    mask = torch.zeros(2, 1, 7, 7, dtype=dtype).masked_fill(~allowed, torch.finfo(dtype).min)
    return query, key, value, mask


@pytest.mark.parametrize("scaling", [None, 0.5])
def test_values_and_gradients_equal_torch(scaling: float | None) -> None:
    query, key, value, mask = inputs()
    wanted = scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=scaling, enable_gqa=True)
    expected = torch.autograd.grad(wanted.square().sum(), (query, key, value))
    found, weights = short_attention(torch.nn.Identity(), query, key, value, mask, scaling=scaling)
    assert weights is None
    torch.testing.assert_close(found, wanted.transpose(1, 2))
    gradients = torch.autograd.grad(found.square().sum(), (query, key, value))
    for one, other in zip(gradients, expected, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("options", [{"dropout": 0.5}, {"softcap": 30.0}])
def test_other_mathematics_goes_to_torch(monkeypatch: pytest.MonkeyPatch, options: dict[str, float]) -> None:
    asked: list[object] = []
    monkeypatch.setattr(
        "transformers.integrations.sdpa_attention.sdpa_attention_forward",
        lambda *_, **given: (asked.append(given), None),
    )
    query, key, value, mask = inputs()
    short_attention(torch.nn.Identity(), query, key, value, mask, **options)
    assert asked == [options]


def test_long_rows_go_to_torch_with_equal_loss(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = torch.arange(4, 44).view(2, 20)
    mask = torch.ones_like(tokens)
    mask[1, 15:] = 0
    models = {
        name: AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32, attn_implementation=name)
        for name in ("sdpa", register())
    }
    wanted = models["sdpa"](input_ids=tokens, attention_mask=mask).logits
    for largest in (attention.LARGEST, 0):
        monkeypatch.setattr(attention, "LARGEST", largest)
        found = models[attention.NAME](input_ids=tokens, attention_mask=mask).logits
        torch.testing.assert_close(found[0], wanted[0], atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(found[1, :15], wanted[1, :15], atol=1e-5, rtol=1e-4)

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from harness.tuning.adapters import fuse_adapters


def adapted(folder: Path, **changes: Any) -> Any:
    torch.manual_seed(5)
    base = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    settings = {"r": 4, "lora_alpha": 8, "target_modules": "all-linear", "init_lora_weights": False}
    return get_peft_model(base, LoraConfig(**(settings | changes), task_type="CAUSAL_LM"))


def loss_and_gradients(model: Any) -> tuple[float, dict[str, torch.Tensor]]:
    tokens = torch.arange(4, 44).view(2, 20)
    loss = model(input_ids=tokens, labels=tokens).loss
    model.zero_grad()
    loss.backward()
    return loss.item(), {n: p.grad.clone() for n, p in model.named_parameters() if p.requires_grad}


def test_fused_equals_peft(tiny_model: Path) -> None:
    model = adapted(tiny_model)
    wanted, expected = loss_and_gradients(model)
    assert fuse_adapters(model) == 14, "seven linear layers in each of two blocks"
    found, gradients = loss_and_gradients(model)
    assert found == pytest.approx(wanted, abs=1e-5)
    for name, gradient in expected.items():
        torch.testing.assert_close(gradients[name], gradient, atol=1e-6, rtol=1e-3)


def test_bfloat16_base_keeps_float32_adapters(tiny_model: Path) -> None:
    model = adapted(tiny_model).to(torch.bfloat16)
    for name, item in model.named_parameters():
        if "lora_" in name:
            item.data = item.data.float()
    wanted, _ = loss_and_gradients(model)
    fuse_adapters(model)
    found, gradients = loss_and_gradients(model)
    assert found == pytest.approx(wanted, rel=0.01)
    assert {gradient.dtype for gradient in gradients.values()} == {torch.float32}


@pytest.mark.parametrize(
    "changes",
    [{"lora_dropout": 0.1}, {"use_dora": True}, {"lora_bias": True}, {"bias": "all"}],
    ids=["dropout", "dora", "adapter bias", "trained bias"],
)
def test_other_adapters_keep_their_forward(
    tmp_path: Path, model_builder: Callable[..., Path], changes: dict[str, Any]
) -> None:
    model = adapted(model_builder(tmp_path, attention_bias=True, mlp_bias=True), **changes)
    assert fuse_adapters(model) == 0


def test_base_with_frozen_bias_is_fused(tmp_path: Path, model_builder: Callable[..., Path]) -> None:
    model = adapted(model_builder(tmp_path, attention_bias=True, mlp_bias=True))
    for name, item in model.named_parameters():
        if name.endswith("base_layer.bias"):
            torch.nn.init.normal_(item)
    wanted, _ = loss_and_gradients(model)
    assert fuse_adapters(model) == 14
    assert loss_and_gradients(model)[0] == pytest.approx(wanted, abs=1e-5)

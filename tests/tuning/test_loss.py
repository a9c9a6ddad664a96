from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from harness.tuning.encoding import IGNORED
from harness.tuning.loss import answer_loss


def batch_of(lengths: list[int], vocabulary: int = 260, seed: int = 1) -> dict[str, torch.Tensor]:
    """Rows padded at the end; the second half of each row is the answer."""
    generator = torch.Generator().manual_seed(seed)
    longest = max(lengths)
    tokens = torch.randint(4, vocabulary, (len(lengths), longest), generator=generator)
    labels, mask = torch.full_like(tokens, IGNORED), torch.zeros_like(tokens)
    for row, length in enumerate(lengths):
        labels[row, length // 2 : length] = tokens[row, length // 2 : length]
        mask[row, :length] = 1
    return {"input_ids": tokens, "labels": labels, "attention_mask": mask}


def load(folder: Path) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)


@pytest.mark.parametrize("plain", [True, False])
def test_loss_and_gradient_equal_transformers(tiny_model: Path, *, plain: bool) -> None:
    model = load(tiny_model)
    model.lm_head.weight.requires_grad_(requires_grad=False)
    batch = batch_of([9, 150, 31, 4, 77])
    wanted = model(**batch).loss  # transformers' ForCausalLMLoss is the oracle
    wanted.backward()
    probe = model.model.layers[0].mlp.up_proj.weight
    expected, probe.grad = probe.grad.clone(), None
    total, count = answer_loss(model, model.lm_head, batch, plain=plain)
    (total / count).backward()
    assert count == int((batch["labels"][:, 1:] != IGNORED).sum())
    assert (total / count).item() == pytest.approx(wanted.item(), abs=1e-5)
    torch.testing.assert_close(probe.grad, expected, atol=1e-5, rtol=1e-4)


def test_head_that_learns_gets_its_gradient(tiny_model: Path) -> None:
    model = load(tiny_model)
    batch = batch_of([9, 15])
    model(**batch).loss.backward()
    expected, model.lm_head.weight.grad = model.lm_head.weight.grad.clone(), None
    total, count = answer_loss(model, model.lm_head, batch, plain=True)
    (total / count).backward()
    torch.testing.assert_close(model.lm_head.weight.grad, expected, atol=1e-6, rtol=1e-4)


def test_head_is_left_as_it_was(tiny_model: Path) -> None:
    model = load(tiny_model).requires_grad_(requires_grad=False)
    batch = batch_of([9, 15])
    before = model(input_ids=batch["input_ids"]).logits
    answer_loss(model, model.lm_head, batch, plain=True)
    answer_loss(model, model.lm_head, batch, plain=False)
    torch.testing.assert_close(model(input_ids=batch["input_ids"]).logits, before)
    assert "forward" not in vars(model.lm_head)


def test_a_wrapped_head_gets_its_wrapper_back(tiny_model: Path) -> None:
    model = load(tiny_model).requires_grad_(requires_grad=False)
    wrapper = model.lm_head.forward
    model.lm_head.forward = wrapper
    answer_loss(model, model.lm_head, batch_of([9]), plain=True)
    assert vars(model.lm_head)["forward"] is wrapper


def test_capped_logits_stay_capped() -> None:
    # Gemma 2 caps its logits after the head: https://arxiv.org/abs/2408.00118, section 2.
    from transformers import Gemma2Config, Gemma2ForCausalLM

    torch.manual_seed(1)
    config = Gemma2Config(
        vocab_size=260,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        final_logit_softcapping=0.05,
    )
    model = Gemma2ForCausalLM(config).eval()
    batch = batch_of([9, 15])
    total, count = answer_loss(model, model.lm_head, batch, plain=False)
    uncapped, _ = answer_loss(model, model.lm_head, batch, plain=True)
    assert (total / count).item() == pytest.approx(model(**batch).loss.item(), abs=1e-5)
    assert uncapped.item() == pytest.approx(total.item(), abs=1e-5), (
        "a head that learns is never taken as plain"
    )
    model.requires_grad_(requires_grad=False)
    wrong, _ = answer_loss(model, model.lm_head, batch, plain=True)
    assert wrong.item() != pytest.approx(total.item(), abs=1e-3)

"""The real small model: the loss is transformers' own, and a few steps of training lower it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from harness.data.templates import PromptTemplate
from harness.records import Sample
from harness.tuning import TuneSettings, finetune
from harness.tuning.adapters import fuse_adapters
from harness.tuning.attention import register
from harness.tuning.encoding import SampleEncoder
from harness.tuning.loading import load_tokenizer
from harness.tuning.loss import answer_loss
from harness.tuning.trainer import collate

pytestmark = [pytest.mark.model, pytest.mark.slow]

PAIRS = [
    ("What does the tool print at the end?", "One sentence with the verdict, and the path of the report."),
    ("Which file do others read?", "A run folder holds results.json and samples.jsonl."),
    (
        "Why is every delta paired?",
        "Because both checkpoints answer the same samples, so their noise cancels.",
    ),
    ("Can you cook?", "Let us stay with the evaluation of fine-tuned models."),
]


def pairs(count: int) -> list[Sample]:
    return [Sample(f"p{i}", *PAIRS[i % len(PAIRS)]) for i in range(count)]


def test_loss_equals_transformers_in_float32(small_model: Path, chat: PromptTemplate) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    encoder = SampleEncoder(load_tokenizer(small_model), chat, 256, "right")
    items = [encoder.encode(sample) for sample in pairs(4)]
    batch = collate([{"input_ids": item.input_ids, "labels": item.labels} for item in items], pad=2)
    losses = []
    for attention in ("sdpa", register()):
        torch.manual_seed(1)
        model = AutoModelForCausalLM.from_pretrained(
            small_model, dtype=torch.float32, attn_implementation=attention
        )
        config = LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM")
        model = get_peft_model(model, config)
        if attention == "sdpa":
            losses.append(model(**batch).loss.item())
        else:
            assert fuse_adapters(model) == 210
            total, count = answer_loss(model, model.get_output_embeddings(), batch, plain=True)
            losses.append((total / count).item())
    assert losses[1] == pytest.approx(losses[0], abs=1e-5)


def test_a_few_steps_lower_the_loss(
    small_model: Path, chat: PromptTemplate, quick: Callable[..., TuneSettings], tmp_path: Path
) -> None:
    settings = quick(max_steps=6, save_every=6, learning_rate=1e-3, dtype="auto")
    training = finetune(small_model, pairs(8), pairs(4), chat, settings, tmp_path)
    first, last = training.points[0].validation_loss, training.points[-1].validation_loss
    assert first is not None
    assert last is not None
    assert last < first - 0.5

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.data.templates import PromptTemplate
from harness.records import Sample
from harness.tuning import TuneSettings, finetune
from harness.tuning.encoding import IGNORED, Encoded
from harness.tuning.trainer import AnswerTrainer, OrderSampler, _duration, _evaluation_batches, collate


def test_collate_pads_at_the_end() -> None:
    rows = [{"input_ids": [5, 6, 7], "labels": [IGNORED, 6, 7]}, {"input_ids": [8], "labels": [8]}]
    found = collate(rows, pad=9)
    assert found["input_ids"].tolist() == [[5, 6, 7], [8, 9, 9]]
    assert found["labels"].tolist() == [[IGNORED, 6, 7], [8, IGNORED, IGNORED]]
    assert found["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]


def test_sampler_follows_the_epoch() -> None:
    sampler = OrderSampler(list(range(1, 41)), 4, seed=1)
    first = list(sampler)
    sampler.set_epoch(1)
    assert sorted(first) == sorted(sampler) == list(range(40))
    assert first != list(sampler)
    assert len(sampler) == 40


def test_evaluation_batches_hold_every_sample_within_the_budget() -> None:
    items = [Encoded((1,) * size, (1,) * size) for size in (3000, 10, 1500, 1400, 5000, 20)]
    batches = list(_evaluation_batches(items))
    assert sorted(len(item.input_ids) for batch in batches for item in batch) == [
        10,
        20,
        1400,
        1500,
        3000,
        5000,
    ]
    assert all(len(batch) == 1 or len(batch) * len(batch[-1].input_ids) <= 4096 for batch in batches)
    assert max(len(batch) for batch in batches) > 1


@pytest.mark.parametrize(("seconds", "words"), [(0.4, "0 s"), (59.6, "1 min 0 s"), (125, "2 min 5 s")])
def test_duration(seconds: float, words: str) -> None:
    assert _duration(seconds) == words


def test_validation_loss_is_the_mean_over_answer_tokens(
    tiny_model: Path,
    samples: list[Sample],
    checks: list[Sample],
    chat: PromptTemplate,
    quick: Callable[..., TuneSettings],
    tmp_path: Path,
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    training = finetune(tiny_model, samples, checks, chat, quick(max_steps=1), tmp_path)
    model = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    total, count = 0.0, 0
    for sample in checks:
        head = tokenizer.encode(f"<|im_start|>user\n{sample.input}<|im_end|>\n<|im_start|>assistant\n")
        tail = tokenizer.encode(f"{sample.target}<|im_end|>")
        tokens = torch.tensor([head + tail])
        labels = torch.tensor([[IGNORED] * len(head) + tail])
        total += model(input_ids=tokens, labels=labels).loss.item() * len(tail)
        count += len(tail)
    assert training.points[0].validation_loss == pytest.approx(total / count, abs=1e-5)


def test_no_telemetry_is_sent(
    tiny_model: Path,
    samples: list[Sample],
    chat: PromptTemplate,
    quick: Callable[..., TuneSettings],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: list[Any] = []
    monkeypatch.setattr("trl.trainer.base_trainer.send_telemetry", lambda **given: sent.append(given))
    monkeypatch.delenv("CI", raising=False)
    finetune(tiny_model, samples, [], chat, quick(max_steps=1), tmp_path)
    assert sent == []


def test_mixture_of_experts_keeps_trls_loss(
    tiny_model: Path,
    samples: list[Sample],
    chat: PromptTemplate,
    quick: Callable[..., TuneSettings],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from transformers import AutoTokenizer, MixtralConfig, MixtralForCausalLM

    torch.manual_seed(2)
    config = MixtralConfig(
        vocab_size=260,
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=4,
        num_key_value_heads=2,
        num_local_experts=2,
        output_router_logits=True,
        router_aux_loss_coef=0.5,
        pad_token_id=0,
        eos_token_id=1,
        bos_token_id=1,
    )
    folder = tmp_path / "experts"
    MixtralForCausalLM(config).save_pretrained(folder)
    AutoTokenizer.from_pretrained(tiny_model).save_pretrained(folder)
    asked: list[bool] = []
    real = AnswerTrainer.compute_loss

    def spy(self: Any, *arguments: Any, **options: Any) -> Any:
        asked.append(self.aux_loss_enabled)
        return real(self, *arguments, **options)

    monkeypatch.setattr(AnswerTrainer, "compute_loss", spy)
    training = finetune(folder, samples, [], chat, quick(max_steps=2, targets=("q_proj",)), tmp_path / "out")
    assert asked == [True, True]
    # With balanced experts the auxiliary loss is about the number of experts a token; it is part of the loss.
    losses = [point.loss for point in training.points]
    assert losses[0] is not None
    assert losses[0] > 5.5 + 0.5

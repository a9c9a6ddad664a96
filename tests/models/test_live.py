"""A model in training is scored as its copy on disk is, and goes on training as if nothing had happened."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from support.tiny_model import build_model, build_tokenizer, build_virtual_adapter, random_model

from harness.exceptions import InputError
from harness.models.base import Decoding, Model, generate_all, loglikelihood_all
from harness.models.hf import HfModel
from harness.models.live import LiveModel, evaluating

Opener = Callable[..., HfModel]
PROMPTS = ("What is a checkpoint?", "One", "ab ab ab ab")
PAIRS = [(prompt, answer) for prompt in PROMPTS for answer in (" yes", " no, it is not")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """GPT-2 drops out a tenth of everything in train mode."""
    return build_model(tmp_path / "base", kind="gpt2", num_key_value_heads=4)


def live(folder: Path, adapter: Path | None = None) -> LiveModel:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    if adapter is not None:
        model = PeftModel.from_pretrained(model, str(adapter))
    return LiveModel.of(model.train(), AutoTokenizer.from_pretrained(folder))


def numbers(model: Model) -> tuple[list[float], list[str]]:
    values = [found.value for found in loglikelihood_all(model, PAIRS)]
    return values, [found.text for found in generate_all(model, PROMPTS, Decoding(max_new_tokens=8))]


def test_it_scores_and_answers_as_from_disk(folder: Path, open_hf: Opener) -> None:
    found, expected = numbers(live(folder)), numbers(open_hf(folder))
    assert found[0] == pytest.approx(expected[0], abs=1e-4)
    assert found[1] == expected[1]
    [(_, [rolled])] = list(live(folder).rolling(["a whole text"]))
    [(_, [theirs])] = list(open_hf(folder).rolling(["a whole text"]))
    assert rolled.value == pytest.approx(theirs.value, abs=1e-4)
    assert isinstance(live(folder), Model)
    assert (live(folder).dtype, live(folder).resolved[1]) == ("float32", "cpu")


@pytest.mark.parametrize("kind", ["PROMPT_TUNING", "PREFIX_TUNING"])
def test_virtual_tokens_in_training_too(folder: Path, tmp_path: Path, open_hf: Opener, kind: str) -> None:
    adapter = build_virtual_adapter(tmp_path / "virtual", folder, kind)
    found, expected = numbers(live(folder, adapter)), numbers(open_hf(folder, adapter))
    assert found[0] == pytest.approx(expected[0], abs=1e-4)
    assert found[1] == expected[1]


def test_every_module_and_the_random_state_are_as_they_were(folder: Path) -> None:
    model = live(folder)
    inner = model.loaded.model
    frozen = inner.get_decoder().h[0].eval()
    modes = [module.training for module in inner.modules()]
    assert {True, False} == set(modes)
    torch.manual_seed(4)
    expected = torch.rand(3)
    torch.manual_seed(4)
    batches = model.loglikelihood(PAIRS)
    next(batches)  # left half-way
    assert [module.training for module in inner.modules()] == modes
    numbers(model)
    assert [module.training for module in inner.modules()] == modes
    assert not frozen.training
    assert torch.equal(torch.rand(3), expected)
    assert all(parameter.requires_grad and parameter.grad is None for parameter in inner.parameters())


def test_a_failure_half_way_leaves_no_trace_either(folder: Path) -> None:
    model = live(folder).loaded.model
    seen = []

    def fail() -> None:
        with evaluating(model):
            seen.append(model.training)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert seen == [False]
    assert model.training


def test_training_goes_on_as_without_the_scoring(folder: Path) -> None:
    """Dropout draws from the random state: the losses of later steps show whether it was touched."""
    tokens = torch.tensor([build_tokenizer().encode("a few words to learn from")])

    def losses(scored: bool) -> list[float]:
        model = live(folder)
        optimizer = torch.optim.SGD(model.loaded.model.parameters(), lr=0.1)
        torch.manual_seed(3)
        found = []
        for _ in range(3):
            loss = model.loaded.model(input_ids=tokens, labels=tokens).loss
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            found.append(float(loss.detach()))
            if scored:
                numbers(model)
        return found

    assert losses(scored=True) == losses(scored=False)


def test_the_fingerprint_is_of_the_weights_as_they_are_now(folder: Path) -> None:
    model = live(folder)
    before = model.fingerprint
    assert live(folder).fingerprint == before
    numbers(model)
    assert model.fingerprint == before
    with torch.no_grad():
        next(model.loaded.model.parameters())[0, 0] += 1e-3
    assert model.fingerprint != before


def test_the_fingerprint_follows_adapter_tokenizer_and_number_format(folder: Path, tmp_path: Path) -> None:
    adapter = build_virtual_adapter(tmp_path / "virtual", folder, "PROMPT_TUNING")
    other = live(folder)
    other.tokenizer.chat_template = "{{ messages }}"
    half = live(folder)
    half.loaded.model.to(torch.bfloat16)
    models = [live(folder), live(folder, adapter), other, half]
    assert len({model.fingerprint for model in models}) == 4
    assert half.dtype == "bfloat16"


def test_the_tokenizer_is_left_alone(folder: Path) -> None:
    """lm-eval's HFLM gives a tokenizer without a pad token one of its own."""
    model = live(folder)
    model.tokenizer.pad_token = None
    numbers(model)
    assert model.tokenizer.pad_token is None


def test_lm_evals_own_api_scores_it(folder: Path) -> None:
    from lm_eval.api.instance import Instance

    from harness.benchmarks import HarnessLM

    model: Any = live(folder)
    requests = [Instance("loglikelihood", {}, pair, place) for place, pair in enumerate(PAIRS)]
    found = HarnessLM(model).loglikelihood(requests)
    assert [value for value, _ in found] == pytest.approx(numbers(model)[0], abs=1e-4)
    assert model.loaded.model.training


def test_a_model_that_cannot_be_batched_is_refused() -> None:
    model = random_model("mamba", state_size=4, num_hidden_layers=1)
    with pytest.raises(InputError, match="'mamba' cannot be run here"):
        LiveModel.of(model, build_tokenizer())

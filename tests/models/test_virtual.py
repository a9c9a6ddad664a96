"""Prompt-tuned and prefix-tuned models answer and score as peft does, one unpadded row at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from support.tiny_model import PAD, build_adapter, build_model, build_virtual_adapter
from transformers import AutoModelForCausalLM, AutoTokenizer

from harness.models.base import Decoding, generate_all, loglikelihood_all
from harness.models.hf import HfModel
from harness.models.weights import WeightsPool
from harness.records import Finish, Prompt

Opener = Callable[..., HfModel]

KINDS = ["PROMPT_TUNING", "PREFIX_TUNING"]
SHOTS = "Question: what is two and two?\nAnswer: four\n\n"
APART = ("One", "What is a checkpoint?", "x" * 37, "ab ab ab")
SHARED = tuple(SHOTS + question for question in ("Why?", "Who came to see it, and when?", "No."))
TOKENS = 5


def greedy(folder: Path, adapter: Path | None, prompts: Sequence[Prompt], new_tokens: int) -> list[str]:
    """The oracle: peft's own `generate`, one prompt at a time."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    if adapter is not None:
        model = PeftModel.from_pretrained(model, str(adapter))
    texts = []
    for prompt in prompts:
        tokens = tokenizer(prompt, return_tensors="pt")["input_ids"]
        with torch.inference_mode():
            found = model.eval().generate(
                input_ids=tokens,
                attention_mask=torch.ones_like(tokens),
                do_sample=False,
                max_new_tokens=new_tokens,
                pad_token_id=PAD,
            )
        texts.append(str(tokenizer.decode(found[0, tokens.shape[1] :], skip_special_tokens=True)))
    return texts


@pytest.mark.parametrize("prompts", [APART, SHARED, APART[:1]], ids=["padded", "shared", "one"])
@pytest.mark.parametrize("kind", KINDS)
def test_greedy_text_is_peft_s(
    tiny_folder: Path, tmp_path: Path, open_hf: Opener, kind: str, prompts: tuple[str, ...]
) -> None:
    adapter = build_virtual_adapter(tmp_path / "virtual", tiny_folder, kind, TOKENS)
    found = generate_all(open_hf(tiny_folder, adapter), prompts, Decoding(max_new_tokens=14))
    texts = [generation.text for generation in found]
    assert texts == greedy(tiny_folder, adapter, prompts, 14)
    assert texts != greedy(tiny_folder, None, prompts, 14)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("model", ["gpt2", "qwen2"])
def test_other_architectures_too(tmp_path: Path, open_hf: Opener, model: str, kind: str) -> None:
    # peft reads the number of key heads from the configuration, also where the model has no such setting
    folder = build_model(tmp_path / "base", kind=model, num_key_value_heads=4)
    adapter = build_virtual_adapter(tmp_path / "virtual", folder, kind, TOKENS)
    found = generate_all(open_hf(folder, adapter), APART, Decoding(max_new_tokens=10))
    assert [generation.text for generation in found] == greedy(folder, adapter, APART, 10)


@pytest.mark.filterwarnings("ignore:Models of the kind 'mistral' do not fit")
@pytest.mark.parametrize("kind", KINDS)
def test_windows_see_no_gap(tmp_path: Path, open_hf: Opener, kind: str) -> None:
    """A window of 8 tokens: padding between virtual tokens and prompt would push them out of sight."""
    folder = build_model(tmp_path / "base", kind="mistral", sliding_window=8)
    adapter = build_virtual_adapter(tmp_path / "virtual", folder, kind, TOKENS)
    model = open_hf(folder, adapter)
    prompts = ("abc", "x", "abcdefghijkl")
    found = generate_all(model, prompts, Decoding(max_new_tokens=10))
    assert [generation.text for generation in found] == greedy(folder, adapter, prompts, 10)
    check_scores(model, folder, adapter)


def test_base_lora_and_virtual_answer_in_turn(
    tiny_folder: Path, tiny_adapter: Path, tmp_path: Path, open_hf: Opener
) -> None:
    prompt = build_virtual_adapter(tmp_path / "prompt", tiny_folder, "PROMPT_TUNING")
    prefix = build_virtual_adapter(tmp_path / "prefix", tiny_folder, "PREFIX_TUNING")
    lora = build_adapter(tmp_path / "lora", tiny_folder, seed=6)
    pool = WeightsPool()
    for adapter in (None, prompt, tiny_adapter, prefix, None, lora, prompt):
        found = generate_all(open_hf(tiny_folder, adapter, pool), APART, Decoding(max_new_tokens=8))
        assert [generation.text for generation in found] == greedy(tiny_folder, adapter, APART, 8)


PAIRS: list[tuple[Prompt, str]] = [
    (f"{SHOTS}{question}", answer)
    for question in ("Why?", "Who was it then?")
    for answer in (" I", " nobody")
] + [("q", " alone"), ("", "nothing")]


def check_scores(model: HfModel, folder: Path, adapter: Path) -> None:
    """Against peft's forward pass of one unpadded row."""
    plain = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    theirs = PeftModel.from_pretrained(plain, str(adapter)).eval()
    encoded = model._pair_encoder().encode(PAIRS)
    for pair, found in zip(encoded, loglikelihood_all(model, PAIRS), strict=True):
        with torch.inference_mode():
            logits = theirs(input_ids=torch.tensor([[*pair.prompt, *pair.continuation][:-1]])).logits[0]
        own = logits[-len(pair.continuation) :].log_softmax(-1)
        wanted = torch.tensor(pair.continuation)
        assert found.value == pytest.approx(float(own.gather(1, wanted[:, None]).sum()), abs=1e-4)
        assert found.greedy is bool((own.argmax(-1) == wanted).all())


@pytest.mark.parametrize("kind", KINDS)
def test_plain_batches_score_as_peft_s_forward_pass(
    tmp_path: Path, open_hf: Opener, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Where the prefix tree does not fit: rows of different length, padded."""
    folder = build_model(tmp_path / "base")
    adapter = build_virtual_adapter(tmp_path / "virtual", folder, kind, TOKENS)
    model = open_hf(folder, adapter)
    monkeypatch.setattr("harness.models.weights.LoadedWeights.fits_tree", lambda *_: False)
    check_scores(model, folder, adapter)


@pytest.mark.parametrize("kind", KINDS)
def test_virtual_tokens_take_their_room(tmp_path: Path, open_hf: Opener, kind: str) -> None:
    """Learned positions, 40 in all: a token too many is an IndexError. One token a character."""
    short = {"n_positions": 40, "max_position_embeddings": 40, "num_key_value_heads": 4}
    folder = build_model(tmp_path / "short", kind="gpt2", **short)
    adapter = build_virtual_adapter(tmp_path / "virtual", folder, kind, TOKENS)
    model = open_hf(folder, adapter)
    long = "The beginning of this prompt is lost, but the end is still there."
    [found] = generate_all(model, [long], Decoding(max_new_tokens=10))
    assert (found.tokens, found.cut, found.finish) == (10, len(long) - 25, Finish.LENGTH)
    assert [found.text] == greedy(folder, adapter, [long[-25:]], 10)
    scored, failed = loglikelihood_all(model, [(long, " end"), ("a", "b" * 36)])
    assert scored.failure is None
    assert failed.failure == "A continuation has 36 tokens, but the model 'tiny' takes at most 35."

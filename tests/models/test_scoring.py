"""Log-likelihoods against one plain forward pass a pair."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from support.tiny_model import PAD, random_model

from harness.models.architecture import Architecture
from harness.models.scoring import EncodedPair, Scorer
from harness.records import LogLikelihood

PAIRS = (
    EncodedPair((5, 6, 7), (8, 9)),
    EncodedPair(tuple(range(20, 60)), (100,)),
    EncodedPair((4,), (50, 51, 52, 53, 54, 55)),
    EncodedPair((9, 9, 9, 9), ()),
    EncodedPair(tuple(range(90, 99)), (1, 2, 3)),
)


def make_scorer(model: Any) -> Scorer:
    return Scorer(model, PAD, Architecture.of(model), "cpu")


def plain(model: Any, pair: EncodedPair) -> tuple[float, bool]:
    """The oracle: all logits of the unpadded row, log_softmax in float64, one token at a time."""
    tokens = [*pair.prompt, *pair.continuation]
    with torch.inference_mode():
        logs = model(input_ids=torch.tensor([tokens])).logits[0].double().log_softmax(-1)
    places = range(len(pair.prompt), len(tokens))
    total = sum(float(logs[place - 1, tokens[place]]) for place in places)
    return total, all(int(logs[place - 1].argmax()) == tokens[place] for place in places)


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("llama", {}),
        ("mistral", {"sliding_window": 8}),
        ("gemma2", {"sliding_window": 8, "head_dim": 8}),
        ("gpt2", {}),
        ("bloom", {}),
    ],
)
def test_equals_a_plain_forward_pass(kind: str, changes: dict[str, Any]) -> None:
    model = random_model(kind, **changes)
    for pair, found in zip(PAIRS, make_scorer(model).run(PAIRS), strict=True):
        value, greedy = plain(model, pair)
        assert found.value == pytest.approx(value, abs=1e-4)
        assert found.greedy is greedy
        assert found.tokens == len(pair.continuation)


def test_what_greedy_decoding_writes_is_greedy(tiny_llama: Any) -> None:
    prompt = (30, 31, 32)
    written = tiny_llama.generate(
        torch.tensor([prompt]), do_sample=False, max_new_tokens=5, eos_token_id=None, pad_token_id=PAD
    )[0, 3:].tolist()
    almost = (*written[:-1], (written[-1] + 1) % 200)
    pairs = [EncodedPair(prompt, tuple(written)), EncodedPair(prompt, almost)]
    assert [found.greedy for found in make_scorer(tiny_llama).run(pairs)] == [True, False]


def test_nothing_to_score_needs_no_model() -> None:
    scorer = Scorer(None, PAD, Architecture(None, frozenset(), full=True, layers=1), "cpu")
    assert scorer.run([EncodedPair((1, 2), ()), EncodedPair((3,), ())]) == [LogLikelihood(0.0, True, 0)] * 2


def test_numbers_that_are_not_finite_are_never_greedy() -> None:
    # Token 0 is what argmax returns where all logits are NaN.
    model = random_model()
    with torch.no_grad():
        model.model.embed_tokens.weight[77] = torch.nan
    pairs = [EncodedPair((5, 77, 6), (0,)), EncodedPair((5, 6), (7,))]
    broken, sound = make_scorer(model).run(pairs)
    assert math.isnan(broken.value)
    assert not broken.greedy
    assert sound.value == pytest.approx(plain(model, pairs[1])[0], abs=1e-4)


def test_a_batch_that_does_not_fit_is_halved(tiny_llama: Any) -> None:
    def forward(**arguments: Any) -> Any:
        if arguments["input_ids"].shape[0] > 1:
            raise torch.OutOfMemoryError("out of memory")
        return tiny_llama(**arguments)

    scorer = make_scorer(tiny_llama)
    for found, whole in zip(replace(scorer, model=forward).run(PAIRS), scorer.run(PAIRS), strict=True):
        assert found.value == pytest.approx(whole.value, abs=1e-4)
        assert found.greedy is whole.greedy

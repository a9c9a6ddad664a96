"""The prefix tree beside transformers' own forward pass, a request at a time, on tiny random models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.tiny_model import build_adapter, build_model, build_virtual_adapter, random_model

from harness.models import tree_attention, weights
from harness.models.base import loglikelihood_all
from harness.models.hf import HfModel
from harness.models.pairs import rolling_windows
from harness.models.tree_check import fits_tree
from harness.models.tree_scoring import TreeScorer

Opener = Callable[..., HfModel]

SHOTS = "Question: what is two and two?\nAnswer: four\n\n" * 3
PAIRS: list[tuple[Any, str]] = [
    (f"{SHOTS}Question: {question}?\nAnswer:", answer)
    for question in ("why", "who came to see it", "is this a question at all, or is it another one")
    for answer in (" yes", " yes indeed", " no", " nobody knows", "")
]
PAIRS += [("", "alone"), ("another prompt", " x"), PAIRS[0]]


def oracle(model: Any, found: HfModel, pairs: list[tuple[Any, str]]) -> list[tuple[float, bool]]:
    """One request at a time through the model's own forward pass, without a cache."""
    values = []
    for pair in found._pair_encoder().encode(pairs):
        if not pair.continuation:
            values.append((0.0, True))
            continue
        tokens = torch.tensor([[*pair.prompt, *pair.continuation]])
        with torch.no_grad():
            logits = model(input_ids=tokens).logits[0, -len(pair.continuation) - 1 : -1]
        wanted = torch.tensor(pair.continuation)
        scores = logits.log_softmax(-1).gather(1, wanted[:, None])
        values.append((float(scores.sum()), bool((logits.argmax(-1) == wanted).all())))
    return values


def check(found: list[Any], expected: list[tuple[float, bool]]) -> None:
    assert [value.value for value in found] == pytest.approx([value for value, _ in expected], abs=1e-4)
    assert [value.greedy for value in found] == [greedy for _, greedy in expected]


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Tokens of every pass through the tree."""
    seen: list[int] = []
    inner = TreeScorer._run

    def run(self: TreeScorer, tokens: list[int], *rest: Any) -> Any:
        seen.append(len(tokens))
        return inner(self, tokens, *rest)

    monkeypatch.setattr(TreeScorer, "_run", run)
    return seen


@pytest.mark.parametrize("kind", ["llama", "qwen2", "gpt2", "gpt_neox", "opt", "phi"])
def test_equals_the_plain_forward_pass(
    tmp_path: Path, open_hf: Opener, kind: str, counted: list[int]
) -> None:
    folder = build_model(tmp_path, kind=kind)
    model = open_hf(folder)
    assert model.weights.fits_tree(None, "cpu")
    counted.clear()
    found = loglikelihood_all(model, PAIRS)
    check(found, oracle(model.weights.use(None), model, PAIRS))
    # the shots, 143 tokens, are run once and not eighteen times
    assert 0 < sum(counted) < 700
    assert [value.tokens for value in found[:3]] == [4, 11, 3]


def test_elsewhere_than_on_a_processor_one_mask_does_the_same(
    tmp_path: Path, open_hf: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = open_hf(build_model(tmp_path))
    monkeypatch.setattr(tree_attention, "_in_parts", tree_attention._masked)
    check(loglikelihood_all(model, PAIRS), oracle(model.weights.use(None), model, PAIRS))


def test_adapters_share_the_base_and_score_as_peft_does(
    tiny_folder: Path, tiny_adapter: Path, tmp_path: Path, open_hf: Opener
) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    prompt = build_virtual_adapter(tmp_path / "prompt", tiny_folder, "PROMPT_TUNING")
    prefix = build_virtual_adapter(tmp_path / "prefix", tiny_folder, "PREFIX_TUNING")
    lora = build_adapter(tmp_path / "lora", tiny_folder, seed=5)
    pool = weights.WeightsPool()
    adapters = (None, prompt, tiny_adapter, prefix, None, lora, prompt)
    scores = []
    for adapter in adapters:
        model = open_hf(tiny_folder, adapter, pool)
        found = loglikelihood_all(model, PAIRS)
        plain = AutoModelForCausalLM.from_pretrained(tiny_folder).eval()
        if adapter is not None:
            plain = PeftModel.from_pretrained(plain, adapter).eval()
        # peft's forward drops the virtual tokens' logits for prefixes only, so the last ones are read
        check(found, oracle(plain, model, PAIRS))
        scores.append(found[0].value)
    assert scores[0] == scores[4]
    assert scores[1] == scores[6]
    assert len({round(score, 3) for score in scores}) == 5
    assert pool.get(tiny_folder, "float32", "cpu").use(None) is not None


def test_only_what_is_missing_is_run(tiny_folder: Path, open_hf: Opener, counted: list[int]) -> None:
    model = open_hf(tiny_folder)
    whole = loglikelihood_all(model, PAIRS)
    everything = sum(counted)
    counted.clear()
    known = set(range(5, len(PAIRS)))
    found = dict(zip_batches(model.loglikelihood(PAIRS, known)))
    assert set(found) == set(range(5))
    assert [found[i].value for i in range(5)] == pytest.approx([whole[i].value for i in range(5)], abs=1e-5)
    assert 0 < sum(counted) < everything - 200
    assert list(model.loglikelihood(PAIRS, set(range(len(PAIRS))))) == []


def zip_batches(batches: Any) -> list[tuple[int, Any]]:
    return [pair for indices, values in batches for pair in zip(indices, values, strict=True)]


def test_a_batch_that_does_not_fit_is_cut_in_two(
    tiny_folder: Path, open_hf: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = open_hf(tiny_folder)
    expected = loglikelihood_all(model, PAIRS)
    inner = TreeScorer._batch
    tried = []

    def small(self: TreeScorer, units: Any, prefix: Any) -> Any:
        tried.append(len(units))
        if len(units) > 1:
            raise torch.OutOfMemoryError("out of memory")
        return inner(self, units, prefix)

    monkeypatch.setattr(TreeScorer, "_batch", small)
    found = loglikelihood_all(model, PAIRS)
    assert max(tried) > 1
    assert [v.value for v in found] == pytest.approx([v.value for v in expected], abs=1e-4)


def test_not_finite_is_said_and_never_greedy(tmp_path: Path, open_hf: Opener) -> None:
    folder = build_model(tmp_path)
    model = open_hf(folder)
    assert model.weights.fits_tree(None, "cpu")
    with torch.no_grad():
        model.weights.model.lm_head.weight[7] = float("nan")
    found = loglikelihood_all(model, PAIRS[:4])
    assert all(value.value != value.value and not value.greedy for value in found)


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("mistral", {"sliding_window": 16}),  # a window: tokens do not see all their ancestors
        ("bloom", {"n_head": 4, "n_layer": 2}),  # its own attention, with slopes by distance
        ("gemma2", {"head_dim": 8, "final_logit_softcapping": 5.0}),  # soft caps after the head
    ],
)
def test_what_does_not_fit_is_scored_in_plain_batches_with_a_warning(
    tmp_path: Path, open_hf: Opener, kind: str, changes: dict[str, Any]
) -> None:
    model = open_hf(build_model(tmp_path, kind=kind, **changes))
    with pytest.warns(UserWarning, match=f"'{kind}' do not fit the prefix tree"):
        found = loglikelihood_all(model, PAIRS)
    check(found, oracle(model.weights.use(None), model, PAIRS))
    # found out once
    assert not model.weights.fits_tree(None, "cpu")


def test_the_check_notices_a_token_that_sees_its_sibling(monkeypatch: pytest.MonkeyPatch) -> None:
    model = random_model()
    assert fits_tree(model, 0, "cpu")
    assert fits_tree(model.to(torch.bfloat16), 0, "cpu")
    from harness.models import tree_scoring

    inner = tree_scoring._seen

    def blind(units: Any, trunk: int, branch: int) -> Any:
        seen = inner(units, trunk, branch)
        seen[..., trunk:] = torch.ones(branch, branch, dtype=torch.bool).tril()
        return seen

    monkeypatch.setattr(tree_scoring, "_seen", blind)
    assert not fits_tree(model, 0, "cpu")
    assert not fits_tree(model.float(), 0, "cpu")


def test_the_attention_is_put_back_after_each_pass(tiny_folder: Path, open_hf: Opener) -> None:
    model = open_hf(tiny_folder)
    before = model.weights.model.config._attn_implementation
    loglikelihood_all(model, PAIRS[:3])
    assert model.weights.model.config._attn_implementation == before


@given(st.lists(st.integers(0, 9), max_size=60), st.integers(1, 20))
def test_windows_are_those_of_lm_eval(tokens: list[int], longest: int) -> None:
    from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

    expected = [
        (tuple(context), tuple(continuation))
        for context, continuation in map(
            make_disjoint_window, get_rolling_token_windows(tokens, 99, longest, context_len=1)
        )
    ]
    found = [(pair.prompt, pair.continuation) for pair in rolling_windows(tokens, 99, longest)]
    assert found == expected


def test_rolling_sums_every_token_of_a_text(tmp_path: Path, open_hf: Opener) -> None:
    model = open_hf(build_model(tmp_path, max_position_embeddings=128))
    plain = model.weights.use(None)
    texts = [
        "a text of one window",
        SHOTS + SHOTS,
        "",
        "another one",
    ]  # SHOTS twice: 286 tokens, three windows
    found = dict(zip_batches(model.rolling(texts)))
    for place, text in enumerate(texts):
        total = 0.0
        for pair in model._pair_encoder().windows(text):
            logits = (
                plain(input_ids=torch.tensor([[*pair.prompt, *pair.continuation[:-1]]])).logits[0].detach()
            )
            scores = logits[-len(pair.continuation) :].log_softmax(-1)
            total += float(scores.gather(1, torch.tensor(pair.continuation)[:, None]).sum())
        assert found[place].value == pytest.approx(total, abs=1e-3)
        assert found[place].tokens == len(text)
    again = dict(zip_batches(model.rolling(texts, have=[0, 2])))
    assert {place: value.value for place, value in again.items()} == pytest.approx(
        {1: found[1].value, 3: found[3].value}, abs=1e-4
    )
    assert list(model.rolling(texts, have=range(4))) == []

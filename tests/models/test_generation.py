"""Our batches against `model.generate` of transformers, one prompt at a time in float32."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from support.tiny_model import PAD, VOCABULARY, random_model

from harness.models.architecture import Architecture
from harness.models.base import Decoding
from harness.models.generation import Generator, _Sampler
from harness.records import Finish, Generation

LENGTHS = (3, 17, 9, 40, 25, 4)
PREFIX = tuple(range(10, 40))


def make_rows(lengths: Sequence[int] = LENGTHS, prefix: Sequence[int] = ()) -> list[list[int]]:
    source = torch.Generator().manual_seed(5)
    return [
        [*prefix, *torch.randint(4, VOCABULARY, (length,), generator=source).tolist()] for length in lengths
    ]


def make_generator(model: Any, tokenizer: Any, end_tokens: Sequence[int] = ()) -> Generator:
    return Generator(
        model=model,
        decode=lambda tokens: str(tokenizer.decode(tokens, skip_special_tokens=True)),
        end_tokens=frozenset(end_tokens),
        pad=PAD,
        architecture=Architecture.of(model),
        device="cpu",
    )


def greedy_alone(
    model: Any, row: Sequence[int], new_tokens: int, end_tokens: Sequence[int] = ()
) -> list[int]:
    """The oracle: new tokens that transformers generates for one unpadded prompt, the end token included."""
    with torch.inference_mode():
        found = model.generate(
            torch.tensor([list(row)]),
            attention_mask=torch.ones(1, len(row), dtype=torch.long),
            do_sample=False,
            max_new_tokens=new_tokens,
            eos_token_id=list(end_tokens) or None,
            pad_token_id=PAD,
        )
    return found[0, len(row) :].tolist()


def expected(
    model: Any, tokenizer: Any, row: Sequence[int], new_tokens: int, end_tokens: Sequence[int] = ()
) -> Generation:
    tokens = greedy_alone(model, row, new_tokens, end_tokens)
    ended = bool(tokens) and tokens[-1] in end_tokens
    kept = tokens[:-1] if ended else tokens
    text = tokenizer.decode(kept, skip_special_tokens=True)
    return Generation(text, len(kept), Finish.STOP if ended else Finish.LENGTH)


def often_written(model: Any, rows: Sequence[Sequence[int]], new_tokens: int) -> list[int]:
    """Tokens that end the rows at different steps: the third token of one, the seventh of another."""
    return [greedy_alone(model, rows[0], new_tokens)[2], greedy_alone(model, rows[3], new_tokens)[6]]


@pytest.mark.parametrize("prefix", [(), PREFIX[:7], PREFIX], ids=["none", "too short to share", "shared"])
def test_greedy_text_equals_one_prompt_at_a_time(
    tiny_llama: Any, tokenizer: Any, prefix: Sequence[int]
) -> None:
    rows = make_rows(prefix=prefix)
    found = make_generator(tiny_llama, tokenizer).run(rows, Decoding(max_new_tokens=24))
    assert found == [expected(tiny_llama, tokenizer, row, 24) for row in rows]
    assert len({generation.text for generation in found}) == len(
        rows
    )  # a model that repeats itself shows nothing


@pytest.mark.parametrize("prefix", [(), PREFIX], ids=["none", "shared"])
def test_rows_that_end_early_leave_the_batch_and_the_others_go_on(
    tiny_llama: Any, tokenizer: Any, prefix: Sequence[int]
) -> None:
    rows = make_rows(prefix=prefix)
    ends = often_written(tiny_llama, rows, 24)
    calls: list[int] = []
    generator = make_generator(counted(tiny_llama, calls), tokenizer, ends)
    generator = replace(generator, architecture=Architecture.of(tiny_llama))
    found = generator.run(rows, Decoding(max_new_tokens=24))
    assert found == [expected(tiny_llama, tokenizer, row, 24, ends) for row in rows]
    assert {generation.finish for generation in found} == {Finish.STOP, Finish.LENGTH}
    assert calls[-1] < len(rows)


def counted(model: Any, calls: list[int]) -> Callable[..., Any]:
    def forward(**arguments: Any) -> Any:
        calls.append(arguments["input_ids"].shape[0])
        return model(**arguments)

    forward.config = model.config  # type: ignore[attr-defined]
    forward.forward = model.forward  # type: ignore[attr-defined]
    return forward


def test_no_step_is_run_once_all_rows_have_ended(tiny_llama: Any, tokenizer: Any) -> None:
    rows = make_rows((5, 5))
    firsts = [greedy_alone(tiny_llama, row, 1)[0] for row in rows]
    calls: list[int] = []
    generator = make_generator(counted(tiny_llama, calls), tokenizer, firsts)
    found = generator.run(rows, Decoding(max_new_tokens=24))
    assert found == [Generation("", 0, Finish.STOP)] * 2
    assert len(calls) == 1


def test_the_shared_prefix_is_computed_once(tiny_llama: Any, tokenizer: Any) -> None:
    sizes: list[tuple[int, int]] = []

    def forward(**arguments: Any) -> Any:
        sizes.append(tuple(arguments["input_ids"].shape))
        return tiny_llama(**arguments)

    generator = replace(make_generator(tiny_llama, tokenizer), model=forward)
    generator.run(make_rows((3, 4, 5), PREFIX), Decoding(max_new_tokens=2))
    assert sizes == [(1, len(PREFIX)), (3, 5), (3, 1)]


ARCHITECTURES: dict[str, dict[str, Any]] = {
    "mistral": {"sliding_window": 8},
    "qwen2": {},
    "qwen2 window": {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 1},
    "gemma2": {"sliding_window": 8, "head_dim": 8},
    "gpt2": {},
    "gpt_neo": {
        "num_layers": 2,
        "num_heads": 4,
        "attention_types": [[["global", "local"], 1]],
        "window_size": 8,
    },
    "bloom": {},
    "opt": {"ffn_dim": 64, "word_embed_proj_dim": 32},
}


@pytest.mark.parametrize("prefix", [(), PREFIX], ids=["none", "shared"])
@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_other_architectures_answer_as_they_do_alone(
    tokenizer: Any, kind: str, prefix: Sequence[int]
) -> None:
    model = random_model(kind.split(maxsplit=1)[0], **ARCHITECTURES[kind])
    rows = make_rows((3, 17, 40, 9), prefix)
    ends = often_written(model, rows, 16)
    found = make_generator(model, tokenizer, ends).run(rows, Decoding(max_new_tokens=16))
    assert found == [expected(model, tokenizer, row, 16, ends) for row in rows]


def test_max_new_tokens_ends_with_length(tiny_llama: Any, tokenizer: Any) -> None:
    [found] = make_generator(tiny_llama, tokenizer).run(make_rows((6,)), Decoding(max_new_tokens=5))
    assert (found.tokens, found.finish, found.failure) == (5, Finish.LENGTH, None)


class Spelling:
    """A model that writes given texts one token a character, whatever it is asked: stop strings by hand."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.steps = 0

    def decode(self, tokens: Sequence[int]) -> str:
        return "".join(map(chr, tokens))

    def __call__(self, input_ids: torch.Tensor, **_arguments: Any) -> Any:
        logits = torch.zeros(input_ids.shape[0], 1, 128)
        logits[:, 0, ord(self.text[min(self.steps, len(self.text) - 1)])] = 1.0
        self.steps += 1
        return type("Output", (), {"logits": logits})


@pytest.mark.parametrize(
    ("stops", "text", "tokens", "finish"),
    [
        (("lo",), "hel", 5, Finish.STOP),  # spans two tokens
        (("h",), "", 1, Finish.STOP),  # in the first token
        (("world", "wo"), "hello ", 8, Finish.STOP),  # the first that is complete
        (("zzz",), "hello world", 11, Finish.LENGTH),
        (("d",), "hello worl", 11, Finish.STOP),  # in the last token allowed
        (("l", "el"), "h", 3, Finish.STOP),  # two at once: cut at the earlier
    ],
)
def test_stop_strings_cut_and_end(
    tiny_llama: Any, stops: tuple[str, ...], text: str, tokens: int, finish: Finish
) -> None:
    model = Spelling("hello world")
    generator = Generator(model, model.decode, frozenset(), PAD, Architecture.of(tiny_llama), "cpu")
    [found] = generator.run([[1, 2]], Decoding(max_new_tokens=11, stop=stops))
    assert found == Generation(text, tokens, finish)


def test_a_row_that_met_its_stop_string_does_not_end_the_others(tiny_llama: Any, tokenizer: Any) -> None:
    rows = make_rows()
    whole = [expected(tiny_llama, tokenizer, row, 24) for row in rows]
    stop = whole[1].text[3:5]
    found = make_generator(tiny_llama, tokenizer).run(rows, Decoding(max_new_tokens=24, stop=(stop,)))
    for generation, full in zip(found, whole, strict=True):
        assert generation.text == full.text.split(stop)[0]
        assert generation.finish is (Finish.STOP if stop in full.text else Finish.LENGTH)
    assert found[1].finish is Finish.STOP
    assert any(generation.finish is Finish.LENGTH for generation in found)


SAMPLED = Decoding(max_new_tokens=16, temperature=0.8, top_p=0.9, seed=4)


def test_sampled_text_is_the_same_in_every_batch_and_again(tiny_llama: Any, tokenizer: Any) -> None:
    rows = make_rows(prefix=PREFIX)
    generator = make_generator(tiny_llama, tokenizer)
    together = generator.run(rows, SAMPLED)
    assert together == generator.run(rows, SAMPLED)
    assert together == [generator.run([row], SAMPLED)[0] for row in rows]
    assert together == generator.run(rows[::-1], SAMPLED)[::-1]


def test_another_seed_gives_another_text(tiny_llama: Any, tokenizer: Any) -> None:
    rows = make_rows()
    generator = make_generator(tiny_llama, tokenizer)
    assert generator.run(rows, SAMPLED) != generator.run(rows, replace(SAMPLED, seed=5))


def test_a_low_temperature_is_nearly_greedy(tiny_llama: Any, tokenizer: Any) -> None:
    rows = make_rows()
    generator = make_generator(tiny_llama, tokenizer)
    cold = generator.run(rows, Decoding(max_new_tokens=12, temperature=1e-4))
    assert cold == generator.run(rows, Decoding(max_new_tokens=12))


@pytest.mark.parametrize(
    ("top_p", "kept"),
    [
        (1.0, {0, 1, 2, 3}),
        (0.9, {0, 1, 2}),  # 0.5 + 0.3 = 0.8 is not enough, 0.95 is
        (0.75, {0, 1}),
        (0.5, {0}),
        (0.01, {0}),  # the likeliest token always stays
    ],
)
def test_the_nucleus_is_the_smallest_set_that_holds_top_p(top_p: float, kept: set[int]) -> None:
    probabilities = torch.tensor([0.5, 0.3, 0.15, 0.05], dtype=torch.float64)
    sampler = _Sampler(Decoding(temperature=1.0, top_p=top_p), [[1]], "cpu")
    found = sampler._nucleus(probabilities)
    assert set(found.nonzero()[:, 0].tolist()) == kept
    assert torch.equal(found[list(kept)], probabilities[list(kept)])


def test_samples_follow_the_softmax_of_the_logits() -> None:
    # 3,000 one-token prompts, each with a generator of its own. Shares of a categorical: three standard
    # deviations of the largest share are 3 * sqrt(.25 / 3000) = .027.
    share = torch.tensor([0.6, 0.3, 0.1])
    prompts = [[index] for index in range(3000)]
    logits = (2.0 * share.log())[None].expand(len(prompts), 3)
    sampler = _Sampler(Decoding(temperature=2.0), prompts, "cpu")
    chosen, finite = sampler.next(logits, range(len(prompts)))
    found = torch.bincount(torch.tensor(chosen), minlength=3) / len(prompts)
    assert torch.allclose(found, share, atol=0.03)
    assert all(finite)


@pytest.mark.parametrize("decoding", [Decoding(max_new_tokens=8), replace(SAMPLED, max_new_tokens=8)])
def test_numbers_that_are_not_finite_end_only_their_own_row(tokenizer: Any, decoding: Decoding) -> None:
    model = random_model()
    rows = make_rows((6, 9, 12))
    rows[1][4] = 77
    rows = [[token if token != 77 or row is rows[1] else 78 for token in row] for row in rows]
    healthy = make_generator(model, tokenizer).run(rows, decoding)
    with torch.no_grad():
        model.model.embed_tokens.weight[77] = torch.nan
    found = make_generator(model, tokenizer).run(rows, decoding)
    assert found[1].finish is Finish.NONFINITE
    assert found[1].failure == "the model returned numbers that are not finite"
    assert (found[1].text, found[1].tokens) == ("", 0)
    assert [found[0], found[2]] == [healthy[0], healthy[2]]


def test_infinite_logits_are_not_finite_either() -> None:
    sampler = _Sampler(Decoding(), [[1], [2], [3]], "cpu")
    logits = torch.tensor([[0.0, torch.inf], [-torch.inf, 1.0], [-torch.inf, -torch.inf]])
    # minus infinity rules a token out, which some models do on purpose
    assert sampler.next(logits, [0, 1, 2])[1] == [False, True, False]


@pytest.mark.parametrize("decoding", [Decoding(max_new_tokens=12), replace(SAMPLED, max_new_tokens=12)])
@pytest.mark.parametrize("fits", [1, 2, 4])
def test_a_batch_that_does_not_fit_is_halved(
    tiny_llama: Any, tokenizer: Any, fits: int, decoding: Decoding
) -> None:
    def forward(**arguments: Any) -> Any:
        if arguments["input_ids"].shape[0] > fits:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return tiny_llama(**arguments)

    rows = make_rows(prefix=PREFIX)
    generator = make_generator(tiny_llama, tokenizer)
    assert replace(generator, model=forward).run(rows, decoding) == generator.run(rows, decoding)

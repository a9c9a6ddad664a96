"""`HarnessLM`: settings of generations, chats, start tokens, whole texts; and what it does not do."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import pytest
from benchmarks.conftest import checksum_model
from jinja2 import TemplateError
from lm_eval.api.instance import Instance

from harness.benchmarks import HarnessLM
from harness.benchmarks.lm import decoding_of
from harness.benchmarks.rolling import roll
from harness.exceptions import BadValue, InputError, StageFailed
from harness.models.base import Decoding
from harness.models.scripted import ScriptedModel
from harness.records import LogLikelihood
from harness.store import NoStore, Store


def requests(kind: Any, *arguments: tuple[Any, ...], tasks: Sequence[str] = ()) -> list[Any]:
    return [
        Instance(kind, {}, each, 0, (tasks[place] if tasks else "task", place, 1))
        for place, each in enumerate(arguments)
    ]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, Decoding(256)),
        ({"until": "\n", "max_gen_toks": 9, "max_new_tokens": 8}, Decoding(9, stop=("\n",))),
        ({"until": ["a", "b"], "max_tokens": 7}, Decoding(7, stop=("a", "b"))),
        ({"do_sample": False, "temperature": 0.7, "top_p": 0.5}, Decoding(256)),
        ({"do_sample": True, "temperature": 0.7, "top_p": 0.5}, Decoding(256, 0.7, 0.5)),
        ({"do_sample": True}, Decoding(256, 1.0)),
        ({"temperature": 0.3}, Decoding(256, 0.3)),
        ({"do_sample": True, "temperature": 0.0}, Decoding(256)),
        ({"num_beams": 1}, Decoding(256)),
    ],
)
def test_generation_settings_as_lm_eval_reads_them(settings: dict[str, Any], expected: Decoding) -> None:
    """Defaults and precedence: HFLM's `max_gen_toks` and `lm_eval.models.utils.normalize_gen_kwargs`."""
    assert decoding_of(settings) == expected
    assert decoding_of(settings, "<end>").stop == (*expected.stop, "<end>")


def test_settings_that_would_be_ignored_are_refused() -> None:
    with pytest.raises(InputError, match="samples with min_p, top_k, which is not supported"):
        decoding_of({"temperature": 1.0, "top_k": 5, "min_p": 0.1})
    with pytest.raises(BadValue, match="generation_kwargs is 'x'"):
        decoding_of("x")


def test_requests_go_task_by_task_and_come_back_in_order() -> None:
    model = checksum_model(batch_size=100)
    lm = HarnessLM(model)
    asked = requests("loglikelihood", ("a", " 1"), ("b", " 1"), ("a", " 2"), tasks=("x", "y", "x"))
    found = lm.loglikelihood(asked)
    assert found == [HarnessLM(checksum_model()).loglikelihood([each])[0] for each in asked]
    assert (model.asked, lm.computed) == (["a", "a", "b"], 3)


def test_different_settings_and_repeats_are_asked_apart() -> None:
    seeds: list[tuple[int, int]] = []

    class Watched(ScriptedModel):
        def generate(self, prompts: Any, decoding: Decoding, have: Collection[int] = ()) -> Any:
            seeds.append((decoding.seed, decoding.max_new_tokens))
            return super().generate(prompts, decoding, have)

    lm = HarnessLM(Watched(default="one two three four"))
    greedy, short, sampled = requests(
        "generate_until",
        ("q", {"until": ["three"]}),
        ("q", {"until": [], "max_gen_toks": 2}),
        ("q", {"do_sample": True, "temperature": 1.0}),
    )
    texts = lm.generate_until([greedy, greedy, short, sampled, sampled])
    assert texts == ["one two ", "one two ", "one two", "one two three four", "one two three four"]
    assert [length for _, length in seeds] == [256, 2, 256, 256]
    assert seeds[2][0] != seeds[3][0]  # a sampled repeat has a seed of its own


class Tokenizer:
    """Adds its start token itself, as Llama's does; a token a character."""

    bos_token, bos_token_id, eos_token, eos_token_id = "<s>", 1, "</s>", 2
    name_or_path = "some/where"
    chat_template: str | None = "own"

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        return [1] * add_special_tokens + [ord(letter) for letter in text]

    def apply_chat_template(self, turns: list[dict[str, str]], **settings: Any) -> str:
        if any(turn["role"] == "system" for turn in turns):
            raise TemplateError("no system")
        if turns[-1]["content"] == "bad":
            raise TemplateError("bad turn")
        end = "" if settings["continue_final_message"] else "<ask>"
        return "<s>" + "|".join(turn["content"] for turn in turns) + end


def with_tokenizer(**changes: Any) -> tuple[HarnessLM, ScriptedModel]:
    model = checksum_model()
    tokenizer = Tokenizer()
    for name, value in changes.items():
        setattr(tokenizer, name, value)
    model.tokenizer = tokenizer  # type: ignore[attr-defined]
    return HarnessLM(model), model


def test_a_template_without_system_turns_gets_the_rest() -> None:
    lm, _ = with_tokenizer()
    turns = [{"role": "system", "content": "be"}, {"role": "user", "content": "hi"}]
    assert lm.apply_chat_template(turns) == "<s>hi<ask>"
    assert lm.apply_chat_template(turns, add_generation_prompt=False) == "<s>hi"
    with pytest.raises(InputError, match="refuses this prompt: bad turn"):
        lm.apply_chat_template([{"role": "user", "content": "bad"}])


def test_a_tokenizer_without_a_template_is_named() -> None:
    lm, _ = with_tokenizer(chat_template=None)
    with pytest.raises(InputError, match="'scripted' has no chat template"):
        lm.apply_chat_template([{"role": "user", "content": "hi"}])


def test_the_start_token_is_not_written_twice() -> None:
    """HFLM's `has_bos_prefix`: a prompt that begins with it is put into tokens without another."""
    lm, model = with_tokenizer()
    lm.loglikelihood(requests("loglikelihood", ("<s>hi", " x")))
    lm.generate_until(requests("generate_until", ("<s>hi", {})))
    assert model.asked == ["hi", "hi"]
    other, model = with_tokenizer(encode=lambda text: [ord(letter) for letter in text])
    other.loglikelihood(requests("loglikelihood", ("<s>hi", " x")))
    assert model.asked == ["<s>hi"]


def test_what_lm_eval_asks_of_a_tokenizer() -> None:
    lm, _ = with_tokenizer()
    assert (lm.eot_token_id, lm.prefix_token_id, lm.tokenizer_name) == (2, 1, "some__where")
    assert (lm.tok_encode("a"), lm.tok_encode("a", add_special_tokens=False)) == ([1, 97], [97])
    bare, _ = with_tokenizer(bos_token_id=None, eos_token_id=None)
    assert (bare.eot_token_id, bare.prefix_token_id) == (None, None)
    with pytest.raises(InputError, match="asked for text, not for tokens"):
        lm._loglikelihood_tokens([])
    with pytest.raises(InputError, match="has no tokenizer"):
        _ = HarnessLM(checksum_model()).eot_token_id


class Rolling(ScriptedModel):
    """Scores a whole text with minus its length, two texts a batch; one text is never answered."""

    def rolling(self, texts: Sequence[str], have: Collection[int] = ()) -> Iterator[Any]:
        self.calls += 1
        for start in range(0, len(texts), 2):
            batch = [i for i in range(start, min(start + 2, len(texts))) if i not in have and texts[i] != "?"]
            if batch:
                self.batches.append(tuple(batch))
                yield batch, [-float(len(texts[i])) for i in batch]


def test_whole_texts_are_scored_once_and_stored(tmp_path: Any) -> None:
    model = Rolling()
    with Store.open(tmp_path) as store:
        lm = HarnessLM(model, store)
        asked = requests("loglikelihood_rolling", ("aaa",), ("b",), ("aaa",), ("cc",))
        assert lm.loglikelihood_rolling(asked) == [-3.0, -1.0, -3.0, -2.0]
        assert (lm.computed, model.batches) == (3, [(0, 1), (2,)])
        assert HarnessLM(model, store).loglikelihood_rolling(asked) == [-3.0, -1.0, -3.0, -2.0]
        assert model.calls == 1
        assert roll(model, ["dd", "b"], store).computed == 1


def test_models_that_cannot_score_whole_texts() -> None:
    with pytest.raises(InputError, match="'scripted' cannot score whole texts"):
        roll(ScriptedModel(), ["a"], NoStore())
    with pytest.raises(StageFailed, match="no answer to 1 of 2 texts"):
        roll(Rolling(), ["a", "?"], NoStore())


def test_lm_evals_own_api_hears_of_a_request_that_cannot_be_asked() -> None:
    model = ScriptedModel(loglikelihoods=lambda *_: LogLikelihood.failed("too long"), identity="long")
    with pytest.raises(InputError, match="too long"):
        HarnessLM(model).loglikelihood(requests("loglikelihood", ("a", "b")))

from __future__ import annotations

import math
import time
from typing import Any

import pytest

from harness.exceptions import BadValue, InputError
from harness.models import MODELS
from harness.models.base import Decoding, Model, generate_all, loglikelihood_all
from harness.models.scripted import ScriptedModel
from harness.records import Finish, Generation, LogLikelihood, Message

GREEDY = Decoding()


def test_it_is_a_model_and_registered() -> None:
    model = MODELS.create({"scripted": {"answers": {"a": "b"}}})
    assert isinstance(model, Model)
    assert [g.text for g in generate_all(model, ["a"], GREEDY)] == ["b"]


def test_answers_come_by_text_by_last_message_or_from_the_default() -> None:
    model = ScriptedModel({"2+2?": "4", "user: x\n\nassistant: y": "whole"}, default="?")
    chat = (Message("system", "be short"), Message("user", "2+2?"))
    whole = (Message("user", "x"), Message("assistant", "y"))
    texts = [g.text for g in generate_all(model, ["2+2?", chat, whole, "else", ()], GREEDY)]
    assert texts == ["4", "4", "whole", "?", "?"]


def test_a_prompt_without_answer_fails_and_the_others_go_on() -> None:
    first, second = generate_all(ScriptedModel({"b": "B"}), ["a", "b"], GREEDY)
    assert first == Generation("", 0, Finish.FAILED, "the script has no answer to this prompt")
    assert second == Generation("B", 1, Finish.STOP)


def test_refusals_and_failures() -> None:
    model = ScriptedModel(default="fine", refusals=("bad",), failures={"sick": "server said 500"})
    assert generate_all(model, ["bad", "sick", "good"], GREEDY) == [
        Generation("", 0, Finish.REFUSED),
        Generation("", 0, Finish.FAILED, "server said 500"),
        Generation("fine", 1, Finish.STOP),
    ]


def test_answers_end_at_the_first_stop_string_and_at_the_length() -> None:
    model = ScriptedModel({"p": "one two;three\nfour"})
    (stopped,) = generate_all(model, ["p"], Decoding(stop=("\n", ";", "")))
    (cut,) = generate_all(model, ["p"], Decoding(max_new_tokens=1))
    (exact,) = generate_all(model, ["p"], Decoding(max_new_tokens=3))
    assert stopped == Generation("one two", 2, Finish.STOP)
    assert cut == Generation("one", 1, Finish.LENGTH)
    assert exact == Generation("one two;three\nfour", 3, Finish.STOP)


def test_a_function_may_give_text_or_a_whole_generation() -> None:
    given = Generation("as it is", 99, Finish.NONFINITE, "nan")
    model = ScriptedModel(lambda prompt: given if prompt == "g" else f"<{prompt}>", identity="echo")
    assert generate_all(model, ["g", "x"], GREEDY) == [given, Generation("<x>", 1, Finish.STOP)]


def test_a_function_needs_an_identity() -> None:
    with pytest.raises(BadValue, match="identity"):
        ScriptedModel(lambda _: "x")
    with pytest.raises(BadValue, match="identity"):
        ScriptedModel(loglikelihoods=lambda _prompt, _continuation: 0.0)


@pytest.mark.parametrize("setting", [{"batch_size": 0}, {"delay": -1.0}])
def test_bad_settings_are_refused(setting: dict[str, float]) -> None:
    (name,) = setting
    with pytest.raises(BadValue, match=name):
        ScriptedModel(**setting)  # type: ignore[arg-type]


def test_batches_are_planned_from_the_full_list() -> None:
    model = ScriptedModel(default="x", batch_size=3)
    prompts = [str(number) for number in range(8)]
    yielded = [tuple(indices) for indices, _ in model.generate(prompts, GREEDY, have={1, 3, 4, 5})]
    assert yielded == [(0, 2), (6, 7)]
    assert model.batches == yielded
    assert model.asked == ["0", "2", "6", "7"]
    assert model.calls == 1


def test_an_exception_comes_when_its_batch_is_reached() -> None:
    model = ScriptedModel(default="x", batch_size=2, exceptions={"3": MemoryError("full")})
    batches = model.generate(["0", "1", "2", "3"], GREEDY)
    assert next(batches)[0] == (0, 1)
    with pytest.raises(MemoryError, match="full"):
        next(batches)
    assert model.batches == [(0, 1)]


def test_a_delay_is_waited_for_each_batch() -> None:
    model = ScriptedModel(default="x", batch_size=1, delay=0.02)
    started = time.perf_counter()
    generate_all(model, ["a", "b"], GREEDY)
    assert time.perf_counter() - started >= 0.04


def test_loglikelihoods_by_pair_by_continuation_and_default() -> None:
    model = ScriptedModel(
        loglikelihoods={("q", " yes"): -1.0, " yes": -2, " no": LogLikelihood(-0.5, greedy=True, tokens=7)},
        default_loglikelihood=math.nan,
    )
    pairs = [("q", " yes"), ("r", " yes"), ("r", " no"), ("r", " two words")]
    exact, by_continuation, given, default = loglikelihood_all(model, pairs)
    assert exact == LogLikelihood(-1.0, greedy=False, tokens=1)
    assert by_continuation == LogLikelihood(-2.0, greedy=False, tokens=1)
    assert given == LogLikelihood(-0.5, greedy=True, tokens=7)
    assert math.isnan(default.value)
    assert default.tokens == 2
    assert model.calls == 1


def test_loglikelihoods_from_a_function() -> None:
    model = ScriptedModel(loglikelihoods=lambda _, continuation: -len(continuation), identity="length")
    assert [v.value for v in loglikelihood_all(model, [("p", "ab"), ("p", "abc")])] == [-2.0, -3.0]


def test_a_pair_without_loglikelihood_is_named() -> None:
    with pytest.raises(InputError, match=r"no log-likelihood for ' x' after 'p'"):
        loglikelihood_all(ScriptedModel(), [("p", " x")])


def test_the_fingerprint_follows_the_script_and_nothing_else() -> None:
    base: dict[str, Any] = {
        "answers": {"a": "1", "b": "2"},
        "loglikelihoods": {("q", "x"): -1.0, "y": math.nan},
    }
    same = [
        ScriptedModel(**base),
        ScriptedModel({"b": "2", "a": "1"}, loglikelihoods={"y": math.nan, ("q", "x"): -1.0}),
        ScriptedModel(**base, name="other", batch_size=2, delay=1.0),
        ScriptedModel(**base, failures={"a": "down"}, exceptions={"a": MemoryError()}),
    ]
    others = [
        ScriptedModel(**(base | {"answers": {"a": "1", "b": "3"}})),
        ScriptedModel(**(base | {"answers": {"a": "1", "b": Generation("2", 1, Finish.STOP)}})),
        ScriptedModel(**(base | {"loglikelihoods": {("q", "x"): -1.5, "y": math.nan}})),
        ScriptedModel(**base, default=""),
        ScriptedModel(**base, default_loglikelihood=0.0),
        ScriptedModel(**base, refusals=("a",)),
        ScriptedModel(**base, identity="i"),
        ScriptedModel(lambda _: "1", identity="i"),
        ScriptedModel(lambda _: "1", identity="j"),
    ]
    assert len({model.fingerprint for model in same}) == 1
    prints = [model.fingerprint for model in [same[0], *others]]
    assert len(set(prints)) == len(prints)
    assert all(len(value) == 64 for value in prints)

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence

import pytest

from harness.exceptions import BadValue
from harness.models.base import Decoding, GeneratedBatch, Model, ScoredBatch, generate_all, loglikelihood_all
from harness.records import Finish, Generation, LogLikelihood, Prompt


class Backwards:
    """Answers in batches of two from the end, as a length-sorted plan may."""

    name = "backwards"
    fingerprint = "f"

    def generate(
        self, prompts: Sequence[Prompt], decoding: Decoding, have: Collection[int] = ()
    ) -> Iterator[GeneratedBatch]:
        assert not have
        for end in range(len(prompts), 0, -2):
            batch = range(max(0, end - 2), end)
            yield batch, [Generation(str(prompts[i]), decoding.max_new_tokens, Finish.STOP) for i in batch]

    def loglikelihood(
        self, pairs: Sequence[tuple[Prompt, str]], have: Collection[int] = ()
    ) -> Iterator[ScoredBatch]:
        assert not have
        for i in reversed(range(len(pairs))):
            yield [i], [LogLikelihood(-float(pairs[i][1]), greedy=False, tokens=1)]


def test_all_answers_come_back_in_the_order_of_the_prompts() -> None:
    model: Model = Backwards()
    assert isinstance(model, Model)
    found = generate_all(model, ["a", "b", "c", "d", "e"], Decoding(max_new_tokens=3))
    assert [generation.text for generation in found] == ["a", "b", "c", "d", "e"]
    values = loglikelihood_all(model, [("x", "1"), ("x", "2"), ("x", "3")])
    assert [value.value for value in values] == [-1.0, -2.0, -3.0]
    assert generate_all(model, [], Decoding()) == []


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"max_new_tokens": 0}, "max_new_tokens is 0, but must be 1 or more."),
        ({"temperature": -0.1}, "temperature is -0.1, but must be 0 (greedy) or more."),
        ({"temperature": math.nan}, "temperature is nan, but must be 0 (greedy) or more."),
        ({"temperature": math.inf}, "temperature is inf, but must be 0 (greedy) or more."),
        ({"top_p": 0.0}, "top_p is 0.0, but must be above 0 and at most 1."),
        ({"top_p": 1.01}, "top_p is 1.01, but must be above 0 and at most 1."),
        ({"stop": "###"}, "stop is '###', but must be a list of texts."),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, object], sentence: str) -> None:
    with pytest.raises(BadValue) as caught:
        Decoding(**settings)  # type: ignore[arg-type]
    assert str(caught.value) == sentence


def test_empty_stop_strings_are_left_out() -> None:
    assert Decoding(stop=("", "a", "")).stop == ("a",)


def test_settings_at_their_limits_are_taken() -> None:
    assert Decoding(max_new_tokens=1, temperature=0.0, top_p=1.0).stop == ()

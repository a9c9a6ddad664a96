from __future__ import annotations

from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.metrics.token_f1 import TokenF1
from harness.records import Sample


def value(answer: str, target: str) -> float | None:
    return TokenF1().score(answer, Sample("1", "q", target))["token_f1"].value


@pytest.mark.parametrize(
    ("answer", "target", "expected"),
    [
        ("the cat sat", "a cat sat", 1.0),
        # p = 1/3, r = 1/1
        ("black cat sat", "cat", 0.5),
        # as multisets, "go" is shared once: p = 1/3, r = 1/1
        ("go go go", "go", 0.5),
        ("dog", "cat", 0.0),
        ("", "cat", 0.0),
        ("cat", "", 0.0),
        # SQuAD 2.0: no words on both sides agree
        ("", "", 1.0),
        ("the", "a", 1.0),
        ("\u4e2d\u6587", "\u4e2d\u6587", 1.0),
    ],
)
def test_by_hand(answer: str, target: str, expected: float) -> None:
    assert value(answer, target) == pytest.approx(expected, abs=1e-12)


WORDS = st.lists(st.sampled_from(["cat", "Dog", "the", "a", "sat.", "\u00e9t\u00e9", "-"]), max_size=12).map(
    " ".join
)


@given(WORDS, WORDS)
def test_equals_the_official_f1_where_both_have_words(
    squad_official: ModuleType, answer: str, target: str
) -> None:
    if squad_official.normalize_answer(answer) and squad_official.normalize_answer(target):
        assert value(answer, target) == pytest.approx(
            squad_official.f1_abstractive([answer], [target]), abs=1e-12
        )


@given(WORDS, WORDS)
def test_is_symmetric(answer: str, target: str) -> None:
    assert value(answer, target) == value(target, answer)


def test_measure_and_signature() -> None:
    assert [measure.name for measure in TokenF1().measures] == ["token_f1"]
    assert TokenF1().signature == "token_f1|normalisation:squad"

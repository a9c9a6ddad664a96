from __future__ import annotations

import numpy as np
import pytest
import sacrebleu
from hypothesis import given
from hypothesis import strategies as st

from harness.exceptions import BadValue
from harness.metrics.chrf import Chrf, chrf_from_statistics
from harness.records import Sample, Score

TEXT = st.text(st.sampled_from("abc .\u00e9\u4e2d"), max_size=15)


def scored(answer: str, target: str, metric: Chrf | None = None) -> Score:
    return (metric or Chrf()).score(answer, Sample("1", "q", target))["chrf"]


def corpus(answers: list[str], targets: list[str], metric: Chrf | None = None) -> float:
    rows = [scored(a, t, metric).statistics for a, t in zip(answers, targets, strict=True)]
    return float(chrf_from_statistics(np.array(rows).sum(axis=0)))


# test_cases_effective_order in sacrebleu's test_chrf.py; precision equals recall, so beta does not matter
@pytest.mark.parametrize(
    ("answers", "targets", "expected"),
    [
        (["a"], ["a"], 100.0),
        ([""], ["reference"], 0.0),
        (["a b c"], ["a b c"], 100.0),
        (["a b c"], ["abc"], 100.0),
        (["a", "b"], ["a", "c"], 50.0),
        (["aa"], ["ab"], 25.0),
        # by hand: p = 1/2, r = 1, F2 = 5 * p * r / (4 p + r) = 5/6
        (["ab"], ["a"], 100 * 5 / 6),
    ],
)
def test_published_and_hand_made_cases(answers: list[str], targets: list[str], expected: float) -> None:
    assert corpus(answers, targets) == pytest.approx(expected, abs=1e-9)


@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=5), st.sampled_from([0, 1, 2]))
def test_equals_sacrebleu_on_anything(pairs: list[tuple[str, str]], word_order: int) -> None:
    answers, targets = [a for a, _ in pairs], [t for _, t in pairs]
    metric = Chrf(word_order=word_order)
    expected = sacrebleu.corpus_chrf(answers, [targets], word_order=word_order).score
    assert corpus(answers, targets, metric) == pytest.approx(expected, abs=1e-9)
    one = sacrebleu.sentence_chrf(answers[0], [targets[0]], word_order=word_order).score
    assert scored(answers[0], targets[0], metric).value == pytest.approx(one, abs=1e-9)


@pytest.mark.parametrize("settings", [{}, {"word_order": 2}, {"lowercase": True}])
@pytest.mark.parametrize("limit", [200, pytest.param(500, marks=pytest.mark.slow)])
def test_equals_sacrebleu_on_real_answers(
    real_pairs: list[tuple[str, str]], limit: int, settings: dict[str, int]
) -> None:
    pairs = real_pairs[:limit]
    targets, answers = [t for t, _ in pairs], [a for _, a in pairs]
    metric = Chrf(**settings)  # type: ignore[arg-type]
    oracle = sacrebleu.CHRF(**settings)
    found = oracle.corpus_score(answers, [targets])
    assert corpus(answers, targets, metric) == pytest.approx(found.score, abs=1e-9)
    assert metric.signature == f"{found.name}|{oracle.get_signature()}"
    for target, answer in pairs[:50]:
        expected = oracle.sentence_score(answer, [target]).score
        assert scored(answer, target, metric).value == pytest.approx(expected, abs=1e-9)


def test_many_rows_at_once() -> None:
    rows = np.array([scored("aa", "ab").statistics, scored("", "x").statistics])
    assert chrf_from_statistics(rows).tolist() == pytest.approx([25.0, 0.0])


def test_the_name_follows_the_word_order() -> None:
    assert [Chrf(word_order=order).measures[0].label for order in (0, 1, 2)] == ["chrF", "chrF+", "chrF++"]
    assert len({Chrf().signature, Chrf(word_order=2).signature, Chrf(lowercase=True).signature}) == 3


def test_a_bad_word_order_is_refused() -> None:
    with pytest.raises(BadValue, match="word_order of metric 'chrf' is 3, but must be 0, 1 or 2"):
        Chrf(word_order=3)

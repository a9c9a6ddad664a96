from __future__ import annotations

import numpy as np
import pytest
import sacrebleu
from hypothesis import given
from hypothesis import strategies as st

from harness.exceptions import UnknownName
from harness.metrics.bleu import Bleu, bleu_from_statistics
from harness.records import Sample, Score

WORDS = st.lists(st.sampled_from(["the", "cat", "sat", "mat.", "\u00e9t\u00e9", "\u4e2d"]), max_size=12).map(
    " ".join
)


def scored(answer: str, target: str, metric: Bleu | None = None) -> Score:
    return (metric or Bleu()).score(answer, Sample("1", "q", target))["bleu"]


def corpus(answers: list[str], targets: list[str], metric: Bleu | None = None) -> float:
    rows = [scored(a, t, metric).statistics for a, t in zip(answers, targets, strict=True)]
    return float(bleu_from_statistics(np.array(rows).sum(axis=0)))


# answer length, target length, matches, totals -> BLEU
@pytest.mark.parametrize(
    ("statistics", "expected"),
    [
        # README of sacrebleu: 82.4/50.0/45.5/37.5, hyp_len 17, ref_len 18 -> 48.530827 (its test_bleu.py)
        ([17, 18, 14, 7, 5, 3, 17, 14, 11, 8], 48.530827),
        # test_scoring in sacrebleu's test_bleu.py
        ([11, 11, 9, 7, 5, 3, 10, 8, 6, 4], 83.75922397),
        # test_degenerate_statistics there
        ([0, 1, 0, 0, 0, 0, 4, 4, 2, 1], 0.0),
        ([0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 0.0),
        ([1, 5, 0, 0, 0, 0, 0, 0, 0, 0], 0.0),
        # one order cannot be formed: undefined, and 0 by convention
        ([3, 3, 3, 2, 1, 0, 3, 2, 1, 0], 0.0),
        # by hand, orders 3 and 4 smoothed to 1/2 and 1/4: (2/4 * 1/3 * 1/(2*2) * 1/(4*1))^(1/4)
        ([4, 4, 2, 1, 0, 0, 4, 3, 2, 1], 100 * (1 / 2 * 1 / 3 * 1 / 4 * 1 / 4) ** 0.25),
    ],
)
def test_published_and_hand_made_statistics(statistics: list[float], expected: float) -> None:
    assert float(bleu_from_statistics(np.array(statistics, dtype=float))) == pytest.approx(expected, abs=1e-6)


def test_many_rows_at_once() -> None:
    rows = np.array([[17, 18, 14, 7, 5, 3, 17, 14, 11, 8], [0] * 10], dtype=float)
    assert bleu_from_statistics(np.stack([rows, rows])).shape == (2, 2)
    assert bleu_from_statistics(rows).tolist() == pytest.approx([48.530827, 0.0], abs=1e-6)


@given(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=6))
def test_equals_sacrebleu_on_anything(pairs: list[tuple[str, str]]) -> None:
    answers, targets = [a for a, _ in pairs], [t for _, t in pairs]
    expected = sacrebleu.corpus_bleu(answers, [targets], force=True).score
    assert corpus(answers, targets) == pytest.approx(expected, abs=1e-9)
    for answer, target in pairs:
        one = sacrebleu.sentence_bleu(answer, [target]).score
        assert scored(answer, target).value == pytest.approx(one, abs=1e-9)


@pytest.mark.parametrize(
    "settings", [{}, {"lowercase": True}, {"tokenize": "intl"}, {"tokenize": "char"}, {"tokenize": "none"}]
)
def test_equals_sacrebleu_on_real_answers(
    real_pairs: list[tuple[str, str]], settings: dict[str, object]
) -> None:
    pairs = real_pairs[:500]
    targets, answers = [t for t, _ in pairs], [a for _, a in pairs]
    metric = Bleu(**settings)  # type: ignore[arg-type]
    oracle = sacrebleu.BLEU(force=True, **settings)
    expected = oracle.corpus_score(answers, [targets]).score
    assert corpus(answers, targets, metric) == pytest.approx(expected, abs=1e-9)
    assert metric.signature == f"BLEU|{oracle.get_signature()}"
    single = sacrebleu.BLEU(force=True, effective_order=True, **settings)
    for target, answer in pairs[:100]:
        expected = single.sentence_score(answer, [target]).score
        assert scored(answer, target, metric).value == pytest.approx(expected, abs=1e-9)


def test_the_corpus_value_is_not_the_mean() -> None:
    answers = ["the cat sat on the mat", "no"]
    targets = ["the cat sat on the mat", "a dog ran over the hill"]
    values = [scored(a, t).value or 0.0 for a, t in zip(answers, targets, strict=True)]
    assert values == pytest.approx([100.0, 0.0])
    # lengths 7 and 12, precisions 6/7, 5/5, 4/4, 3/3
    assert corpus(answers, targets) == pytest.approx(100 * np.exp(1 - 12 / 7) * (6 / 7) ** 0.25)


def test_settings_enter_the_signature_and_unknown_ones_are_refused() -> None:
    assert len({Bleu().signature, Bleu(lowercase=True).signature, Bleu(tokenize="char").signature}) == 3
    with pytest.raises(UnknownName, match=r"tokenizer of metric 'bleu' '13b'.*Did you mean '13a'"):
        Bleu(tokenize="13b")


def test_the_scale_is_0_to_100() -> None:
    (measure,) = Bleu().measures
    assert (measure.low, measure.high, measure.aggregate) == (0.0, 100.0, bleu_from_statistics)

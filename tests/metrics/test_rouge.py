from __future__ import annotations

import pytest

from harness.exceptions import BadValue, UnknownName
from harness.metrics.rouge import Rouge
from harness.records import Sample


def values(answer: str, target: str, metric: Rouge | None = None) -> dict[str, float | None]:
    scores = (metric or Rouge()).score(answer, Sample("1", "q", target))
    return {name: score.value for name, score in scores.items()}


# rouge_score/rouge_scorer_test.py in the wheel of rouge-score 0.1.2, F-measures
@pytest.mark.parametrize(
    ("target", "answer", "kind", "expected"),
    [
        ("testing one two", "testing", "rouge1", 1 / 2),
        ("testing one two", "testing one", "rouge1", 4 / 5),
        ("testing one two", "testing one", "rouge2", 2 / 3),
        ("testing one two", "testing one", "rougeL", 4 / 5),
        ("testing one two", "testing two", "rougeL", 4 / 5),
        ("first text", "text first", "rouge1", 1.0),
        ("first text", "text first", "rouge2", 0.0),
        ("first text", "text first", "rougeL", 0.5),
        ("testing one two", "", "rouge1", 0.0),
        ("testing one two", "", "rouge2", 0.0),
        ("testing one two", "", "rougeL", 0.0),
        ("testing one two", "", "rougeLsum", 0.0),
        # Lin 2004, section 3.2: p = 4/10, r = 4/5
        ("w1 w2 w3 w4 w5", "w1 w2 w6 w7 w8\nw1 w3 w8 w9 w5", "rougeLsum", 8 / 15),
        ("w1 w2 w3 w4 w5", "/", "rougeLsum", 0.0),
        ("", "w1", "rougeLsum", 0.0),
        ("First sentence.\nSecond Sentence.", "Second sentence.\nFirst Sentence.", "rougeLsum", 1.0),
        ("First sentence. Second Sentence.", "Second sentence. First Sentence.", "rougeLsum", 0.5),
    ],
)
def test_the_vectors_of_the_library(target: str, answer: str, kind: str, expected: float) -> None:
    assert values(answer, target)[kind] == pytest.approx(expected, abs=1e-12)


def test_the_stemmer_joins_word_forms() -> None:
    assert values("he is testing", "he was tested")["rouge1"] == pytest.approx(1 / 3)
    assert values("he is testing", "he was tested", Rouge(stemmer=True))["rouge1"] == pytest.approx(2 / 3)


def test_another_script_has_no_words() -> None:
    assert values("\u4e2d\u6587", "\u4e2d\u6587")["rouge1"] == 0.0


@pytest.mark.parametrize("stemmer", [False, True])
@pytest.mark.parametrize("limit", [150, pytest.param(500, marks=pytest.mark.slow)])
def test_equals_the_library_on_real_answers(
    real_pairs: list[tuple[str, str]], limit: int, stemmer: bool
) -> None:
    from rouge_score.rouge_scorer import RougeScorer

    types = ["rouge1", "rouge2", "rougeL", "rougeLsum"]
    oracle = RougeScorer(types, use_stemmer=stemmer)
    metric = Rouge(stemmer=stemmer)
    for target, answer in real_pairs[:limit]:
        expected = {kind: score.fmeasure for kind, score in oracle.score(target, answer).items()}
        assert values(answer, target, metric) == pytest.approx(expected, abs=1e-9)


def test_only_the_chosen_types_are_filled_in_their_order() -> None:
    metric = Rouge(types=("rougeL", "rouge1"))
    assert [measure.name for measure in metric.measures] == ["rougeL", "rouge1"]
    assert list(values("a", "a", metric)) == ["rougeL", "rouge1"]


def test_settings_and_version_enter_the_signature() -> None:
    assert Rouge().signature != Rouge(stemmer=True).signature
    assert Rouge().signature.startswith("rouge|stemmer:no|sentences:newline|version:0.")
    assert Rouge(types=("rougeL",)).signature == Rouge().signature


def test_bad_types_are_refused() -> None:
    with pytest.raises(UnknownName, match=r"'rougel'.*Did you mean 'rougeL'"):
        Rouge(types=("rougel",))
    with pytest.raises(BadValue, match="one or more different"):
        Rouge(types=("rougeL", "rougeL"))
    with pytest.raises(BadValue, match="one or more different"):
        Rouge(types=())

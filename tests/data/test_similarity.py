import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data.similarity import (
    MISSED,
    PERMUTATIONS,
    SimilarIndex,
    bands,
    normalise,
    pair_shingles,
    question_key,
    question_text,
    rarity,
    shingles,
    similarity,
)
from harness.records import Message, Sample


def test_normalise_folds_case_space_and_unicode_forms() -> None:
    assert normalise("  Stra\u00dfe\u00a0 \uff21B\n") == "strasse ab"
    assert normalise("e\u0301") == normalise("\u00e9")


def test_shingles_are_words_and_neighbouring_pairs() -> None:
    assert shingles("Is it, is IT free?") == {"is", "it", "free", "is it", "it is", "it free"}
    assert shingles("?? !") == {"??", "!", "?? !"}
    assert shingles("a", "t ") == {"t a"}
    assert shingles("  ") == frozenset()


def test_question_text_takes_all_that_is_asked_but_the_system_message() -> None:
    history = (Message("system", "s"), Message("user", "u"), Message("assistant", "a"))
    assert question_text(Sample("1", "q", "t", context="c", history=history)) == "u\n\na\n\nq\n\nc"
    assert question_key(Sample("1", "Q  x", "t")) == "q x"
    assert question_key(Sample("1", "", "Text")) == "text"
    assert question_key(Sample("1", "")) == ""


def test_question_and_answer_words_count_apart() -> None:
    assert pair_shingles(Sample("1", "a", "a")) == {"question a", "answer a"}
    assert pair_shingles(Sample("1", "a")) == {"question a"}


def test_plain_and_weighted_jaccard() -> None:
    a, b = frozenset("abc"), frozenset("bcd")
    assert similarity(a, b) == 2 / 4
    # Weighted Jaccard: shared 3 + 1 of 5 + 3 + 1 + 1; "d" is unknown and weighs 1.
    assert similarity(a, b, {"a": 5, "b": 3, "c": 1}) == 4 / 10
    assert similarity(a, b, dict.fromkeys("abcd", 0)) == 2 / 4
    assert similarity(frozenset(), frozenset()) == 1.0


def test_rarity_is_log2_of_documents_by_document_frequency() -> None:
    documents = [frozenset(text) for text in ("ax", "ay", "az", "aw", "bx", "cx", "dx", "e")]
    # 8 documents: "a" and "x" in 4 -> log2 2 = 1; in 1 -> log2 8 = 3
    assert rarity(documents) == {"a": 1, "x": 4 // 4, **dict.fromkeys("yzwbcde", 3)}
    assert rarity([frozenset("a")] * 5) == {"a": 0}


@pytest.mark.parametrize("threshold", [0.05, 0.3, 0.4, 0.5, 0.7, 0.85, 0.95, 1.0])
def test_bands_miss_few_pairs_at_the_threshold(threshold: float) -> None:
    count, rows = bands(threshold)
    assert count * rows <= PERMUTATIONS
    assert (1 - threshold**rows) ** count <= MISSED


def test_bands_fall_back_to_the_most_sensitive_layout() -> None:
    assert bands(0.001) == (PERMUTATIONS, 1)


def test_index_agrees_with_comparing_all_pairs() -> None:
    # Oracle: the quadratic comparison. Pairs clearly above the threshold must all be found, none below it.
    rng = np.random.default_rng(1)
    words = [f"w{n}" for n in range(60)]
    texts = [list(rng.choice(words, 12)) for _ in range(60)]
    for text in list(texts):
        changed = list(text)
        for place in rng.choice(12, rng.integers(4), replace=False):
            changed[place] = str(rng.choice(words))
        texts.append(changed)
    documents = [shingles(" ".join(text)) for text in texts]
    for weights in (None, rarity(documents)):
        index = SimilarIndex(0.5, seed=3, weights=weights)
        found: set[tuple[int, int]] = set()
        for number, document in enumerate(documents):
            sketch = index.sketch(document)
            found |= {(earlier, number) for earlier in index.find(sketch)}
            assert index.add(sketch) == number
        every = {
            (i, j): similarity(documents[i], documents[j], weights)
            for j in range(len(documents))
            for i in range(j)
        }
        assert {pair for pair, value in every.items() if value >= 0.6} <= found
        assert all(every[pair] >= 0.5 for pair in found)
        assert len(found) > 20


def test_documents_that_weigh_nothing_are_still_found() -> None:
    index = SimilarIndex(0.9, seed=0, weights={"a": 0, "b": 0, "a b": 0})
    index.add(index.sketch(shingles("a b")))
    assert index.find(index.sketch(shingles("A B"))) == [0]
    assert index.find(index.sketch(shingles("c d"))) == []


@given(st.text(), st.text())
def test_similarity_is_symmetric_and_between_0_and_1(one: str, other: str) -> None:
    a, b = shingles(one), shingles(other)
    assert 0 <= similarity(a, b) == similarity(b, a) <= 1
    assert similarity(a, a) == 1

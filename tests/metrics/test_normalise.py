from __future__ import annotations

from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.metrics.normalise import one_space, squad, without_articles, without_punctuation

TEXTS = [
    "The Denver Broncos",
    "Saint Bernadette Soubirous",
    "a copper statue of Christ",
    "Levi's Stadium in the San Francisco Bay Area at Santa Clara, California.",
    '"golden anniversary"',
    "10\u20131",
    "An apple a day; the end.",
    "U.S.A.",
    "THEATRE  and\tanthem\n",
    "",
    "the",
    "\u00c9cole na\u00efve \u4e2d\u6587",
]


@pytest.mark.parametrize("text", TEXTS)
def test_equals_the_official_normalisation(text: str, squad_official: ModuleType) -> None:
    assert squad(text) == squad_official.normalize_answer(text)


@given(st.text(st.sampled_from("aAnTthe .,'\"-\n\t\u00e9\u4e2dx"), max_size=40))
def test_equals_the_official_normalisation_of_anything(squad_official: ModuleType, text: str) -> None:
    assert squad(text) == squad_official.normalize_answer(text)


@given(st.text(max_size=40))
def test_twice_is_once(text: str) -> None:
    assert one_space(one_space(text)) == one_space(text)
    assert without_punctuation(without_punctuation(text)) == without_punctuation(text)


def test_the_parts_by_hand() -> None:
    assert without_punctuation("Levi's, no. 5!") == "Levis no 5"
    assert without_articles("The cat, an ant; theatre").split() == ["cat,", "ant;", "theatre"]
    assert one_space("  a \n\t b ") == "a b"

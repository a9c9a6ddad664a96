from __future__ import annotations

import pytest

from harness.categorizers.empty import Empty
from harness.records import Category, Finish, Generation, Sample

SAMPLE = Sample("1", "q")


@pytest.mark.parametrize("text", ["", " ", "\n\t \u00a0\u3000"])
def test_whitespace_is_empty(text: str) -> None:
    found = Empty().categorize(Generation(text, 1, Finish.STOP), text, SAMPLE)
    assert found is not None
    assert found.name == "empty"


@pytest.mark.parametrize("text", ["x", " . ", "\u200b", "0"])
def test_any_character_is_not(text: str) -> None:
    assert Empty().categorize(Generation(text, 1, Finish.STOP), text, SAMPLE) is None


def test_the_evidence_says_what_was_there() -> None:
    categorizer = Empty()
    nothing = categorizer.categorize(Generation("", 0, Finish.REFUSED), "", SAMPLE)
    assert nothing == Category("empty", "no character at all; finish: refused")
    spaces = categorizer.categorize(Generation(" \n ", 3, Finish.LENGTH), "", SAMPLE)
    assert spaces == Category("empty", "3 characters, all whitespace; finish: length")


def test_an_answer_that_extraction_emptied_is_another_mistake() -> None:
    assert Empty().categorize(Generation("I do not know", 4, Finish.STOP), "", SAMPLE) is None

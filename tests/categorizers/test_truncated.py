from __future__ import annotations

import pytest

from harness.categorizers.truncated import Truncated, ends_sentence
from harness.records import Category, Finish, Generation, Sample

SAMPLE = Sample("1", "q")


def found(text: str, finish: Finish = Finish.STOP, *, mid_sentence: bool = False) -> Category | None:
    return Truncated(mid_sentence).categorize(Generation(text, 7, finish), text, SAMPLE)


def test_the_length_limit_is_always_named() -> None:
    assert found("It is done.", Finish.LENGTH) == Category(
        "truncated", "length limit after 7 tokens: 'It is done.'"
    )
    assert found("   ", Finish.LENGTH) is not None


def test_the_evidence_is_the_end_of_the_text() -> None:
    category = found("a" * 100 + "b" * 60 + " \n", Finish.LENGTH)
    assert category is not None
    assert category.evidence == f"length limit after 7 tokens: '...{'b' * 60}'"


def test_by_default_a_model_that_stopped_by_itself_is_believed() -> None:
    assert found("The answer is") is None


@pytest.mark.parametrize("finish", [Finish.STOP, Finish.REFUSED])
def test_mid_sentence_on_request(finish: Finish) -> None:
    category = found("The answer is", finish, mid_sentence=True)
    assert category == Category("truncated", "ends without closing punctuation: 'The answer is'")
    assert found("The answer is 4.", finish, mid_sentence=True) is None
    assert found(" \n", finish, mid_sentence=True) is None


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("Done.", True),
        ("Done. \n", True),
        ("Really?!", True),
        ('He said "done."', True),
        ("(See above.)", True),
        ("**Done.**", True),
        ("And so on\u2026", True),
        ("\u5b8c\u4e86\u3002", True),
        ("```python\nx = 1\n```", True),
        ("He said (yes)", False),
        ("The list is:", False),
        ("one, two,", False),
        ("```python\nx = 1", False),
        ('"', False),
        ("", False),
    ],
)
def test_the_end_of_a_sentence(text: str, whole: bool) -> None:
    assert ends_sentence(text) is whole

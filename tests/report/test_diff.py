from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.report import diff
from harness.report.diff import Run, word_diff


def sides(left: str, right: str) -> tuple[list[tuple[str, bool]], list[tuple[str, bool]]]:
    found = word_diff(left, right)
    return [(r.text, r.changed) for r in found.left], [(r.text, r.changed) for r in found.right]


def test_one_word_changed() -> None:
    left, right = sides("keep it for 7 days", "keep it for 14 days")
    assert left == [("keep it for ", False), ("7 ", True), ("days", False)]
    assert right == [("keep it for ", False), ("14 ", True), ("days", False)]


def test_shared_punctuation_between_changes_is_no_match() -> None:
    left, _ = sides("all of this stays: red, green", "all of this stays: blue, white")
    assert left == [("all of this stays: ", False), ("red, green", True)]


def test_texts_that_share_stray_words_are_marked_whole() -> None:
    left, right = sides(
        "The documentation does not say.", "Open Settings and choose it. The key stays valid."
    )
    assert left == [("The documentation does not say.", True)]
    assert right == [("Open Settings and choose it. The key stays valid.", True)]


def test_equal_and_empty_texts() -> None:
    assert word_diff("same", "same").left == (Run("same", changed=False),)
    assert word_diff("", "").left == ()
    left, right = sides("", "new words")
    assert (left, right) == ([], [("new words", True)])


def test_writing_without_spaces_is_compared_by_character() -> None:
    left, right = sides("今日は天気がいい", "今日は天気が悪い")
    assert [text for text, changed in left if changed] == ["い"]
    assert [text for text, changed in right if changed] == ["悪"]


def test_frequent_words_still_match_above_200_words() -> None:
    """difflib's default would drop them here (its autojunk starts at 200 items)."""
    text = "the cat and the dog " * 60
    found = word_diff(text, text + "end")
    assert sum(len(run.text) for run in found.left if not run.changed) == len(text)


def test_very_long_texts_are_not_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diff, "_BUDGET", 3)
    found = word_diff("one two", "one three")
    assert not found.marked
    assert found.left == (Run("one two", changed=False),)


words = st.lists(st.sampled_from(["a", "b", "c", ".", " ", "\n", "  ", "日", "👩‍🚀", "x1"]), max_size=30).map(
    "".join
)


@given(words, words)
def test_the_runs_rebuild_both_texts(left: str, right: str) -> None:
    found = word_diff(left, right)
    assert "".join(run.text for run in found.left) == left
    assert "".join(run.text for run in found.right) == right


@given(st.text(max_size=60), st.text(max_size=60))
def test_the_runs_rebuild_any_text(left: str, right: str) -> None:
    found = word_diff(left, right)
    assert "".join(run.text for run in found.left) == left
    assert "".join(run.text for run in found.right) == right


@given(words, words)
def test_what_is_not_marked_stands_on_both_sides(left: str, right: str) -> None:
    found = word_diff(left, right)
    kept = [
        "".join("".join(run.text.split()) for run in side if not run.changed)
        for side in (found.left, found.right)
    ]
    assert kept[0] == kept[1]

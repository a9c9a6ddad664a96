import os
from pathlib import Path

import pytest

from harness.data.columns import map_rows
from harness.data.duplicates import remove_duplicates
from harness.data.loading import load_rows
from harness.records import Message, Sample

ANSWER = "Download the newest client from the package index and run the installer with administrator rights."


def pair(number: int, question: str, answer: str = ANSWER) -> Sample:
    return Sample(f"row-{number}", question, answer)


def test_exact_duplicates_differ_only_in_case_space_and_unicode_form() -> None:
    found = remove_duplicates([pair(1, "Is it caf\u00e9?", "Yes."), pair(2, " is  it CAFE\u0301?", "yes.\n")])
    assert [sample.id for sample in found.kept] == ["row-1"]
    assert found.exact == (("row-2", "row-1"),)
    assert found.near == ()


def test_near_duplicates_are_dropped_and_the_first_is_kept() -> None:
    samples = [
        pair(1, "How do I update the package to the latest version?"),
        pair(2, "What is a tournament?", "Matches between checkpoints."),
        pair(3, "How do I update the python package to the latest version?"),
        pair(4, "How do I update this package to the latest version?"),
    ]
    found = remove_duplicates(samples)
    assert [sample.id for sample in found.kept] == ["row-1", "row-2"]
    assert found.near == (("row-3", "row-1"), ("row-4", "row-1"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        # the same question with another answer
        (pair(1, "Is it free?", "Yes, for a month."), pair(2, "Is it free?", "No.")),
        # another question, the same long answer
        (pair(1, "Is it free?"), pair(2, "Do I have to pay")),
        # another number
        (pair(1, f"What is 3 in this: {ANSWER}"), pair(2, f"What is 4 in this: {ANSWER}")),
        # another system message
        (
            Sample("row-1", "Why?", ANSWER, history=(Message("system", "Be kind."),)),
            Sample("row-2", "Why?", ANSWER, history=(Message("system", "Be rude."),)),
        ),
        # another context
        (
            Sample("row-1", "Sum up.", "Fine.", context="One thing."),
            Sample("row-2", "Sum up.", "Fine.", context="Two."),
        ),
    ],
)
def test_rows_that_only_look_alike_are_kept(one: Sample, other: Sample) -> None:
    found = remove_duplicates([one, other])
    assert found.kept == (one, other)
    assert (found.exact, found.near) == ((), ())


def test_plain_text_is_compared_by_its_text() -> None:
    text = " ".join(f"word{letter}" for letter in "abcdefghijklmnopqrstuvwxyz")
    found = remove_duplicates(
        [Sample("1", "", text), Sample("2", "", f"{text} more"), Sample("3", "", "other")]
    )
    assert [sample.id for sample in found.kept] == ["1", "3"]


def test_threshold_1_drops_only_equal_words() -> None:
    samples = [pair(1, "How do I update?"), pair(2, "How do I update!"), pair(3, "How do we update?")]
    assert [sample.id for sample in remove_duplicates(samples, threshold=1.0).kept] == ["row-1", "row-3"]


def test_nothing_in_nothing_out() -> None:
    assert remove_duplicates([]).kept == ()


def test_documentation_questions_lose_few_rows() -> None:
    folder = os.environ.get("HARNESS_DATA_DIR")
    if not folder:
        pytest.skip("HARNESS_DATA_DIR is not set")
    samples = map_rows(load_rows(str(Path(folder) / "docs_qa" / "lamini_docs.jsonl"))).samples
    found = remove_duplicates(samples)
    # Read by hand: rows that repeat each other but for "BYE"/"bye" and "do i"/"do I".
    assert len(found.exact) == 2
    inputs = {sample.id: sample.input for sample in samples}
    dropped = {inputs[row] for row, _ in found.near}
    assert "How do I update the Lamini Python package to the latest version?" in dropped
    kept = {sample.input for sample in found.kept}
    # Read by hand: four companies, one answer; four questions all the same.
    assert {f"Is Lamini owned by {name}?" for name in ("Google", "Tesla", "Microsoft", "openai")} <= kept
    assert 5 <= len(found.near) <= 30

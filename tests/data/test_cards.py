import json

import pytest

from harness.data.cards import (
    card_from_json,
    card_to_json,
    column_warnings,
    counted,
    leak_warnings,
    length_warnings,
    listed,
    split_warnings,
)
from harness.data.columns import ColumnSet, MappedRows
from harness.data.lengths import length_histogram
from harness.data.split import Split, SplitSettings
from harness.records import DataCard, Sample

QUESTIONS = ColumnSet("answer", "question")


def samples(count: int) -> tuple[Sample, ...]:
    return tuple(Sample(str(number), "q", "a") for number in range(count))


def test_counts_and_lists() -> None:
    assert (counted(1, "row"), counted(1400, "row"), counted(0, "row")) == ("1 row", "1,400 rows", "0 rows")
    assert listed([1, 2]) == "1, 2"
    assert listed(range(1, 13)) == "1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 2 more"


def test_skipped_rows_and_other_columns() -> None:
    skipped = {"empty answer": (4, 9), "broken character": (2,), "messages without an answer": (3,)}
    assert column_warnings("a.csv", MappedRows(QUESTIONS, (), skipped, (ColumnSet("text"),))) == [
        "2 rows of a.csv have an empty answer (rows 4, 9). They are left out.",
        "1 row of a.csv has a broken character (row 2). It is left out.",
        "1 row of a.csv has messages without an answer (row 3). It is left out.",
        "The columns of a.csv also fit text. question/answer is used; a column mapping can say otherwise.",
    ]
    assert column_warnings("a.csv", MappedRows(QUESTIONS, (), {})) == []


def test_split_sides_that_are_empty_small_or_short() -> None:
    fine = Split(samples(340), samples(20), samples(40))
    assert split_warnings(fine, SplitSettings(), own_test_file=False) == []
    assert split_warnings(Split(samples(8), (), samples(1)), SplitSettings(0), own_test_file=False) == [
        "Only 1 test row is left. So few rarely decide a comparison."
    ]
    assert split_warnings(
        Split(samples(300), (), samples(30)), SplitSettings(20, 30), own_test_file=False
    ) == ["No validation rows are left. A loss on unseen rows cannot be shown."]
    assert split_warnings(
        Split(samples(300), (), samples(29)), SplitSettings(0, 60), own_test_file=False
    ) == [
        "60 test rows were asked for and 29 taken. Rows with alike questions are kept on one side.",
        "Only 29 test rows are left. So few rarely decide a comparison.",
    ]
    assert (
        split_warnings(Split(samples(300), (), samples(30)), SplitSettings(0, 60), own_test_file=True) == []
    )


def test_leaks() -> None:
    assert leak_warnings([], 60) == []
    (warning,) = leak_warnings([("t3", "r1"), ("t9", "r2")], 1060)
    assert warning == (
        "2 of 1,060 test questions also stand in the training data (t3, t9). "
        "Their scores show memory, not learning."
    )
    assert leak_warnings([("t3", "r1")], 1)[0].startswith("1 of 1 test question also stands in")


@pytest.mark.parametrize(("side", "end"), [("right", "end of the answer"), ("left", "start of the prompt")])
def test_truncation(side: str, end: str) -> None:
    assert length_warnings(length_histogram([5, 1300, 2000], 1024, side)) == [
        f"2 of 3 rows are longer than 1,024 tokens. Training cuts off the {end}, 1,252 tokens in all."
    ]
    assert length_warnings(length_histogram([1025], 1024, side))[0].startswith("1 of 1 row is longer")
    assert length_warnings(length_histogram([5], 1024, side)) == []
    assert length_warnings(None) == []


CARD = DataCard(
    source="a.csv",
    digest="0",
    columns="question/answer",
    template="chat",
    rows=3,
    kept=2,
    skipped={"empty answer": 1},
    exact_duplicates=0,
    near_duplicates=0,
    near_duplicate_threshold=0.85,
    splits={"train": 1, "validation": 0, "test": 1},
    seed=7,
    leaks=(("t", "r"),),
    lengths=length_histogram([5, 1300], 1024),
    examples=(("user: q", "a"),),
    warnings=("w",),
)


def test_a_card_comes_back_equal() -> None:
    assert card_from_json(json.loads(json.dumps(card_to_json(CARD)))) == CARD
    bare = {**card_to_json(CARD), "lengths": None}
    assert card_from_json(bare).lengths is None

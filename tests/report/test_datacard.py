from __future__ import annotations

from dataclasses import replace

import pytest

from harness.records import DataCard, ExperimentResult, LengthHistogram
from harness.report.datacard import data_view
from harness.report.subject import study
from harness.report.views import DataView


@pytest.fixture
def card(result: ExperimentResult) -> DataCard:
    assert result.data is not None
    return result.data


def view(result: ExperimentResult, card: DataCard) -> DataView:
    found = data_view(study(replace(result, data=card)))
    assert found is not None
    return found


def test_rows_add_up_from_the_file_to_what_was_kept(result: ExperimentResult, card: DataCard) -> None:
    rows = view(result, card).flow.rows
    assert rows == (
        ("Rows in the file", "1,312"),
        ("Skipped: empty answer", "−3"),
        ("Skipped: empty question", "−1"),
        ("Exact duplicates", "−12"),
        ("Near duplicates, similarity from 0.8", "−16"),
        ("Kept", "1,280"),
    )
    numbers = [int(text.replace(",", "").replace("−", "-")) for _, text in rows]
    assert sum(numbers[:-1]) == numbers[-1]


def test_splits_have_rows_and_shares(result: ExperimentResult, card: DataCard) -> None:
    found = view(result, card)
    # 1,156, 64 and 60 of 1,280
    assert found.splits.rows == (
        ("training", "1,156", "90.3%"),
        ("validation", "64", "5.0%"),
        ("test", "60", "4.7%"),
    )
    assert found.lede == "1,156 training, 64 validation and 60 test; split with seed 7."
    assert view(result, replace(card, splits={})).lede == "Not split; seed 7."


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({}, "2 test questions also stand in the training data"),
        ({"leaks": (("q-1", "t-1"), ("q-1", "t-2"))}, "1 test question also stands in the training data"),
        ({"leaks": ()}, "1,280 of 1,312 rows were kept; no test question stands in the training data"),
        (
            {"leaks": (), "rows": 1280},
            "All 1,280 rows were kept; no test question stands in the training data",
        ),
    ],
)
def test_the_finding(
    result: ExperimentResult, card: DataCard, changes: dict[str, object], finding: str
) -> None:
    assert view(result, replace(card, **changes)).finding == finding  # type: ignore[arg-type]


def test_ten_leaks_are_shown_and_the_rest_counted(result: ExperimentResult, card: DataCard) -> None:
    leaks = tuple((f"q-{i}", f"t-{i}") for i in range(13))
    found = view(result, replace(card, leaks=leaks))
    assert found.leaks == leaks[:10]
    assert found.leaks_note == "and 3 more pairs"
    assert view(result, card).leaks_note == ""
    assert view(result, replace(card, leaks=())).leaks_note == ""


def test_the_length_histogram_says_what_is_cut(result: ExperimentResult, card: DataCard) -> None:
    bars = view(result, card).lengths
    assert bars is not None
    assert bars.labels[0] == "0 to 49"
    assert sum(bars.counts) == 1280
    assert bars.unit == "median 148, longest 598"
    assert "14 of 1,280 samples are longer and lose 611 tokens on the right." in bars.desc
    assert bars.rule == pytest.approx(10 + 12 / 50)  # 512 lies in the bar from 500 to 550
    assert bars.rule_text == "limit 512: 14 cut"


def test_a_limit_beyond_the_longest_sample_is_not_drawn(result: ExperimentResult, card: DataCard) -> None:
    lengths = LengthHistogram(
        (10, 20, 30), (3, 2), limit=512, cut=0, cut_tokens=0, side="right", median=18, longest=29
    )
    bars = view(result, replace(card, lengths=lengths)).lengths
    assert bars is not None
    assert (bars.rule, bars.rule_text) == (None, "")
    assert bars.desc.endswith("The limit is 512. Nothing is cut off.")
    assert view(result, replace(card, lengths=None)).lengths is None


def test_the_source_hides_the_home_folder(result: ExperimentResult, card: DataCard) -> None:
    fact = view(result, card).facts[0]
    assert (fact.text, fact.code) == ("~/projects/docs.jsonl", "9b1e 6c30")


def test_no_card_no_section(single: ExperimentResult) -> None:
    assert data_view(study(single)) is None


def test_nothing_kept(result: ExperimentResult, card: DataCard) -> None:
    found = view(result, replace(card, kept=0, splits={"train": 0}))
    assert found.splits.rows == (("training", "0", "–%"),)

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data.split import EmptySplit, SplitSettings, hold_out_validation, split_samples, wanted_rows
from harness.exceptions import BadValue
from harness.records import Sample


def samples(count: int) -> list[Sample]:
    return [Sample(f"row-{number}", f"q{number}", "a") for number in range(1, count + 1)]


@given(
    st.lists(st.integers(0, 40), min_size=12, max_size=60),
    st.integers(0, 1000),
    st.sampled_from([(0.05, 0.1), (2, 3), (0, 0.5), (0.25, 2)]),
)
def test_parts_are_disjoint_complete_and_keep_groups_together(
    labels: list[int], seed: int, sizes: tuple[float, float]
) -> None:
    groups = [labels.index(label) for label in labels]
    rows = samples(len(labels))
    settings = SplitSettings(*sizes, seed=seed)
    if len(set(groups)) == 1:
        with pytest.raises(EmptySplit):
            split_samples(rows, settings, groups)
        return
    if len(set(groups)) <= 3:
        # Testing and validation may need all of so few groups.
        with suppress(EmptySplit):
            split_samples(rows, settings, groups)
        return
    split = split_samples(rows, settings, groups)
    assert sorted((*split.train, *split.validation, *split.test), key=lambda s: int(s.id[4:])) == rows
    assert split.test
    assert split.train
    sides = [
        {groups[rows.index(sample)] for sample in part}
        for part in (split.train, split.validation, split.test)
    ]
    assert not sides[0] & sides[1]
    assert not sides[0] & sides[2]
    assert not sides[1] & sides[2]
    for part in (split.train, split.validation, split.test):
        assert [rows.index(sample) for sample in part] == sorted(rows.index(sample) for sample in part)


def test_sizes_are_exact_where_groups_allow() -> None:
    split = split_samples(samples(1400), SplitSettings(0.05, 0.1, 7))
    assert (len(split.train), len(split.validation), len(split.test)) == (1190, 70, 140)
    split = split_samples(samples(100), SplitSettings(10, 60, 7), [number // 2 for number in range(100)])
    assert (len(split.train), len(split.validation), len(split.test)) == (30, 10, 60)


def test_the_seed_decides() -> None:
    rows = samples(200)
    assert split_samples(rows, SplitSettings(seed=1)) == split_samples(rows, SplitSettings(seed=1))
    assert split_samples(rows, SplitSettings(seed=1)).test != split_samples(rows, SplitSettings(seed=2)).test


def test_added_rows_hardly_move_the_others() -> None:
    before = {sample.id for sample in split_samples(samples(1000), SplitSettings(0, 100)).test}
    after = {sample.id for sample in split_samples(samples(1010), SplitSettings(0, 100)).test}
    # Each of the 10 new rows pushes out at most one.
    assert len(before & after) >= 90


def test_every_seed_gives_every_row_a_chance() -> None:
    # 200 seeds x 10 % of 50 rows: a row is in the test part 20 times on average, binomial sd 4.2; 6 sd = 25.
    counts = dict.fromkeys((sample.id for sample in samples(50)), 0)
    for seed in range(200):
        for sample in split_samples(samples(50), SplitSettings(0, 0.1, seed)).test:
            counts[sample.id] += 1
    assert sum(counts.values()) == 1000
    assert all(0 < count < 46 for count in counts.values())


def test_one_group_larger_than_asked_is_taken_before_the_side_stays_empty() -> None:
    split = split_samples(samples(10), SplitSettings(0, 1), [0, 0, 0, 0, 4, 4, 4, 4, 4, 4])
    assert len(split.test) == 4
    assert len(split.train) == 6


def test_half_a_row_is_rounded_up() -> None:
    assert [wanted_rows(0.1, rows) for rows in (4, 5, 14, 15)] == [0, 1, 1, 2]
    assert wanted_rows(60, 10) == 60


@pytest.mark.parametrize(
    ("settings", "rows", "sentence"),
    [
        (SplitSettings(test=0), 100, "No test rows are left after the split: split.test is 0 and 100 rows"),
        (SplitSettings(test=0.1), 3, "No test rows are left after the split: split.test is 0.1 and 3 rows"),
        (SplitSettings(), 0, "No test rows are left"),
    ],
)
def test_no_test_rows_left(settings: SplitSettings, rows: int, sentence: str) -> None:
    with pytest.raises(EmptySplit) as caught:
        split_samples(samples(rows), settings)
    assert sentence in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("settings", [SplitSettings(test=100), SplitSettings(60, 40), SplitSettings(0.5, 70)])
def test_more_rows_asked_than_there_are(settings: SplitSettings) -> None:
    with pytest.raises(BadValue, match="must be less than the 100 rows that are left after cleaning"):
        split_samples(samples(100), settings)


def test_one_group_cannot_be_split() -> None:
    with pytest.raises(EmptySplit, match=r"No test rows are left.*all 20 rows ask nearly the same question"):
        split_samples(samples(20), SplitSettings(), [0] * 20)


def test_no_training_rows_left() -> None:
    # Two groups of 10: testing must take one although it asked for 1 row, validation takes the other.
    with pytest.raises(EmptySplit, match="No training rows are left"):
        split_samples(samples(20), SplitSettings(15, 1), [0] * 10 + [10] * 10)


def test_validation_alone() -> None:
    split = hold_out_validation(samples(100), SplitSettings(0.2, 0.9 - 0.2))
    assert (len(split.train), len(split.validation), split.test) == (80, 20, ())
    with pytest.raises(BadValue, match=r"split.validation is 100"):
        hold_out_validation(samples(100), SplitSettings(100, 0))


BAD: list[dict[str, Any]] = [
    {"test": -0.1},
    {"test": 1.5},
    {"test": 1.0},
    {"test": True},
    {"test": "0.1"},
    {"test": float("nan")},
    {"validation": -1},
    {"validation": None},
    {"validation": 0.5, "test": 0.5},
    {"seed": 1.5},
    {"seed": True},
]


@pytest.mark.parametrize("given_settings", BAD, ids=str)
def test_bad_settings(given_settings: dict[str, Any]) -> None:
    with pytest.raises(BadValue, match=r"^split\."):
        SplitSettings(**given_settings)

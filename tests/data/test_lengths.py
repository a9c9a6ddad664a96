import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.counters import per_text

from harness.data.lengths import MOST_BARS, length_histogram, token_lengths
from harness.data.templates import get_template
from harness.exceptions import BadValue
from harness.records import Sample

SAMPLES = [Sample("1", "one two", "three"), Sample("2", "one", "two three four five")]


def test_lengths_count_prompt_and_answer_as_the_model_sees_them() -> None:
    count = per_text(lambda text: len(text.split()))
    assert token_lengths(SAMPLES, get_template("plain"), count) == (3, 5)
    # A chat prompt counts as its readable text: "user: one two" + "three", joined without a blank.
    assert token_lengths(SAMPLES, get_template("chat"), per_text(len)) == (len("user: one twothree"), 29 - 1)


def test_the_counter_sees_all_pairs_at_once() -> None:
    seen: list[int] = []

    def count(pairs: object) -> list[int]:
        assert isinstance(pairs, list)
        seen.append(len(pairs))
        return [7] * len(pairs)

    assert token_lengths(SAMPLES, get_template("plain"), count) == (7, 7)
    assert seen == [2]


def test_histogram_by_hand() -> None:
    histogram = length_histogram([12, 15, 22, 40, 104], limit=20, side="left")
    assert histogram is not None
    # Range 93 in at most 24 bars: 5 tokens a bar, from 10 to 105.
    assert histogram.edges == tuple(range(10, 110, 5))
    assert histogram.counts == (1, 1, 1, 0, 0, 0, 1, *[0] * 11, 1)
    assert (histogram.cut, histogram.cut_tokens, histogram.side) == (3, 2 + 20 + 84, "left")
    assert (histogram.median, histogram.longest, histogram.limit) == (22.0, 104, 20)


@given(st.lists(st.integers(0, 5000), min_size=1), st.integers(1, 3000))
def test_histogram_counts_every_sample_once(lengths: list[int], limit: int) -> None:
    histogram = length_histogram(lengths, limit)
    assert histogram is not None
    assert len(histogram.edges) == len(histogram.counts) + 1 <= MOST_BARS + 1
    for low, high, bar in zip(histogram.edges, histogram.edges[1:], histogram.counts, strict=False):
        assert bar == sum(low <= length < high for length in lengths)
    assert sum(histogram.counts) == len(lengths)
    assert histogram.cut_tokens == sum(lengths) - sum(min(length, limit) for length in lengths)
    assert histogram.median == statistics.median(lengths)


def test_no_samples_no_histogram() -> None:
    assert length_histogram([], 10) is None


def test_unknown_side() -> None:
    with pytest.raises(BadValue, match="truncation_side is 'middle'"):
        length_histogram([1], 10, "middle")

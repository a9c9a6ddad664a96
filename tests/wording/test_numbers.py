"""Figures by hand: three significant digits, one decimal for points, U+2212, a sign on every change."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.wording.numbers import (
    change,
    change_range,
    count,
    duration,
    in_words,
    level,
    magnitude,
    p_value,
    percent,
    plural,
    short_digest,
    significant,
    size,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.31249, "0.312"),
        (1.5849, "1.58"),
        (19.44, "19.4"),
        (126.4, "126"),
        (1260.4, "1,260"),
        (9.996, "10.0"),
        (99.96, "100"),
        (0.9996, "1.00"),
        (0.0, "0"),
        (0.0004, "< 0.001"),
        (-0.0004, "> −0.001"),
        (-0.5, "−0.500"),
        (None, "–"),
        (math.nan, "not finite"),
        (-math.inf, "not finite"),
    ],
)
def test_three_significant_digits(value: float | None, text: str) -> None:
    assert significant(value) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.171, "17.1"),
        (1.0, "100"),
        (0.0, "0"),
        (0.0018, "0.18"),
        (0.00001, "< 0.01"),
        (0.995, "99.5"),
        (0.01, "1.0"),
        (1.5, "150"),
        (-0.25, "−25.0"),
        (None, "–"),
        (math.nan, "not finite"),
    ],
)
def test_percentages(share: float | None, text: str) -> None:
    assert percent(share) == text


@pytest.mark.parametrize(
    ("points", "text"),
    [
        (11.64, "+11.6"),
        (-6.5, "−6.5"),
        (100.0, "+100"),
        (99.96, "+100"),
        (-1234.0, "−1,234"),
        (0.04, "+0.04"),
        (-0.004, "−0.004"),
        (0.0, "0.0"),
        (-0.0, "0.0"),
        (1e-9, "0.0"),
        (None, "–"),
        (math.inf, "not finite"),
    ],
)
def test_changes_have_their_sign(points: float | None, text: str) -> None:
    assert change(points) == text


@given(st.floats(-1e4, 1e4))
def test_a_change_never_shows_the_other_sign_nor_a_hyphen(points: float) -> None:
    text = change(points)
    assert "-" not in text
    assert text.startswith("+") <= (points > 0)
    assert text.startswith("−") <= (points < 0)
    assert change(-points) == text.translate(str.maketrans("+−", "−+"))
    assert magnitude(points) == text.lstrip("+−")


def test_ranges_need_both_ends() -> None:
    assert change_range(5.9, 17.2) == "+5.9 to +17.2"
    assert change_range(None, 1.0) == change_range(1.0, None) == "–"


@pytest.mark.parametrize(
    ("p", "text"),
    [
        (0.0, "< 0.001"),
        (0.00099, "< 0.001"),
        (0.0084, "0.008"),
        (0.0496, "0.050"),
        (0.0994, "0.099"),
        (0.0996, "0.10"),
        (0.25, "0.25"),
        (1.0, "1.00"),
        (None, "–"),
    ],
)
def test_p_values(p: float | None, text: str) -> None:
    assert p_value(p) == text


def test_levels_and_counts() -> None:
    assert (level(0.95), level(0.975), level(0.9)) == ("95%", "97.5%", "90%")
    assert (count(7), count(1260)) == ("7", "1,260")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "< 0.1 seconds"),
        (45.0, "45.0 seconds"),
        (89.9, "89.9 seconds"),
        (90.0, "1.5 minutes"),
        (1164.0, "19.4 minutes"),
        (5400.0, "1.5 hours"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("amount", "unit", "text"),
    [
        (9_770_000, "B", "9.77 MB"),
        (4_880_000, "", "4.88 M"),
        (999_600_000, "B", "1.00 GB"),
        (999, "B", "999 B"),
        (0, "B", "0 B"),
        (12, "", "12"),
        (3.2e12, "B", "3.20 TB"),
        (1500, "B", "1.50 kB"),
    ],
)
def test_sizes(amount: float, unit: str, text: str) -> None:
    assert size(amount, unit) == text


def test_digests_are_shortened() -> None:
    assert short_digest("sha256:3f9c21abdd") == short_digest("3f9c21abdd") == "3f9c 21ab"
    assert short_digest("3f9") == "3f9"
    assert short_digest("") == "–"


def test_small_counts_are_words() -> None:
    assert [in_words(number) for number in (0, 1, 12, 13, 1260, -1)] == [
        "no",
        "one",
        "twelve",
        "13",
        "1,260",
        "-1",
    ]
    assert in_words(2, capital=True) == "Two"


def test_nouns_follow_their_count() -> None:
    assert plural(1, "sample") == "1 sample"
    assert plural(0, "sample") == "0 samples"
    assert plural(1260, "sample") == "1,260 samples"
    assert plural(2, "category", "categories") == "2 categories"

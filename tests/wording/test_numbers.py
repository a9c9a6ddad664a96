"""Every expected figure follows from the rules of the look by hand: three digits, one decimal for points, U+2212."""

from __future__ import annotations

import math

import pytest

from harness.wording import numbers

M = "\u2212"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.312, "0.312"),
        (0.0871, "0.087"),
        (0.5, "0.500"),
        (1.0, "1.00"),
        (1.584, "1.58"),
        (0.9996, "1.00"),
        (9.996, "10.0"),
        (11.42, "11.4"),
        (99.96, "100"),
        (1259.6, "1,260"),
        (0.0, "0"),
        (0.0002, "< 0.001"),
        (-0.0002, f"> {M}0.001"),
        (-2.345, f"{M}2.35"),
        (None, "–"),
        (math.nan, "not finite"),
        (math.inf, "not finite"),
    ],
)
def test_at_most_three_significant_digits(value: float | None, text: str) -> None:
    assert numbers.significant(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (11.56, "+11.6"),
        (-6.46, f"{M}6.5"),
        (100.0, "+100"),
        (-99.96, f"{M}100"),
        (0.0, "0.0"),
        (0.04, "+0.04"),
        (-0.004, f"{M}0.004"),
        (0.0001, "0.0"),
        (None, "–"),
        (math.nan, "not finite"),
    ],
)
def test_a_change_has_its_sign_and_one_decimal(value: float | None, text: str) -> None:
    assert numbers.change(value) == text


def test_a_range_says_to() -> None:
    assert numbers.change_range(5.94, 17.16) == "+5.9 to +17.2"
    assert numbers.change_range(-10.2, -2.8) == f"{M}10.2 to {M}2.8"
    assert numbers.change_range(None, 1.0) == "–"
    assert numbers.change_range(1.0, None) == "–"


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.171, "17.1"),
        (1.0, "100"),
        (0.9996, "100"),
        (0.0, "0"),
        (0.0018, "0.18"),
        (0.035, "3.5"),
        (None, "–"),
        (math.inf, "not finite"),
    ],
)
def test_shares_in_percent(share: float | None, text: str) -> None:
    assert numbers.percent(share) == text


@pytest.mark.parametrize(
    ("p", "text"),
    [
        (0.0004, "< 0.001"),
        (0.0, "< 0.001"),
        (0.001, "0.001"),
        (0.0079, "0.008"),
        (0.25, "0.25"),
        (1.0, "1.00"),
        (None, "–"),
    ],
)
def test_p_values(p: float | None, text: str) -> None:
    assert numbers.p_value(p) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (45.0, "45.0 seconds"),
        (89.9, "89.9 seconds"),
        (1164.0, "19.4 minutes"),
        (5400.0, "1.5 hours"),
        (90.0, "1.5 minutes"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert numbers.duration(seconds) == text


def test_sizes_and_counts() -> None:
    assert numbers.size(9_768_960) == "9.77 MB"
    assert numbers.size(4_884_480, "") == "4.88 M"
    assert numbers.size(999) == "999 B"
    assert numbers.size(139_399_488, "") == "139 M"
    assert numbers.count(1260) == "1,260"
    assert numbers.level(0.95) == "95%"
    assert numbers.level(0.995) == "99.5%"


def test_digests_are_cut_in_two_groups() -> None:
    assert numbers.short_digest("3f9c21ab77d0") == "3f9c 21ab"
    assert numbers.short_digest("sha256:3f9c21ab77d0") == "3f9c 21ab"
    assert numbers.short_digest("") == "–"


def test_small_counts_are_words() -> None:
    assert [numbers.in_words(n) for n in (0, 1, 12, 13)] == ["no", "one", "twelve", "13"]
    assert numbers.in_words(5, capital=True) == "Five"
    assert numbers.plural(1, "sample") == "1 sample"
    assert numbers.plural(1400, "sample") == "1,400 samples"
    assert numbers.plural(0, "entry", "entries") == "0 entries"

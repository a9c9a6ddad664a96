"""Figures as the page writes them.

At most three significant digits, one decimal for points, exact counts, U+2212 for minus, a sign on every change.
Nothing here knows what a figure means; the caller chooses the function by meaning. Unknown values print as an en
dash, values that are not finite in words, so that neither passes for a number.
"""

from __future__ import annotations

import math

MINUS = "\u2212"
NBSP = "\u00a0"
UNKNOWN = "\u2013"
NOT_FINITE = "not finite"


def significant(value: float | None, decimals: int = 3) -> str:
    """Three significant digits with at most `decimals` decimals: 0.312, 1.58, 19.4, 1,260; "0" for zero."""
    if value is None:
        return UNKNOWN
    if not math.isfinite(value):
        return NOT_FINITE
    if value == 0:
        return "0"
    smallest = 0.5 * 10.0**-decimals
    if abs(value) < smallest:
        return (
            f"< {10.0**-decimals:.{decimals}f}" if value > 0 else f"> {MINUS}{10.0**-decimals:.{decimals}f}"
        )
    places = _places(value, decimals)
    return f"{value:,.{places}f}".replace("-", MINUS)


def _places(value: float, decimals: int) -> int:
    """Decimals that leave three significant digits after rounding (9.996 is 10.0, not 10.00)."""
    places = decimals
    for _ in range(decimals):
        whole = len(str(int(abs(round(value, places)))))
        if abs(round(value, places)) < 1 or whole + places <= 3:
            break
        places -= 1
    return places


def count(value: int) -> str:
    """An exact count with thousands separators: 1,260."""
    return f"{value:,}"


def percent(share: float | None) -> str:
    """The number before a % sign for a share of 1: 17.1, 100, 0.18; "0" for none."""
    if share is None:
        return UNKNOWN
    if not math.isfinite(share):
        return NOT_FINITE
    hundredths = 100 * share
    if hundredths in (0.0, 100.0):
        return f"{hundredths:.0f}"
    if 0 < abs(hundredths) < 0.995:
        return significant(hundredths, decimals=2)
    return f"{hundredths:.1f}".replace("-", MINUS) if abs(hundredths) < 99.95 else significant(hundredths)


def change(points: float | None) -> str:
    """A change in points with its sign: +11.6, −6.5, +100, 0.0.

    A change that would round to zero keeps one digit (+0.04), so that an interval above zero reads so.
    """
    if points is None:
        return UNKNOWN
    if not math.isfinite(points):
        return NOT_FINITE
    sign = "+" if points > 0 else MINUS if points < 0 else ""
    text = magnitude(points)
    return text if float(text.replace(",", "")) == 0 else sign + text


def magnitude(points: float) -> str:
    """The size of a change in points without its sign: 11.6, 100, 0.04."""
    size = abs(points)
    if size >= 99.95:
        return f"{size:,.0f}"
    for places in (1, 2, 3):
        if round(size, places) > 0:
            return f"{size:.{places}f}"
    return "0.0"


def change_range(low: float | None, high: float | None) -> str:
    """An interval of a change: +5.9 to +17.2."""
    if low is None or high is None:
        return UNKNOWN
    return f"{change(low)} to {change(high)}"


def p_value(p: float | None) -> str:
    """A p value: < 0.001, 0.008, 0.25."""
    if p is None:
        return UNKNOWN
    if p < 0.001:
        return "< 0.001"
    return f"{p:.3f}" if p < 0.0995 else f"{p:.2f}"


def level(value: float) -> str:
    """A confidence level: 95%."""
    return f"{round(100 * value, 2):g}%"


def duration(seconds: float) -> str:
    """A length of time for a sentence: 45.0 seconds, 19.4 minutes, 2.50 hours."""
    if seconds < 90:
        return f"{significant(seconds, 1)} seconds"
    if seconds < 90 * 60:
        return f"{significant(seconds / 60, 1)} minutes"
    return f"{significant(seconds / 3600, 1)} hours"


def size(amount: float, unit: str = "B") -> str:
    """A large amount with a decimal prefix: 9.77 MB, 4.88 M; below a thousand the exact count."""
    for factor, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(amount) >= factor * 0.9995:
            return f"{significant(amount / factor, 2)} {prefix}{unit}".rstrip()
    return f"{amount:,.0f} {unit}".rstrip()


def short_digest(digest: str) -> str:
    """The first eight digits of a hash in two groups: 3f9c 21ab."""
    bare = digest.rpartition(":")[2]
    return f"{bare[:4]} {bare[4:8]}".strip() or UNKNOWN


_WORDS = [
    "no",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
]


def in_words(number: int, *, capital: bool = False) -> str:
    """Small counts as words (no, one, ... twelve), others as digits."""
    word = _WORDS[number] if 0 <= number < len(_WORDS) else count(number)
    return word[:1].upper() + word[1:] if capital else word


def plural(number: int, one: str, many: str | None = None) -> str:
    """A count with its noun: 1 sample, 34 samples."""
    return f"{count(number)} {one if number == 1 else many or one + 's'}"

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.wording.text import redact, shorten, visible


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("plain\ttext\n", "plain\ttext\n"),
        ("a\r\nb\rc", "a\nb\nc"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("nul\x00 del\x7f csi\x9b", "nul\\x00 del\\x7f csi\\x9b"),
        ("user\u202egpj.exe", "user\\u202egpj.exe"),
        ("half \ud83d", "half \\ud83d"),
        ("tag\U000e0041", "tag\\U000e0041"),
        ("\ufeffmark\u2028", "\\ufeffmark\\u2028"),
        ("emoji 😀 é 中", "emoji 😀 é 中"),
    ],
)
def test_strange_characters_are_seen(text: str, seen: str) -> None:
    assert visible(text) == seen


@given(st.text())
def test_what_is_visible_can_be_written_to_a_file_and_stays_as_it_is(text: str) -> None:
    seen = visible(text)
    seen.encode("utf-8")
    assert visible(seen) == seen


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/home/anna/models/x", "~/models/x"),
        ("/Users/anna", "~"),
        ("'/root/Downloads'", "'~/Downloads'"),
        ("C:\\Users\\anna\\x", "~\\x"),
        ("/rooted/tree /homely", "/rooted/tree /homely"),
        ("--token hf_abcdefghijklmnopqrst", "--token [redacted]"),
        ("sk-abcdefghijklmnopqrst0", "[redacted]"),
        ("ghp_abcdefghijklmnopqrst and glpat-abcdefghijklmnopqrst", "[redacted] and [redacted]"),
        ("github_pat_11ABCDEFGHIJKLMNOP", "[redacted]"),
        ("AKIAIOSFODNN7EXAMPLE", "[redacted]"),  # AWS's own example
        ("http://user:secret@host/x", "http://[redacted]@host/x"),
        ("?api_key=abc&x=1", "?api_key=[redacted]&x=1"),
        ("--api-key abc --seed 7", "--api-key [redacted] --seed 7"),
        ("TOKEN=abc", "TOKEN=[redacted]"),
    ],
)
def test_home_folders_and_tokens_do_not_leave_the_house(text: str, shown: str) -> None:
    assert redact(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "skip-special-tokens-everywhere",
        "skateboarding-championships",
        "hfXcheckpoint-of-something",
        "a/b:c@d",
    ],
)
def test_ordinary_long_words_are_no_secrets(text: str) -> None:
    assert redact(text) == text


def test_short_lines_end_in_an_ellipsis_only_where_something_is_missing() -> None:
    assert shorten("a  b\n c") == "a b c"
    assert shorten("abcdef", 6) == "abcdef"
    assert shorten("abcdefg", 6) == "abcde…"
    assert shorten("abcd efg", 6) == "abcd…"

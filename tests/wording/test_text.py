from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.wording.text import redact, shorten, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\ttext\nnext", "plain\ttext\nnext"),
        ("a\r\nb\rc", "a\nb\nc"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("nul\x00", "nul\\x00"),
        ("\u202egnp\u202c", "\\u202egnp\\u202c"),
        ("\ud800", "\\ud800"),
        ("\u2028", "\\u2028"),
        ("\U000e0041", "\\U000e0041"),
        ("family 👩‍👩‍👧, שלום, é", "family 👩‍👩‍👧, שלום, é"),
    ],
)
def test_strange_characters_are_made_visible(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(st.text(st.characters()))
def test_whatever_comes_can_be_stored_as_utf8(text: str) -> None:
    visible(text).encode()
    assert not set(visible(text)) & set("\x00\x1b\r\u202e\u2066\ud800")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("harness run /home/alice/docs.yaml", "harness run ~/docs.yaml"),
        ("/Users/bob and more", "~ and more"),
        ("/Users/bob/x", "~/x"),
        (r"C:\Users\carol\x", r"~\x"),
        ("--token hf_abcdefghijklmnop1234", "--token [redacted]"),
        ("OPENAI_API_KEY=sk-proj-abcdefghijklmnop", "OPENAI_API_KEY=[redacted]"),
        ("https://me:secret@host/path", "https://[redacted]@host/path"),
        ("?api_key=abc123&x=1", "?api_key=[redacted]&x=1"),
        ("a homework folder", "a homework folder"),
        ("task-specific words: sk- and hf_", "task-specific words: sk- and hf_"),
    ],
)
def test_homes_and_secrets_are_taken_out(text: str, shown: str) -> None:
    assert redact(text) == shown


def test_long_text_is_cut_on_one_line() -> None:
    assert shorten("two\n lines") == "two lines"
    assert shorten("x" * 61) == "x" * 59 + "…"
    assert shorten("x" * 60) == "x" * 60
    assert shorten("word " * 20, 10) == "word word…"

from __future__ import annotations

import hashlib
from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.records import Message, Prompt, Sample, prompt_hash, prompt_text
from harness.records.samples import prompt_json

CHAT: Prompt = (Message("system", "Be short."), Message("user", 'Say "é".'))


def test_a_prompt_is_canonical_json() -> None:
    assert prompt_json("a\nb é") == '"a\\nb é"'
    assert prompt_json(CHAT) == '[["system","Be short."],["user","Say \\"é\\"."]]'


def test_the_hash_is_the_start_of_sha256_of_that_json() -> None:
    for prompt in ("a", CHAT):
        assert prompt_hash(prompt) == hashlib.sha256(prompt_json(prompt).encode()).hexdigest()[:16]


def test_the_hash_is_the_same_on_every_machine() -> None:
    # printf '"a"' | sha256sum
    assert prompt_hash("a") == "ac8d8342bbb2362d"


def test_half_a_character_can_be_hashed() -> None:
    assert prompt_hash("\ud83d") != prompt_hash("\ud83e")


PROMPTS = st.one_of(
    st.text(max_size=5), st.lists(st.builds(Message, st.text(max_size=3), st.text(max_size=3))).map(tuple)
)


@given(PROMPTS, PROMPTS)
def test_different_prompts_have_different_hashes(one: Prompt, other: Prompt) -> None:
    assert (prompt_hash(one) == prompt_hash(other)) is (one == other)


def test_a_reader_sees_roles() -> None:
    assert prompt_text("as it is") == "as it is"
    assert prompt_text(CHAT) == 'system: Be short.\n\nuser: Say "é".'


def test_records_are_frozen() -> None:
    sample = Sample("1", "Why?")
    with pytest.raises(FrozenInstanceError):
        sample.input = "x"  # type: ignore[misc]
    assert sample.metadata == {}

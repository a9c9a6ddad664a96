from __future__ import annotations

import hashlib
from dataclasses import fields, replace
from typing import Any

import pytest

from harness.models.base import Decoding
from harness.records import Message
from harness.records.samples import prompt_json
from harness.store import RequestKind, response_key

BASE: dict[str, Any] = {
    "fingerprint": "f",
    "kind": RequestKind.GENERATION,
    "prompt": prompt_json("p"),
    "asked": Decoding(),
    "repeat": 0,
}
OTHER_DECODING: dict[str, Any] = {
    "max_new_tokens": 129,
    "temperature": 0.1,
    "top_p": 0.9,
    "stop": ("\n",),
    "seed": 1,
}


def test_every_field_of_decoding_is_changed_below() -> None:
    assert set(OTHER_DECODING) == {field.name for field in fields(Decoding)}


@pytest.mark.parametrize(
    "change",
    [
        {"fingerprint": "g"},
        {"kind": RequestKind.LOGLIKELIHOOD},
        {"prompt": prompt_json("q")},
        {"prompt": prompt_json((Message("user", "p"),))},
        {"prompt": prompt_json("p\ud800")},
        {"asked": "continuation"},
        {"repeat": 1},
        *({"asked": replace(Decoding(), **{name: value})} for name, value in OTHER_DECODING.items()),
    ],
)
def test_each_part_changes_the_key(change: dict[str, Any]) -> None:
    assert response_key(**BASE) != response_key(**(BASE | change))


def test_parts_cannot_be_shifted_into_each_other() -> None:
    parts = [("ab", "c"), ("a", "bc"), ('a","b', "c")]
    keys = {response_key(one, RequestKind.LOGLIKELIHOOD, two, "x") for one, two in parts}
    chats = {
        (Message("user", "a"), Message("user", "b")),
        (Message("user", "ab"),),
        (Message("system", "ab"),),
    }
    keys |= {response_key("f", RequestKind.LOGLIKELIHOOD, prompt_json(chat), "x") for chat in chats}
    assert len(keys) == 6


def test_equal_requests_have_one_key() -> None:
    same = Decoding(max_new_tokens=128, temperature=0, top_p=1, stop=(), seed=0)
    assert response_key(**BASE) == response_key(**(BASE | {"asked": same}))
    assert response_key("f", RequestKind.GENERATION, '"p"', Decoding()) == response_key(**BASE)


def test_two_halves_of_a_surrogate_pair_are_not_the_character() -> None:
    whole, halves = prompt_json("\U0001f600"), prompt_json("\ud83d\ude00")
    assert response_key(**(BASE | {"prompt": whole})) != response_key(**(BASE | {"prompt": halves}))


def test_the_key_is_the_sha256_of_canonical_json() -> None:
    text = '["f","loglikelihood","\\"p\\""," yes",2]'
    expected = hashlib.sha256(text.encode()).hexdigest()
    assert response_key("f", RequestKind.LOGLIKELIHOOD, '"p"', " yes", 2) == expected

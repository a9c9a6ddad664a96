from __future__ import annotations

import hashlib
import math
from typing import Any

import pytest

from harness.models.digest import canonical_json, digest, from_canonical_json


@pytest.mark.parametrize(
    "value",
    [
        None,
        {"b": [1, 2.5, "x"], "a": {"z": True, "y": None}},
        "lone \ud800 and \udfff, halves \ud83d\ude00, whole \U0001f600",
        "zero \x00, line \u2028",
        [math.inf, -math.inf, 0.1 + 0.2, 5e-324, 2**70],
    ],
)
def test_values_come_back(value: object) -> None:
    assert from_canonical_json(canonical_json(value)) == value


def test_nan_comes_back() -> None:
    assert math.isnan(from_canonical_json(canonical_json(math.nan)))
    assert canonical_json([math.nan, math.inf, -math.inf]) == b"[NaN,Infinity,-Infinity]"


def test_the_order_of_keys_does_not_matter() -> None:
    assert canonical_json({"b": 1, "a": (2,)}) == canonical_json({"a": [2], "b": 1}) == b'{"a":[2],"b":1}'


def test_the_digest_is_the_sha256_of_the_bytes() -> None:
    assert digest({"ä": 1}) == hashlib.sha256('{"ä":1}'.encode()).hexdigest()


@pytest.mark.parametrize("value", [b"bytes", {1, 2}, object()])
def test_other_values_are_refused(value: Any) -> None:
    with pytest.raises(TypeError):
        canonical_json(value)

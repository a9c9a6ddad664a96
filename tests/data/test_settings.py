from typing import Any

import pytest

from harness.data.settings import DataSettings
from harness.data.split import SplitSettings
from harness.exceptions import BadValue, InputError, UnknownName


def test_defaults() -> None:
    settings = DataSettings("docs.jsonl")
    assert settings.split == SplitSettings(validation=0.05, test=0.1, seed=7)
    assert (settings.template, settings.max_length, settings.truncation_side) == ("chat", 1024, "right")
    assert settings.near_duplicate_threshold == 0.85


BAD: list[tuple[dict[str, Any], type[InputError], str]] = [
    ({"path": " "}, BadValue, "data.path is ' '"),
    ({"path": None}, BadValue, "data.path is None"),
    ({"template": "alpaka"}, UnknownName, "Did you mean 'alpaca'?"),
    ({"template": "{{ inputs }}"}, InputError, "did you mean 'input'"),
    ({"columns": {"question": "q"}}, UnknownName, "Unknown column mapping key 'question'"),
    ({"near_duplicate_threshold": 0}, BadValue, "must be above 0 and at most 1"),
    ({"near_duplicate_threshold": 1.1}, BadValue, "must be above 0 and at most 1"),
    ({"near_duplicate_threshold": True}, BadValue, "must be above 0 and at most 1"),
    ({"near_duplicate_threshold": "high"}, BadValue, "must be above 0 and at most 1"),
    ({"max_length": 0}, BadValue, "data.max_length is 0, but must be a whole number, 1 or more"),
    ({"max_length": 10.5}, BadValue, "data.max_length is 10.5"),
    ({"truncation_side": "both"}, BadValue, "truncation_side is 'both'"),
    ({"test_path": ""}, BadValue, "data.test_path is ''"),
    ({"limit": 0}, BadValue, "data.limit is 0"),
    ({"limit": True}, BadValue, "data.limit is True"),
]


@pytest.mark.parametrize(("given", "kind", "sentence"), BAD, ids=str)
def test_bad_settings_raise_before_any_file_is_read(
    given: dict[str, Any], kind: type[InputError], sentence: str
) -> None:
    with pytest.raises(kind) as caught:
        DataSettings(**({"path": "missing.jsonl"} | given))
    assert sentence in str(caught.value)


def test_good_settings_pass() -> None:
    DataSettings("a.csv", columns={"target": "A"}, near_duplicate_threshold=1, limit=5, test_path="b.csv")

from __future__ import annotations

import pytest

from harness.categorizers import BUILTINS, create_categorizers, registry
from harness.categorizers.base import Categorizer
from harness.categorizers.empty import Empty
from harness.categorizers.truncated import Truncated
from harness.exceptions import InputError


def test_the_built_ins_fulfil_the_contract() -> None:
    assert registry().names()[: len(BUILTINS)] == ["empty", "truncated"]
    assert all(isinstance(builtin(), Categorizer) for builtin in BUILTINS)


def test_default_means_all_built_ins() -> None:
    assert create_categorizers("default") == [Empty(), Truncated()]
    assert create_categorizers(["default"]) == [Empty(), Truncated()]


def test_specs_keep_their_order_and_settings() -> None:
    made = create_categorizers([{"truncated": {"mid_sentence": True}}, "empty"])
    assert made == [Truncated(mid_sentence=True), Empty()]
    assert create_categorizers([]) == []


def test_a_list_may_change_one_of_the_default() -> None:
    made = create_categorizers(["default", {"truncated": {"mid_sentence": True}}])
    assert made == [Empty(), Truncated(mid_sentence=True)]


@pytest.mark.parametrize(
    ("specs", "sentence"),
    [
        (["empty", "empty"], "'empty' is named twice"),
        (["emty"], r"Unknown categorizer 'emty'\. Did you mean 'empty'"),
        ([{"truncated": {"mid_sentence": "yes"}}], "mid_sentence of categorizer 'truncated' is 'yes'"),
        ("empty", "categorizers is 'empty'"),
        ({"truncated": {}}, "categorizers is"),
    ],
)
def test_bad_specs_are_refused_with_one_sentence(specs: object, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        create_categorizers(specs)  # type: ignore[arg-type]

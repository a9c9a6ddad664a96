from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from harness.exceptions import BadValue, FileProblem, InputError, UnknownName
from harness.tasks import build, read_yaml


@dataclass(frozen=True)
class Inner:
    size: int = 1
    share: float = 0.5
    stops: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.size < 0:
            raise BadValue("size", self.size, "0 or more")


@dataclass(frozen=True)
class Outer:
    name: str
    inner: Inner = field(default_factory=Inner)
    maybe: Inner | None = None
    either: int | float = 1
    words: str | tuple[str, ...] = "x"
    on: bool = False
    pairs: Mapping[str, str] | None = None


def test_plain_data_becomes_frozen_settings() -> None:
    found = build(
        Outer,
        {
            "name": "n",
            "inner": {"size": 3, "share": 1, "stops": ["a", "b"]},
            "maybe": {"share": "5e-4"},  # YAML 1.1 reads 5e-4 as text
            "either": 0.5,
            "words": ["a"],
            "on": True,
            "pairs": {"a": "b"},
        },
    )
    assert found == Outer("n", Inner(3, 1.0, ("a", "b")), Inner(1, 5e-4), 0.5, ("a",), True, {"a": "b"})
    assert build(Outer, {"name": "n"}) == Outer("n")


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (
            {"nam": "n"},
            "Unknown key 'nam'. Did you mean 'name'? Allowed: either, inner, maybe, name, on, pairs, words.",
        ),
        (
            {"inner": {"sise": 1}},
            "Unknown key at 'inner.sise': 'sise'. Did you mean 'size'? Allowed: share, size, stops.",
        ),
        (
            {"maybe": {"zzz": 1}},
            "Unknown key at 'maybe.zzz': 'zzz'. Allowed: share, size, stops.",
        ),
    ],
)
def test_an_unknown_key_is_named_with_its_path_and_the_nearest(value: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UnknownName) as caught:
        build(Outer, {"name": "n", **value})
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ({"name": 3}, "name is 3, but must be text."),
        ({"inner": {"size": "three"}}, "inner.size is 'three', but must be a whole number."),
        ({"inner": {"size": 1.5}}, "inner.size is 1.5, but must be a whole number."),
        ({"inner": {"size": True}}, "inner.size is True, but must be a whole number."),
        ({"inner": {"share": False}}, "inner.share is False, but must be a number."),
        ({"inner": {"share": "much"}}, "inner.share is 'much', but must be a number."),
        ({"inner": {"stops": "###"}}, "inner.stops is '###', but must be a list."),
        ({"inner": {"stops": ["a", 7]}}, "inner.stops.1 is 7, but must be text."),
        ({"inner": [1]}, "inner is [1], but must be keys with values."),
        ({"inner": None}, "inner is None, but must be keys with values."),
        ({"either": "x"}, "either is 'x', but must be a number."),
        ({"words": 3}, "words is 3, but must be text or a list."),
        ({"on": "perhaps"}, "on is 'perhaps', but must be true or false."),
        ({"pairs": ["a"]}, "pairs is ['a'], but must be keys with values."),
        ({"pairs": {"a": 1}}, "pairs.a is 1, but must be text."),
        ({"maybe": {"size": -1}}, "size is -1, but must be 0 or more."),
    ],
)
def test_a_wrong_type_is_named_with_its_path_in_plain_words(value: dict[str, Any], sentence: str) -> None:
    with pytest.raises(BadValue) as caught:
        build(Outer, {"name": "n", **value})
    assert str(caught.value) == sentence


def test_a_missing_key_is_named() -> None:
    with pytest.raises(BadValue) as caught:
        build(Outer, {})
    assert str(caught.value) == "name is None, but must be given."


def test_where_the_data_come_from_leads_the_path() -> None:
    with pytest.raises(InputError, match=r"^data\.inner\.size is 'x'"):
        build(Outer, {"name": "n", "inner": {"size": "x"}}, where="data")
    with pytest.raises(InputError, match=r"^Unknown key at 'data\.nam'"):
        build(Outer, {"nam": "n"}, where="data")
    with pytest.raises(InputError, match=r"^data\.name is None"):
        build(Outer, {}, where="data")


def test_types_without_plain_words_keep_pydantic_s() -> None:
    @dataclass(frozen=True)
    class Holder:
        where: Path

    with pytest.raises(BadValue, match=r"^where is 3, but must be .*path.*\.$"):
        build(Holder, {"where": 3})


def test_a_yaml_file_is_a_mapping(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("a: 1\nb: {c: [x, y], d: {}}\nbase: &base {k: 1}\nmore:\n  <<: *base\n  k: 2\n")
    assert read_yaml(path) == {"a": 1, "b": {"c": ["x", "y"], "d": {}}, "base": {"k": 1}, "more": {"k": 2}}


@pytest.mark.parametrize(
    ("content", "line", "problem"),
    [
        ("a: 1\nb: [\n", 3, "this is not YAML: "),
        ("a: 1\nb: c: d\n", 2, "this is not YAML: mapping values are not allowed here."),
        ("a: 1\n\tb: 2\n", 2, "this is not YAML: found character '\\t' that cannot start any token."),
        ("a: !!python/object/apply:os.getcwd []\n", 1, "this is not YAML: could not determine a constructor"),
        ("a: \x01\n", None, "this is not YAML: a character that YAML does not allow."),
        ("", None, "it must hold keys and values, such as `name: docs-qa`."),
        ("- a\n- b\n", None, "it must hold keys and values"),
        ("a: 1\nb: 2\na: 3\n", 3, "the key 'a' stands here twice."),
        ("a:\n  - {k: 1, k: 2}\n", 2, "the key 'k' stands here twice."),
    ],
)
def test_what_is_not_yaml_is_named_with_its_line(
    tmp_path: Path, content: str, line: int | None, problem: str
) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(content)
    where = f"{path}, line {line}" if line else f"{path}"
    with pytest.raises(FileProblem, match="^" + re.escape(f"{where}: {problem}")) as caught:
        read_yaml(path)
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path, problem in (
        (tmp_path, "this is a folder, not a YAML file."),
        (tmp_path / "no.yaml", "there is no such file."),
    ):
        with pytest.raises(FileProblem) as caught:
            read_yaml(path)
        assert str(caught.value) == f"{path}: {problem}"
    path = tmp_path / "latin.yaml"
    path.write_bytes("name: café".encode("latin-1"))
    with pytest.raises(FileProblem, match=r"latin\.yaml: this is not text in UTF-8\.$"):
        read_yaml(path)

    def refuse(*_args: object, **_settings: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(FileProblem, match=r"latin\.yaml: it cannot be read \(Permission denied\)\.$"):
        read_yaml(path)

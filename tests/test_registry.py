from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint
from typing import Any

import pytest

from harness import registry as module
from harness.exceptions import BadValue, InputError, UnknownName
from harness.registry import Registry, parse_spec, spec_text


@dataclass(frozen=True)
class Plugin:
    size: int = 1
    share: float = 0.5
    on: bool = False
    mode: str = "fast"
    names: tuple[str, ...] = ("a",)
    extra: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.size < 0:
            raise BadValue("size", self.size, "0 or more")


@pytest.fixture
def family(monkeypatch: pytest.MonkeyPatch) -> Registry[Any]:
    monkeypatch.setattr(module, "entry_points", lambda **_: ())
    made: Registry[Any] = Registry("widget", "harness.widgets")
    made.add("plugin", Plugin)
    return made


def test_a_taken_name_is_refused(family: Registry[Any]) -> None:
    with pytest.raises(InputError, match="widget 'plugin' from mine has the name of one from built-in"):
        family.add("plugin", Plugin, "mine")
    with pytest.raises(InputError, match="has the name of one from built-in"):
        family.add("plugin", Plugin)
    with pytest.raises(InputError, match="has the name of one from built-in"):
        family.add("plugin", Plugin, "mine", again=True)


def test_the_same_origin_may_give_a_name_again(family: Registry[Any]) -> None:
    family.add("own", Plugin, "a.py", again=True)
    family.add("own", dict, "a.py", again=True)
    assert family.factory("own") is dict
    with pytest.raises(InputError, match=r"from b\.py has the name of one from a\.py"):
        family.add("own", Plugin, "b.py", again=True)


def test_an_unknown_name_lists_the_nearest_first(family: Registry[Any]) -> None:
    with pytest.raises(
        UnknownName, match=r"Unknown widget 'plugn'\. Did you mean 'plugin'\? Allowed: plugin"
    ):
        family.create("plugn")
    with pytest.raises(UnknownName, match="widget 'x'"):
        family.origin("x")


def test_create_passes_settings(family: Registry[Any]) -> None:
    assert family.create("plugin") == Plugin()
    assert family.create({"plugin": None}) == Plugin()
    assert family.create({"plugin": {"extra": {"x": 1}}}) == Plugin(extra={"x": 1})
    made = family.create({"plugin": {"size": 3, "share": 1, "on": True, "mode": "slow", "names": ["x", "y"]}})
    assert made == Plugin(3, 1, True, "slow", ("x", "y"))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"siez": 1}, r"Unknown setting of widget 'plugin' 'siez'\. Did you mean 'size'"),
        ({1: 2}, "Unknown setting of widget 'plugin' '1'"),
        ({"size": "3"}, "size of widget 'plugin' is '3', but must be a whole number"),
        ({"size": True}, "size of widget 'plugin' is True, but must be a whole number"),
        ({"size": 1.5}, "size of widget 'plugin' is 1.5, but must be a whole number"),
        ({"share": "half"}, "share of widget 'plugin' is 'half', but must be a number"),
        ({"on": "no"}, "on of widget 'plugin' is 'no', but must be true or false"),
        ({"on": 1}, "on of widget 'plugin' is 1, but must be true or false"),
        ({"mode": None}, "mode of widget 'plugin' is None, but must be text"),
        ({"names": "a"}, "names of widget 'plugin' is 'a', but must be a list of texts"),
        ({"names": ["a", 1]}, "names of widget 'plugin' is .* but must be a list of texts"),
        ({"size": -1}, "size is -1, but must be 0 or more"),
    ],
)
def test_bad_settings_raise_one_sentence(
    family: Registry[Any], settings: dict[Any, Any], sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        family.create({"plugin": settings})


def test_types_may_be_given_as_objects(family: Registry[Any]) -> None:
    plain = dataclass(type("Plain", (), {"__annotations__": {"size": int}, "size": 1}))
    family.add("plain", plain)
    with pytest.raises(BadValue, match="whole number"):
        family.create({"plain": {"size": "x"}})


def test_a_factory_that_is_no_dataclass_refuses_by_itself(family: Registry[Any]) -> None:
    def make(size: int = 1) -> tuple[int]:
        return (size,)

    family.add("made", make)
    assert family.create({"made": {"size": 4}}) == (4,)
    with pytest.raises(InputError, match=r"The widget 'made' refuses the settings .*'siez'"):
        family.create({"made": {"siez": 4}})


@pytest.mark.parametrize("spec", [{}, {"a": {}, "b": {}}, {"a": 3}, {"a": ["b"]}, 7, None])
def test_what_is_no_spec_is_refused(spec: Any) -> None:
    with pytest.raises(BadValue, match="widget spec is"):
        parse_spec("widget", spec)


def test_parse_spec() -> None:
    assert parse_spec("widget", "a") == ("a", {})
    assert parse_spec("widget", {"a": {"b": 1}}) == ("a", {"b": 1})


@pytest.mark.parametrize(
    ("plugin", "text"),
    [
        (Plugin(), "plugin"),
        (Plugin(on=True), "plugin(on=True)"),
        (Plugin(size=2, mode="slow"), "plugin(size=2, mode='slow')"),
        (Plugin(extra={"x": 1}), "plugin(extra={'x': 1})"),
        (object(), "plugin"),
    ],
)
def test_spec_text_shows_what_is_not_default(plugin: object, text: str) -> None:
    assert spec_text("plugin", plugin) == text


class Point(EntryPoint):
    """An entry point that loads what the test says, or raises it."""

    loaded: Mapping[str, Any] = {
        "good": Plugin,
        "plugin": Plugin,
        "bad": ImportError("no module named x"),
        "quits": SystemExit("bye"),
    }

    def load(self) -> Any:
        found = self.loaded[self.name]
        if isinstance(found, BaseException):
            raise found
        return found


def test_third_party_plugins_load_and_broken_ones_are_remembered(
    family: Registry[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def points(*, group: str) -> list[EntryPoint]:
        asked.append(group)
        return [Point(name, f"other:{name}", group) for name in Point.loaded]

    monkeypatch.setattr(module, "entry_points", points)
    assert list(family) == ["plugin", "good"]
    assert family.names() == ["plugin", "good"]
    assert asked == ["harness.widgets"]
    assert family.origin("good") == "other:good"
    assert family.origin("plugin") == "built-in"
    assert family.broken["bad"] == "other:bad: ImportError: no module named x"
    assert family.broken["quits"] == "other:quits: SystemExit: bye"
    assert "has the name of one from built-in" in family.broken["plugin"]
    with pytest.raises(InputError, match="'bad' is installed but cannot be used: other:bad: ImportError"):
        family.create("bad")


def test_the_distribution_of_a_plugin_is_its_origin(
    family: Registry[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from importlib.metadata import entry_points

    # pytest is certainly installed and has a console script
    found = [point for point in entry_points(group="console_scripts") if point.name == "pytest"]
    monkeypatch.setattr(module, "entry_points", lambda **_: found)
    assert family.names() == ["plugin", "pytest"]
    assert family.origin("pytest") == "pytest"

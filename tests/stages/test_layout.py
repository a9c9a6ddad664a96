from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from harness.exceptions import FileProblem, StageFailed
from harness.stages.layout import check_file, check_folder, write_output


def test_nothing_is_made_by_a_check(tmp_path: Path) -> None:
    check_folder(tmp_path / "a" / "b")
    check_file(tmp_path / "c" / "d.json")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_may_not_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.stages.layout.os.access", lambda *_: False)
    with pytest.raises(FileProblem, match=r"cannot be written \(you may not write here\)"):
        check_folder(tmp_path / "new")


def test_a_name_that_no_disk_takes(tmp_path: Path) -> None:
    with pytest.raises(FileProblem, match="cannot be made"):
        check_folder(tmp_path / ("x" * 300))


def test_write_output_replaces_the_file_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "x"
    write_output(path, b"one")
    write_output(path, b"two")
    assert path.read_bytes() == b"two"
    assert [entry.name for entry in path.parent.iterdir()] == ["x"]


def test_a_full_disk_names_the_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("harness.data.files.os.fsync", full)
    with pytest.raises(
        StageFailed, match=r"^Scoring stopped: .*x could not be written \(No space left on device\)"
    ):
        write_output(tmp_path / "x", b"one", "Scoring")
    assert list(tmp_path.iterdir()) == []

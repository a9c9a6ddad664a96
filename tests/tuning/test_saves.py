from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from harness.exceptions import FileProblem
from harness.records import Training, TrainingPoint
from harness.tuning.saves import (
    Session,
    complete_checkpoints,
    drop_incomplete,
    mark_complete,
    open_training,
    session_of,
    sound_checkpoints,
    store_training,
    stored_training,
    training_lock,
)

SESSION = Session(seconds=1.5, trainable_parameters=2, total_parameters=3)


def save(out: Path, step: int, *, complete: bool = True) -> Path:
    folder = out / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    (folder / "weights").write_text(f"weights of {step}")
    if complete:
        mark_complete(folder, SESSION)
    return folder


def test_complete_saves_come_by_step_and_others_are_left_out(tmp_path: Path) -> None:
    for step in (100, 20, 3):
        save(tmp_path, step)
    save(tmp_path, 120, complete=False)
    (tmp_path / "checkpoint-best").mkdir()
    (tmp_path / "checkpoint-7").write_text("a file")
    assert complete_checkpoints(tmp_path) == [
        (step, tmp_path / f"checkpoint-{step}") for step in (3, 20, 100)
    ]
    assert session_of(tmp_path / "checkpoint-3") == SESSION


def test_one_process_at_a_time_trains_into_a_folder(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from harness.tuning.saves import training_lock\n"
        "with training_lock(Path(sys.argv[1])): print('locked', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout
        assert other.stdout.readline() == b"locked\n"
        with pytest.raises(FileProblem, match="another process is training"), training_lock(tmp_path):
            pass
        other.kill()
    with training_lock(tmp_path):  # a killed process leaves no lock
        pass


def test_no_folder_holds_no_saves(tmp_path: Path) -> None:
    assert complete_checkpoints(tmp_path / "nowhere") == []


@pytest.mark.parametrize("marker", ["", "{", "[]", "{}", '{"files": {}}'])
def test_a_broken_marker_is_no_marker(tmp_path: Path, marker: str) -> None:
    (save(tmp_path, 1) / "complete.json").write_text(marker)
    assert complete_checkpoints(tmp_path) == []


def test_a_changed_file_of_equal_size_is_complete_but_not_sound(tmp_path: Path) -> None:
    folder = save(tmp_path, 1)
    (folder / "weights").write_text("weights of 2")
    assert complete_checkpoints(tmp_path) == [(1, folder)]
    assert sound_checkpoints(tmp_path) == []


def test_only_incomplete_saves_are_deleted(tmp_path: Path) -> None:
    save(tmp_path, 1)
    save(tmp_path, 2, complete=False)
    (tmp_path / "notes.txt").write_text("mine")
    drop_incomplete(tmp_path, sound_checkpoints(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-1", "notes.txt"]


def training(out: Path) -> Training:
    return Training(
        method="lora",
        settings={"rank": "8"},
        points=(TrainingPoint(1, 0.5, loss=2.0),),
        steps=1,
        epochs=0.5,
        trainable_parameters=2,
        total_parameters=3,
        tokens=10,
        checkpoints=((1, str(out / "checkpoint-1")),),
        adapter_bytes=12,
        timing={"seconds": 1.5},
    )


def test_a_record_comes_back_as_it_was(tmp_path: Path) -> None:
    save(tmp_path, 1)
    store_training(tmp_path, "abc", {"dtype": "float32"}, training(tmp_path))
    assert stored_training(tmp_path, "abc") == training(tmp_path)
    assert stored_training(tmp_path, "abd") is None


def test_a_moved_folder_names_its_new_place(tmp_path: Path) -> None:
    save(tmp_path / "a", 1)
    store_training(tmp_path / "a", "abc", {}, training(tmp_path / "a"))
    (tmp_path / "a").rename(tmp_path / "b")
    assert stored_training(tmp_path / "b", "abc") == training(tmp_path / "b")


def test_a_record_whose_saves_are_gone_does_not_count(tmp_path: Path) -> None:
    folder = save(tmp_path, 1)
    store_training(tmp_path, "abc", {}, training(tmp_path))
    (folder / "weights").unlink()
    assert stored_training(tmp_path, "abc") is None


def test_the_first_session_decides_what_was_resolved(tmp_path: Path) -> None:
    assert open_training(tmp_path, "abc", {"dtype": "bfloat16"}) == {"dtype": "bfloat16"}
    assert open_training(tmp_path, "abc", {"dtype": "float32"}) == {"dtype": "bfloat16"}


def test_saves_of_unknown_origin_are_moved_aside_and_nothing_else(tmp_path: Path) -> None:
    save(tmp_path, 1)
    (tmp_path / "notes.txt").write_text("mine")
    open_training(tmp_path, "abc", {})
    assert (tmp_path / "replaced-unknown" / "checkpoint-1" / "weights").is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "notes.txt",
        "replaced-unknown",
        "training.json",
    ]


def test_a_kill_while_moving_aside_is_made_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_training(tmp_path, "old", {})
    save(tmp_path, 1)
    save(tmp_path, 2)
    real, moved = Path.rename, []

    def once(self: Path, target: Path) -> Path:
        if moved:
            raise KeyboardInterrupt
        moved.append(self)
        return real(self, target)

    monkeypatch.setattr(Path, "rename", once)
    with pytest.raises(KeyboardInterrupt):
        open_training(tmp_path, "new", {})
    monkeypatch.undo()
    open_training(tmp_path, "new", {})
    assert complete_checkpoints(tmp_path) == []
    assert json.loads((tmp_path / "training.json").read_text())["digest"] == "new"
    assert (tmp_path / "replaced-old" / "checkpoint-1").is_dir()
    assert (tmp_path / "replaced-old-2" / "checkpoint-2").is_dir()


def test_a_read_only_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "write_text", refuse)
    with pytest.raises(FileProblem, match=r"cannot be stored here .Read-only file system"):
        open_training(tmp_path, "abc", {})


def test_a_marker_is_never_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = save(tmp_path, 1, complete=False)
    real = Path.replace

    def check(self: Path, target: Path) -> Path:
        assert not target.exists()
        assert json.loads(self.read_text())["session"]["seconds"] == 1.5
        return real(self, target)

    monkeypatch.setattr(Path, "replace", check)
    mark_complete(folder, SESSION)
    assert complete_checkpoints(tmp_path) == [(1, folder)]

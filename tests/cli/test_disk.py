"""Full disks and read-only folders: one line, and the same command goes on once there is room.

The real thing on a small tmpfs where the tests may mount one; the same errors raised by hand everywhere.
"""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cli.conftest import Call
from support.pipeline import experiment, write_experiment

from harness.store import Store


def mount(folder: Path, options: str) -> None:
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "none", str(folder)], capture_output=True, check=False
    )
    if done.returncode != 0:
        pytest.skip("this user may not mount a small disk")


@pytest.fixture
def small_disk(work: Path) -> Iterator[Path]:
    """A disk of 256 KiB below the working directory."""
    folder = work / "disk"
    folder.mkdir()
    mount(folder, "size=256k")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def remount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)


def long_answers(work: Path) -> None:
    spec = {"scripted": {"default": "word " * 3000, "batch_size": 2}}
    write_experiment(work, experiment(spec, tune=None, evaluate={"max_new_tokens": 5000}))


def test_a_full_disk_half_way_keeps_what_is_stored_and_the_same_command_goes_on(
    small_disk: Path, work: Path, call: Call
) -> None:
    long_answers(work)
    said = call("run", "tiny.yaml", "--workspace", "disk")
    assert said.code == 3
    line = said.err.splitlines()[-1]
    assert line.startswith("harness: ")
    assert "full" in line or "No space left on device" in line
    assert "Everything done so far is stored." in line
    assert "same command again" in line
    assert "Traceback" not in said.err
    remount(small_disk, "size=20m")
    with Store.open(small_disk) as store:
        before = store._number("SELECT count(*) FROM responses")
    assert 0 < before < 12
    assert call("run", "tiny.yaml", "--workspace", "disk").code == 0
    with Store.open(small_disk) as store:
        assert store._number("SELECT count(*) FROM responses") == 12


def test_a_read_only_disk_is_refused_before_any_work(small_disk: Path, call: Call) -> None:
    remount(small_disk, "ro")
    for arguments in (
        ("run", "tiny.yaml", "--workspace", "disk"),
        ("prepare", "docs.jsonl", "--out", "disk/prepared"),
        ("eval", "smollm2-135m-q4", "--task", "docs.jsonl", "--out", "disk/run"),
        ("finetune", "smollm2-135m-q4", "docs.jsonl", "--out", "disk/tuned"),
        ("report", "runs", "--out", "disk/report.html"),
        ("list", "metrics", "--json", "disk/list.json"),
    ):
        said = call(*arguments)
        assert (said.code, said.out) == (2, ""), arguments
        assert said.err == "harness: disk: this folder cannot be written (the file system is read-only).\n"


def failing(number: int) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_no_room_for_the_results(
    number: int, work: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert call("run", "tiny.yaml").code == 0
    before = (work / "runs/tiny/results.json").read_bytes()
    monkeypatch.setattr("harness.data.files.os.fsync", failing(number))
    said = call("run", "tiny.yaml")
    assert said.code == 3
    assert said.err.splitlines()[-1] == (
        f"harness: Writing the results stopped: runs/tiny/data/held_out.json could not be written "
        f"({os.strerror(number)}). Everything done so far is stored. Make room and give the same command again."
    )
    # the file of the run before is still whole, and no half-written one lies beside it
    assert (work / "runs/tiny/results.json").read_bytes() == before
    assert not list((work / "runs/tiny").rglob(".*"))
    monkeypatch.undo()
    monkeypatch.chdir(work)
    with Store.open(work / "runs") as store:
        assert store._number("SELECT count(*) FROM responses") == 12


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES])
def test_a_folder_that_turns_read_only_on_the_way(
    number: int, work: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert call("run", "tiny.yaml").code == 0
    monkeypatch.setattr("harness.data.files.tempfile.mkstemp", failing(number))
    said = call("run", "tiny.yaml")
    assert said.code == 2
    assert f"this cannot be written ({os.strerror(number)})" in said.err.splitlines()[-1]
    assert (work / "runs/tiny/results.json").is_file()


def test_a_disk_error_from_elsewhere_is_one_line_too(
    work: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "runs/x")

    monkeypatch.setattr("harness.stages.experiment.run_experiment", fail)
    said = call("run", "tiny.yaml")
    assert said.code == 3
    assert said.err == (
        "harness: runs/x: No space left on device. Everything done so far is stored; "
        "once it can be written, the same command goes on.\n"
    )
    assert (work / "runs").is_dir()


def test_an_unknown_disk_error_is_not_hidden(work: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.stages.experiment.run_experiment", failing(errno.ENXIO))
    said = call("run", "tiny.yaml")
    assert said.code == 3
    assert "No such device" in said.err
    assert said.err.splitlines()[-1].startswith("harness: This should not have happened: OSError. ")
    assert (work / "runs").is_dir()

"""What is shown on the way: a bar on a terminal, a few plain lines elsewhere."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from harness.cli import terminal
from harness.cli.terminal import check_output_file, open_store, shown_progress, workspace_of, write_json
from harness.exceptions import FileProblem
from harness.store import NoStore, Store

SHOW = """
from harness.cli.terminal import shown_progress
with shown_progress() as progress:
    progress("training [of one]", 0, 0)
    progress("training [of one]", 1, 3, "loss [bold]1.2")
    progress("training [of one]", 3, 3, "done")
    progress("generation, base", 5, 5)
"""


def test_a_terminal_gets_bars_with_the_note() -> None:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    process = subprocess.Popen([sys.executable, "-c", SHOW], stderr=theirs, stdout=theirs, env=environment)
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(ours, 4096):
            shown += part
    except OSError:  # the other side is closed
        pass
    assert process.wait(60) == 0
    os.close(ours)
    text = shown.decode()
    assert "training [of one]" in text
    assert "3/3" in text
    assert "5/5" in text
    assert "done" in text


class Clock:
    """Stands in for `time.monotonic`."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(terminal.time, "monotonic", made)
    return made


def test_elsewhere_a_line_now_and_then(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with shown_progress() as progress:
        for second in range(24):
            clock.now = 100.0 + second
            progress("training", second, 24, "loss 1.2")
        progress("training", 24, 24)
    assert capsys.readouterr().err.splitlines() == [
        "training: 1 of 24, loss 1.2",
        "training: 11 of 24, loss 1.2",
        "training: 21 of 24, loss 1.2",
        "training: 24 of 24",
    ]


def test_a_stage_that_fails_at_once_says_nothing(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with shown_progress() as progress:
        progress("prepare", 0, 5, "reading")
        clock.now += 0.5
        progress("prepare", 1, 5, "splitting")
    assert capsys.readouterr().err == ""


def test_an_unknown_total_is_left_out(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with shown_progress() as progress:
        progress("reading", 0, 0)
        clock.now += 2
        progress("reading", 7, 0, "lines")
    assert capsys.readouterr().err == "reading:, lines\n"


def test_a_terminal_gets_the_bars(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr(terminal.sys.stderr, "isatty", lambda: True, raising=False)
    with shown_progress() as progress:
        progress("training", 0, 0)
        progress("training", 2, 3, "loss 1.2")
    assert "2/3" in capsys.readouterr().err


def test_the_workspace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HARNESS_WORKSPACE", raising=False)
    assert workspace_of(None) == Path("runs")
    monkeypatch.setenv("HARNESS_WORKSPACE", "elsewhere")
    assert workspace_of(None) == Path("elsewhere")
    assert workspace_of(Path("given")) == Path("given")


def test_the_store_or_none(tmp_path: Path) -> None:
    with open_store(tmp_path / "w", no_store=True) as store:
        assert isinstance(store, NoStore)
    assert not (tmp_path / "w").exists()
    with open_store(tmp_path / "w", no_store=False) as store:
        assert isinstance(store, Store)


def test_json_is_written_whole_into_new_folders(tmp_path: Path) -> None:
    write_json({"a": "é"}, tmp_path / "deep" / "x.json")
    assert (tmp_path / "deep" / "x.json").read_text(encoding="utf-8") == '{\n  "a": "é"\n}\n'
    write_json({"a": 1}, None)


def test_an_output_file_that_cannot_be_one(tmp_path: Path) -> None:
    check_output_file(None)
    check_output_file(tmp_path / "new" / "x.json")
    with pytest.raises(FileProblem, match="this is a folder"):
        check_output_file(tmp_path)

"""The command itself: help, version, exit codes, interrupts, closed pipes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from cli.conftest import Call

from harness.cli import list_verb
from harness.cli import main as command
from harness.exceptions import StageFailed


@pytest.mark.parametrize("arguments", [(), ("-h",), ("--help",)])
def test_help_lists_every_verb(arguments: tuple[str, ...], call: Call) -> None:
    said = call(*arguments)
    assert (said.code, said.err) == (0, "")
    assert all(f"\n  {verb} " in said.out for verb in command.VERBS)


def test_version(call: Call) -> None:
    assert call("--version").out.startswith("harness 0.")


@pytest.mark.parametrize("verb", list(command.VERBS))
def test_every_verb_has_help_and_json(verb: str, call: Call) -> None:
    said = call(verb, "-h")
    assert (said.code, said.err) == (0, "")
    assert "--json" in said.out
    assert command.VERBS[verb] in said.out


def test_ctrl_c_is_130_and_says_that_nothing_is_lost(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setitem(list_verb._ROWS, "metrics", interrupted)  # type: ignore[arg-type]
    said = call("list", "metrics")
    assert (said.code, said.err) == (
        130,
        "harness: Interrupted. Everything done so far is stored; the same command goes on.\n",
    )


def test_a_failure_half_way_is_3_on_one_line(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def failed() -> None:
        raise StageFailed("Generation", "the server\nis gone.", "Run it again.")

    monkeypatch.setitem(list_verb._ROWS, "metrics", failed)  # type: ignore[arg-type]
    said = call("list", "metrics")
    assert (said.code, said.err) == (
        3,
        "harness: Generation stopped: the server is gone. Everything done so far is stored. Run it again.\n",
    )


def test_an_exception_nobody_thought_of_keeps_its_traceback(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failed() -> None:
        raise RuntimeError("a bug")

    monkeypatch.setitem(list_verb._ROWS, "metrics", failed)  # type: ignore[arg-type]
    said = call("list", "metrics")
    assert said.code == 3  # not 1, which means "the answer is no"
    assert "Traceback" in said.err
    assert said.err.splitlines()[-1].startswith("harness: This should not have happened: RuntimeError. ")


def test_the_entry_point_exits_with_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["harness", "nothing"])
    with pytest.raises(SystemExit) as left:
        command.main()
    assert left.value.code == 2


def test_a_closed_pipe_ends_quietly(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed() -> None:
        raise BrokenPipeError

    discarded = []
    monkeypatch.setitem(list_verb._ROWS, "metrics", closed)  # type: ignore[arg-type]
    monkeypatch.setattr(command, "_discard_output", lambda: discarded.append(True))
    said = call("list", "metrics")
    assert (said.code, said.out, said.err, discarded) == (0, "", "", [True])


@pytest.mark.parametrize("arguments", ["--help", "list metrics", "list metrics --help"])
def test_a_reader_that_goes_away_is_no_error(arguments: str, tmp_path: Path) -> None:
    said = tmp_path / "stderr"
    with said.open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-c", "from harness.cli.main import main; main()", *arguments.split()],
            stdout=subprocess.PIPE,
            stderr=errors,
        )
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(60) == 0
    assert said.read_bytes() == b""

"""Every kind of bad input: one plain line, the right exit code, nothing heavy before, nothing stored lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.bad_benchmarks import BENCHMARKS
from support.bad_input import CASES as OTHERS
from support.bad_input import Case, fill, identify

from harness.checkpoints import wheel
from harness.cli import terminal
from harness.cli.main import run

CASES = [*OTHERS, *BENCHMARKS]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, without a model: fetching one would waste the user's time."""

    def fetched(*_: object) -> Path:
        raise AssertionError("a model was fetched for input that cannot be used")

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HARNESS_WORKSPACE", raising=False)
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(wheel, "_download", fetched)
    # on a busy machine a stage that fails at once may take long enough to be told of
    monkeypatch.setattr(terminal, "_FIRST_SECONDS", 1e9)
    return tmp_path


def check_line(said: str, case: Case) -> None:
    assert said.startswith("harness: ")
    assert said.count("\n") == 1
    assert "Traceback" not in said
    for word in case.words:
        assert word in said


@pytest.mark.parametrize("case", CASES, ids=identify)
def test_one_plain_line_and_the_exit_code(
    case: Case, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(place, case)
    assert run(case.arguments.split()) == case.code
    written = capsys.readouterr()
    check_line(written.err, case)
    assert written.out == ""
    assert not (place / "cache").exists()


RUNNER = """
import contextlib, io, json, os, sys
from harness.cli import terminal
from harness.cli.main import run
terminal._FIRST_SECONDS = 1e9
found = []
for folder, arguments in json.load(sys.stdin):
    os.chdir(folder)
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        code = run(arguments.split())
    loaded = [name for name in ("torch", "transformers", "trl", "datasets") if name in sys.modules]
    found.append([code, said.getvalue(), loaded])
json.dump(found, sys.stdout)
"""


def test_nothing_heavy_is_loaded_to_find_out(tmp_path: Path) -> None:
    light = [case for case in CASES if not case.heavy]
    for number, case in enumerate(light):
        fill(tmp_path / str(number), case)
    asked = [[str(tmp_path / str(number)), case.arguments] for number, case in enumerate(light)]
    environment = {**os.environ, "HARNESS_CACHE": str(tmp_path / "cache"), "PIP_NO_INDEX": "1"}
    environment.pop("HARNESS_WORKSPACE", None)
    done = subprocess.run(
        [sys.executable, "-c", RUNNER],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    results = json.loads(done.stdout)
    assert len(results) == len(light) > 80
    for case, (code, said, loaded) in zip(light, results, strict=True):
        assert (identify(case), code, loaded) == (identify(case), case.code, [])
        check_line(said, case)

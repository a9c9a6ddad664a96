"""`kill -9` and Ctrl-C in the middle of real work; the same command then ends as if nothing had happened.

The child is the command line itself, with two counters around the model: rows it generated and steps it trained.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.pipeline import experiment, write_experiment
from support.tiny_model import build_model

pytestmark = pytest.mark.slow

STEPS, BATCH, ASKED = 6, 2, 12
CHILD = """
import json, signal, sys
# a shell's background jobs ignore Ctrl-C
signal.signal(signal.SIGINT, signal.default_int_handler)
from harness.models import hf
rows, steps = [0], [0]
answer = hf.HfModel._generate_batch
def counted(self, batch, *arguments, **keys):
    rows[0] += len(batch)
    return answer(self, batch, *arguments, **keys)
hf.HfModel._generate_batch = counted
from harness.tuning import trainer
step = trainer.Watch.on_step_end
def told(self, *arguments, **keys):
    steps[0] += 1
    return step(self, *arguments, **keys)
trainer.Watch.on_step_end = told
from harness.cli.main import run
code = run(["run", "tiny.yaml"])
print(json.dumps([rows[0], steps[0]]))
sys.exit(code)
"""


def start(folder: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    environment.pop("HARNESS_WORKSPACE", None)
    return subprocess.Popen(
        [sys.executable, "-c", CHILD],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(folder: Path) -> tuple[int, int]:
    """Run to the end; returns (rows generated, steps trained)."""
    process = start(folder)
    out, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    rows, steps = json.loads(out.splitlines()[-1])
    return rows, steps


def results(folder: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((folder / "runs/tiny/results.json").read_bytes())
    assert value.pop("timing")
    return value


def samples(folder: Path) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in folder.glob("runs/tiny/eval/*/samples.jsonl")}


def stored(folder: Path) -> int:
    """Responses that are safe in the store."""
    path = folder / "runs/store.sqlite"
    if not path.exists():
        return 0
    try:
        with sqlite3.connect(path, timeout=5) as connection:
            return int(connection.execute("SELECT count(*) FROM responses").fetchone()[0])
    except sqlite3.OperationalError:  # the tables are not made yet
        return 0


def last_save(folder: Path) -> int:
    saves = (folder / "runs/tiny/checkpoints").glob("checkpoint-*/complete.json")
    return max((int(path.parent.name.removeprefix("checkpoint-")) for path in saves), default=0)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Wide enough that a batch or a step takes a moment, so that a kill falls into the middle."""
    return build_model(tmp_path_factory.mktemp("model"), hidden_size=384, intermediate_size=1024)


def prepare(folder: Path, model: Path) -> Path:
    changes = {"max_new_tokens": 48, "dtype": "float32", "max_rows": BATCH}
    write_experiment(folder, experiment(model, evaluate=changes))
    return folder


@pytest.fixture(scope="module")
def uninterrupted(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = prepare(tmp_path_factory.mktemp("whole"), model)
    assert finish(folder) == (4 * ASKED, STEPS)
    return folder


def in_generation(folder: Path) -> bool:
    return 0 < stored(folder) < ASKED


def late_in_generation(folder: Path) -> bool:
    return 2 * ASKED < stored(folder) < 3 * ASKED


def in_training(folder: Path) -> bool:
    return last_save(folder) == 2


def in_a_save(folder: Path) -> bool:
    save = folder / "runs/tiny/checkpoints/checkpoint-4"
    return save.is_dir() and not (save / "complete.json").exists()


def in_the_data(folder: Path) -> bool:
    return (folder / "runs/tiny/data/train.jsonl").exists()


def in_a_run_folder(folder: Path) -> bool:
    return any((folder / "runs/tiny/eval/step-4").glob("*samples.jsonl*"))


def before_the_last_result(folder: Path) -> bool:
    return any((folder / "runs/tiny/eval/step-6").glob("results.json"))


MOMENTS = [in_training, in_a_save, in_generation, in_a_run_folder]
ALL_MOMENTS = [
    in_the_data,
    in_a_save,
    in_generation,
    late_in_generation,
    in_a_run_folder,
    before_the_last_result,
]


def interrupt(
    folder: Path, moment: Callable[[Path], bool], number: signal.Signals
) -> tuple[int, str, tuple[int, int]]:
    """Start the command and end it at the moment; returns exit code, stderr, (responses, last save)."""
    process = start(folder)
    try:
        while not moment(folder):
            assert process.poll() is None, process.communicate()[1]
            time.sleep(0.001)
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    return process.returncode, said, (stored(folder), last_save(folder))


@pytest.fixture
def folder(model: Path, tmp_path: Path) -> Iterator[Path]:
    return prepare(tmp_path, model)


def check_the_same(folder: Path, uninterrupted: Path) -> None:
    assert results(folder) == results(uninterrupted)
    assert samples(folder) == samples(uninterrupted)
    assert (folder / "runs/tiny/report.html").exists()


@pytest.mark.parametrize("moment", MOMENTS, ids=lambda moment: moment.__name__)
def test_after_a_kill_the_same_command_ends_the_same(
    moment: Callable[[Path], bool], folder: Path, uninterrupted: Path
) -> None:
    code, _, (responses, save) = interrupt(folder, moment, signal.SIGKILL)
    assert code == -signal.SIGKILL
    rows, steps = finish(folder)
    # What was safe is not computed again: no row that is stored, no step before the last complete save.
    assert rows == 4 * ASKED - responses
    assert steps == STEPS - save
    # A batch is stored whole, so no more than the one under way was lost.
    assert responses % BATCH == 0
    check_the_same(folder, uninterrupted)


def test_kill_after_kill(folder: Path, uninterrupted: Path) -> None:
    for moment in ALL_MOMENTS:
        assert interrupt(folder, moment, signal.SIGKILL)[0] == -signal.SIGKILL
    finish(folder)
    check_the_same(folder, uninterrupted)


@pytest.mark.parametrize("moment", [in_training, in_generation], ids=lambda moment: moment.__name__)
def test_ctrl_c_says_so_and_loses_nothing(
    moment: Callable[[Path], bool], folder: Path, uninterrupted: Path
) -> None:
    code, said, (responses, save) = interrupt(folder, moment, signal.SIGINT)
    assert code == 130
    assert said.endswith(
        "harness: Interrupted. Everything done so far is stored; the same command goes on.\n"
    )
    assert said.count("harness:") == 1
    assert "Traceback" not in said
    assert finish(folder) == (4 * ASKED - responses, STEPS - save)
    check_the_same(folder, uninterrupted)


def test_a_finished_run_is_not_run_again(uninterrupted: Path) -> None:
    before = results(uninterrupted)
    assert finish(uninterrupted) == (0, 0)
    assert results(uninterrupted) == before

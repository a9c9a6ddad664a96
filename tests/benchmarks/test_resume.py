"""`harness bench` after a kill, a second time, with one more task, with more samples: only what is new is computed."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from benchmarks.conftest import write_benchmarks
from support.tiny_model import build_model

pytestmark = pytest.mark.slow

TASKS = "arc_challenge,hellaswag,mmlu,truthfulqa_mc1"
CHILD = """
import sys
from harness.models import hf, tree_scoring
log = open(sys.argv[1], "a", buffering=1)
run = tree_scoring.TreeScorer.run
def counted(self, units, prefix):
    found = run(self, units, prefix)
    print("scored", len(found), file=log)
    return found
tree_scoring.TreeScorer.run = counted
prefix = tree_scoring.TreeScorer.prefix
def kept(self, tokens, parent):
    print("prefix", len(tokens), file=log)
    return prefix(self, tokens, parent)
tree_scoring.TreeScorer.prefix = kept
from harness.models import weights
fits = weights.LoadedWeights.fits_tree
def checked(self, *arguments):
    before = log.tell()
    good = fits(self, *arguments)
    log.truncate(before); log.seek(before)  # the check at load is no scoring
    return good
weights.LoadedWeights.fits_tree = checked
from harness.cli.main import run as command_line
sys.exit(command_line(sys.argv[2:]))
"""


@dataclass(frozen=True)
class Bench:
    """A folder with a model, benchmark files and a workspace."""

    folder: Path
    model: Path

    def start(self, *options: str, tasks: str = TASKS) -> subprocess.Popen[str]:
        """Start the command line, with its forward passes counted in log.txt."""
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
        environment.pop("HARNESS_WORKSPACE", None)
        verb = ["bench", str(self.model), "--tasks", tasks, "--data-dir", "data", "--num-fewshot", "3"]
        return subprocess.Popen(
            [sys.executable, "-c", CHILD, "log.txt", *verb, "--dtype", "float32", "--out", "out", *options],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def finish(self, *options: str, tasks: str = TASKS) -> list[int]:
        """Run to the end; returns how many requests each forward pass scored."""
        before = len(self.passes())
        process = self.start(*options, tasks=tasks)
        _, said = process.communicate(timeout=300)
        assert process.returncode == 0, said
        return self.passes()[before:]

    def passes(self) -> list[int]:
        """Requests scored in each forward pass so far."""
        path = self.folder / "log.txt"
        lines = path.read_text().splitlines() if path.exists() else []
        return [int(line.split()[1]) for line in lines if line.startswith("scored")]

    def stored(self) -> int:
        """Responses that are safe in the store."""
        path = self.folder / "runs" / "store.sqlite"
        if not path.exists():
            return 0
        try:
            with sqlite3.connect(path, timeout=5) as connection:
                return int(connection.execute("SELECT count(*) FROM responses").fetchone()[0])
        except sqlite3.OperationalError:  # the tables are not made yet
            return 0

    def result(self) -> tuple[dict[str, Any], bytes]:
        """results.json but for its timing, and samples.jsonl as it stands."""
        value: dict[str, Any] = json.loads((self.folder / "out" / "results.json").read_bytes())
        assert value.pop("timing")
        return value, (self.folder / "out" / "samples.jsonl").read_bytes()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Wide enough that a batch takes a moment, so that a kill falls into the middle."""
    shape = {"hidden_size": 384, "intermediate_size": 1024, "max_position_embeddings": 2048}
    return build_model(tmp_path_factory.mktemp("model"), **shape)


def prepared(folder: Path, model: Path) -> Bench:
    write_benchmarks(folder / "data")
    return Bench(folder, model)


@pytest.fixture(scope="module")
def whole(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    found = prepared(tmp_path_factory.mktemp("whole"), model)
    assert sum(found.finish()) == found.stored() > 0
    return found


@pytest.mark.parametrize("share", [0.1, 0.6])
def test_after_a_kill_the_same_command_ends_the_same(
    whole: Bench, model: Path, tmp_path: Path, share: float
) -> None:
    bench = prepared(tmp_path, model)
    everything = whole.stored()
    process = bench.start()
    try:
        while bench.stored() < share * everything:
            assert process.poll() is None, process.communicate()[1]
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == -signal.SIGKILL
    safe, lost = bench.stored(), sum(bench.passes())
    assert share * everything <= safe < everything
    again = bench.finish()
    # a pass that was under way when the kill came is all that is done twice
    assert sum(again) >= everything - safe
    assert lost + sum(again) - everything <= 2 * max(whole.passes())
    assert bench.stored() == everything
    assert bench.result() == whole.result()


def test_a_second_run_makes_no_forward_pass(whole: Bench) -> None:
    before, requests = whole.result(), whole.stored()
    assert whole.finish() == []
    assert (whole.result(), whole.stored()) == (before, requests)
    timing = json.loads((whole.folder / "out" / "results.json").read_bytes())["timing"]
    assert timing["model_seconds"] == 0


def test_only_a_task_that_is_new_is_computed(model: Path, tmp_path: Path) -> None:
    bench = prepared(tmp_path, model)
    first = bench.finish(tasks="arc_challenge,mmlu_anatomy")
    before = bench.stored()
    more = bench.finish(tasks="arc_challenge,mmlu_anatomy,hellaswag")
    # 11 samples of HellaSwag with 4 endings each
    assert (sum(first), sum(more), bench.stored() - before) == (before, 44, 44)


def test_only_samples_that_are_new_are_computed(model: Path, tmp_path: Path) -> None:
    """A few-shot prefix may be run again, requests that are stored are not asked for."""
    bench = prepared(tmp_path, model)
    bench.finish("--limit", "3", tasks="mmlu_virology,hellaswag")
    before, kept = bench.stored(), bench.result()[1].splitlines()
    bench.finish("--limit", "5", tasks="mmlu_virology,hellaswag")
    assert (before, bench.stored()) == (2 * 3 * 4, 2 * 5 * 4)
    grown = bench.result()[1].splitlines()
    assert (grown[:3], grown[5:8]) == (kept[:3], kept[3:])

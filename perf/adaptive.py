"""Adaptive precision beside float32 and bfloat16: seconds inside the model, decisions that differ, in one run.

    python perf/adaptive.py --model DIR --data-dir BENCHMARKS --limit 100

Weights are loaded and warm before the clock starts. A decision differs where a sample's score differs from float32's.
"""

from __future__ import annotations

import argparse
import math
import os
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

TASKS = (
    ("hellaswag", 0, 1.0),
    ("arc_easy", 0, 1.0),
    ("arc_challenge", 0, 1.0),
    ("mmlu_anatomy", 5, 1.0),
    ("truthfulqa_mc1", None, 1.0),
    ("truthfulqa_mc2", None, 1.0),
    ("arc_challenge", 25, 0.25),
    ("hellaswag", 10, 0.5),
)
"""Task, few-shots (None: the task's own), share of the limit."""
KINDS = {"float32": ("float32", None), "bfloat16": ("bfloat16", None), "adaptive": ("auto", "adaptive")}


def run_of(model_folder: Path, kind: str, task: str, settings: dict[str, Any]) -> Any:
    """One run of one task, nothing stored."""
    from harness.benchmarks import BenchSettings, bench
    from harness.checkpoints.open import open_model
    from harness.models.hf import HfSettings
    from harness.stages.evaluate import RunLabel
    from harness.store import NoStore

    dtype, precision = KINDS[kind]
    model = open_model(model_folder, HfSettings(dtype, "cpu"))
    chosen = BenchSettings(precision=precision, **settings)
    return bench(model, [task], NoStore(), chosen, RunLabel(kind))


def differing(run: Any, exact: Any) -> str:
    """For each measure how many samples are scored otherwise, and both estimates."""
    parts = []
    for name, estimate in run.estimates[exact.samples[0].task].items():
        changed = sum(
            ours.scores[name].value != theirs.scores[name].value
            for ours, theirs in zip(run.samples, exact.samples, strict=True)
        )
        other = exact.estimates[exact.samples[0].task][name]
        parts.append(f"{name} {changed} differ ({estimate.value:.4f}, float32 {other.value:.4f})")
    return ", ".join(parts)


def main() -> None:
    """Parse, run the three of every task, print a line for each task and the geometric mean."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=100)
    parser.add_argument("--task", action="append", help="only these; repeatable")
    options = parser.parse_args()
    for kind in KINDS:
        run_of(options.model, kind, "arc_easy", {"limit": 4, "data_dir": options.data_dir})
    logs = []
    for task, shots, share in TASKS:
        if options.task and task not in options.task:
            continue
        limit = max(1, round(options.limit * share))
        settings = {"limit": limit, "num_fewshot": shots, "data_dir": options.data_dir}
        runs = {kind: run_of(options.model, kind, task, settings) for kind in KINDS}
        seconds = {kind: run.timing["model_seconds"] for kind, run in runs.items()}
        ratio = seconds["float32"] / seconds["adaptive"]
        logs.append(math.log(ratio))
        note = runs["adaptive"].settings.get(f"task {task}, precision", "")
        print(
            f"{task}, {shots or 0}-shot, {limit} samples: float32 {seconds['float32']:.1f} s, "
            f"adaptive {seconds['adaptive']:.1f} s, ratio {ratio:.2f}; bfloat16 {seconds['bfloat16']:.1f} s, "
            f"ratio {seconds['float32'] / seconds['bfloat16']:.2f}\n"
            f"    adaptive: {differing(runs['adaptive'], runs['float32'])}\n"
            f"    bfloat16: {differing(runs['bfloat16'], runs['float32'])}\n"
            f"    {note}\n"
            f"    outside the model: {100 * (1 - seconds['float32'] / runs['float32'].timing['seconds']):.1f} % "
            "of the float32 run",
            flush=True,
        )
    print(f"geometric mean of the ratios: {math.exp(sum(logs) / len(logs)):.2f}")


if __name__ == "__main__":
    main()

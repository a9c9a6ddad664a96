"""Log-likelihoods of benchmarks: our prefix tree beside lm-eval's HFLM at batch size 8, in one run.

    python perf/scoring.py --model DIR --data-dir BENCHMARKS --dtype float32

The requests are made once, by `harness bench` from lm-eval's own tasks, and both backends score the same ones.
Prints for each task the seconds inside each backend, the ratio, the tokens that each runs, the largest difference of
a log-likelihood, and how many greedy flags and winning choices differ. `--reference FILE` keeps the peer's numbers,
so that a second run asks it nothing; `--exact` reads such a file made in float32 and prints the mean error of both.
Both score a few requests before the clock starts: loading is not scoring. Ours is the median of three runs around the
peer's, since it takes seconds where the peer takes minutes. The matrix speed is torch's own, at the shape of the
model's widest layer, measured beside each task.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from peer import WARM_UP, by_peer, by_us, peer_model, requests_of

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

TASKS = (
    ("truthfulqa_mc1", None, 30),
    ("truthfulqa_mc2", None, 20),
    ("mmlu_anatomy", 5, 30),
    ("arc_challenge", 25, 16),
    ("hellaswag", 10, 16),
    ("arc_easy", 0, 60),
    ("hellaswag", 0, 40),
)
"""Task, few-shots (None: the task's own), samples."""


def tokens_of(model: Any, pairs: Sequence[tuple[Any, str]]) -> tuple[int, int]:
    """(tokens that the peer runs without padding, tokens of the tree)."""
    from harness.models.tree import Request, plan_tree, tree_tokens

    requests = [Request(p.prompt, p.continuation) for p in model._pair_encoder().encode(pairs)]  # noqa: SLF001
    return sum(len(request.run) for request in requests), tree_tokens(plan_tree(requests))


def matrix_speed(model: Any) -> float:
    """Operations a second of one matrix product on this machine now, in units of 10^9."""
    import torch

    config = model.weights.model.config
    dtype = getattr(torch, model.dtype)
    a = torch.randn(1024, config.hidden_size, dtype=dtype)
    b = torch.randn(config.intermediate_size, config.hidden_size, dtype=dtype)
    best = float("inf")
    for _ in range(30):
        started = time.perf_counter()
        torch.nn.functional.linear(a, b)
        best = min(best, time.perf_counter() - started)
    return 2 * a.numel() * b.shape[0] / best / 1e9


def mean_error(values: Sequence[float], exact: Sequence[float]) -> float:
    """Mean absolute difference, nats."""
    return statistics.fmean(abs(a - b) for a, b in zip(values, exact, strict=True))


def choices_of(pairs: Sequence[tuple[Any, str]], values: Sequence[float]) -> list[int]:
    """The winning choice of each run of pairs with one context."""
    groups: dict[int, list[float]] = {}
    start = 0
    for index, (context, _) in enumerate(pairs):
        start = index if index == 0 or context != pairs[index - 1][0] else start
        groups.setdefault(start, []).append(values[index])
    return [max(range(len(group)), key=group.__getitem__) for group in groups.values()]


def main() -> None:
    """Parse, run both, print a line for each task."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--task", action="append", help="only these; repeatable")
    parser.add_argument("--reference", type=Path, help="JSON file that keeps the peer's numbers")
    parser.add_argument("--exact", type=Path, help="such a file, made in float32")
    options = parser.parse_args()

    from harness.models.hf import HfModel, HfSettings
    from harness.models.weights import WeightsPool

    model = HfModel("ours", options.model, None, HfSettings(options.dtype, "cpu"), WeightsPool())
    by_us(model, WARM_UP)
    kept = (
        json.loads(options.reference.read_text()) if options.reference and options.reference.exists() else {}
    )
    exact = json.loads(options.exact.read_text()) if options.exact else {}
    peer = None
    for task, shots, limit in TASKS:
        if options.task and task not in options.task:
            continue
        name = f"{task}, {shots or 0}-shot, {limit} samples, {options.dtype}"
        pairs = requests_of(task, shots, limit, options.data_dir)
        ours = by_us(model, pairs)
        if name not in kept:
            peer = peer or peer_model(options.model, options.dtype)
            kept[name] = by_peer(peer, pairs)
            if options.reference:
                options.reference.write_text(json.dumps(kept))
        theirs = kept[name]
        seconds = statistics.median([ours["seconds"], *(by_us(model, pairs)["seconds"] for _ in range(2))])
        speed = matrix_speed(model)
        stock, tree = tokens_of(model, pairs)
        worst = max(abs(a - b) for a, b in zip(ours["values"], theirs["values"], strict=True))
        greedy = sum(a != b for a, b in zip(ours["greedy"], theirs["greedy"], strict=True))
        won = zip(choices_of(pairs, ours["values"]), choices_of(pairs, theirs["values"]), strict=True)
        print(
            f"{name}: peer {theirs['seconds']:.1f} s, ours {seconds:.2f} s, "
            f"ratio {theirs['seconds'] / seconds:.2f}; tokens {stock:,} / {tree:,}, "
            f"{tree / seconds:.0f} tokens of the tree a second, matrix speed {speed:.0f} GF/s; "
            f"largest difference {worst:.5f}, "
            f"greedy flags that differ {greedy}, choices that differ {sum(a != b for a, b in won)}",
            flush=True,
        )
        plain = exact.get(name.replace(options.dtype, "float32"))
        if plain:
            both = [mean_error(side["values"], plain["values"]) for side in (ours, theirs)]
            print(f"    mean error against float32: ours {both[0]:.4f}, peer {both[1]:.4f}", flush=True)


if __name__ == "__main__":
    main()

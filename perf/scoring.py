"""Log-likelihoods of benchmarks: our prefix tree beside lm-eval's HFLM at batch size 8, in one run.

    python perf/scoring.py --model DIR --data-dir BENCHMARKS --dtype float32

The requests are made once, by `harness bench` from lm-eval's own tasks, and both backends score the same ones.
Prints for each task the seconds inside each backend, the ratio, the tokens that each runs, the largest difference of
a log-likelihood, and how many greedy flags and winning choices differ. `--reference FILE` keeps the peer's numbers,
so that a second run asks it nothing. Both score a few requests before the clock starts: loading is not scoring.
"""

from __future__ import annotations

import argparse
import json
import os
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
    options = parser.parse_args()

    from harness.models.hf import HfModel, HfSettings
    from harness.models.weights import WeightsPool

    model = HfModel("ours", options.model, None, HfSettings(options.dtype, "cpu"), WeightsPool())
    by_us(model, WARM_UP)
    kept = (
        json.loads(options.reference.read_text()) if options.reference and options.reference.exists() else {}
    )
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
        stock, tree = tokens_of(model, pairs)
        worst = max(abs(a - b) for a, b in zip(ours["values"], theirs["values"], strict=True))
        greedy = sum(a != b for a, b in zip(ours["greedy"], theirs["greedy"], strict=True))
        won = zip(choices_of(pairs, ours["values"]), choices_of(pairs, theirs["values"]), strict=True)
        print(
            f"{name}: peer {theirs['seconds']:.1f} s, ours {ours['seconds']:.2f} s, "
            f"ratio {theirs['seconds'] / ours['seconds']:.2f}; tokens {stock:,} / {tree:,}, "
            f"{tree / ours['seconds']:.0f} tokens of the tree a second; largest difference {worst:.5f}, "
            f"greedy flags that differ {greedy}, choices that differ {sum(a != b for a, b in won)}",
            flush=True,
        )


if __name__ == "__main__":
    main()

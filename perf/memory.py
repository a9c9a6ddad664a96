"""Peak memory of scoring: ours beside lm-eval's HFLM at batch size 8, each in a process of its own.

    python perf/memory.py --model DIR --data-dir BENCHMARKS --dtype float32 [--adapters 4]

With --adapters, made-up LoRA adapters are scored one after the other on one loaded base.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

TASKS = (("truthfulqa_mc1", None, 8), ("hellaswag", 10, 4), ("arc_easy", 0, 30))


def peak() -> float:
    """Most memory this process has had, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(side: str, options: argparse.Namespace) -> dict[str, Any]:
    """Score every task on one side; peak before loading the model, and at the end."""
    from scoring import by_peer, by_us, peer_model, requests_of

    requests = [requests_of(*task, options.data_dir) for task in TASKS]
    if side == "peer":
        import lm_eval.models.huggingface  # noqa: F401 - its imports are no part of scoring

        before = peak()
        peer = peer_model(options.model, options.dtype)
        for pairs in requests:
            by_peer(peer, pairs)
        return {"before": before, "peak": peak()}
    from harness.models.hf import HfModel, HfSettings
    from harness.models.weights import WeightsPool

    before = peak()
    model = HfModel("ours", options.model, None, HfSettings(options.dtype, "cpu"), WeightsPool())
    for pairs in requests:
        by_us(model, pairs)
    found = {"before": before, "peak": peak()}
    adapters = sorted(options.made.iterdir()) if options.made else []
    for adapter in adapters:
        by_us(model.with_adapter(adapter, adapter.name), requests[-1])
    if adapters:
        sizes = [file.stat().st_size for adapter in adapters for file in adapter.glob("*.safetensors")]
        found |= {"files of the adapters": sum(sizes) / 2**20, "with adapters": peak()}
    return found


def made_up(folder: Path, base: Path, count: int) -> list[Path]:
    """LoRA adapters of rank 16 with random weights."""
    if not count:
        return []
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    made = []
    config = LoraConfig(r=16, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM")
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16), config)
    for number in range(count):
        for name, weight in model.named_parameters():
            if "lora_" in name:
                torch.nn.init.normal_(weight, std=0.01)
        made.append(folder / f"adapter-{number}")
        model.save_pretrained(made[-1])
    return made


def main() -> None:
    """Run both sides in processes of their own and print their peaks."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--adapters", type=int, default=0)
    parser.add_argument("--side", choices=["ours", "peer"], help=argparse.SUPPRESS)
    parser.add_argument("--made", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        print(json.dumps(measure(options.side, options)))
        return
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        made = ["--made", folder] if made_up(Path(folder), options.model, options.adapters) else []
        for side in ("ours", "peer"):
            command = [sys.executable, *sys.argv, "--side", side, *made]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            found[side] = json.loads(done.stdout.strip().splitlines()[-1])
            print(f"{side}: " + ", ".join(f"{name} {value:,.0f}" for name, value in found[side].items()))
    print(f"peak, ours / peer: {found['ours']['peak'] / found['peer']['peak']:.2f} ({options.dtype}, MiB)")


if __name__ == "__main__":
    main()

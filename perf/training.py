"""Training speed beside a plain trl.SFTTrainer call: same model, LoRA, batch size, number format, lengths and data.

    python perf/training.py --model FOLDER --data FILE.jsonl --steps 10

Prints real (unpadded) training tokens a second of trl as it comes, of trl without the recomputation of activations
that it turns on by default, and of this package, and the ratios. Every contestant trains `--steps` steps in a process
of its own, in turn, `--rounds` times over; the first step of each is not counted; the best round counts.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from harness.data.templates import get_template
from harness.records import Sample
from harness.tuning import TuneSettings, finetune

CONTESTANTS = {
    "trl": "trl.SFTTrainer",
    "trl-kept": "trl.SFTTrainer, gradient_checkpointing=False",
    "ours": "harness.finetune",
}


def read_samples(path: Path, limit: int) -> list[Sample]:
    """The first question and answer pairs of a JSONL file."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()[:limit]]
    return [Sample(str(i), row["question"], row["answer"]) for i, row in enumerate(rows)]


def settings_of(options: argparse.Namespace) -> TuneSettings:
    """What all contestants share."""
    return TuneSettings(
        max_steps=options.steps,
        batch_size=options.batch_size,
        rank=options.rank,
        alpha=2 * options.rank,
        dtype=options.dtype,
        max_length=1024,
        warmup=0.0,
        save_every=options.steps + 1,
    )


def ours(options: argparse.Namespace, out: str) -> tuple[int, float]:
    """(tokens, seconds) of harness.finetune after the first step."""
    ticks: list[float] = []
    samples = read_samples(options.data, options.limit)
    settings = settings_of(options)
    training = finetune(
        options.model,
        samples,
        [],
        get_template("chat"),
        settings,
        Path(out),
        lambda *_: ticks.append(time.monotonic()),
    )
    first = first_batch_tokens(options, samples, settings)
    return training.tokens - first, ticks[-1] - ticks[1]


def first_batch_tokens(options: argparse.Namespace, samples: list[Sample], settings: TuneSettings) -> int:
    """Tokens of the batch that is not counted."""
    from harness.tuning.encoding import SampleEncoder
    from harness.tuning.loading import load_tokenizer
    from harness.tuning.order import epoch_order

    encoder = SampleEncoder(load_tokenizer(options.model), get_template("chat"), 1024, "right")
    lengths = [len(encoder.encode(sample).input_ids) for sample in samples]
    order = epoch_order(lengths, settings.batch_size, settings.seed, 0)
    return sum(lengths[index] for index in order[: settings.batch_size])


def plain(options: argparse.Namespace, out: str, *, recompute: bool) -> tuple[int, float]:
    """(tokens, seconds) of trl.SFTTrainer after the first step, its defaults kept where nothing is shared."""
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
    from trl import SFTConfig, SFTTrainer

    from harness.tuning.loading import resolve

    settings = settings_of(options)
    dtype = resolve(settings)["dtype"]
    rows = [
        {
            "prompt": [{"role": "user", "content": sample.input}],
            "completion": [{"role": "assistant", "content": sample.target}],
        }
        for sample in read_samples(options.data, options.limit)
    ]
    marks: list[tuple[int, float]] = []

    class Marks(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
            marks.append((state.num_input_tokens_seen, time.monotonic()))

    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(options.model, dtype=getattr(torch, dtype)),
        args=SFTConfig(
            output_dir=out,
            max_steps=settings.max_steps or 0,
            per_device_train_batch_size=settings.batch_size,
            learning_rate=settings.learning_rate,
            lr_scheduler_type=settings.schedule,
            seed=settings.seed,
            max_length=settings.max_length,
            bf16=dtype == "bfloat16",
            gradient_checkpointing=recompute,
            include_num_input_tokens_seen="non_padding",
            use_cpu=not torch.cuda.is_available(),
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        ),
        train_dataset=Dataset.from_list(rows),
        processing_class=AutoTokenizer.from_pretrained(options.model),
        peft_config=LoraConfig(
            r=settings.rank, lora_alpha=settings.alpha, target_modules="all-linear", task_type="CAUSAL_LM"
        ),
        callbacks=[Marks()],
    )
    trainer.train()
    return marks[-1][0] - marks[0][0], marks[-1][1] - marks[0][1]


def contest(options: argparse.Namespace) -> None:
    """Run one contestant and print its figures as JSON on the last line."""
    with tempfile.TemporaryDirectory() as out:
        if options.only == "ours":
            tokens, seconds = ours(options, out)
        else:
            tokens, seconds = plain(options, out, recompute=options.only == "trl")
    print(json.dumps([tokens, seconds]))


def main() -> None:
    """Print tokens a second of each contestant and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True, help="model folder with safetensors")
    parser.add_argument("--data", type=Path, required=True, help="JSONL with question and answer")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--limit", type=int, default=400, help="rows of the data file")
    parser.add_argument("--only", choices=CONTESTANTS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        contest(options)
        return
    best: dict[str, float] = {}
    for _ in range(options.rounds):
        for name in CONTESTANTS:
            command = [sys.executable, __file__, *sys.argv[1:], "--only", name]
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            tokens, seconds = json.loads(output.splitlines()[-1])
            best[name] = max(best.get(name, 0.0), tokens / seconds)
    for name, label in CONTESTANTS.items():
        print(f"{label:48s} {best[name]:8.0f} tokens/s")
    for name in ("trl", "trl-kept"):
        print(f"ratio to {CONTESTANTS[name]:39s} {best['ours'] / best[name]:8.2f}")


if __name__ == "__main__":
    main()

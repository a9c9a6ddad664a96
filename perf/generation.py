"""Greedy generation: our token-budget batches beside lm-eval's HFLM.generate_until at batch size 8, in one run.

    python perf/generation.py --model DIR --data QUESTIONS.jsonl --dtype float32

Both answer the same questions with the same prompts, end tokens and limit of new tokens. Prints seconds inside
each backend, tokens a second, the ratio, and how many texts are equal.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def peer_texts(folder: Path, prompts: list[str], dtype: str, new_tokens: int) -> tuple[list[str], float]:
    """HFLM as stock lm-eval runs it; seconds of the backend call alone."""
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    model = HFLM(pretrained=str(folder), dtype=dtype, device="cpu", batch_size=8)
    kwargs = {"until": [], "max_gen_toks": new_tokens, "do_sample": False}
    requests = [Instance("generate_until", {}, (prompt, kwargs), i) for i, prompt in enumerate(prompts)]
    started = time.perf_counter()
    texts = model.generate_until(requests, disable_tqdm=True)
    return texts, time.perf_counter() - started


def our_texts(folder: Path, prompts: list[str], dtype: str, new_tokens: int) -> tuple[list[str], float, int]:
    """Our engine on the same rendered prompts."""
    from harness.models.base import Decoding, generate_all
    from harness.models.hf import HfModel, HfSettings
    from harness.models.weights import WeightsPool

    model = HfModel("ours", folder, None, HfSettings(dtype=dtype, device="cpu"), WeightsPool())
    _ = model.weights
    started = time.perf_counter()
    generations = generate_all(model, prompts, Decoding(max_new_tokens=new_tokens))
    seconds = time.perf_counter() - started
    return [g.text for g in generations], seconds, sum(g.tokens for g in generations)


def main() -> None:
    """Parse, run both, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True, help="JSONL with a `question` in each line")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--questions", type=int, default=64)
    parser.add_argument("--new-tokens", type=int, default=128)
    parser.add_argument("--ours-first", action="store_true")
    args = parser.parse_args()

    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(args.model)
    lines = args.data.read_text(encoding="utf-8").splitlines()[: args.questions]
    prompts = [
        tokenizer.apply_chat_template(
            [{"role": "user", "content": json.loads(line)["question"]}],
            tokenize=False,
            add_generation_prompt=True,
        )
        for line in lines
    ]
    if args.ours_first:
        ours, our_seconds, tokens = our_texts(args.model, prompts, args.dtype, args.new_tokens)
    theirs, their_seconds = peer_texts(args.model, prompts, args.dtype, args.new_tokens)
    if not args.ours_first:
        ours, our_seconds, tokens = our_texts(args.model, prompts, args.dtype, args.new_tokens)
    special = tokenizer.all_special_tokens
    equal = sum(_plain(a, special) == _plain(b, special) for a, b in zip(ours, theirs, strict=True))
    print(f"{len(prompts)} questions, {args.new_tokens} new tokens at most, {args.dtype}")
    print(f"lm-eval HFLM, batch 8: {their_seconds:.1f} s")
    print(f"harness: {our_seconds:.1f} s, {tokens / our_seconds:.0f} tokens/s")
    print(f"ratio: {their_seconds / our_seconds:.2f}")
    print(f"equal texts: {equal} of {len(prompts)}")


def _plain(text: str, special: list[str]) -> str:
    for token in special:
        text = text.replace(token, "")
    return text.strip()


if __name__ == "__main__":
    main()

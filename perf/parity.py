"""Parity in float32: every number of our engine beside that of lm-eval's HFLM at batch size 8.

    python perf/parity.py --model DIR --data-dir BENCHMARKS --cache peer.jsonl [--scale 0.1]

The requests are lm-eval's own. The peer's answers are appended to the cache in chunks, each under a digest of the
request and of the model's files, so that a killed run goes on where it stopped and a second one asks the peer
nothing. Ends with a line for each task, and with exit code 1 where something is not equal.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from peer import by_us, peer_model, requests_of

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

TASKS: tuple[tuple[str, int | None, int], ...] = (
    ("arc_challenge", 0, 100),
    ("arc_challenge", 25, 100),
    ("hellaswag", 0, 100),
    ("hellaswag", 10, 100),
    ("truthfulqa_mc1", None, 100),
    ("truthfulqa_mc2", None, 100),
)
"""Task, few-shots (None: the task's own), samples."""
SUBJECTS, SUBJECT_SHOTS, SUBJECT_SAMPLES = 10, 5, 30
"""MMLU: evenly spread over the folders that are there."""
WHOLE, WRITTEN = 20, 20
"""Whole texts, and greedy generations."""
GENERATION = {"until": ["\n\n"], "max_gen_toks": 32, "do_sample": False}
CHUNK = 64
NEAR = 1e-3
"""Nats on a whole answer; MC2, which is a share of probability, is held to a tenth of it."""
Pair = tuple[Any, Any]


@dataclass
class Peer:
    """HFLM, asked only for what is not in the cache file."""

    folder: Path
    cache: Path

    @cached_property
    def lm(self) -> Any:
        """Loaded when something is missing."""
        return peer_model(self.folder, "float32")

    @cached_property
    def digest(self) -> str:
        """Of the model's files, its tokenizer's included."""
        from harness.models.files import TOKENIZER_FILES, files_digest, weight_files

        named = [self.folder / name for name in ("config.json", "generation_config.json", *TOKENIZER_FILES)]
        return files_digest([*weight_files(self.folder), *named])

    @cached_property
    def known(self) -> dict[str, Any]:
        """Answers by key; a line that a kill cut short is left out."""
        found = {}
        for line in self.cache.read_text().splitlines() if self.cache.exists() else []:
            try:
                row = json.loads(line)
            except ValueError:
                continue
            found[row["key"]] = row["answer"]
        return found

    def answers(self, kind: str, name: str, pairs: Sequence[Pair]) -> list[Any]:
        """What HFLM says to requests of one kind, in their order."""
        from lm_eval.api.instance import Instance

        keys = [self._key(kind, pair) for pair in pairs]
        missing = [place for place, key in enumerate(keys) if key not in self.known]
        for start in range(0, len(missing), CHUNK):
            chunk = missing[start : start + CHUNK]
            requests: list[Any] = [Instance(kind, {}, pairs[place], place) for place in chunk]
            ask: Callable[..., Sequence[Any]] = getattr(self.lm, kind)
            found = ask(requests, disable_tqdm=True)
            self._keep({keys[place]: value for place, value in zip(chunk, found, strict=True)})
            print(f"{name}: peer {start + len(chunk):,} of {len(missing):,}", file=sys.stderr, flush=True)
        return [self.known[key] for key in keys]

    def _key(self, kind: str, pair: Pair) -> str:
        text = json.dumps([self.digest, kind, *pair], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def _keep(self, answers: Mapping[str, Any]) -> None:
        ended = not self.cache.exists() or self.cache.read_bytes()[-1:] in {b"", b"\n"}
        with self.cache.open("a") as file:
            file.write("" if ended else "\n")
            for key, value in answers.items():
                plain = [float(value[0]), bool(value[1])] if isinstance(value, tuple) else value
                file.write(json.dumps({"key": key, "answer": plain}) + "\n")
                self.known[key] = plain
            file.flush()
            os.fsync(file.fileno())


@dataclass
class Replay:
    """Answers from a table, so that lm-eval's own scoring works on both sides' numbers."""

    values: Mapping[Pair, float]
    name: str = "replay"
    fingerprint: str = "replay"

    def generate(self, *_: Any) -> Iterator[Any]:
        """No task here generates."""
        raise NotImplementedError

    def loglikelihood(
        self, pairs: Sequence[Pair], have: Collection[int] = ()
    ) -> Iterator[tuple[Sequence[int], Sequence[Any]]]:
        """See `harness.models.base.Model`."""
        from harness.records import LogLikelihood

        left = [index for index in range(len(pairs)) if index not in have]
        yield left, [LogLikelihood(self.values[pairs[index]], greedy=False, tokens=1) for index in left]


def scores_of(
    values: Mapping[Pair, float], task: str, shots: int | None, limit: int, data: Path
) -> dict[str, list[float]]:
    """Each measure of every sample, by lm-eval's own scoring."""
    from harness.benchmarks import BenchSettings, bench
    from harness.stages.evaluate import RunLabel
    from harness.store import NoStore

    settings = BenchSettings(num_fewshot=shots, limit=limit, data_dir=data)
    run = bench(Replay(values), [task], NoStore(), settings, RunLabel("replay"))
    names = run.samples[0].scores
    return {name: [float(sample.scores[name].value or 0) for sample in run.samples] for name in names}


def compare_task(model: Any, peer: Peer, shape: tuple[str, int | None, int], data: Path) -> tuple[str, bool]:
    """One multiple-choice task: its line, and whether all is equal."""
    task, shots, limit = shape
    name = f"{task}, {shots}-shot" if shots is not None else task
    pairs = requests_of(task, shots, limit, data)
    theirs = peer.answers("loglikelihood", name, pairs)
    ours = by_us(model, pairs)
    worst = max(abs(a - b[0]) for a, b in zip(ours["values"], theirs, strict=True))
    flags = sum(a != b[1] for a, b in zip(ours["greedy"], theirs, strict=True))
    mine = scores_of(dict(zip(pairs, ours["values"], strict=True)), *shape, data)
    others = scores_of({p: t[0] for p, t in zip(pairs, theirs, strict=True)}, *shape, data)
    equal = worst <= NEAR and flags == 0
    parts = []
    for measure, values in mine.items():
        label = "mc2" if task == "truthfulqa_mc2" else measure
        near = NEAR / 10 if label == "mc2" else 0.0
        differ = sum(abs(a - b) > near for a, b in zip(values, others[measure], strict=True))
        means = [sum(each) / len(each) for each in (values, others[measure])]
        parts.append(f"{label} {means[0]:.6f} / {means[1]:.6f} ({differ} samples differ)")
        equal = equal and differ == 0
    line = f"{name}, {limit} samples: {len(pairs):,} requests, largest difference {worst:.6f}, greedy flags "
    return line + f"that differ {flags}; ours / peer: {', '.join(parts)}", equal


def compare_whole(model: Any, peer: Peer, texts: Sequence[str]) -> tuple[str, bool]:
    """Rolling log-likelihoods of whole texts."""
    theirs = peer.answers("loglikelihood_rolling", "whole texts", [(text,) for text in texts])
    found: dict[int, float] = {}
    for places, values in model.rolling(texts):
        found.update(zip(places, (value.value for value in values), strict=True))
    worst = max(abs(found[place] - float(value)) for place, value in enumerate(theirs))
    return f"whole texts: {len(texts):,} requests, largest difference {worst:.6f}", worst <= NEAR


def compare_written(model: Any, peer: Peer, prompts: Sequence[str]) -> tuple[str, bool]:
    """Greedy generations."""
    from lm_eval.api.instance import Instance

    from harness.benchmarks import HarnessLM

    pairs = [(prompt, GENERATION) for prompt in prompts]
    theirs = peer.answers("generate_until", "generations", pairs)
    requests: list[Any] = [Instance("generate_until", {}, pair, place) for place, pair in enumerate(pairs)]
    ours = HarnessLM(model).generate_until(requests)
    differ = sum(a != b for a, b in zip(ours, theirs, strict=True))
    return f"generations: {len(prompts):,} requests, texts that differ {differ}", differ == 0


def whole_texts(data: Path, count: int) -> list[str]:
    """Five of HellaSwag's scenes each, with their right endings."""
    rows = [json.loads(line) for line in (data / "hellaswag" / "train.jsonl").read_text().splitlines()]
    scenes = [f"{row['ctx_a']} {row['ctx_b']} {row['endings'][int(row['label'])]}" for row in rows]
    return ["\n\n".join(scenes[start : start + 5]) for start in range(0, 5 * count, 5)]


def prompts_to_answer(data: Path, count: int) -> list[str]:
    """TruthfulQA's questions."""
    lines = (data / "truthfulqa" / "mc.jsonl").read_text().splitlines()[:count]
    return [f"Q: {json.loads(line)['question']}\nA:" for line in lines]


def shapes(data: Path, scale: float) -> list[tuple[str, int | None, int]]:
    """Every multiple-choice task, with `scale` times its samples."""
    folders = sorted(path.name for path in (data / "mmlu").iterdir() if path.is_dir())
    chosen = folders[:: max(1, len(folders) // SUBJECTS)][:SUBJECTS]
    mmlu = [(f"mmlu_{name}", SUBJECT_SHOTS, SUBJECT_SAMPLES) for name in chosen]
    return [(task, shots, max(1, round(count * scale))) for task, shots, count in (*TASKS, *mmlu)]


def main() -> None:
    """Parse, compare, print a line for each task."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True, help="JSONL file that keeps the peer's answers")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the samples")
    options = parser.parse_args()

    from harness.models.hf import HfModel, HfSettings
    from harness.models.weights import WeightsPool

    model = HfModel("ours", options.model, None, HfSettings("float32", "cpu"), WeightsPool())
    peer = Peer(options.model, options.cache)
    data, scale = options.data_dir, options.scale
    found = []
    for shape in shapes(data, scale):
        found.append(compare_task(model, peer, shape, data))
        print(found[-1][0], flush=True)
    found.append(compare_whole(model, peer, whole_texts(data, max(1, round(WHOLE * scale)))))
    print(found[-1][0], flush=True)
    found.append(compare_written(model, peer, prompts_to_answer(data, max(1, round(WRITTEN * scale)))))
    print(found[-1][0], flush=True)
    equal = sum(good for _, good in found)
    print(f"{equal} of {len(found)} tasks are equal")
    sys.exit(equal < len(found))


if __name__ == "__main__":
    main()

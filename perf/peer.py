"""What the scripts here share: the requests of a task, lm-eval's own HFLM as the peer, and our engine beside it."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

WARM_UP = [(f"Question {number}:" + " why" * 100, " because") for number in range(8)]


@dataclass
class Recorder:
    """Stands in for a model to see what a task asks."""

    name: str = "recorder"
    fingerprint: str = "recorder"
    pairs: list[tuple[Any, str]] = field(default_factory=list)

    def generate(self, *_: Any) -> Iterator[Any]:
        """No task here generates."""
        raise NotImplementedError

    def loglikelihood(
        self, pairs: Sequence[tuple[Any, str]], have: Collection[int] = ()
    ) -> Iterator[tuple[Sequence[int], Sequence[Any]]]:
        """Keep the pairs and answer with zeros."""
        from harness.records import LogLikelihood

        self.pairs += pairs
        left = [index for index in range(len(pairs)) if index not in have]
        yield left, [LogLikelihood(0.0, greedy=False, tokens=1) for _ in left]


def requests_of(task: str, shots: int | None, limit: int, data: Path) -> list[tuple[Any, str]]:
    """The (context, continuation) pairs of a task."""
    from harness.benchmarks import BenchSettings, bench
    from harness.stages.evaluate import RunLabel
    from harness.store import NoStore

    recorder = Recorder()
    settings = BenchSettings(num_fewshot=shots, limit=limit, data_dir=data)
    bench(recorder, [task], NoStore(), settings, RunLabel("recorder"))
    return recorder.pairs


def peer_model(folder: Path, dtype: str) -> Any:
    """HFLM as stock lm-eval runs it on a processor."""
    from lm_eval.models.huggingface import HFLM

    peer = HFLM(pretrained=str(folder), dtype=dtype, device="cpu", batch_size=8)
    by_peer(peer, WARM_UP)
    return peer


def by_peer(peer: Any, pairs: Sequence[tuple[Any, str]]) -> dict[str, Any]:
    """Seconds inside the peer, its values and greedy flags."""
    from lm_eval.api.instance import Instance

    requests = [Instance("loglikelihood", {}, pair, index) for index, pair in enumerate(pairs)]
    started = time.perf_counter()
    found = peer.loglikelihood(requests, disable_tqdm=True)
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "values": [float(v) for v, _ in found], "greedy": [bool(g) for _, g in found]}


def by_us(model: Any, pairs: Sequence[tuple[Any, str]]) -> dict[str, Any]:
    """Seconds inside our engine (tokenising and planning included), values, greedy flags."""
    started = time.perf_counter()
    found = {}
    for indices, values in model.loglikelihood(pairs):
        found.update(zip(indices, values, strict=True))
    seconds = time.perf_counter() - started
    ordered = [found[index] for index in range(len(pairs))]
    return {"seconds": seconds, "values": [v.value for v in ordered], "greedy": [v.greedy for v in ordered]}

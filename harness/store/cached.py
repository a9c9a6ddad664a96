"""Asks a model only for what the store does not hold, and stores each batch before it asks for the next."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Generic, TypeAlias, TypeVar

from harness.exceptions import StageFailed
from harness.models.base import Decoding, Model
from harness.progress import Progress, silent
from harness.records import Finish, Generation, LogLikelihood, Prompt
from harness.records.samples import prompt_json
from harness.store.base import Storage, Table
from harness.store.keys import RequestKind, response_key

R = TypeVar("R")
_Batches: TypeAlias = Iterator[tuple[Sequence[int], Sequence[R]]]


@dataclass(frozen=True, slots=True)
class Answered:
    """Generations in the order of the prompts, and what they cost.

    computed: prompts the model was asked; reused: the others, found in the store or asked for twice;
    model_seconds: wall-clock time inside the model.
    """

    generations: tuple[Generation, ...]
    computed: int
    reused: int
    model_seconds: float


@dataclass(frozen=True, slots=True)
class Scored:
    """Log-likelihoods in the order of the pairs, and what they cost, counted as in `Answered`."""

    loglikelihoods: tuple[LogLikelihood, ...]
    computed: int
    reused: int
    model_seconds: float


def answer(
    model: Model,
    prompts: Sequence[Prompt],
    decoding: Decoding,
    store: Storage,
    progress: Progress = silent,
    repeat: int = 0,
) -> Answered:
    """Answer every prompt, from the store where it can.

    A prompt that stands in the list twice is asked once. Each finished batch is stored before the next one is
    asked for. A failed generation is returned but not stored, so that the next run tries it again. Repeats
    above 0 sample with a seed of their own, derived from `decoding.seed`. With everything stored only the
    model's fingerprint is read. Raises StageFailed where the model leaves prompts unanswered.
    """
    fingerprint = model.fingerprint
    keys = [
        response_key(fingerprint, RequestKind.GENERATION, prompt_json(prompt), decoding, repeat)
        for prompt in prompts
    ]
    seeded = decoding if repeat == 0 else replace(decoding, seed=_repeat_seed(decoding.seed, repeat))

    def ask(wanted: Sequence[int], have: Collection[int]) -> _Batches[Generation]:
        return model.generate([prompts[index] for index in wanted], seeded, have)

    work = _Work("Generation", asdict, _read_generation, _succeeded)
    results, computed, seconds = _complete(work, keys, ask, store, progress)
    return Answered(results, computed, len(keys) - computed, seconds)


def score_pairs(
    model: Model, pairs: Sequence[tuple[Prompt, str]], store: Storage, progress: Progress = silent
) -> Scored:
    """Score every (prompt, continuation), from the store where it can; the rules are those of `answer`.

    A log-likelihood that is not finite is a result like any other: it is stored and returned. One with a
    `failure` is returned but not stored.
    """
    fingerprint = model.fingerprint
    keys = [
        response_key(fingerprint, RequestKind.LOGLIKELIHOOD, prompt_json(prompt), continuation)
        for prompt, continuation in pairs
    ]

    def ask(wanted: Sequence[int], have: Collection[int]) -> _Batches[LogLikelihood]:
        return model.loglikelihood([pairs[index] for index in wanted], have)

    work = _Work("Scoring", _write_loglikelihood, _read_loglikelihood, _scored)
    results, computed, seconds = _complete(work, keys, ask, store, progress)
    return Scored(results, computed, len(keys) - computed, seconds)


@dataclass(frozen=True, slots=True)
class _Work(Generic[R]):
    """How one kind of response is called, written, read, and whether it is worth keeping."""

    stage: str
    write: Callable[[R], Mapping[str, object]]
    read: Callable[[Mapping[str, Any]], R]
    keep: Callable[[R], bool]


def _read_generation(value: Mapping[str, Any]) -> Generation:
    finish = Finish(value["finish"])
    return Generation(value["text"], value["tokens"], finish, value["failure"], value.get("cut", 0))


def _write_loglikelihood(found: LogLikelihood) -> Mapping[str, object]:
    return {"value": found.value, "greedy": found.greedy, "tokens": found.tokens}


def _read_loglikelihood(value: Mapping[str, Any]) -> LogLikelihood:
    return LogLikelihood(value["value"], value["greedy"], value["tokens"])


def _succeeded(generation: Generation) -> bool:
    return generation.finish is not Finish.FAILED


def _scored(found: LogLikelihood) -> bool:
    return found.failure is None


def _complete(
    work: _Work[R],
    keys: Sequence[str],
    ask: Callable[[Sequence[int], Collection[int]], _Batches[R]],
    store: Storage,
    progress: Progress,
) -> tuple[tuple[R, ...], int, float]:
    """Return the results in the order of the keys, how many the model was asked for, and its seconds."""
    first: dict[str, int] = {}
    for index, key in enumerate(keys):
        first.setdefault(key, index)
    unique = list(first)
    stored = store.get_many(Table.RESPONSES, unique)
    found = {key: work.read(value) for key, value in stored.items()}
    have = {place for place, key in enumerate(unique) if key in found}
    missing = len(unique) - len(have)
    seconds = 0.0
    progress(work.stage, len(found), len(unique))
    if missing:
        timed = _Timed(ask(list(first.values()), have))
        for places, results in timed:
            batch = {unique[place]: result for place, result in zip(places, results, strict=True)}
            found.update(_kept(work, batch, store))
            progress(work.stage, len(found), len(unique))
        seconds = timed.seconds
    if len(found) < len(unique):
        raise StageFailed(
            work.stage,
            f"the model gave no answer to {len(unique) - len(found)} of {len(unique)} requests.",
            "Run the same command again.",
        )
    return tuple(found[key] for key in keys), missing, seconds


def _kept(work: _Work[R], batch: Mapping[str, R], store: Storage) -> Mapping[str, R]:
    """Store a batch; where another process was first, its results count, as they will in every later run."""
    values = {key: work.write(result) for key, result in batch.items() if work.keep(result)}
    if store.put_many(Table.RESPONSES, values) == len(values):
        return batch
    stored = store.get_many(Table.RESPONSES, values)
    return {**batch, **{key: work.read(value) for key, value in stored.items()}}


class _Timed(Generic[R]):
    """Passes batches on and adds up the time spent waiting for them."""

    def __init__(self, batches: _Batches[R]) -> None:
        self._batches = batches
        self.seconds = 0.0

    def __iter__(self) -> _Batches[R]:
        return self

    def __next__(self) -> tuple[Sequence[int], Sequence[R]]:
        started = time.perf_counter()
        try:
            return next(self._batches)
        finally:
            self.seconds += time.perf_counter() - started


def _repeat_seed(seed: int, repeat: int) -> int:
    """Another seed for each repeat, far from those that a user would count through; below 2**31."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{repeat}".encode()).digest()[:4], "big") >> 1

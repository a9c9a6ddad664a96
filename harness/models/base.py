"""The whole contract of a model: two verbs, a name and a fingerprint.

Both verbs yield finished batches, so that a caller can store each one as it comes. Batches are planned from
the full list of requests, never from what is missing: requests in `have` are left out of the batch they were
planned into, and a batch with nothing left is not run. The same command after a kill therefore forms the same
batches, and its numbers are equal byte for byte.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from harness.exceptions import BadValue
from harness.records import Generation, LogLikelihood, Prompt


@dataclass(frozen=True, slots=True)
class Decoding:
    """How text is generated. temperature 0 is greedy; `stop` strings end an answer and are cut off.

    An empty stop string stands at every place and means nothing; it is left out.
    """

    max_new_tokens: int = 128
    temperature: float = 0.0
    top_p: float = 1.0
    stop: tuple[str, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        if self.max_new_tokens < 1:
            raise BadValue("max_new_tokens", self.max_new_tokens, "1 or more")
        if not 0 <= self.temperature < math.inf:
            raise BadValue("temperature", self.temperature, "0 (greedy) or more")
        if not 0 < self.top_p <= 1:
            raise BadValue("top_p", self.top_p, "above 0 and at most 1")
        if isinstance(self.stop, str):
            raise BadValue("stop", self.stop, "a list of texts")
        object.__setattr__(self, "stop", tuple(stop for stop in self.stop if stop))


GeneratedBatch = tuple[Sequence[int], Sequence[Generation]]
"""(indices into the prompts, one generation each)."""
ScoredBatch = tuple[Sequence[int], Sequence[LogLikelihood]]
"""(indices into the pairs, one log-likelihood each)."""


@runtime_checkable
class Model(Protocol):
    """What answers."""

    @property
    def name(self) -> str:
        """What the user called it."""
        ...

    @property
    def fingerprint(self) -> str:
        """Hex digest of weights (adapter included), tokenizer, chat template and dtype.

        Responses are stored under it, so two models that may answer differently must differ here.
        """
        ...

    def generate(
        self, prompts: Sequence[Prompt], decoding: Decoding, have: Collection[int] = ()
    ) -> Iterator[GeneratedBatch]:
        """Answer every prompt whose index is not in `have`; yields batches as they finish.

        A prompt that fails is a Generation with finish FAILED and a reason; the others go on.
        """
        ...

    def loglikelihood(
        self, pairs: Sequence[tuple[Prompt, str]], have: Collection[int] = ()
    ) -> Iterator[ScoredBatch]:
        """Score every (prompt, continuation) whose index is not in `have`, in natural logs.

        A pair that cannot be asked is a `LogLikelihood.failed` with the reason; the others go on.
        """
        ...


def generate_all(model: Model, prompts: Sequence[Prompt], decoding: Decoding) -> list[Generation]:
    """All generations in the order of the prompts."""
    found: dict[int, Generation] = {}
    for indices, generations in model.generate(prompts, decoding):
        found.update(zip(indices, generations, strict=True))
    return [found[index] for index in range(len(prompts))]


def loglikelihood_all(model: Model, pairs: Sequence[tuple[Prompt, str]]) -> list[LogLikelihood]:
    """All log-likelihoods in the order of the pairs."""
    found: dict[int, LogLikelihood] = {}
    for indices, values in model.loglikelihood(pairs):
        found.update(zip(indices, values, strict=True))
    return [found[index] for index in range(len(pairs))]

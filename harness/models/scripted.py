"""A model whose every answer is written down beforehand: the public test double.

It answers from a script, refuses, fails, raises, waits or returns NaN where it is told to, and remembers what
it was asked, so that a test can say "no model call". It knows no tokens: words, split at white space, stand
in for them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from harness.exceptions import BadValue, InputError
from harness.models.base import Decoding, GeneratedBatch, ScoredBatch
from harness.models.digest import digest
from harness.records import Finish, Generation, LogLikelihood, Prompt, prompt_text

Answers = Mapping[str, str | Generation] | Callable[[Prompt], str | Generation]
"""By prompt text, by the last message's content, or a function."""
LogLikelihoods = Mapping[Any, float | LogLikelihood] | Callable[[Prompt, str], float | LogLikelihood]
"""By (prompt text, continuation), by the continuation alone, or a function."""


@dataclass(eq=False)
class ScriptedModel:
    """Answers by script. A prompt is named by its text, or by the content of its last message.

    Answers given as text are cut at stop strings and after `max_new_tokens` words; a Generation is returned
    as it is. The fingerprint covers what is answered, not how: failures, exceptions, delays and batches may
    change between two runs that share stored responses.
    """

    answers: Answers = field(default_factory=dict)
    default: str | None = None
    """Answer to any other prompt; without it such a prompt fails."""
    loglikelihoods: LogLikelihoods = field(default_factory=dict)
    default_loglikelihood: float | None = None
    """Log-likelihood of any other pair; without it such a pair raises InputError."""
    refusals: Collection[str] = ()
    """Prompts answered with an empty text and Finish.REFUSED."""
    failures: Mapping[str, str] = field(default_factory=dict)
    """Prompt -> reason of a Generation with Finish.FAILED."""
    exceptions: Mapping[str, BaseException] = field(default_factory=dict)
    """Prompt -> what is raised when its batch is run; batches before it have been yielded."""
    delay: float = 0.0
    """Seconds that each batch takes."""
    batch_size: int = 8
    name: str = "scripted"
    identity: str = ""
    """Enters the fingerprint; needed with a function, whose answers have no digest."""
    calls: int = field(default=0, init=False)
    """How often `generate` or `loglikelihood` was called."""
    batches: list[tuple[int, ...]] = field(default_factory=list, init=False)
    """Indices of every batch that was run, in order."""
    asked: list[Prompt] = field(default_factory=list, init=False)
    """Every prompt that was run, in order."""

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise BadValue("batch_size", self.batch_size, "1 or more")
        if self.delay < 0:
            raise BadValue("delay", self.delay, "0 or more seconds")
        if not self.identity and (callable(self.answers) or callable(self.loglikelihoods)):
            raise BadValue(
                "identity", self.identity, "a name for the script where a function gives the answers"
            )

    @cached_property
    def fingerprint(self) -> str:
        """Digest of the script, as it is when this is first read."""
        return digest(
            [
                "scripted",
                self.identity,
                _listed(self.answers),
                self.default,
                _listed(self.loglikelihoods),
                self.default_loglikelihood,
                sorted(self.refusals),
            ]
        )

    def generate(
        self, prompts: Sequence[Prompt], decoding: Decoding, have: Collection[int] = ()
    ) -> Iterator[GeneratedBatch]:
        """Answer by script; batches are consecutive runs of `batch_size` prompts."""
        self.calls += 1
        return (
            (batch, [self._answer(prompts[index], decoding) for index in batch])
            for batch in self._run(list(prompts), have)
        )

    def loglikelihood(
        self, pairs: Sequence[tuple[Prompt, str]], have: Collection[int] = ()
    ) -> Iterator[ScoredBatch]:
        """Score by script; batches are consecutive runs of `batch_size` pairs."""
        self.calls += 1
        return (
            (batch, [self._score(*pairs[index]) for index in batch])
            for batch in self._run([prompt for prompt, _ in pairs], have)
        )

    def _run(self, prompts: Sequence[Prompt], have: Collection[int]) -> Iterator[tuple[int, ...]]:
        done = set(have)
        for start in range(0, len(prompts), self.batch_size):
            planned = range(start, min(start + self.batch_size, len(prompts)))
            batch = tuple(index for index in planned if index not in done)
            if not batch:
                continue
            time.sleep(self.delay)
            for index in batch:
                for name in _names(prompts[index]):
                    if name in self.exceptions:
                        raise self.exceptions[name]
            self.batches.append(batch)
            self.asked.extend(prompts[index] for index in batch)
            yield batch

    def _answer(self, prompt: Prompt, decoding: Decoding) -> Generation:
        names = _names(prompt)
        if any(name in self.refusals for name in names):
            return Generation("", 0, Finish.REFUSED)
        for name in names:
            if name in self.failures:
                return Generation("", 0, Finish.FAILED, self.failures[name])
        found: str | Generation | None
        if callable(self.answers):
            found = self.answers(prompt)
        else:
            found = next((self.answers[name] for name in names if name in self.answers), self.default)
        if found is None:
            return Generation("", 0, Finish.FAILED, "the script has no answer to this prompt")
        return found if isinstance(found, Generation) else _cut(found, decoding)

    def _score(self, prompt: Prompt, continuation: str) -> LogLikelihood:
        found: float | LogLikelihood | None
        if callable(self.loglikelihoods):
            found = self.loglikelihoods(prompt, continuation)
        else:
            keys = [*((name, continuation) for name in _names(prompt)), continuation]
            known = (self.loglikelihoods[key] for key in keys if key in self.loglikelihoods)
            found = next(known, self.default_loglikelihood)
        if found is None:
            raise InputError(
                f"The scripted model {self.name!r} has no log-likelihood for {continuation!r} "
                f"after {prompt_text(prompt)!r}; add one or set default_loglikelihood."
            )
        if isinstance(found, LogLikelihood):
            return found
        return LogLikelihood(float(found), greedy=False, tokens=len(continuation.split()))


def _names(prompt: Prompt) -> tuple[str, ...]:
    """Texts by which a script may name a prompt, the most exact first."""
    if isinstance(prompt, str) or not prompt:
        return (prompt_text(prompt),)
    return (prompt_text(prompt), prompt[-1].content)


def _cut(text: str, decoding: Decoding) -> Generation:
    """End an answer at the first stop string, then at the allowed number of words."""
    ends = [place for stop in decoding.stop if stop and (place := text.find(stop)) >= 0]
    text = text[: min(ends)] if ends else text
    words = text.split()
    if len(words) > decoding.max_new_tokens:
        kept = words[: decoding.max_new_tokens]
        return Generation(" ".join(kept), len(kept), Finish.LENGTH)
    return Generation(text, len(words), Finish.STOP)


def _listed(script: Answers | LogLikelihoods) -> object:
    """Return a table as something with a digest; a function is named by `identity`."""
    if callable(script):
        return "function"
    rows = [
        [key, asdict(value) if not isinstance(value, (str, float, int)) else value]
        for key, value in script.items()
    ]
    return sorted(rows, key=digest)

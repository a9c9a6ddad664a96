"""What is asked and what comes back: samples, prompts, generations, scores."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation; role is "system", "user" or "assistant"."""

    role: str
    content: str


Prompt = str | tuple[Message, ...]
"""What a model is asked: plain text, sent as it stands, or messages, put through its chat template."""


def prompt_json(prompt: Prompt) -> str:
    """Canonical JSON of a prompt: a string, or a list of [role, content] pairs."""
    value = prompt if isinstance(prompt, str) else [[m.role, m.content] for m in prompt]
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def prompt_hash(prompt: Prompt) -> str:
    """First 16 hex digits of the SHA-256 of the prompt: joins the samples of two runs."""
    return hashlib.sha256(prompt_json(prompt).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def prompt_text(prompt: Prompt) -> str:
    """The prompt for a reader: text as it is, messages as "role: content" paragraphs."""
    if isinstance(prompt, str):
        return prompt
    return "\n\n".join(f"{message.role}: {message.content}" for message in prompt)


@dataclass(frozen=True, slots=True)
class Sample:
    """One item of a task or of a training set."""

    id: str
    input: str
    """The question or instruction; "" for plain training text."""
    target: str | None = None
    """The gold answer; the text itself for plain training text."""
    context: str = ""
    """Accompanying text the instruction refers to (Alpaca's `input`)."""
    history: tuple[Message, ...] = ()
    """Earlier turns, a system message first where there is one."""
    choices: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)


class Finish(StrEnum):
    """Why a generation ended."""

    STOP = "stop"
    LENGTH = "length"
    REFUSED = "refused"
    FAILED = "failed"
    NONFINITE = "nonfinite"


@dataclass(frozen=True, slots=True)
class Generation:
    """Raw text for one prompt. `failure` holds the reason where finish is FAILED or NONFINITE."""

    text: str
    tokens: int
    finish: Finish
    failure: str | None = None
    cut: int = 0
    """Tokens at the prompt's beginning that the model had no room for."""


@dataclass(frozen=True, slots=True)
class LogLikelihood:
    """Summed natural-log probability of a continuation, and whether greedy decoding would write it.

    A request that could not be asked has `failure`, the reason, and NaN as its value.
    """

    value: float
    greedy: bool
    tokens: int
    failure: str | None = None

    @classmethod
    def failed(cls, reason: str) -> LogLikelihood:
        """What comes back for a request that could not be asked."""
        return cls(float("nan"), greedy=False, tokens=0, failure=reason)


@dataclass(frozen=True, slots=True)
class Score:
    """One measure on one sample.

    value: the per-sample score on the measure's own scale, None when unscored (then `reason` says why).
    statistics: sufficient statistics that sum over samples (BLEU's counts); empty for plain means.
    """

    value: float | None
    statistics: tuple[float, ...] = ()
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Category:
    """A kind of mistake found in one answer, with what shows it."""

    name: str
    evidence: str

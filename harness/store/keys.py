"""Under which key a response is stored: all that could change it, and nothing else."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum

from harness.models.base import Decoding
from harness.models.digest import digest


class RequestKind(StrEnum):
    """What a model was asked for."""

    GENERATION = "generation"
    LOGLIKELIHOOD = "loglikelihood"


def response_key(
    fingerprint: str, kind: RequestKind, prompt: str, asked: Decoding | str, repeat: int = 0
) -> str:
    """SHA-256 of everything that may change a response, as 64 hex digits.

    fingerprint: the model's (weights, adapter, tokenizer, chat template, dtype); prompt: canonical JSON of
    the prompt (`harness.records.samples.prompt_json`); asked: the decoding of a generation or the
    continuation of a log-likelihood; repeat: which of several answers to the same question.
    """
    return digest([fingerprint, kind, prompt, asked if isinstance(asked, str) else _plain(asked), repeat])


def _plain(decoding: Decoding) -> dict[str, object]:
    """Every field, so that a new one enters the key unasked; 0 and 0.0 are one temperature."""
    numbers = {"temperature": float(decoding.temperature), "top_p": float(decoding.top_p)}
    return asdict(decoding) | numbers

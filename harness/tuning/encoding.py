"""Turns samples into tokens and labels, with the loss on the answer only.

A prompt is encoded exactly as the model under test encodes it when it answers
(`harness.models.hf`); the answer follows as tokens of its own, closed by the token that ends a turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.data.templates import PromptTemplate
from harness.exceptions import InputError
from harness.models.turns import chat_text
from harness.records import Message, Prompt, Sample

IGNORED = -100
"""Label of a token that takes no part in the loss (torch's cross-entropy ignores it)."""
_SENTINEL = "ANSWER0SENTINEL"


@dataclass(frozen=True, slots=True)
class Encoded:
    """One sample as the trainer sees it; labels are token ids where the loss counts, else -100."""

    input_ids: tuple[int, ...]
    labels: tuple[int, ...]

    @property
    def answer_tokens(self) -> int:
        """Tokens that are predicted and scored; the first token of a sequence is never predicted."""
        return sum(label != IGNORED for label in self.labels[1:])


@dataclass(frozen=True)
class SampleEncoder:
    """A tokenizer (transformers), a template, and how long a sequence may be."""

    tokenizer: Any
    template: PromptTemplate
    max_length: int
    truncation_side: str

    def encode(self, sample: Sample) -> Encoded:
        """Tokens and labels of one sample, cut to `max_length`."""
        prompt = self.template.prompt(sample)
        head = self._prompt_tokens(prompt)
        tail = self._tokens(self.template.completion(sample)) + self._end_tokens(prompt)
        tokens, labels = head + tail, [IGNORED] * len(head) + tail
        kept = (
            slice(None, self.max_length) if self.truncation_side == "right" else slice(-self.max_length, None)
        )
        return Encoded(tuple(tokens[kept]), tuple(labels[kept]))

    def _tokens(self, text: str, *, special: bool = False) -> list[int]:
        return [int(token) for token in self.tokenizer.encode(text, add_special_tokens=special)]

    def _prompt_tokens(self, prompt: Prompt) -> list[int]:
        text, special = (prompt, True) if isinstance(prompt, str) else chat_text(self.tokenizer, prompt)
        found = self._tokens(text, special=special)
        return found or [self._token("bos_token_id", "eos_token_id")]

    def _end_tokens(self, prompt: Prompt) -> list[int]:
        """Close an answer: with the chat template's own end of turn, else the end-of-text token."""
        if not isinstance(prompt, str) and self.tokenizer.chat_template is not None:
            closed, _ = chat_text(self.tokenizer, (*prompt, Message("assistant", _SENTINEL)), ask=False)
            end = closed.rpartition(_SENTINEL)[2].rstrip()
            if end:
                return self._tokens(end)
        return [self._token("eos_token_id")]

    def _token(self, *names: str) -> int:
        for name in names:
            found = getattr(self.tokenizer, name)
            if found is not None:
                return int(found)
        raise InputError(
            f"The tokenizer of this model has no {' and no '.join(names)}, which training on answers needs."
        )


def encode_samples(encoder: SampleEncoder, samples: Sequence[Sample]) -> tuple[list[Encoded], int]:
    """Return (encoded samples, how many were left out: truncation left nothing of their answer)."""
    encoded = [encoder.encode(sample) for sample in samples]
    kept = [item for item in encoded if item.answer_tokens]
    return kept, len(encoded) - len(kept)

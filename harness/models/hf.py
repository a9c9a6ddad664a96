"""A transformers model as a `Model`: local safetensors folder, optionally with a PEFT adapter.

Nothing heavy is loaded until the first request that is not stored: the fingerprint comes from the files.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.exceptions import BadValue
from harness.models.base import Decoding, GeneratedBatch, ScoredBatch
from harness.models.batches import plan_batches
from harness.models.files import files_digest, weight_files
from harness.records import Generation, LogLikelihood, Message, Prompt

if TYPE_CHECKING:
    from harness.models.scoring import EncodedPair
    from harness.models.weights import LoadedWeights, WeightsPool

_TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "vocab.json",
    "merges.txt",
    "special_tokens_map.json",
    "chat_template.jinja",
    "generation_config.json",
)


@dataclass(frozen=True)
class HfSettings:
    """How a transformers model runs."""

    dtype: str = "auto"
    """"auto" (bfloat16 where the processor multiplies it natively), "float32", "bfloat16" or "float16"."""
    device: str = "auto"
    token_budget: int = 16384
    """Most tokens (rows x longest row, answer included) in one batch."""
    max_rows: int = 64
    trust_remote_code: bool = False

    def __post_init__(self) -> None:
        if self.token_budget < 1:
            raise BadValue("token_budget", self.token_budget, "1 or more")
        if self.max_rows < 1:
            raise BadValue("max_rows", self.max_rows, "1 or more")


@dataclass(frozen=True)
class HfModel:
    """A checkpoint on disk. `folder` holds the base, `adapter` a PEFT adapter for it."""

    name: str
    folder: Path
    adapter: Path | None
    settings: HfSettings
    pool: WeightsPool

    @cached_property
    def resolved(self) -> tuple[str, str]:
        """(dtype, device) on this machine. Imports torch."""
        from harness.models.processor import resolve_device, resolve_dtype

        device = resolve_device(self.settings.device)
        return resolve_dtype(self.settings.dtype, device), device

    @property
    def dtype(self) -> str:
        """The number format the weights are loaded in."""
        return self.resolved[0]

    @cached_property
    def fingerprint(self) -> str:
        """Digest of weight files, adapter, config, tokenizer files and dtype."""
        parts = {
            "weights": files_digest([*weight_files(self.folder), self.folder / "config.json"]),
            "tokenizer": files_digest([self.folder / name for name in _TOKENIZER_FILES]),
            "adapter": self.adapter_digest,
            "dtype": self.dtype,
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    @cached_property
    def adapter_digest(self) -> str | None:
        """Digest of the adapter's weights and settings (the path of its base left out)."""
        if self.adapter is None:
            return None
        config = json.loads((self.adapter / "adapter_config.json").read_text(encoding="utf-8"))
        config.pop("base_model_name_or_path", None)
        text = json.dumps(config, sort_keys=True) + files_digest(weight_files(self.adapter))
        return hashlib.sha256(text.encode()).hexdigest()

    def with_adapter(self, adapter: Path, name: str) -> HfModel:
        """The same base with another adapter, sharing the loaded weights."""
        return replace(self, name=name, adapter=adapter)

    @property
    def weights(self) -> LoadedWeights:
        """The loaded base and tokenizer; loads them if need be."""
        dtype, device = self.resolved
        return self.pool.get(self.folder, dtype, device, trust_remote_code=self.settings.trust_remote_code)

    def render(self, prompt: Prompt) -> tuple[str, bool]:
        """The text of a prompt, and whether the tokenizer may still add its own special tokens.

        Messages go through the chat template; a tokenizer without one gets "### Role:" paragraphs.
        """
        if isinstance(prompt, str):
            return prompt, True
        tokenizer = self.weights.tokenizer
        if tokenizer.chat_template is None:
            return _plain_turns(prompt), True
        turns = [{"role": message.role, "content": message.content} for message in prompt]
        return str(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)), False

    def encode(self, prompt: Prompt) -> list[int]:
        """Token ids of a prompt."""
        text, special = self.render(prompt)
        return [int(token) for token in self.weights.tokenizer.encode(text, add_special_tokens=special)]

    def count_tokens(self, pairs: Sequence[tuple[Prompt, str]]) -> list[int]:
        """Tokens of each prompt with its answer, the end-of-text token included."""
        return [
            len(self.encode(prompt))
            + len(self.weights.tokenizer.encode(answer, add_special_tokens=False))
            + 1
            for prompt, answer in pairs
        ]

    def generate(
        self, prompts: Sequence[Prompt], decoding: Decoding, have: Collection[int] = ()
    ) -> Iterator[GeneratedBatch]:
        """See `Model.generate`. Prompts too long for the model lose their beginning."""
        if len(set(have)) >= len(prompts):
            return
        encoded = [self._fit(self.encode(prompt), decoding.max_new_tokens) for prompt in prompts]
        lengths = [len(tokens) + decoding.max_new_tokens for tokens in encoded]
        known = set(have)
        for batch in plan_batches(lengths, self.settings.token_budget, self.settings.max_rows):
            wanted = [index for index in batch if index not in known]
            if wanted:
                yield wanted, self._generate_batch([encoded[index] for index in wanted], decoding)

    def _generate_batch(self, rows: Sequence[Sequence[int]], decoding: Decoding) -> list[Generation]:
        from harness.models.generation import Generator
        from harness.models.weights import cache_layers

        model = self.weights.use(self.adapter)
        tokenizer = self.weights.tokenizer
        generator = Generator(
            model=model,
            decode=lambda tokens: str(tokenizer.decode(tokens, skip_special_tokens=True)),
            end_tokens=_end_tokens(model, tokenizer),
            pad=_pad_token(tokenizer),
            layers=cache_layers(model),
            device=self.resolved[1],
        )
        return generator.run(rows, decoding)

    def loglikelihood(
        self, pairs: Sequence[tuple[Prompt, str]], have: Collection[int] = ()
    ) -> Iterator[ScoredBatch]:
        """See `Model.loglikelihood`. A continuation's tokens are those that follow the prompt's own."""
        if len(set(have)) >= len(pairs):
            return
        encoded = [self._encode_pair(prompt, continuation) for prompt, continuation in pairs]
        known = set(have)
        for batch in plan_batches(
            [len(pair) for pair in encoded], self.settings.token_budget, self.settings.max_rows
        ):
            wanted = [index for index in batch if index not in known]
            if wanted:
                yield wanted, self._score_batch([encoded[index] for index in wanted])

    def _encode_pair(self, prompt: Prompt, continuation: str) -> EncodedPair:
        """Encode prompt and continuation together and split, as lm-eval's `_encode_pair` does.

        Spaces at the end of the prompt move to the continuation, so that the split falls between tokens.
        """
        from harness.models.scoring import EncodedPair

        tokenizer = self.weights.tokenizer
        text, special = self.render(prompt)
        spaces = len(text) - len(text.rstrip(" "))
        if spaces:
            text, continuation = text[:-spaces], text[-spaces:] + continuation
        head = tokenizer.encode(text, add_special_tokens=special)
        whole = tokenizer.encode(text + continuation, add_special_tokens=special)
        if not head:
            head = [_start_token(tokenizer)]
            whole = [*head, *whole]
        return EncodedPair(tuple(whole[: len(head)]), tuple(whole[len(head) :]))

    def _score_batch(self, pairs: Sequence[EncodedPair]) -> list[LogLikelihood]:
        from harness.models.scoring import Scorer

        model = self.weights.use(self.adapter)
        return Scorer(model, _pad_token(self.weights.tokenizer), self.resolved[1]).run(pairs)

    def _fit(self, tokens: list[int], new_tokens: int) -> list[int]:
        limit = getattr(self.weights.model.config, "max_position_embeddings", None)
        room = max(1, limit - new_tokens) if limit else len(tokens)
        kept = tokens[-room:] if len(tokens) > room else tokens
        return kept or [_start_token(self.weights.tokenizer)]


def _plain_turns(messages: Sequence[Message]) -> str:
    turns = [f"### {message.role.capitalize()}:\n{message.content}" for message in messages]
    return "\n\n".join([*turns, "### Assistant:\n"])


def _end_tokens(model: Any, tokenizer: Any) -> frozenset[int]:
    configured = getattr(model.generation_config, "eos_token_id", None)
    ids = configured if isinstance(configured, list) else [configured]
    return frozenset(int(token) for token in [*ids, tokenizer.eos_token_id] if token is not None)


def _pad_token(tokenizer: Any) -> int:
    found = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    return int(found) if found is not None else 0


def _start_token(tokenizer: Any) -> int:
    found = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    return int(found) if found is not None else 0

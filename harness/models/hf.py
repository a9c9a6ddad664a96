"""A transformers model as a `Model`: local safetensors folder, optionally with a PEFT adapter.

Nothing heavy is loaded until the first request that is not stored: the fingerprint comes from the files.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.exceptions import BadValue, FileProblem, InputError
from harness.models.base import Decoding, GeneratedBatch, ScoredBatch
from harness.models.batches import plan_batches
from harness.models.files import TOKENIZER_FILES, Stamp, files_digest, weight_files, weights_stamp
from harness.models.turns import chat_text
from harness.records import Finish, Generation, LogLikelihood, Prompt

if TYPE_CHECKING:
    from harness.models.pairs import PairEncoder
    from harness.models.scoring import EncodedPair
    from harness.models.weights import LoadedWeights, WeightsPool

_GENERATION = "generation_config.json"
CPU_ROW_BUDGET = 1024
"""Tokens that a processor scores at once: more only grow the caches' misses."""


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
    allow_pickle: bool = False
    """Read pickled weights where there are no safetensors."""

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
        """Digest of weight files, adapter, config, tokenizer files, trusted code and dtype."""
        _ = self._opened
        pickled = self.settings.allow_pickle
        code = sorted(self.folder.glob("*.py")) if self.settings.trust_remote_code else []
        parts = {
            "weights": files_digest(
                [*weight_files(self.folder, pickled=pickled), self.folder / "config.json", *code]
            ),
            "tokenizer": files_digest([self.folder / name for name in (*TOKENIZER_FILES, _GENERATION)]),
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
        for key in ("target_modules", "modules_to_save"):  # peft writes sets, whose order changes by process
            if isinstance(config.get(key), list):
                config[key] = sorted(config[key])
        files = weight_files(self.adapter, pickled=self.settings.allow_pickle)
        text = json.dumps(config, sort_keys=True) + files_digest(files)
        return hashlib.sha256(text.encode()).hexdigest()

    @cached_property
    def _opened(self) -> list[Stamp]:
        """The files' stamps when they were first looked at: the fingerprint speaks of these files alone."""
        return self._stamps()

    def _stamps(self) -> list[Stamp]:
        return [weights_stamp(folder) for folder in (self.folder, self.adapter) if folder is not None]

    def with_adapter(self, adapter: Path, name: str) -> HfModel:
        """The same base with another adapter, sharing the loaded weights."""
        return replace(self, name=name, adapter=adapter)

    @property
    def weights(self) -> LoadedWeights:
        """The loaded base and tokenizer; loads them if need be. FileProblem where the files were replaced since."""
        if self._stamps() != self._opened:
            raise FileProblem(
                self.adapter or self.folder,
                "the files of this checkpoint were replaced since it was opened; open it again.",
            )
        dtype, device = self.resolved
        return self.pool.get(
            self.folder,
            dtype,
            device,
            trust_remote_code=self.settings.trust_remote_code,
            allow_pickle=self.settings.allow_pickle,
        )

    @property
    def tokenizer(self) -> Any:
        """The tokenizer alone; no weights are loaded for it."""
        return self.pool.tokenizer(self.folder, trust_remote_code=self.settings.trust_remote_code)

    def render(self, prompt: Prompt) -> tuple[str, bool]:
        """The text of a prompt, and whether the tokenizer may still add its own special tokens.

        Messages go through the chat template; a tokenizer without one gets "### Role:" paragraphs.
        InputError where the template refuses them, as some do a system message.
        """
        if isinstance(prompt, str):
            return prompt, True
        return chat_text(self.tokenizer, prompt)

    def encode(self, prompt: Prompt) -> list[int]:
        """Token ids of a prompt; InputError where it cannot be put into tokens."""
        text, special = self.render(prompt)
        return self._tokens(text, special=special)

    def _tokens(self, text: str, *, special: bool) -> list[int]:
        try:
            return [int(token) for token in self.tokenizer.encode(text, add_special_tokens=special)]
        except (TypeError, UnicodeEncodeError) as problem:
            raise InputError("The text holds half a character (a lone surrogate): no tokens.") from problem

    def count_tokens(self, pairs: Sequence[tuple[Prompt, str]]) -> list[int]:
        """Tokens of each prompt with its answer, the end-of-text token included."""
        return [
            len(self.encode(prompt)) + len(self._tokens(answer, special=False)) + 1
            for prompt, answer in pairs
        ]

    def generate(
        self, prompts: Sequence[Prompt], decoding: Decoding, have: Collection[int] = ()
    ) -> Iterator[GeneratedBatch]:
        """See `Model.generate`. Prompts too long for the model lose their beginning, counted in `cut`.

        An answer ends where the model's longest sequence does, even if `max_new_tokens` is more.
        """
        known = set(have)
        if known.issuperset(range(len(prompts))):
            return
        longest = self._longest
        if longest and decoding.max_new_tokens >= longest:
            decoding = replace(decoding, max_new_tokens=max(1, longest - 1))
        encoded: dict[int, list[int]] = {}
        cut: dict[int, int] = {}
        for index, prompt in enumerate(prompts):
            try:
                tokens = self.encode(prompt)
                encoded[index] = self._fit(tokens, decoding.max_new_tokens, longest)
                cut[index] = max(0, len(tokens) - len(encoded[index]))
            except InputError as problem:
                if index not in known:
                    yield [index], [Generation("", 0, Finish.FAILED, str(problem))]
        lengths = {index: len(tokens) + decoding.max_new_tokens for index, tokens in encoded.items()}
        for wanted in self._batches(lengths, known):
            answers = self._generate_batch([encoded[index] for index in wanted], decoding)
            yield wanted, [replace(given, cut=cut[i]) for i, given in zip(wanted, answers, strict=True)]

    def _batches(self, lengths: Mapping[int, int], known: Collection[int]) -> Iterator[list[int]]:
        """Indices of each batch that has something left to do; planned from all, the known ones included."""
        indices = list(lengths)
        sizes = [lengths[index] for index in indices]
        for batch in plan_batches(sizes, self.settings.token_budget, self.settings.max_rows):
            wanted = [indices[slot] for slot in batch if indices[slot] not in known]
            if wanted:
                yield wanted

    def _generate_batch(self, rows: Sequence[Sequence[int]], decoding: Decoding) -> list[Generation]:
        from harness.models.generation import Generator

        weights = self.weights
        model, tokenizer = weights.use(self.adapter), weights.tokenizer
        generator = Generator(
            model=model,
            decode=lambda tokens: str(tokenizer.decode(tokens, skip_special_tokens=True)),
            end_tokens=_end_tokens(model, tokenizer, decoding.stop),
            pad=_pad_token(tokenizer),
            architecture=weights.architecture,
            device=self.resolved[1],
        )
        return generator.run(rows, decoding)

    def loglikelihood(
        self, pairs: Sequence[tuple[Prompt, str]], have: Collection[int] = ()
    ) -> Iterator[ScoredBatch]:
        """See `Model.loglikelihood`. A continuation's tokens are those that follow the prompt's own.

        Prompts too long for the model lose their beginning; a pair whose continuation alone is too long, or that
        has no tokens, fails alone.
        """
        known = set(have)
        if known.issuperset(range(len(pairs))):
            return
        encoded = self._pair_encoder().encode(pairs)
        failed = {index: pair.failure for index, pair in enumerate(encoded) if pair.failure is not None}
        new = [index for index in failed if index not in known]
        if new:
            yield new, [LogLikelihood.failed(failed[index]) for index in new]
        known.update(failed)
        if not known.issuperset(range(len(pairs))):
            yield from self._scored(encoded, known)

    def rolling(self, texts: Sequence[str], have: Collection[int] = ()) -> Iterator[ScoredBatch]:
        """Score whole texts, as (places, log-likelihoods), as soon as all windows of a text are done.

        `have` as in `loglikelihood`. A text of no tokens has probability 1.
        """
        known = set(have)
        if known.issuperset(range(len(texts))):
            return
        encoder = self._pair_encoder()
        windows = [encoder.windows(text) for text in texts]
        owner = [place for place, pairs in enumerate(windows) for _ in pairs]
        left = {place: len(pairs) for place, pairs in enumerate(windows) if place not in known}
        sums = dict.fromkeys(left, LogLikelihood(0.0, greedy=True, tokens=0))
        empty = [place for place, count in left.items() if not count]
        if empty:
            yield empty, [sums[place] for place in empty]
        skipped = {i for i, place in enumerate(owner) if place in known}
        for indices, values in self._scored([pair for pairs in windows for pair in pairs], skipped):
            done = []
            for index, value in zip(indices, values, strict=True):
                place = owner[index]
                both, left[place] = sums[place], left[place] - 1
                greedy = both.greedy and value.greedy
                sums[place] = LogLikelihood(both.value + value.value, greedy, both.tokens + value.tokens)
                done += [place] if left[place] == 0 else []
            if done:
                yield done, [sums[place] for place in done]

    def _scored(self, encoded: Sequence[EncodedPair], known: Collection[int]) -> Iterator[ScoredBatch]:
        if self.weights.fits_tree(self.adapter, self.resolved[1]):
            yield from self._on_the_tree(encoded, known)
        else:
            for wanted in self._batches(dict(enumerate(map(len, encoded))), known):
                yield wanted, self._score_batch([encoded[index] for index in wanted])

    def _pair_encoder(self) -> PairEncoder:
        from harness.models.pairs import PairEncoder

        tokenizer = self.tokenizer
        return PairEncoder(tokenizer, self.render, _start_token(tokenizer), self._longest, self.name)

    def _on_the_tree(self, encoded: Sequence[EncodedPair], known: Collection[int]) -> Iterator[ScoredBatch]:
        from harness.models.scoring import EncodedPair
        from harness.models.tree_batches import score_tree
        from harness.models.tree_scoring import TreeScorer

        weights, device = self.weights, self.resolved[1]
        scorer = TreeScorer.of(weights.use(self.adapter), _pad_token(weights.tokenizer), device)
        budget = (
            self.settings.token_budget if device != "cpu" else min(CPU_ROW_BUDGET, self.settings.token_budget)
        )
        diverged: bool | None = None
        for indices, values in score_tree(scorer, encoded, known, budget):
            sound = list(values)
            broken = [place for place, value in enumerate(values) if not math.isfinite(value.value)]
            if broken and diverged is None:
                start = (_start_token(weights.tokenizer),)
                [least] = self._score_batch([EncodedPair(start, start)])
                diverged = not math.isfinite(least.value)
            # masked numbers are multiplied by 0, which NaN survives: it spreads to its neighbours in a batch of the
            # tree, so that each is asked again alone, but for a model that never returns anything else
            for place in [] if diverged else broken:
                [sound[place]] = self._score_batch([encoded[indices[place]]])
            yield indices, sound

    def _score_batch(self, pairs: Sequence[EncodedPair]) -> list[LogLikelihood]:
        from harness.models.scoring import Scorer

        weights = self.weights
        model = weights.use(self.adapter)
        return Scorer(model, _pad_token(weights.tokenizer), weights.architecture, self.resolved[1]).run(pairs)

    @property
    def _longest(self) -> int | None:
        """Most tokens the model takes, None where it does not say; virtual ones take their room from it."""
        from harness.models.virtual import virtual_tokens

        weights = self.weights
        longest = weights.architecture.longest
        return longest and max(1, longest - virtual_tokens(weights.use(self.adapter)))

    def _fit(self, tokens: list[int], new_tokens: int, longest: int | None) -> list[int]:
        room = max(1, longest - new_tokens) if longest else len(tokens)
        kept = tokens[-room:] if len(tokens) > room else tokens
        return kept or [_start_token(self.tokenizer)]


def _end_tokens(model: Any, tokenizer: Any, stops: Sequence[str]) -> frozenset[int]:
    """Ids that end an answer: the model's, the tokenizer's, and special tokens among the stop strings.

    Special tokens leave no trace in the decoded text, so they would not be found there.
    """
    configured = getattr(model.generation_config, "eos_token_id", None)
    ids = configured if isinstance(configured, list) else [configured]
    added = tokenizer.added_tokens_decoder.items()
    asked = [token for token, shape in added if shape.special and shape.content in stops]
    return frozenset(int(token) for token in [*ids, tokenizer.eos_token_id, *asked] if token is not None)


def _pad_token(tokenizer: Any) -> int:
    found = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    return int(found) if found is not None else 0


def _start_token(tokenizer: Any) -> int:
    found = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    return int(found) if found is not None else 0

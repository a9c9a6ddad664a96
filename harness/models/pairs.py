"""Turns prompt and continuation pairs into tokens, as lm-eval does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.exceptions import InputError
from harness.models.scoring import EncodedPair
from harness.records import Prompt

_AT_ONCE = 512
"""Texts that go to the tokenizer in one call."""


@dataclass(frozen=True)
class PairEncoder:
    """Encodes with a transformers tokenizer.

    render: a prompt as (text, whether the tokenizer adds its special tokens); start: the token that stands for
    an empty prompt; longest: most tokens the model takes, None if it does not say; name: the model's, for
    sentences.
    """

    tokenizer: Any
    render: Callable[[Prompt], tuple[str, bool]]
    start: int
    longest: int | None
    name: str

    def encode(self, pairs: Sequence[tuple[Prompt, str]]) -> list[EncodedPair]:
        """Encode prompt and continuation together and split where the prompt alone ends (lm-eval's `_encode_pair`).

        White space at the end of the prompt moves to the continuation, so that the split falls between tokens.
        A prompt that is too long for the model loses its beginning; InputError where a continuation alone is.
        """
        rendered = {prompt: self.render(prompt) for prompt, _ in pairs}
        texts: dict[tuple[str, bool], list[int]] = {}
        for prompt, continuation in pairs:
            text, special = rendered[prompt]
            texts[text.rstrip(), special] = texts[text + continuation, special] = []
        self._fill(texts)
        return [self._pair(rendered[prompt], continuation, texts) for prompt, continuation in pairs]

    def windows(self, text: str) -> list[EncodedPair]:
        """Cut a whole text into pairs that together score every token of it once (lm-eval's rolling windows).

        The first token follows `start`. Where the text is longer than the model takes, each further window begins
        with the last token of the one before, the last window with as many more as it has room for.
        """
        tokens = tuple(self._tokens([text], special=True)[0])
        return rolling_windows(tokens, self.start, self.longest or len(tokens))

    def _fill(self, texts: dict[tuple[str, bool], list[int]]) -> None:
        for special in (False, True):
            chosen = [key for key in texts if key[1] is special]
            for first in range(0, len(chosen), _AT_ONCE):
                keys = chosen[first : first + _AT_ONCE]
                texts.update(zip(keys, self._tokens([text for text, _ in keys], special), strict=True))

    def _tokens(self, texts: Sequence[str], special: bool) -> list[list[int]]:
        try:
            found: list[list[int]] = self.tokenizer(list(texts), add_special_tokens=special)["input_ids"]
        except (TypeError, UnicodeEncodeError) as problem:
            raise InputError("The text holds half a character (a lone surrogate): no tokens.") from problem
        return found

    def _pair(
        self, rendered: tuple[str, bool], continuation: str, texts: Mapping[tuple[str, bool], list[int]]
    ) -> EncodedPair:
        text, special = rendered
        bare = text.rstrip()
        head, whole = texts[bare, special], texts[text + continuation, special]
        if not head:
            head = [self.start]
            whole = [*head, *whole]
        if not continuation:
            whole = head
        elif len(whole) <= len(head):  # prompt and continuation grew into one token
            whole = [*head, *self._tokens([text[len(bare) :] + continuation], special=False)[0]]
        scored = tuple(whole[len(head) :])
        if self.longest and len(scored) > self.longest:
            raise InputError(
                f"A continuation has {len(scored):,} tokens, but the model {self.name!r} takes at most "
                f"{self.longest:,}."
            )
        room = self.longest + 1 - len(scored) if self.longest else len(head)
        return EncodedPair(tuple(whole[: len(head)][-room:]), scored)


def rolling_windows(tokens: Sequence[int], start: int, longest: int) -> list[EncodedPair]:
    """Windows of at most `longest` tokens in which each of `tokens` is predicted exactly once."""
    pairs = []
    done = 0
    while done < len(tokens):
        end = min(done + longest, len(tokens))
        before = tuple(tokens[max(0, end - longest - 1) : done]) if done else (start,)
        pairs.append(EncodedPair(before, tuple(tokens[done:end])))
        done = end
    return pairs

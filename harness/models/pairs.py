"""Turns prompt and continuation pairs into tokens, as lm-eval does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from harness.exceptions import InputError
from harness.models.scoring import EncodedPair
from harness.records import Prompt

_AT_ONCE = 512
"""Texts that go to the tokenizer in one call."""
_Texts: TypeAlias = dict[tuple[str, bool], list[int] | InputError]
"""Token ids by text and whether special tokens are added, or why there are none."""


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
        A prompt that is too long for the model loses its beginning. Where a continuation alone is too long, or a
        text cannot be put into tokens, the pair has a `failure`.
        """
        rendered: dict[Prompt, tuple[str, bool] | InputError] = {}
        for prompt in dict.fromkeys(prompt for prompt, _ in pairs):
            try:
                rendered[prompt] = self.render(prompt)
            except InputError as problem:
                rendered[prompt] = problem
        texts: _Texts = {}
        for prompt, continuation in pairs:
            found = rendered[prompt]
            if not isinstance(found, InputError):
                texts[found[0].rstrip(), found[1]] = texts[found[0] + continuation, found[1]] = []
        self._fill(texts)
        return [self._checked(rendered[prompt], continuation, texts) for prompt, continuation in pairs]

    def windows(self, text: str) -> list[EncodedPair]:
        """Cut a whole text into pairs that together score every token of it once (lm-eval's rolling windows).

        The first token follows `start`. Where the text is longer than the model takes, each further window begins
        with the last token of the one before, the last window with as many more as it has room for. InputError
        where the text cannot be put into tokens.
        """
        tokens = tuple(self._tokens([text], special=True)[0])
        return rolling_windows(tokens, self.start, self.longest or len(tokens))

    def _fill(self, texts: _Texts) -> None:
        for special in (False, True):
            chosen = [key for key in texts if key[1] is special]
            for first in range(0, len(chosen), _AT_ONCE):
                keys = chosen[first : first + _AT_ONCE]
                try:
                    texts.update(zip(keys, self._tokens([text for text, _ in keys], special), strict=True))
                except InputError:
                    texts.update((key, self._alone(*key)) for key in keys)

    def _alone(self, text: str, special: bool) -> list[int] | InputError:
        try:
            return self._tokens([text], special)[0]
        except InputError as problem:
            return problem

    def _tokens(self, texts: Sequence[str], special: bool) -> list[list[int]]:
        try:
            found: list[list[int]] = self.tokenizer(list(texts), add_special_tokens=special)["input_ids"]
        except (TypeError, UnicodeEncodeError) as problem:
            raise InputError("The text holds half a character (a lone surrogate): no tokens.") from problem
        return found

    def _checked(
        self, rendered: tuple[str, bool] | InputError, continuation: str, texts: _Texts
    ) -> EncodedPair:
        try:
            if isinstance(rendered, InputError):
                raise rendered
            return self._pair(rendered, continuation, texts)
        except InputError as problem:
            return EncodedPair((), (), str(problem))

    def _pair(self, rendered: tuple[str, bool], continuation: str, texts: _Texts) -> EncodedPair:
        text, special = rendered
        bare = text.rstrip()
        head, whole = texts[bare, special], texts[text + continuation, special]
        if isinstance(head, InputError):
            raise head
        if isinstance(whole, InputError):
            raise whole
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

"""Reads what OpenAI-compatible servers answer: JSON objects in, generations and log-likelihoods out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from harness.records import Finish, Generation, LogLikelihood

_FINISHES = {
    "stop": Finish.STOP,
    "eos": Finish.STOP,
    "eos_token": Finish.STOP,
    "stop_sequence": Finish.STOP,
    "length": Finish.LENGTH,
    "content_filter": Finish.REFUSED,
}
"""OpenAI's names and those of text-generation-inference."""


class BadReply(Exception):
    """The server's answer lacks what it must have; str() is the reason."""


class EchoUnsupported(Exception):
    """The server does not return the log-probabilities of the prompt; str() says what is missing."""


def read_chat(reply: Mapping[str, Any]) -> Generation:
    """Read an answer of `chat/completions`; a refusal's text is the generation's."""
    choice = _choice(reply)
    message = choice.get("message")
    if not isinstance(message, dict):
        raise BadReply("the answer has no message")
    refusal = message.get("refusal")
    if isinstance(refusal, str) and refusal:
        return Generation(refusal, _tokens(reply), Finish.REFUSED)
    return _generation(reply, choice, message.get("content"))


def read_completion(reply: Mapping[str, Any]) -> Generation:
    """Read an answer of `completions`."""
    choice = _choice(reply)
    return _generation(reply, choice, choice.get("text"))


def read_echo(reply: Mapping[str, Any], prompt: str, continuation: str) -> LogLikelihood:
    """Sum the log-probabilities of the continuation's tokens in an echoed completion.

    A token counts when it ends behind the prompt's last character and starts before the continuation's end,
    so a token across the border belongs to the continuation, and what was generated behind it does not.
    `text_offset` must count characters from the start of the prompt, as OpenAI, vLLM and SGLang do.
    """
    choice = _choice(reply)
    logprobs = choice.get("logprobs")
    if not isinstance(logprobs, dict):
        raise EchoUnsupported("its answer has no logprobs")
    text = choice.get("text")
    if not isinstance(text, str) or not text.startswith(prompt + continuation):
        raise EchoUnsupported("its answer does not begin with the prompt")
    values = _column(logprobs, "token_logprobs")
    offsets = _column(logprobs, "text_offset")
    best = _column(logprobs, "top_logprobs")
    if not len(values) == len(offsets) == len(best):
        raise BadReply("the columns of the answer's logprobs differ in length")
    end = len(prompt) + len(continuation)
    behind = [*offsets[1:], len(text)]
    scored = [
        index
        for index, start in enumerate(offsets)
        if (start >= len(prompt) or behind[index] > len(prompt)) and start < end
    ]
    if any(values[index] is None for index in scored):
        raise EchoUnsupported("it gives no log-probability for some token of the continuation")
    return LogLikelihood(
        value=float(sum(values[index] for index in scored)),
        greedy=all(values[index] >= max((best[index] or {}).values(), default=0.0) for index in scored),
        tokens=len(scored),
    )


def cut_at_stops(generation: Generation, stops: Sequence[str]) -> Generation:
    """End a text at its first stop string: some servers keep it, some take only a few."""
    places = [place for stop in stops if stop and (place := generation.text.find(stop)) >= 0]
    if not places or generation.finish not in {Finish.STOP, Finish.LENGTH}:
        return generation
    return replace(generation, text=generation.text[: min(places)], finish=Finish.STOP)


def _generation(reply: Mapping[str, Any], choice: Mapping[str, Any], text: object) -> Generation:
    given = choice.get("finish_reason")
    finish = _FINISHES.get(given) if isinstance(given, str) else None
    if finish is None:
        return Generation("", 0, Finish.FAILED, f"the server ended with finish_reason {given!r}")
    if text is None and finish is Finish.REFUSED:
        text = ""
    if not isinstance(text, str):
        raise BadReply("the answer has no text")
    return Generation(text, _tokens(reply), finish)


def _choice(reply: Mapping[str, Any]) -> Mapping[str, Any]:
    choices = reply.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise BadReply("the answer has no choices")
    return choices[0]


def _tokens(reply: Mapping[str, Any]) -> int:
    usage = reply.get("usage")
    count = usage.get("completion_tokens") if isinstance(usage, dict) else None
    return count if isinstance(count, int) else 0


def _column(logprobs: Mapping[str, Any], name: str) -> list[Any]:
    column = logprobs.get(name)
    if not isinstance(column, list):
        raise EchoUnsupported(f"its logprobs have no {name}")
    return column

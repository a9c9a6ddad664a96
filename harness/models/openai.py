"""Any OpenAI-compatible server as a model, through the `openai` client (extra `openai`).

Requests go out from a few threads at once: this is the one place in the harness that uses threads. A request
that fails for a passing reason (429, 5xx, time-out, cut connection, an answer that is no JSON) is tried again
with exponential backoff; one that still fails becomes a failed generation, and the others go on.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, TypeVar

from harness.exceptions import BadValue, InputError, MissingExtra, StageFailed, UnknownName
from harness.models.base import Decoding, GeneratedBatch, ScoredBatch
from harness.models.digest import digest
from harness.models.openai_replies import (
    BadReply,
    EchoUnsupported,
    cut_at_stops,
    read_chat,
    read_completion,
    read_echo,
)
from harness.records import Finish, Generation, LogLikelihood, Message, Prompt

T = TypeVar("T")

_PASSING_STATUS = frozenset({408, 409, 425, 429})
"""Besides all from 500 on: the statuses worth another try."""
_MOST_STOPS = 4
"""OpenAI's own servers refuse more stop strings; the others are cut off here."""
_LONGEST_PAUSE = 60.0
_CHECK_SECONDS = 10.0


class ServerProblem(InputError):
    """The server cannot be used at all; noticed before work starts."""

    def __init__(self, base_url: str, problem: str) -> None:
        super().__init__(f"The server at {base_url} {problem}")


class _Failure(Exception):
    """One request failed for good; str() is the reason."""


@dataclass(frozen=True, eq=False)
class OpenAIModel:
    """A model behind an OpenAI-compatible server.

    The fingerprint is the digest of base_url, model name and the settings that change an answer. It cannot
    see the weights: a server that serves other weights under the same name needs `revision` changed, or
    stored answers of the old ones are reused. Token counts are the server's (`usage`), 0 where it sends none.
    """

    base_url: str
    """For example "http://localhost:8000/v1"."""
    model: str
    """The name under which the server knows it."""
    api_key_env: str | None = "OPENAI_API_KEY"
    """Environment variable that holds the key; None for a server that asks for none."""
    plain_as: str = "completions"
    """Where plain text prompts go: "completions", or "chat" as one user turn."""
    limit_name: str = "max_tokens"
    """What the server calls the limit: "max_tokens", or "max_completion_tokens" for OpenAI's newer models."""
    concurrency: int = 8
    """Requests under way at once."""
    retries: int = 4
    """Further tries after the first."""
    timeout: float = 120.0
    """Seconds one try may take."""
    backoff: float = 0.5
    """Seconds before the first retry; doubles with each, up to a minute. A Retry-After is obeyed."""
    revision: str = ""
    """Free text that enters the fingerprint."""

    def __post_init__(self) -> None:
        if not self.base_url.startswith(("http://", "https://")):
            raise BadValue("base_url", self.base_url, "an http:// or https:// address")
        if not self.model:
            raise BadValue("model", self.model, "the name of a model of the server")
        if self.plain_as not in {"completions", "chat"}:
            raise UnknownName("value of plain_as", self.plain_as, ("completions", "chat"))
        if self.limit_name not in {"max_tokens", "max_completion_tokens"}:
            raise UnknownName("value of limit_name", self.limit_name, ("max_tokens", "max_completion_tokens"))
        if self.concurrency < 1:
            raise BadValue("concurrency", self.concurrency, "1 or more")
        if self.retries < 0:
            raise BadValue("retries", self.retries, "0 or more")
        if self.timeout <= 0:
            raise BadValue("timeout", self.timeout, "more than 0 seconds")
        if self.backoff < 0:
            raise BadValue("backoff", self.backoff, "0 or more seconds")

    @property
    def name(self) -> str:
        """The server's name for the model."""
        return self.model

    @cached_property
    def fingerprint(self) -> str:
        """Digest of address, model name and settings; see the class for what it cannot see."""
        return digest(["openai", self.base_url.rstrip("/"), self.model, self.plain_as, self.revision])

    def check(self) -> None:
        """See that package, key and server are there: ServerProblem, MissingExtra or InputError if not."""
        with self._client() as client:
            self._check(client)

    def generate(
        self, prompts: Sequence[Prompt], decoding: Decoding, have: Collection[int] = ()
    ) -> Iterator[GeneratedBatch]:
        """Answer every prompt; batches are consecutive groups of four times `concurrency` prompts.

        Raises as `check` before the first request, and StageFailed when a whole batch fails and the server
        turns out to be gone.
        """

        def one(ask: _Ask, index: int) -> Generation:
            try:
                return cut_at_stops(ask(*self._question(prompts[index], decoding)), decoding.stop)
            except _Failure as failure:
                return Generation("", 0, Finish.FAILED, str(failure))

        for batch, generations in self._batches(len(prompts), have, one):
            if all(generation.finish is Finish.FAILED for generation in generations):
                self._still_there()
            yield batch, generations

    def loglikelihood(
        self, pairs: Sequence[tuple[Prompt, str]], have: Collection[int] = ()
    ) -> Iterator[ScoredBatch]:
        """Score every pair through completions with `echo` and `logprobs`, batched as in `generate`.

        Raises InputError for prompts that are messages and for a server that does not echo, StageFailed for a
        request that fails for good: unlike a generation, a log-likelihood has no way to say so.
        """
        for prompt, _ in pairs:
            if not isinstance(prompt, str):
                raise InputError(
                    "Log-likelihoods of chat prompts cannot be had from an OpenAI-compatible server; "
                    "use a plain text template or another kind of model."
                )
            if not prompt:
                raise InputError(
                    "An OpenAI-compatible server cannot score what follows an empty prompt; give it a prompt."
                )

        def one(ask: _Ask, index: int) -> LogLikelihood:
            prompt, continuation = str(pairs[index][0]), pairs[index][1]
            settings = {"prompt": prompt + continuation, "max_tokens": 1, "temperature": 0.0}
            try:
                return ask(
                    "completions",
                    settings | {"echo": True, "logprobs": 1},
                    partial(read_echo, prompt=prompt, continuation=continuation),
                )
            except EchoUnsupported as problem:
                raise ServerProblem(
                    self.base_url,
                    f"gives no log-likelihoods ({problem}); they need completions with echo and logprobs.",
                ) from problem
            except _Failure as failure:
                raise StageFailed("Scoring", f"{failure}.", "Run the same command again.") from failure

        yield from self._batches(len(pairs), have, one)

    def _question(
        self, prompt: Prompt, decoding: Decoding
    ) -> tuple[str, dict[str, Any], Callable[[Mapping[str, Any]], Generation]]:
        """End point, request and reader of one prompt."""
        settings: dict[str, Any] = {
            self.limit_name: decoding.max_new_tokens,
            "temperature": decoding.temperature,
            "top_p": decoding.top_p,
            "seed": decoding.seed,
        }
        if decoding.stop:
            settings["stop"] = list(decoding.stop[:_MOST_STOPS])
        if isinstance(prompt, str):
            if self.plain_as == "completions":
                # The completions end point knows only the older name of the limit.
                settings["max_tokens"] = settings.pop(self.limit_name)
                return "completions", settings | {"prompt": prompt}, read_completion
            prompt = (Message("user", prompt),)
        messages = [{"role": message.role, "content": message.content} for message in prompt]
        return "chat/completions", settings | {"messages": messages}, read_chat

    def _batches(
        self, count: int, have: Collection[int], one: Callable[[_Ask, int], T]
    ) -> Iterator[tuple[Sequence[int], Sequence[T]]]:
        """Run the planned groups one after another, the requests of a group at once."""
        done = set(have)
        size = 4 * self.concurrency
        groups = [
            [index for index in range(start, min(start + size, count)) if index not in done]
            for start in range(0, count, size)
        ]
        if not any(groups):
            return
        stop = threading.Event()
        with self._client() as client:
            self._check(client)
            pool = ThreadPoolExecutor(self.concurrency, thread_name_prefix="harness-openai")
            try:
                for group in filter(None, groups):
                    yield group, list(pool.map(partial(one, _Ask(self, client, stop)), group))
            finally:
                # After Ctrl-C or a failure nothing that waits is begun, and nothing is tried again.
                stop.set()
                pool.shutdown(cancel_futures=True)

    def _still_there(self) -> None:
        """Stop the stage if a failed batch means that the server is gone or the key is no longer taken."""
        try:
            self.check()
        except InputError as problem:
            raise StageFailed("Generation", str(problem), "Run the same command again.") from problem

    def _check(self, client: Any) -> None:
        import openai

        try:
            client.with_options(timeout=_CHECK_SECONDS).models.with_raw_response.list()
        except (openai.AuthenticationError, openai.PermissionDeniedError) as problem:
            given = f"the key in {self.api_key_env}" if self.api_key_env else "a request without a key"
            raise ServerProblem(
                self.base_url, f"does not accept {given} (HTTP {problem.status_code})."
            ) from problem
        except openai.APIStatusError:
            return  # it answers: not every server can list its models
        except openai.APIConnectionError as problem:
            reason = problem.__cause__ or problem
            raise ServerProblem(self.base_url, f"cannot be reached ({reason}).") from problem

    def _client(self) -> contextlib.AbstractContextManager[Any]:
        """Open a client of its own for each call, so that closing one disturbs no other."""
        try:
            import openai
        except ImportError as problem:
            raise MissingExtra("The model kind 'openai'", "openai", "openai") from problem
        key = "none" if self.api_key_env is None else os.environ.get(self.api_key_env, "")
        if not key:
            raise InputError(
                f"The environment variable {self.api_key_env} is not set; it must hold the API key of "
                f"{self.base_url}. For a server without keys set api_key_env to null."
            )
        client: contextlib.AbstractContextManager[Any] = openai.OpenAI(
            api_key=key, base_url=self.base_url, timeout=self.timeout, max_retries=0
        )
        return client


@dataclass(frozen=True, slots=True)
class _Ask:
    """Sends one request until it succeeds, fails for good, or `stop` is set."""

    model: OpenAIModel
    client: Any
    stop: threading.Event

    def __call__(self, path: str, body: Mapping[str, Any], read: Callable[[Mapping[str, Any]], T]) -> T:
        tries = self.model.retries + 1
        reason = ""
        for attempt in range(tries):
            wanted = 0.0
            try:
                return read(self._send(path, body))
            except BadReply as problem:
                reason = str(problem)
            except _PassingError as problem:
                reason, wanted = str(problem), problem.wait
            if attempt + 1 < tries:
                _pause(self.stop, min(max(self.model.backoff * 2**attempt, wanted), _LONGEST_PAUSE))
            if self.stop.is_set():
                break
        raise _Failure(f"{reason} after {attempt + 1} {'try' if attempt == 0 else 'tries'}")

    def _send(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        import openai

        try:
            reply = self.client.post(f"/{path}", cast_to=str, body={"model": self.model.model, **body})
        except UnicodeEncodeError as problem:
            raise _Failure("the prompt holds a lone surrogate, which cannot be sent") from problem
        except openai.APITimeoutError as problem:
            raise _PassingError(f"no answer within {self.model.timeout:g} s") from problem
        except openai.APIConnectionError as problem:
            raise _PassingError(f"connection lost ({problem.__cause__ or problem})") from problem
        except openai.APIStatusError as problem:
            reason = f"HTTP {problem.status_code}: {problem.message}"
            if problem.status_code >= 500 or problem.status_code in _PASSING_STATUS:
                raise _PassingError(reason, _retry_after(problem.response.headers)) from problem
            raise _Failure(reason) from problem
        try:
            value = json.loads(reply)
        except ValueError as problem:
            raise BadReply(f"the answer is not JSON: {reply[:80]!r}") from problem
        if not isinstance(value, dict):
            raise BadReply(f"the answer is not a JSON object: {reply[:80]!r}")
        return value


class _PassingError(Exception):
    """One try failed for a reason that may pass; `wait` is what the server asked for, in seconds."""

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait


def _retry_after(headers: Mapping[str, str]) -> float:
    """Seconds of a Retry-After header, 0 where there is none or it is a date."""
    try:
        return max(0.0, float(headers.get("retry-after", "0")))
    except ValueError:
        return 0.0


def _pause(stop: threading.Event, seconds: float) -> None:
    """Wait before the next try, or until the work is stopped."""
    stop.wait(seconds)

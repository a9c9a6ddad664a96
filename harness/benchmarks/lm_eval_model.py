"""Any language model of lm-eval as a model here: `lm_eval:<name>[:key=value,...]`.

This module is the only place that imports lm_eval, and it does so when a model is first asked. vLLM, SGLang
and every other backend of lm-eval come with it. What it does not do: sampling (lm-eval's backends take no
seed, so a rerun could not be equal) and rolling log-likelihoods.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Self

from harness.exceptions import BadValue, InputError, MissingExtra, UnknownName
from harness.models.base import Decoding, GeneratedBatch, ScoredBatch
from harness.models.digest import digest
from harness.records import Finish, Generation, LogLikelihood, Prompt

PREFIX = "lm_eval"
_PURPOSE = "The model kind 'lm_eval'"


@dataclass(frozen=True, eq=False)
class LmEvalModel:
    """A model of lm-eval 0.4.13 or later, made when it is first asked.

    The fingerprint is the digest of lm-eval's version, the backend's name, its arguments in any order, and
    names, sizes and times of the files of every argument that is a file or folder. It cannot see weights on a
    hub or behind a server, nor the backend's own version: after a change there use another workspace or
    `--no-store`.
    """

    backend: str
    """lm-eval's name: "hf", "vllm", "local-completions", ..."""
    arguments: str = ""
    """As on lm-eval's command line: "key=value,key=value"."""
    batch_size: int = 64
    """Requests handed over at once; the backend forms its own, smaller batches. Not for its memory's sake but
    for storing: after a kill at most this many are asked again."""

    def __post_init__(self) -> None:
        if not self.backend:
            raise BadValue("backend", self.backend, "the name of a model of lm-eval, such as 'hf'")
        if self.batch_size < 1:
            raise BadValue("batch_size", self.batch_size, "1 or more")
        for part in filter(None, self.arguments.split(",")):
            if "=" not in part:
                raise BadValue("an argument of the lm_eval model", part, "written as key=value")

    @classmethod
    def from_spec(cls, spec: str) -> Self:
        """Read `lm_eval:<name>[:key=value,...]`; values may hold colons and equals signs, but no commas."""
        prefix, _, rest = spec.partition(":")
        backend, _, arguments = rest.partition(":")
        if prefix != PREFIX or not backend:
            raise BadValue("model", spec, "written as lm_eval:<name>[:key=value,...]")
        return cls(backend, arguments)

    @property
    def name(self) -> str:
        """The spec that makes this model."""
        return ":".join(part for part in (PREFIX, self.backend, self.arguments) if part)

    @cached_property
    def fingerprint(self) -> str:
        """See the class; reads no weights and does not import lm_eval."""
        try:
            release = version("lm_eval")
        except PackageNotFoundError as problem:
            raise MissingExtra(_PURPOSE, "lm_eval", "lm-eval") from problem
        pairs = sorted(part.partition("=")[::2] for part in self.arguments.split(",") if part)
        return digest([PREFIX, release, self.backend, pairs, [_files(value) for _, value in pairs]])

    @cached_property
    def lm(self) -> Any:
        """The `lm_eval.api.model.LM`; UnknownName, MissingExtra or InputError where it cannot be made."""
        try:
            # Registers the built-in backends. get_model does so only while nothing at all is registered, so a
            # plugin that was imported first would hide them.
            import lm_eval.models  # noqa: F401 - for what the import does
            from lm_eval.api.registry import get_model, model_registry
        except ImportError as problem:
            raise MissingExtra(_PURPOSE, "lm_eval", "lm-eval") from problem
        if self.backend not in model_registry:
            raise UnknownName("lm_eval model", self.backend, model_registry.keys())
        try:
            return get_model(self.backend).create_from_arg_string(self.arguments)
        except ImportError as problem:
            raise InputError(
                f"The lm_eval model {self.backend!r} needs a package that is not installed: {problem}."
            ) from problem
        except (TypeError, ValueError, OSError, AssertionError) as problem:
            raise InputError(f"The lm_eval model {self.name!r} cannot be made: {problem}") from problem

    def check(self) -> None:
        """Make the model now, so that a wrong name or argument is noticed before work starts."""
        _ = self.lm

    def generate(
        self, prompts: Sequence[Prompt], decoding: Decoding, have: Collection[int] = ()
    ) -> Iterator[GeneratedBatch]:
        """Answer through `generate_until`, in consecutive batches; what the backend raises is passed on.

        lm-eval returns bare text. Tokens are counted by tokenising it again, 0 where the backend has no
        tokenizer, and a count that reaches the limit is taken for Finish.LENGTH.
        """
        if decoding.temperature > 0:
            raise BadValue(
                "temperature", decoding.temperature, "0 for lm_eval models, whose backends take no seed"
            )
        settings = {
            "until": list(decoding.stop),
            "max_gen_toks": decoding.max_new_tokens,
            "do_sample": False,
            "temperature": 0.0,
        }
        for batch in self._planned(len(prompts), have):
            requests = [(self._text(prompts[index]), dict(settings)) for index in batch]
            texts = self._run("generate_until", self.lm.generate_until, requests)
            yield batch, [self._generation(text, decoding) for text in texts]

    def loglikelihood(
        self, pairs: Sequence[tuple[Prompt, str]], have: Collection[int] = ()
    ) -> Iterator[ScoredBatch]:
        """Score through the backend's `loglikelihood`, in consecutive batches."""
        for batch in self._planned(len(pairs), have):
            requests = [(self._text(pairs[index][0]), pairs[index][1]) for index in batch]
            values = self._run("loglikelihood", self.lm.loglikelihood, requests)
            yield (
                batch,
                [
                    LogLikelihood(float(value), bool(greedy), self._count(continuation))
                    for (value, greedy), (_, continuation) in zip(values, requests, strict=True)
                ],
            )

    def _planned(self, count: int, have: Collection[int]) -> Iterator[list[int]]:
        done = set(have)
        for start in range(0, count, self.batch_size):
            planned = range(start, min(start + self.batch_size, count))
            batch = [index for index in planned if index not in done]
            if batch:
                yield batch

    def _text(self, prompt: Prompt) -> Any:
        """Put messages through the backend's chat template; some backends return no text."""
        if isinstance(prompt, str):
            return prompt
        history = [{"role": message.role, "content": message.content} for message in prompt]
        try:
            return self.lm.apply_chat_template(history, add_generation_prompt=True)
        except NotImplementedError as problem:
            raise InputError(
                f"The lm_eval model {self.backend!r} has no chat template; use a plain text template."
            ) from problem

    def _run(
        self, kind: str, verb: Callable[..., Sequence[Any]], requests: Sequence[tuple[str, Any]]
    ) -> Sequence[Any]:
        from lm_eval.api.instance import Instance

        instances = [Instance(kind, {}, request, index) for index, request in enumerate(requests)]
        # A bar for each batch would fill the terminal.
        return verb(instances, **_accepted(verb, disable_tqdm=True))

    def _generation(self, text: str, decoding: Decoding) -> Generation:
        places = [place for stop in decoding.stop if stop and (place := text.find(stop)) >= 0]
        text = text[: min(places)] if places else text
        tokens = self._count(text)
        cut = not places and tokens >= decoding.max_new_tokens
        return Generation(text, tokens, Finish.LENGTH if cut else Finish.STOP)

    def _count(self, text: str) -> int:
        encode = getattr(self.lm, "tok_encode", None)
        tokens = [] if encode is None else encode(text, **_accepted(encode, add_special_tokens=False))
        # Backends of servers give back the text itself where they have no tokenizer.
        return sum(isinstance(token, int) for token in tokens)


def _accepted(function: Callable[..., Any], **settings: object) -> dict[str, object]:
    """Return those settings that a backend's function takes by name: they differ from backend to backend."""
    return {key: value for key, value in settings.items() if key in inspect.signature(function).parameters}


def _files(value: str) -> list[list[object]]:
    """Return what shows that a local file or folder has changed: relative paths, sizes, times of change."""
    if not value:
        return []
    try:
        root = Path(value)
        files = [root] if root.is_file() else sorted(path for path in root.rglob("*") if path.is_file())
        return [[str(path.relative_to(root)), path.stat().st_size, path.stat().st_mtime_ns] for path in files]
    except OSError:
        return []  # no path at all: too long, or a name this system does not allow

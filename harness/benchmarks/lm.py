"""Any model of the harness as a language model of lm-eval.

`HarnessLM` serves all three kinds of request and can be handed to lm-eval itself:
`lm_eval.simple_evaluate(model=HarnessLM(model), tasks=[...])`. Importing this module imports lm_eval.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jinja2 import TemplateError
from lm_eval.api.model import TemplateLM

from harness.benchmarks.rolling import roll
from harness.exceptions import BadValue, InputError
from harness.models.base import Decoding, Model
from harness.progress import Progress, silent
from harness.records import Generation, LogLikelihood
from harness.store.base import NoStore, Storage
from harness.store.cached import answer, score_pairs

MAX_GEN_TOKS = 256
"""Most tokens of an answer where the task does not say: HFLM's own default."""
_LENGTHS = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")
_KNOWN = {*_LENGTHS, "until", "do_sample", "temperature", "top_p"}


class HarnessLM(TemplateLM):  # type: ignore[misc]  # lm_eval has no types
    """A `harness` model that answers lm-eval's requests, from the store where it can.

    Requests are handed over as text, one task at a time, so that what a task's prompts share stays together
    and a task added to a run does not change the batches of the others.
    """

    def __init__(self, model: Model, store: Storage | None = None, progress: Progress = silent) -> None:
        super().__init__()
        self.model = model
        self.store: Storage = NoStore() if store is None else store
        self.progress = progress
        self.model_seconds = 0.0
        """Time inside the model so far."""
        self.computed = 0
        """Requests the model was asked; the others were found in the store, or asked for twice."""

    @property
    def fingerprint(self) -> str:
        """What the numbers depend on."""
        return self.model.fingerprint

    @property
    def dtype(self) -> str | None:
        """Number format of the weights, None for a model that does not say."""
        found = getattr(self.model, "dtype", None)
        return found if isinstance(found, str) else None

    @property
    def cautions(self) -> Mapping[str, str]:
        """What a reader of a task's numbers must know, by task."""
        return {}

    @property
    def tokenizer(self) -> Any:
        """The transformers tokenizer; None for a model that has none."""
        return getattr(self.model, "tokenizer", None)

    @property
    def eot_token_id(self) -> int | None:
        """The token that ends a text, None where the tokenizer has none."""
        found = self._needed_tokenizer().eos_token_id
        return None if found is None else int(found)

    @property
    def prefix_token_id(self) -> int | None:
        """What stands for an empty context: the token that begins a text, else the one that ends it."""
        found = self._needed_tokenizer().bos_token_id
        return self.eot_token_id if found is None else int(found)

    @property
    def tokenizer_name(self) -> str:
        """Names the tokenizer and its chat template in lm-eval's request cache."""
        return str(self._needed_tokenizer().name_or_path).replace("/", "__")

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **_: object) -> list[int]:
        """Token ids of a text; special tokens as the tokenizer sets them unless told otherwise."""
        special = {} if add_special_tokens is None else {"add_special_tokens": add_special_tokens}
        return [int(token) for token in self._needed_tokenizer().encode(string, **special)]

    def apply_chat_template(
        self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True
    ) -> str:
        """Messages as text. A template that refuses a system message gets the rest, as in lm-eval's HFLM."""
        tokenizer = self._needed_tokenizer()
        if tokenizer.chat_template is None:
            raise InputError(f"The model {self.model.name!r} has no chat template; leave it out.")

        def applied(turns: list[dict[str, str]]) -> str:
            return str(
                tokenizer.apply_chat_template(
                    turns,
                    tokenize=False,
                    add_generation_prompt=add_generation_prompt,
                    continue_final_message=not add_generation_prompt,
                )
            )

        try:
            return applied(chat_history)
        except TemplateError:
            rest = [turn for turn in chat_history if turn["role"] != "system"]
            try:
                return applied(rest)
            except TemplateError as problem:
                raise InputError(f"The model's chat template refuses this prompt: {problem}") from problem

    def loglikelihood(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[tuple[float, bool]]:  # noqa: ARG002 - lm-eval's name
        """(summed log-likelihood, greedy flag) of each request, in their order.

        InputError for a request that cannot be asked: lm-eval itself knows no failed sample.
        """
        scores = self.scores(requests)
        for found in scores:
            if found.failure is not None:
                raise InputError(found.failure)
        return [(found.value, found.greedy) for found in scores]

    def loglikelihood_rolling(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[float]:  # noqa: ARG002 - lm-eval's name
        """Summed log-likelihood of each whole text; InputError for a model that cannot."""
        found = self._by_task(requests, self._rolled)
        return [float(value) for value in found]

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:  # noqa: ARG002 - lm-eval's name
        """Text of each answer, cut at its stop strings."""
        return [found.text for found in self.generations(requests)]

    def scores(self, requests: Sequence[Any]) -> list[LogLikelihood]:
        """`loglikelihood` with all that the model says."""
        return self._by_task(requests, self._scored)

    def task_scores(self, task: Any, requests: Sequence[Any]) -> list[LogLikelihood]:  # noqa: ARG002 - for subclasses
        """`scores` of requests that are all of one task."""
        return self.scores(requests)

    def generations(self, requests: Sequence[Any]) -> list[Generation]:
        """`generate_until` with all that the model says, failures included."""
        return self._by_task(requests, self._generated)

    def _loglikelihood_tokens(self, requests: Any, **_: object) -> Any:  # noqa: ARG002 - lm-eval's name
        raise InputError("This model is asked for text, not for tokens; call loglikelihood.")

    def _by_task(self, requests: Sequence[Any], ask: Callable[[list[Any]], Sequence[Any]]) -> list[Any]:
        places: dict[object, list[int]] = {}
        for place, request in enumerate(requests):
            places.setdefault(request.task_name, []).append(place)
        found: list[Any] = [None] * len(requests)
        for wanted in places.values():
            for place, value in zip(wanted, ask([requests[place] for place in wanted]), strict=True):
                found[place] = value
        return found

    def _scored(self, requests: list[Any]) -> Sequence[LogLikelihood]:
        pairs = [(self._bare(str(request.args[0])), str(request.args[1])) for request in requests]
        scored = score_pairs(self.model, pairs, self.store, self.progress)
        self.model_seconds += scored.model_seconds
        self.computed += scored.computed
        return scored.loglikelihoods

    def _rolled(self, requests: list[Any]) -> Sequence[float]:
        rolled = roll(self.model, [str(request.args[0]) for request in requests], self.store, self.progress)
        self.model_seconds += rolled.model_seconds
        self.computed += rolled.computed
        return rolled.values

    def _generated(self, requests: list[Any]) -> Sequence[Generation]:
        """One call for each set of settings; a request that stands k times in the list is sampled k times."""
        times: dict[int, int] = {}
        groups: dict[tuple[Decoding, int], list[int]] = {}
        for place, request in enumerate(requests):
            decoding = decoding_of(request.args[1], self._end_text())
            repeat = times.get(id(request), 0) if decoding.temperature else 0
            times[id(request)] = repeat + 1
            groups.setdefault((decoding, repeat), []).append(place)
        found: dict[int, Generation] = {}
        for (decoding, repeat), places in groups.items():
            prompts = [self._bare(str(requests[place].args[0])) for place in places]
            answered = answer(self.model, prompts, decoding, self.store, self.progress, repeat)
            self.model_seconds += answered.model_seconds
            self.computed += answered.computed
            found.update(zip(places, answered.generations, strict=True))
        return [found[place] for place in range(len(requests))]

    def _bare(self, text: str) -> str:
        """The text without the start token that a chat template wrote, where the tokenizer adds it itself.

        HFLM reaches the same tokens by not letting the tokenizer add it.
        """
        start = self._start_text
        return text[len(start) :] if start and text.startswith(start) else text

    @property
    def _start_text(self) -> str:
        if "_start" not in self.__dict__:
            tokenizer, text = self.tokenizer, ""
            if tokenizer is not None and tokenizer.bos_token_id is not None:
                own = list(tokenizer.encode(""))
                text = str(tokenizer.bos_token) if own[:1] == [tokenizer.bos_token_id] else ""
            self.__dict__["_start"] = text
        return str(self.__dict__["_start"])

    def _end_text(self) -> str:
        """Text of the end token, which HFLM adds to the stop strings."""
        return str(getattr(self.tokenizer, "eos_token", None) or "")

    def _needed_tokenizer(self) -> Any:
        if self.tokenizer is None:
            raise InputError(
                f"The model {self.model.name!r} has no tokenizer of its own, so no chat template."
            )
        return self.tokenizer


def decoding_of(settings: Any, end: str = "") -> Decoding:
    """A task's `generation_kwargs` as a Decoding; InputError for what would be ignored and changes an answer.

    Greedy unless the task samples: as in lm-eval `do_sample: false` wins over a temperature, and a temperature
    without `do_sample` samples. `end` is added to the stop strings.
    """
    if not isinstance(settings, dict):
        raise BadValue("generation_kwargs", settings, "a table of settings")
    until = settings.get("until") or []
    stops = [until] if isinstance(until, str) else list(until)
    length = next((settings[key] for key in _LENGTHS if settings.get(key) is not None), MAX_GEN_TOKS)
    temperature = float(settings.get("temperature") or 0.0)
    sampled = settings.get("do_sample")
    if sampled is False:
        temperature = 0.0
    elif sampled and "temperature" not in settings:
        temperature = 1.0  # transformers' default
    unknown = sorted(key for key in settings if key not in _KNOWN and settings[key] is not None)
    if unknown and temperature:
        raise InputError(f"The task samples with {', '.join(unknown)}, which is not supported here.")
    return Decoding(
        max_new_tokens=int(length),
        temperature=temperature,
        top_p=float(settings.get("top_p") or 1.0) if temperature else 1.0,
        stop=tuple(dict.fromkeys([*map(str, stops), *([end] if end else [])])),
    )

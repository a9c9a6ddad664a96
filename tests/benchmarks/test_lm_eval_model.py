from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest
from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from lm_eval.api.registry import model_registry

from harness.benchmarks import LmEvalModel, lm_eval_model
from harness.exceptions import BadValue, InputError, MissingExtra, UnknownName
from harness.models import MODELS
from harness.models.base import Decoding, Model, generate_all, loglikelihood_all
from harness.records import Finish, Generation, LogLikelihood, Message

GREEDY = Decoding(max_new_tokens=5, stop=("\n",))


class FixedLM(LM):
    """Answers from its arguments; one token a character; remembers its requests."""

    def __init__(self, suffix: str = "!", strict: object = None) -> None:
        super().__init__()
        if strict is not None:
            message = "no such weights"
            raise OSError(message)
        self.suffix = str(suffix)
        self.seen: list[Instance] = []
        self.sizes: list[int] = []

    def generate_until(self, requests: list[Instance]) -> list[str]:
        self.seen += requests
        self.sizes.append(len(requests))
        return [request.args[0][-2:] + self.suffix for request in requests]

    def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        assert disable_tqdm
        self.seen += requests
        self.sizes.append(len(requests))
        return [
            (math.nan if request.args[1] == "nan" else -float(len(request.args[1])), request.args[1] == "b")
            for request in requests
        ]

    def loglikelihood_rolling(self, requests: list[Instance]) -> list[float]:
        raise AssertionError(requests)


class ChattyLM(FixedLM):
    def tok_encode(self, string: str, add_special_tokens: bool | None = None) -> list[int]:
        return [0] * (len(string) + (add_special_tokens is not False))

    def apply_chat_template(
        self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True
    ) -> str:
        turns = "".join(f"<{turn['role']}>{turn['content']}" for turn in chat_history)
        return turns + ("<assistant>" if add_generation_prompt else "")


class ServedLM(FixedLM):
    """Takes its chats as objects and has no tokenizer, like lm-eval's backends of chat servers."""

    def tok_encode(self, string: str) -> list[str]:
        return [string]

    def apply_chat_template(self, chat_history: Any, add_generation_prompt: bool = True) -> Any:
        assert add_generation_prompt
        return [turn["content"] for turn in chat_history]


class HomelessLM(FixedLM):
    def __init__(self, **_: Any) -> None:
        import a_package_that_nobody_has  # type: ignore[import-not-found]  # noqa: F401


@pytest.fixture(autouse=True)
def backends() -> Iterator[None]:
    import lm_eval.models  # noqa: F401 - the built-in names first, as the adapter does it

    mine = {
        "test-fixed": FixedLM,
        "test-chatty": ChattyLM,
        "test-served": ServedLM,
        "test-homeless": HomelessLM,
    }
    for name, kind in mine.items():
        model_registry.register(name, target=kind)
    yield
    for name in mine:
        del model_registry._objs[name]


def test_it_is_a_model_and_registered() -> None:
    model = MODELS.create({"lm_eval": {"backend": "test-fixed", "arguments": "suffix=?"}})
    assert isinstance(model, Model)
    assert model.name == "lm_eval:test-fixed:suffix=?"
    assert generate_all(model, ["abc"], GREEDY) == [Generation("bc?", 0, Finish.STOP)]


def test_the_dummy_of_lm_eval_answers() -> None:
    model = LmEvalModel.from_spec("lm_eval:dummy")
    assert [g.text for g in generate_all(model, ["a", "b"], GREEDY)] == ["lol", "lol"]
    values = loglikelihood_all(model, [("a", " b"), ("a", " c")])
    assert all(-1.0 <= v.value <= 0.0 and not v.greedy and v.tokens == 0 for v in values)


@pytest.mark.parametrize(
    ("spec", "backend", "arguments"),
    [
        ("lm_eval:hf", "hf", ""),
        ("lm_eval:hf:", "hf", ""),
        (
            "lm_eval:local-completions:base_url=http://127.0.0.1:80/v1?a=b,model=m",
            "local-completions",
            "base_url=http://127.0.0.1:80/v1?a=b,model=m",
        ),
    ],
)
def test_specs(spec: str, backend: str, arguments: str) -> None:
    model = LmEvalModel.from_spec(spec)
    assert (model.backend, model.arguments) == (backend, arguments)
    assert LmEvalModel.from_spec(model.name).name == model.name


@pytest.mark.parametrize("spec", ["lm_eval", "lm_eval:", "lm_eval::a=b", "hf:x", "lm_eval:hf:gpt2"])
def test_bad_specs_are_refused(spec: str) -> None:
    with pytest.raises(BadValue):
        LmEvalModel.from_spec(spec)


@pytest.mark.parametrize(
    ("settings", "named"), [({"backend": ""}, "backend"), ({"batch_size": 0}, "batch_size")]
)
def test_bad_settings_are_refused(settings: dict[str, Any], named: str) -> None:
    with pytest.raises(BadValue, match=named):
        LmEvalModel(**({"backend": "hf"} | settings))


def test_prompts_and_decoding_reach_the_backend() -> None:
    model = LmEvalModel("test-chatty")
    chat = (Message("system", "s"), Message("user", "u"))
    generate_all(model, ["plain", chat], GREEDY)
    settings = {"until": ["\n"], "max_gen_toks": 5, "do_sample": False, "temperature": 0.0}
    assert [request.args for request in model.lm.seen] == [
        ("plain", settings),
        ("<system>s<user>u<assistant>", settings),
    ]
    assert {request.request_type for request in model.lm.seen} == {"generate_until"}


def test_a_chat_servers_backend_gets_its_own_kind_of_prompt() -> None:
    model = LmEvalModel("test-served")
    (got,) = loglikelihood_all(model, [((Message("user", "u"),), "b")])
    assert model.lm.seen[0].args == (["u"], "b")
    assert got == LogLikelihood(-1.0, greedy=True, tokens=0)


def test_answers_are_cut_counted_and_their_finish_told() -> None:
    def ask(suffix: str, **decoding: Any) -> Generation:
        model = LmEvalModel("test-chatty", f"suffix={suffix}")
        return generate_all(model, ["abc"], Decoding(**decoding))[0]

    assert ask("de", max_new_tokens=5) == Generation("bcde", 4, Finish.STOP)
    assert ask("de", max_new_tokens=4) == Generation("bcde", 4, Finish.LENGTH)
    assert ask("d;e#f", max_new_tokens=3, stop=("#", ";", "")) == Generation("bcd", 3, Finish.STOP)


def test_loglikelihoods() -> None:
    model = LmEvalModel("test-chatty")
    chat = (Message("user", "u"),)
    first, second, broken = loglikelihood_all(model, [("a", "b"), (chat, " cd"), ("a", "nan")])
    assert first == LogLikelihood(-1.0, greedy=True, tokens=1)
    assert second == LogLikelihood(-3.0, greedy=False, tokens=3)
    assert math.isnan(broken.value)
    assert [request.args for request in model.lm.seen][:2] == [("a", "b"), ("<user>u<assistant>", " cd")]


def test_batches_are_planned_from_the_full_list() -> None:
    model = LmEvalModel("test-fixed", batch_size=2)
    prompts = ["p0", "p1", "p2", "p3", "p4"]
    generated = [
        (list(where), [g.text for g in got]) for where, got in model.generate(prompts, GREEDY, {0, 2, 3})
    ]
    scored = [list(where) for where, _ in model.loglikelihood([(p, "x") for p in prompts], {1})]
    assert generated == [([1], ["p1!"]), ([4], ["p4!"])]
    assert scored == [[0], [2, 3], [4]]
    assert model.lm.sizes == [1, 1, 1, 2, 1]


def test_nothing_is_made_when_nothing_is_missing() -> None:
    model = LmEvalModel("no-such-backend")
    assert list(model.generate(["a"], GREEDY, {0})) == []
    assert "lm" not in vars(model)


def test_sampling_is_refused() -> None:
    with pytest.raises(BadValue, match=r"temperature is 0\.5, but must be 0 for lm_eval models"):
        generate_all(LmEvalModel("test-fixed"), ["a"], Decoding(temperature=0.5))


def test_a_backend_without_chat_template_is_named() -> None:
    with pytest.raises(InputError, match="'test-fixed' has no chat template"):
        generate_all(LmEvalModel("test-fixed"), [(Message("user", "u"),)], GREEDY)


def test_an_unknown_backend_names_the_nearest() -> None:
    with pytest.raises(UnknownName, match=r"Unknown lm_eval model 'dumy'\. Did you mean 'dummy'\?"):
        LmEvalModel("dumy").check()


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("lm_eval:test-fixed:colour=red", "cannot be made: .*colour"),
        ("lm_eval:test-fixed:strict=1", "cannot be made: no such weights"),
        ("lm_eval:test-homeless", "needs a package that is not installed: .*a_package_that_nobody_has"),
    ],
)
def test_a_backend_that_cannot_be_made_says_why(spec: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        LmEvalModel.from_spec(spec).check()


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setitem(sys.modules, "lm_eval.models", None)
    monkeypatch.setattr(lm_eval_model, "version", absent)
    with pytest.raises(MissingExtra, match=r"checkpoint-harness\[lm-eval\]"):
        LmEvalModel("dummy").check()
    with pytest.raises(MissingExtra, match=r"checkpoint-harness\[lm-eval\]"):
        _ = LmEvalModel("dummy").fingerprint


def test_a_backend_registered_before_lm_evals_own_does_not_hide_them() -> None:
    script = (
        "from lm_eval.api.registry import model_registry\n"
        "model_registry.register('early', target='nowhere:Nothing')\n"
        "from harness.benchmarks import LmEvalModel\n"
        "print(type(LmEvalModel('dummy').lm).__name__)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "DummyLM", done.stderr


def test_importing_the_room_does_not_import_lm_eval() -> None:
    script = (
        "import sys, harness.benchmarks; print(sorted({'lm_eval', 'torch', 'openai'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_fingerprint_follows_name_arguments_and_local_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def of(arguments: str, backend: str = "hf", batch_size: int = 64) -> str:
        return LmEvalModel(backend, arguments, batch_size).fingerprint

    assert of("a=1,b=2") == of("b=2,a=1,") == of("a=1,b=2", batch_size=1)
    assert len({of("a=1,b=2"), of("a=1,b=3"), of("a=1,c=2"), of(""), of("", "vllm")}) == 5

    weights = tmp_path / "weights"
    weights.write_bytes(b"1")
    local, single = f"pretrained={tmp_path}", f"gguf={weights}"
    before = of(local), of(single)
    assert before == (of(local), of(single))
    weights.write_bytes(b"12")
    resized = of(local), of(single)
    os.utime(weights, ns=(1, 1))
    touched = of(local), of(single)
    (tmp_path / "adapter").write_bytes(b"")
    assert len({before[0], resized[0], touched[0], of(local)}) == 4
    assert len({before[1], resized[1], touched[1]}) == 3
    assert of(single) == touched[1]

    monkeypatch.chdir(tmp_path)
    assert of("a=,b=" + "x" * 5000) == of("b=" + "x" * 5000 + ",a=")
    empty = of("a=")
    weights.write_bytes(b"123")
    assert of("a=") == empty
    monkeypatch.setattr(lm_eval_model, "version", lambda _: "9.9")
    later = of("a=1,b=2")
    monkeypatch.undo()
    assert later != of("a=1,b=2")

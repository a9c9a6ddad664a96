"""From replies to records: failed generations, tasks with several inputs or right answers, cut prompts."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lm_eval
import pytest
from benchmarks.conftest import LABEL, OracleLM, checksum_model, score, write
from lm_eval.tasks import TaskManager

from harness.benchmarks import BenchSettings, bench
from harness.benchmarks.cuts import longest_of, tokens_cut
from harness.models.scripted import ScriptedModel
from harness.records import Finish, Generation, LogLikelihood, RunResult
from harness.stages.runfiles import run_to_json
from harness.store import NoStore

YAML = """
task: own
output_type: {kind}
dataset_path: json
dataset_kwargs: {{data_files: {{test: {file}}}, cache_dir: {cache}}}
test_split: test
{more}
"""


def run(tmp_path: Path, rows: list[Any], kind: str, more: str, model: Any = None) -> tuple[RunResult, str]:
    file = write(tmp_path / "own.jsonl", rows)
    path = tmp_path / "own.yaml"
    path.write_text(YAML.format(kind=kind, file=file, cache=tmp_path / "cache", more=more))
    found = bench(model or checksum_model(), [str(path)], NoStore(), BenchSettings(), LABEL)
    return found, str(path)


def theirs(path: str) -> dict[str, Any]:
    found: dict[str, Any] = lm_eval.simple_evaluate(
        OracleLM(), tasks=[path], task_manager=TaskManager(include_defaults=False), bootstrap_iters=0
    )
    return found


GENERATE = """
doc_to_text: "{{question}}"
doc_to_target: "{{answers}}"
generation_kwargs: {until: ["\\n"]}
metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]
"""


def test_failed_generations_are_failed_samples(tmp_path: Path) -> None:
    model = ScriptedModel(
        answers={"b": Generation("", 0, Finish.NONFINITE, "its numbers are not finite")},
        default="yes",
        failures={"c": "the server was away"},
    )
    rows = [{"question": name, "answers": "yes"} for name in "abc"]
    found, _ = run(tmp_path, rows, "generate_until", GENERATE, model)
    assert [sample.failure for sample in found.samples] == [
        None,
        "its numbers are not finite",
        "the server was away",
    ]
    assert [s.finish for s in found.samples] == [Finish.STOP, Finish.NONFINITE, Finish.FAILED]
    estimate = found.estimates["own"]["exact_match"]
    assert (found.nonfinite, estimate.value, estimate.scored, estimate.n) == (1, 1.0, 1, 3)


def test_a_metric_that_raises_fails_the_sample_alone(tmp_path: Path) -> None:
    (tmp_path / "scoring.py").write_text(
        "def judge(doc, results):\n"
        "    if doc['question'] == 'b': raise ZeroDivisionError()\n"
        "    return {'exact_match': 1}\n"
    )
    more = GENERATE + "process_results: !function scoring.judge\n"
    rows = [{"question": name, "answers": "yes"} for name in "ab"]
    found, _ = run(tmp_path, rows, "generate_until", more)
    assert found.samples[1].failure == "it cannot be scored (ZeroDivisionError: no reason given)"
    assert found.estimates["own"]["exact_match"].scored == 1


SEVERAL_INPUTS = """
doc_to_text: "{{gold}}"
doc_to_choice: "{{[first, second]}}"
doc_to_target: "{{rest}}"
metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]
"""


def test_a_task_with_an_input_for_each_choice_equals_lm_eval(tmp_path: Path) -> None:
    """The shape of Winogrande: the choice stands in the prompt, the continuation is the same."""
    rows = [{"first": f"A{i} sat", "second": f"B{i} sat", "gold": i % 2, "rest": "down."} for i in range(9)]
    found, path = run(tmp_path, rows, "multiple_choice", SEVERAL_INPUTS)
    expected = theirs(path)
    assert run_to_json(found)["results"]["own"]["acc,none"] == expected["results"]["own"]["acc,none"]
    for ours, other in zip(found.samples, expected["samples"]["own"], strict=True):
        assert ours.scores["acc"].value == other["acc"]
    assert [sample.target for sample in found.samples[:2]] == ["A0 sat", "B1 sat"]
    assert found.samples[0].input == ""


SEVERAL_RIGHT = """
doc_to_text: "{{question}}"
doc_to_choice: ["a", "b", "c"]
doc_to_target: gold
metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]
"""


def test_a_task_with_several_right_answers_equals_lm_eval(tmp_path: Path) -> None:
    rows = [{"question": f"{i}?", "gold": [i % 3, (i + 1) % 3]} for i in range(9)]
    found, path = run(tmp_path, rows, "multiple_choice", SEVERAL_RIGHT)
    assert found.estimates["own"]["acc"].value == theirs(path)["results"]["own"]["acc,none"]
    assert found.samples[0].target == "a | b"


def test_a_choice_that_cannot_be_asked_fails_its_sample_alone(tmp_path: Path) -> None:
    """A model's failure is no number: the sample is neither scored nor counted as broken."""

    def score_but(prompt: Any, continuation: str) -> LogLikelihood:
        cannot = prompt == "2?" and continuation == " b"
        return LogLikelihood.failed("A continuation is too long.") if cannot else score(prompt, continuation)

    rows = [{"question": f"{i}?", "gold": [i % 3]} for i in range(5)]
    found, _ = run(tmp_path, rows, "multiple_choice", SEVERAL_RIGHT, checksum_model(loglikelihoods=score_but))
    whole, _ = run(tmp_path, rows, "multiple_choice", SEVERAL_RIGHT)
    sample = found.samples[2]
    assert (sample.failure, sample.finish) == ("A continuation is too long.", Finish.FAILED)
    assert (sample.scores["acc"].value, sample.loglikelihoods, sample.answer) == (None, (), "")
    estimate = found.estimates["own"]["acc"]
    assert (found.nonfinite, estimate.scored, estimate.n) == (0, 4, 5)
    others = [place for place in range(5) if place != 2]
    assert [found.samples[place] for place in others] == [whole.samples[place] for place in others]
    key = "task own, failed"
    assert found.settings[key] == "1 of 5 samples (first: sample 2, A continuation is too long.)"


def test_one_choice_cannot_be_asked_and_another_is_not_finite(tmp_path: Path) -> None:
    table = {" a": LogLikelihood.failed("too long"), " b": float("inf"), " c": -1.0}
    rows = [{"question": "why?", "gold": [0]}]
    model = ScriptedModel(loglikelihoods=table)
    found, _ = run(tmp_path, rows, "multiple_choice", SEVERAL_RIGHT, model)
    assert (found.nonfinite, found.samples[0].finish) == (1, Finish.NONFINITE)


class Letters:
    """A token a character."""

    def encode(self, text: str) -> list[int]:
        return [0] * len(text)


def sample(*pairs: tuple[str, ...], kind: str = "loglikelihood") -> Any:
    return SimpleNamespace(instances=[SimpleNamespace(request_type=kind, args=pair) for pair in pairs])


@pytest.mark.parametrize(
    "config",
    [{"max_position_embeddings": 10}, {"n_positions": 10}, {"text_config": {"max_position_embeddings": 10}}],
)
def test_cut_tokens_are_those_of_the_longest_choice(tmp_path: Path, config: dict[str, Any]) -> None:
    """lm-eval keeps the last max_length + 1 tokens of prompt and continuation: here 11."""
    (tmp_path / "config.json").write_text(json.dumps(config))
    model = SimpleNamespace(folder=tmp_path, tokenizer=Letters())
    planned = [sample(("x" * 8, "yyy"), ("x" * 8, "y" * 6)), sample(("x" * 5, "y")), sample()]
    assert tokens_cut(model, planned) == [3, 0, 0]
    assert tokens_cut(model, [sample(("x" * 50, "{}"), kind="generate_until")]) == [0]


def test_virtual_tokens_take_their_room(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"max_position_embeddings": 10}')
    for kind, expected in (('{"num_virtual_tokens": 4}', 6), ('{"r": 8}', 10), ("broken", 10)):
        (tmp_path / "adapter_config.json").write_text(kind)
        assert longest_of(SimpleNamespace(folder=tmp_path, adapter=tmp_path)) == expected


def test_models_whose_length_is_not_known(tmp_path: Path) -> None:
    model = SimpleNamespace(folder=tmp_path, tokenizer=Letters())
    assert longest_of(model) is None
    (tmp_path / "config.json").write_text('{"max_position_embeddings": null}')
    assert longest_of(model) is None
    assert tokens_cut(model, [sample(("x" * 99, "y"))]) == [0]
    assert longest_of(SimpleNamespace()) is None

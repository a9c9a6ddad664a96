"""Prompts, per-sample scores and aggregates against lm-eval's own `simple_evaluate` on the same files."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import lm_eval
import numpy as np
import pytest
import torch
from benchmarks.conftest import LABEL, SUBJECTS, Oracle, OracleLM, chat, checksum_model, score, write
from lm_eval.tasks import TaskManager

from harness.benchmarks import BenchSettings, HarnessLM, bench
from harness.exceptions import InputError
from harness.records import RunResult
from harness.stages.compare import compare
from harness.stages.runfiles import read_run, run_to_json, write_run
from harness.stats import t_interval, wilson
from harness.store import NoStore

MMLU = tuple(f"mmlu_{name}" for name in SUBJECTS)
LOCAL = ("arc_easy", "arc_challenge", "hellaswag", *MMLU, "truthfulqa_mc1", "truthfulqa_mc2")


class Tokenizer:
    """As much of a transformers tokenizer as chats need."""

    chat_template = "own"
    bos_token_id = None
    eos_token = "<end>"  # noqa: S105 - no password

    def apply_chat_template(
        self, turns: list[dict[str, str]], *, add_generation_prompt: bool, **_: Any
    ) -> str:
        return chat(turns, add_generation_prompt)


def run(folder: Path, *names: str, model: Any = None, **settings: Any) -> RunResult:
    return bench(
        model or checksum_model(), names, NoStore(), BenchSettings(data_dir=folder, **settings), LABEL
    )


def assert_same(run_: RunResult, theirs: Any) -> None:
    """Every prompt, log-likelihood, score and aggregate; ours has the tasks in another order."""
    mine = run_to_json(run_)["results"]
    assert sum(map(len, theirs["samples"].values())) == len(run_.samples) > 0
    for task, samples in theirs["samples"].items():
        ours = {sample.sample_id: sample for sample in run_.samples if sample.task == task}
        for sample in samples:
            own = ours[str(sample["doc_id"])]
            assert own.prompt == sample["arguments"][0][0]
            assert own.loglikelihoods == pytest.approx([reply[0][0] for reply in sample["resps"]], abs=0)
            for metric in sample["metrics"]:
                assert own.scores[metric].value == pytest.approx(sample[metric], abs=1e-12)
    for task, values in theirs["results"].items():
        for key, value in values.items():
            if key.startswith("acc") and "stderr" not in key:
                assert mine[task][key] == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize("settings", [{}, {"num_fewshot": 3}, {"num_fewshot": 2, "limit": 5}, {"limit": 0.3}])
def test_every_local_task_equals_lm_eval(bench_dir: Path, oracle: Oracle, settings: dict[str, Any]) -> None:
    assert_same(run(bench_dir, *LOCAL, **settings), oracle(bench_dir, *LOCAL, **settings))


@pytest.mark.parametrize("multiturn", [False, True])
def test_chats_equal_lm_eval(bench_dir: Path, oracle: Oracle, multiturn: bool) -> None:
    model = checksum_model()
    model.tokenizer = Tokenizer()  # type: ignore[attr-defined]
    settings = {
        "num_fewshot": 2,
        "apply_chat_template": True,
        "system_instruction": "Be brief.",
        "fewshot_as_multiturn": multiturn,
    }
    found = run(bench_dir, *LOCAL, model=model, **settings)
    assert_same(found, oracle(bench_dir, *LOCAL, **settings))
    assert "chat:multi-turn" in found.settings["task arc_easy"] or not multiturn
    plain = run(bench_dir, "arc_easy", num_fewshot=2)
    assert plain.estimates["arc_easy"]["acc"].signature != found.estimates["arc_easy"]["acc"].signature


def test_a_group_is_weighted_as_lm_eval_weights_it(bench_dir: Path, oracle: Oracle) -> None:
    """The oracle's group has mmlu's own aggregation; the interval is Wilson's of the pooled samples."""
    found = run(bench_dir, "mmlu", num_fewshot=5)
    group = {"aggregate_metric_list": [{"metric": "acc", "weight_by_size": True}]}
    theirs = oracle(bench_dir, *MMLU, group=group, num_fewshot=5)
    assert_same(found, {**theirs, "results": {k: v for k, v in theirs["results"].items() if k in MMLU}})
    own = found.estimates["mmlu"]["acc"]
    assert own.value == pytest.approx(theirs["results"]["own::inner"]["acc,none"], abs=1e-12)
    right = sum(sample.scores["acc"].value for sample in found.samples)
    expected = wilson(int(right), 30)
    assert (own.n, own.scored, own.low, own.high) == (30, 30, expected.low, expected.high)
    stem = found.estimates["mmlu_stem"]["acc"]  # abstract_algebra (13 samples) and anatomy (7)
    names = ("mmlu_abstract_algebra", "mmlu_anatomy")
    right = sum(s.scores["acc"].value for s in found.samples if s.task in names)
    assert (stem.value, stem.n) == (right / 20, 20)
    assert found.settings["group mmlu"] == "3 of 57 subjects have local files"
    assert "mmlu_humanities" not in found.estimates
    assert found.samples[-1].metadata["groups"].split() == ["mmlu", "mmlu_other"]


def test_mc2_has_a_t_interval_and_acc_wilsons(bench_dir: Path) -> None:
    found = run(bench_dir, "truthfulqa_mc2", "arc_easy")
    values = [s.scores["acc"].value for s in found.samples if s.task == "truthfulqa_mc2"]
    mc2, arc = found.estimates["truthfulqa_mc2"]["acc"], found.estimates["arc_easy"]["acc_norm"]
    assert (mc2.low, mc2.high) == pytest.approx((t_interval(values).low, t_interval(values).high))
    assert (mc2.method, mc2.binary, arc.method, arc.binary) == ("t", False, "wilson", True)


def test_targets_answers_and_files(bench_dir: Path, tmp_path: Path) -> None:
    found = run(bench_dir, "arc_easy", "mmlu_anatomy", limit=2)
    first = found.samples[0]
    assert first.target == "option 0 1"
    best = max(range(3), key=lambda place: first.loglikelihoods[place])
    assert first.answer == ["option 0 1", "option 0 2" * 2, "option 0 3" * 3][best]
    assert found.samples[3].target == "B"
    assert first.input == "Question: Which of these is thing 0?\nAnswer:"
    write_run(found, tmp_path / "run")
    assert read_run(tmp_path / "run") == found


YAML = """
task: sums
output_type: generate_until
dataset_path: json
dataset_kwargs: {{data_files: {{test: {file}}}, cache_dir: {cache}}}
test_split: test
doc_to_text: "Question: {{{{question}}}}"
doc_to_target: "{{{{answer}}}}"
generation_kwargs: {{until: ["\\n\\n"], max_gen_toks: 40}}
metric_list:
  - metric: exact_match
    aggregation: mean
    higher_is_better: true
filter_list:
  - name: strict
    filter: [{{function: regex, regex_pattern: "is (\\\\d)"}}, {{function: take_first}}]
  - name: loose
    filter: [{{function: regex, regex_pattern: "(so)"}}, {{function: take_first}}]
metadata: {{version: 7}}
"""


def own_task(tmp_path: Path, text: str, rows: list[Any]) -> Path:
    file = write(tmp_path / "own.jsonl", rows)
    path = tmp_path / "own.yaml"
    path.write_text(text.format(file=file, cache=tmp_path / "cache"))
    return path


def test_generations_and_their_filters_equal_lm_eval(tmp_path: Path) -> None:
    rows = [{"question": f"{i} of 5?", "answer": str(i % 5)} for i in range(20)]
    path = str(own_task(tmp_path, YAML, rows))
    found = bench(checksum_model(), [path], NoStore(), BenchSettings(), LABEL)
    manager = TaskManager(include_defaults=False)
    theirs = lm_eval.simple_evaluate(OracleLM(), tasks=[path], task_manager=manager, bootstrap_iters=0)
    ours = run_to_json(found)["results"]["sums"]
    for key in ("exact_match,strict", "exact_match,loose"):
        assert ours[key] == theirs["results"]["sums"][key]
    assert 0 < ours["exact_match,strict"] < 1
    assert found.samples[0].generation.startswith("So the answer is")
    assert found.samples[0].generation.endswith(".")
    assert "|version:7|" in found.settings["task sums"]


def test_the_store_answers_the_second_run(bench_dir: Path) -> None:
    class Kept(NoStore):
        def __init__(self) -> None:
            self.values: dict[str, Any] = {}

        def get_many(self, table: Any, keys: Any) -> dict[str, Any]:  # noqa: ARG002
            return {key: self.values[key] for key in keys if key in self.values}

        def put_many(self, table: Any, values: Any) -> int:  # noqa: ARG002
            self.values |= values
            return len(values)

    store, model = Kept(), checksum_model()
    settings = BenchSettings(data_dir=bench_dir, limit=4)
    first = bench(model, ["arc_easy", "mmlu_anatomy"], store, settings, LABEL)
    asked = len(model.asked)
    second = bench(model, ["arc_easy", "mmlu_anatomy"], store, settings, LABEL)
    assert (second.samples, second.estimates) == (first.samples, first.estimates)
    assert (len(model.asked), second.timing["model_seconds"]) == (asked, 0.0)
    more = bench(model, ["arc_easy"], store, BenchSettings(data_dir=bench_dir, limit=5), LABEL)
    assert len(model.asked) - asked == len(more.samples[-1].loglikelihoods)


def test_random_generators_are_as_they_were(bench_dir: Path) -> None:
    random.seed(3), np.random.seed(4), torch.manual_seed(5)  # noqa: NPY002
    expected = random.random(), np.random.random(), torch.rand(1).item()  # noqa: S311, NPY002
    random.seed(3), np.random.seed(4), torch.manual_seed(5)  # noqa: NPY002
    run(bench_dir, "arc_easy", num_fewshot=2, limit=3)
    assert (random.random(), np.random.random(), torch.rand(1).item()) == expected  # noqa: S311, NPY002


def test_lm_evals_own_api_takes_our_model(bench_dir: Path, oracle: Oracle, manager: TaskManager) -> None:
    expected = oracle(bench_dir, "arc_easy", num_fewshot=1)
    samples = expected["samples"]["arc_easy"]
    data = str(bench_dir / "arc_easy" / "test.jsonl")
    train = str(bench_dir / "arc_easy" / "train.jsonl")
    source = {"data_files": {"train": train, "validation": train, "test": data}}
    source["cache_dir"] = str(bench_dir / "cache")
    task = {"task": "arc_easy", "dataset_path": "json", "dataset_name": None, "dataset_kwargs": source}
    found = lm_eval.simple_evaluate(
        model=HarnessLM(checksum_model()),
        tasks=[{"group": "own", "task": [task]}],
        task_manager=manager,
        num_fewshot=1,
        bootstrap_iters=0,
    )
    assert found["results"]["arc_easy"] == expected["results"]["arc_easy"]
    assert [s["resps"] for s in found["samples"]["arc_easy"]] == [s["resps"] for s in samples]


def test_progress_counts_all_tasks_as_one(bench_dir: Path) -> None:
    seen: list[tuple[str, int, int, str]] = []
    settings = BenchSettings(data_dir=bench_dir, limit=2)
    show = lambda stage, done, total, note="": seen.append((stage, done, total, note))  # noqa: E731
    bench(checksum_model(), ["mmlu_anatomy", "hellaswag"], NoStore(), settings, LABEL, show)
    assert seen[-1] == ("Benchmarks", 16, 16, "hellaswag")
    assert [done for _, done, _, _ in seen] == sorted(done for _, done, _, _ in seen)


def test_a_model_without_a_chat_template_is_refused_before_anything(bench_dir: Path) -> None:
    with pytest.raises(InputError, match="has no tokenizer of its own, so no chat template"):
        run(bench_dir, "arc_easy", apply_chat_template=True)


def test_two_runs_compare_sample_by_sample(bench_dir: Path) -> None:
    """Multiple choice has no generations: equal ones do not mean that nothing changed."""
    base = run(bench_dir, "arc_easy", "truthfulqa_mc2", num_fewshot=2)
    other = checksum_model(identity="other", loglikelihoods=lambda p, c: score(str(p)[::-1], c))
    tuned = run(bench_dir, "arc_easy", "truthfulqa_mc2", model=other, num_fewshot=2)
    found = compare(base, tuned)
    assert {(m.task, m.measure, m.n) for m in found.metrics} == {
        ("arc_easy", "acc", 12),
        ("arc_easy", "acc_norm", 12),
        ("truthfulqa_mc2", "acc", 9),
    }
    assert "makes no difference" not in found.sentence
    assert not found.unpaired
    assert "makes no difference" in compare(base, base).sentence
    fewer = run(bench_dir, "arc_easy", limit=5)
    with pytest.raises(InputError, match="cannot be compared: base has the signature"):
        compare(base, fewer)

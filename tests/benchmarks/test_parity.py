"""The real small model in float32 on the shipped samples: every number beside that of lm-eval's own HFLM."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lm_eval
import pytest
from benchmarks.conftest import LABEL, Oracle, write
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager

from harness.benchmarks import BenchSettings, HarnessLM, bench
from harness.models.hf import HfModel, HfSettings
from harness.models.weights import WeightsPool
from harness.resources import resource
from harness.stages.runfiles import run_to_json
from harness.store import NoStore, Store

pytestmark = [pytest.mark.model, pytest.mark.slow]

SHIPPED = resource("tasks", "benchmarks")
NEAR = 1e-3
"""Nats, on a whole answer."""


@pytest.fixture(scope="module")
def peer(small_model: Path) -> HFLM:
    return HFLM(pretrained=str(small_model), dtype="float32", device="cpu", batch_size=8)


@pytest.fixture(scope="module")
def model(small_model: Path) -> HfModel:
    return HfModel("ours", small_model, None, HfSettings("float32", "cpu"), WeightsPool())


@pytest.mark.parametrize(
    ("task", "shots"),
    [
        ("arc_challenge", 5),
        ("hellaswag", 0),
        ("mmlu_anatomy", 5),
        ("truthfulqa_mc1", None),
        ("truthfulqa_mc2", None),
    ],
)
def test_every_number_equals_hflms(
    peer: HFLM, model: HfModel, oracle: Oracle, tmp_path: Path, task: str, shots: int | None
) -> None:
    """Through lm-eval's own API, for the greedy flags, and through `bench`, which then finds all in the store."""
    settings = {"num_fewshot": shots, "limit": 6}
    theirs = oracle(SHIPPED, task, lm=peer, **settings)
    with Store.open(tmp_path / "store") as store:
        through = oracle(SHIPPED, task, lm=HarnessLM(model, store), **settings)
        ours = bench(model, [task], store, BenchSettings(data_dir=SHIPPED, **settings), LABEL)
    assert ours.timing["model_seconds"] == 0
    assert len(theirs["samples"][task]) == len(through["samples"][task]) == len(ours.samples) == 6
    metrics = [name for name in ("acc", "acc_norm") if f"{name},none" in theirs["results"][task]]
    near = {"abs": NEAR} if task == "truthfulqa_mc2" else {"abs": 0}  # a share of probability, not a decision
    for sample, mine, other in zip(
        ours.samples, through["samples"][task], theirs["samples"][task], strict=True
    ):
        assert mine["arguments"] == other["arguments"]
        pairs = [(a[0], b[0]) for a, b in zip(mine["resps"], other["resps"], strict=True)]
        for (value, greedy), (expected, flag) in pairs:
            assert value == pytest.approx(expected, abs=NEAR)
            assert greedy == bool(flag)
        assert sample.loglikelihoods == tuple(value for (value, _), _ in pairs)
        for name in metrics:
            assert sample.scores[name].value == pytest.approx(other[name], **near)
    result = run_to_json(ours)["results"][task]
    for name in metrics:
        assert result[f"{name},none"] == pytest.approx(theirs["results"][task][f"{name},none"], **near)


ROLLING = """
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{text}}"
metric_list: [{metric: word_perplexity}, {metric: byte_perplexity}, {metric: bits_per_byte}]
"""
GENERATION = """
output_type: generate_until
doc_to_text: "Question: {{text}}\\nAnswer:"
doc_to_target: "none"
generation_kwargs: {until: ["\\n\\n"], max_gen_toks: 24}
metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]
"""
MILL = """The mill stood by the river for two hundred years. In the spring of 1911 the water rose above its floor.

Nobody rebuilt it, but its wheel can still be seen at low water."""
TEXTS = (MILL, "A compass needle points north because the earth is a magnet.", "Why does bread rise?")


def own_task(tmp_path: Path, name: str, shape: str) -> str:
    file = write(tmp_path / "texts.jsonl", [{"text": text} for text in TEXTS])
    source = f"dataset_kwargs: {{data_files: {{test: {file}}}, cache_dir: {tmp_path / 'cache'}}}"
    path = tmp_path / f"{name}.yaml"
    path.write_text(f"task: {name}\ndataset_path: json\n{source}\ntest_split: test\n{shape}")
    return str(path)


def both(peer: HFLM, model: HfModel, path: str) -> tuple[Any, Any]:
    manager = TaskManager(include_defaults=False)
    theirs = lm_eval.simple_evaluate(peer, tasks=[path], task_manager=manager, bootstrap_iters=0)
    return bench(model, [path], NoStore(), BenchSettings(), LABEL), theirs


def test_whole_texts_equal_hflms(peer: HFLM, model: HfModel, tmp_path: Path) -> None:
    ours, theirs = both(peer, model, own_task(tmp_path, "whole", ROLLING))
    samples = theirs["samples"]["whole"]
    assert len(ours.samples) == len(samples) == 3
    for sample, other in zip(ours.samples, samples, strict=True):
        assert sample.loglikelihoods[0] == pytest.approx(float(other["resps"][0][0]), abs=NEAR)
    result = run_to_json(ours)["results"]["whole"]
    for name in ("word_perplexity,none", "byte_perplexity,none", "bits_per_byte,none"):
        assert result[name] == pytest.approx(theirs["results"]["whole"][name], rel=1e-4)


def test_generations_equal_hflms(peer: HFLM, model: HfModel, tmp_path: Path) -> None:
    ours, theirs = both(peer, model, own_task(tmp_path, "answers", GENERATION))
    texts = [sample["resps"][0][0] for sample in theirs["samples"]["answers"]]
    assert [sample.generation for sample in ours.samples] == texts
    assert len(set(texts)) == 3

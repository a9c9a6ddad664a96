"""The Python API as the README shows it, on a tiny model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from support.pipeline import experiment, write_experiment, write_rows
from support.tiny_model import build_model

import harness
from harness.data.prepared import read_prepared
from harness.models.hf import HfModel
from harness.models.scripted import ScriptedModel
from harness.tuning import run as tuning

TUNE: dict[str, Any] = {
    "max_steps": 4,
    "batch_size": 4,
    "save_every": 2,
    "rank": 2,
    "alpha": 4,
    "dtype": "float32",
    "learning_rate": 0.01,
    "max_length": 96,
}
DATA = {"split": {"validation": 4, "test": 8}}


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HARNESS_WORKSPACE", raising=False)
    write_rows(tmp_path / "docs.jsonl")
    return tmp_path


def test_the_three_lines(work: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = harness.load_model(str(tiny_model), dtype="float32")
    tuned = harness.finetune(base, data="docs.jsonl", method="lora", data_settings=DATA, **TUNE)
    compared = harness.compare(base, tuned, task="held_out")
    page = compared.to_html("report.html")

    assert page == Path("report.html")
    assert (work / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert isinstance(compared.verdict, harness.Verdict)
    assert str(compared) == compared.comparison.sentence
    assert compared.result.data is not None
    assert compared.result.data.splits == {"train": 28, "validation": 4, "test": 8}
    assert compared.result.training is not None
    assert [step for step, _ in compared.result.training.checkpoints] == [2, 4]
    assert [run.name for run in compared.result.runs] == ["base", f"{tiny_model} step 4"]
    assert len(compared.result.runs[0].samples) == 8
    (folder,) = (work / "runs").glob("docs-lora-*")
    assert (folder / "checkpoints" / "checkpoint-4").is_dir()
    card = read_prepared(folder / "data").card
    assert card.lengths is not None
    assert card.lengths.limit == 96

    def called(*_: Any, **__: Any) -> None:
        raise AssertionError("a model was used")

    monkeypatch.setattr(HfModel, "generate", called)
    monkeypatch.setattr(tuning, "build_trainer", called)
    again = harness.finetune(base, data="docs.jsonl", method="lora", data_settings=DATA, **TUNE)
    assert again.fingerprint == tuned.fingerprint
    assert harness.compare(base, again).comparison.metrics == compared.comparison.metrics


def test_a_second_training_into_the_same_folder_is_another_checkpoint(work: Path, tiny_model: Path) -> None:
    base = harness.load_model(str(tiny_model), dtype="float32")
    made, answers = [], []
    for rate in (0.01, 0.05):
        keys = {**TUNE, "learning_rate": rate}
        made.append(harness.finetune(base, "docs.jsonl", out="tuned", data_settings=DATA, **keys))
        answers.append([sample.generation for sample in harness.evaluate(made[-1]).samples])
    assert made[0].fingerprint != made[1].fingerprint
    with pytest.raises(harness.InputError, match="were replaced since it was opened"):
        harness.evaluate(made[0], store=False)
    # the oracle: the second one's files in a folder that no model was loaded from before
    shutil.copytree(work / "tuned", work / "copy")
    copied = harness.load_model(work / "copy" / "checkpoints" / "checkpoint-4", dtype="float32")
    assert [sample.generation for sample in harness.evaluate(copied, store=False).samples] == answers[1]
    assert answers[0] != answers[1]


def test_trainings_with_other_settings_get_folders_of_their_own(work: Path, tiny_model: Path) -> None:
    base = harness.load_model(str(tiny_model), dtype="float32")
    for rate in (0.01, 0.05):
        harness.finetune(base, "docs.jsonl", data_settings=DATA, **{**TUNE, "learning_rate": rate})
    assert len(list((work / "runs").glob("docs-lora-*"))) == 2


def test_prepare_returns_the_parts_and_writes_them(work: Path) -> None:
    prepared = harness.prepare("docs.jsonl", "parts", split={"test": 10}, template="alpaca")
    assert (len(prepared.test), prepared.card.template) == (10, "alpaca")
    assert read_prepared(work / "parts") == prepared
    with pytest.raises(harness.InputError, match=r"'data\.templat'"):
        harness.prepare("docs.jsonl", templat="alpaca")


def test_evaluate_and_compare_runs_models_and_folders(work: Path) -> None:
    weak = ScriptedModel(default="no idea", name="weak")
    strong = ScriptedModel(
        lambda prompt: f"{prompt[-1].content.split()[0]} first.", identity="strong", name="strong"
    )  # type: ignore[union-attr]
    first = harness.evaluate(weak, "docs.jsonl", name="before", metrics=["exact_match", "rouge"])
    assert first.name == "before"
    assert (work / "runs" / "store.sqlite").is_file()
    second = harness.evaluate(
        strong, ["docs.jsonl"], store=False, workspace="none", metrics=["exact_match", "rouge"]
    )
    assert not (work / "none").exists()
    assert harness.compare(first, second).verdict is harness.Verdict.BETTER
    models = harness.compare(weak, strong, task="docs.jsonl", primary="exact_match", alpha=0.1, tolerance=0.1)
    assert (models.verdict, models.comparison.base) == (harness.Verdict.BETTER, "base")
    assert models.comparison.metrics[0].level == pytest.approx(0.9)
    from harness.stages.runfiles import write_run

    write_run(first, work / "first")
    assert (
        harness.compare("first", second).comparison.metrics
        == harness.compare(first, second).comparison.metrics
    )


def test_run_is_the_experiment_file(work: Path) -> None:
    write_experiment(work, experiment({"scripted": {"default": "river first."}}, tune=None))
    found = harness.run("tiny.yaml", workspace="place")
    assert json.loads((work / "place" / "tiny" / "results.json").read_bytes())["checkpoint"] == "base"
    with pytest.raises(harness.InputError, match="one run only, so nothing is compared"):
        _ = found.verdict


def test_a_metric_of_ones_own(work: Path) -> None:
    @harness.metric(binary=True)
    def ends_with_a_stop(answer: str, sample: harness.Sample) -> float:  # noqa: ARG001
        return float(answer.endswith("."))

    found = harness.evaluate(ScriptedModel(default="yes."), "docs.jsonl", metrics=["ends_with_a_stop"])
    assert found.estimates["docs"]["ends_with_a_stop"].value == 1.0
    assert work.is_dir()


def test_what_cannot_be_done_is_said_before_any_work(work: Path, tiny_model: Path) -> None:
    model = ScriptedModel(default="x")
    with pytest.raises(harness.InputError, match="Did you mean 'smollm2-135m-q4'"):
        harness.load_model("smollm2-135m-q5")
    with pytest.raises(harness.InputError, match="'scripted' cannot be fine-tuned"):
        harness.finetune(model, data="docs.jsonl")
    with pytest.raises(harness.InputError, match="needs a base and at least one tuned"):
        harness.compare(model)
    with pytest.raises(harness.InputError, match="Unknown primary measure 'rougel'"):
        harness.compare(model, model, task="docs.jsonl", primary="rougel")
    with pytest.raises(harness.InputError, match=r"Unknown key at 'tune\.rnak'"):
        harness.finetune(tiny_model, data="docs.jsonl", rnak=8)
    with pytest.raises(harness.InputError, match="this file does not exist"):
        harness.finetune("smollm2-135m-q4", data="gone.jsonl")
    with pytest.raises(harness.InputError, match="there is no such run folder"):
        harness.compare("gone", model, task="docs.jsonl")
    with pytest.raises(harness.InputError, match="'scripted' is not a checkpoint"):
        harness.evaluate(model)
    with pytest.raises(harness.InputError, match="2 tasks have the name 'docs'"):
        harness.compare(model, model, task=["docs.jsonl", "docs.jsonl"])
    assert model.calls == 0
    assert not (work / "runs" / "store.sqlite").exists()


def test_bench_gives_runs_that_compare_accepts(work: Path) -> None:
    base = ScriptedModel(default_loglikelihood=-1.0, name="one")
    tuned = ScriptedModel(default_loglikelihood=-2.0, name="two")
    one = harness.bench(base, "arc_easy", data_dir="shipped", limit=6, num_fewshot=2)
    two = harness.bench(
        tuned, ["arc_easy"], data_dir="shipped", limit=6, num_fewshot=2, name="tuned", store=False
    )
    assert (one.name, two.name, len(one.samples)) == ("one", "tuned", 6)
    assert "shots:2,seed 1234" in one.estimates["arc_easy"]["acc"].signature
    assert one.environment is not None
    assert one.environment.seeds == {"few-shots": 1234}
    assert "lm-eval" in one.environment.packages
    compared = harness.compare(one, two)
    assert [metric.task for metric in compared.comparison.metrics] == ["arc_easy", "arc_easy"]
    assert (work / "runs").is_dir()
    with pytest.raises(
        harness.InputError, match=r"Unknown key at 'bench.limt': 'limt'\. Did you mean 'limit'\?"
    ):
        harness.bench(base, "arc_easy", limt=6)
    with pytest.raises(harness.InputError, match="limit is 0"):
        harness.bench(base, "arc_easy", limit=0)

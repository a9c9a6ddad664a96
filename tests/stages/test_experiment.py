"""The pipeline as a stage function: on a tiny model with tuning, on the scripted model without."""

from __future__ import annotations

import dataclasses
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from stages.conftest import Finished, RunMaker
from support.pipeline import experiment, write_experiment

from harness.checkpoints.open import open_model
from harness.exceptions import FileProblem, InputError, UnknownName
from harness.models.hf import HfModel, HfSettings
from harness.models.scripted import ScriptedModel
from harness.records import Training, TrainingPoint
from harness.report import write_report
from harness.stages import experiment as stage
from harness.stages import preparation
from harness.stages.evaluate import RunLabel, evaluate
from harness.stages.experiment import Workplace, checkpoint_model, choose, run_experiment
from harness.stages.heldout import changed, task_for
from harness.stages.resultfile import is_experiment, read_experiment
from harness.stages.resultfile import write_experiment as write_result
from harness.stages.settings import ExperimentSettings, load_experiment
from harness.stages.stored import stored_result
from harness.store import NoStore, Store
from harness.tuning import run as tuning


@pytest.fixture
def idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """No model answers and none is trained."""

    def called(*_: Any, **__: Any) -> None:
        raise AssertionError("a model was used")

    monkeypatch.setattr(HfModel, "generate", called)
    monkeypatch.setattr(tuning, "build_trainer", called)
    monkeypatch.setattr(preparation, "prepare", called)


def without_timing(path: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(path.read_bytes())
    del value["timing"]
    return value


def test_the_folder_holds_what_every_stage_left(finished: Finished) -> None:
    here = {str(path.relative_to(finished.folder)) for path in finished.folder.rglob("*")}
    assert here >= {
        "results.json",
        "data/train.jsonl",
        "data/validation.jsonl",
        "data/test.jsonl",
        "data/card.json",
        "checkpoints/checkpoint-2/adapter_model.safetensors",
        "checkpoints/checkpoint-6/adapter_model.safetensors",
        "eval/base/results.json",
        "eval/base/samples.jsonl",
        "eval/step-6/results.json",
    }
    assert {path.name for path in (finished.folder / "eval").iterdir()} == {
        run.name for run in finished.result.runs
    }
    assert not [name for name in here if Path(name).name.startswith(".")]


def test_base_comes_first_then_every_checkpoint_by_step(finished: Finished) -> None:
    result = finished.result
    assert [(run.name, run.step) for run in result.runs] == [
        ("base", None),
        ("step-2", 2),
        ("step-4", 4),
        ("step-6", 6),
    ]
    assert [(found.base, found.tuned) for found in result.comparisons] == [
        ("base", "step-2"),
        ("base", "step-4"),
        ("base", "step-6"),
    ]
    assert len({run.fingerprint for run in result.runs}) == 4
    assert {len(run.samples) for run in result.runs} == {12}


def test_the_checkpoint_is_chosen_by_validation_loss(finished: Finished) -> None:
    result = finished.result
    assert result.training is not None
    losses = {point.step: point.validation_loss for point in result.training.points}
    saved = {run.step: losses[run.step] for run in result.runs[1:] if run.step is not None}
    lowest = min(saved, key=lambda step: (saved[step], step))
    assert result.chosen is not None
    assert result.runs[result.chosen].step == lowest
    assert result.chosen_reason == f"lowest validation loss, {saved[lowest]:.3f}, of 3 saved"
    assert result.headline == result.comparisons[result.chosen - 1]


def test_results_json_holds_the_chosen_checkpoint_and_the_clock_apart(finished: Finished) -> None:
    value = json.loads((finished.folder / "results.json").read_bytes())
    chosen = finished.result.runs[finished.result.chosen or 0]
    assert value["checkpoint"] == chosen.name
    found = chosen.estimates["held_out"]
    assert value["results"]["held_out"] == {"alias": "held_out"} | {
        f"{name},none": estimate.value for name, estimate in found.items()
    }
    assert value["sentence"] == finished.result.comparisons[(finished.result.chosen or 0) - 1].sentence
    assert set(value["timing"]) == {"training", "runs"}
    assert value["timing"]["runs"]["base"]["model_seconds"] > 0
    rest = json.dumps({key: inner for key, inner in value.items() if key != "timing"})
    for word in ("seconds", "tokens_per_second", "timing"):
        assert word not in rest
    assert value["environment"]["seeds"] == {"decoding": 0, "bootstrap": 0, "split": 7, "training": 7}


def test_reading_gives_back_the_whole_experiment(finished: Finished, tmp_path: Path) -> None:
    assert is_experiment(finished.folder)
    assert read_experiment(finished.folder) == finished.result
    assert stored_result([finished.folder]) == finished.result
    write_result(finished.result, tmp_path)
    assert (tmp_path / "results.json").read_bytes() == (finished.folder / "results.json").read_bytes()


@pytest.mark.usefixtures("idle")
def test_a_second_call_uses_no_model_and_ends_the_same(finished: Finished, tmp_path: Path) -> None:
    workspace = shutil.copytree(finished.workspace, tmp_path / "copy")
    folder = workspace / finished.folder.name
    before = {path: path.read_bytes() for path in folder.rglob("*.jsonl")}
    first = without_timing(folder / "results.json")
    with Store.open(workspace) as store:
        again = run_experiment(finished.settings, Workplace(folder, store))
    assert without_timing(folder / "results.json") == first
    assert {path: path.read_bytes() for path in folder.rglob("*.jsonl")} == before
    assert again.comparisons == finished.result.comparisons


@pytest.mark.usefixtures("idle")
def test_a_checkpoint_evaluated_alone_is_asked_what_the_experiment_asked(finished: Finished) -> None:
    checkpoint = finished.folder / "checkpoints" / "checkpoint-4"
    model = open_model(str(checkpoint), HfSettings(dtype="float32"))
    with Store.open(finished.workspace) as store:
        run = evaluate(model, [task_for("held_out", model)], store, RunLabel("alone"))
    assert run.estimates == finished.result.runs[2].estimates
    assert [sample.generation for sample in run.samples] == [
        sample.generation for sample in finished.result.runs[2].samples
    ]


def test_keys_of_held_out_can_be_changed_for_one_evaluation(finished: Finished) -> None:
    model = open_model(str(finished.folder / "checkpoints" / "checkpoint-4"))
    task = task_for("held_out", model, {"limit": 3, "metrics": ["token_f1"]})
    assert len(task.samples) == 3
    assert [metric.name for metric in task.metrics] == ["token_f1"]
    assert task.decoding.max_new_tokens == 6
    with pytest.raises(UnknownName, match="'columns'"):
        task_for("held_out", model, {"columns": {"target": "answer"}})


def test_a_damaged_note_beside_the_data_is_named(
    finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = open_model(str(finished.folder / "checkpoints" / "checkpoint-4"))
    for name in ("card.json", "train.jsonl", "validation.jsonl", "test.jsonl"):
        (tmp_path / name).write_bytes((finished.folder / "data" / name).read_bytes())
    monkeypatch.setattr("harness.stages.heldout.data_folder", lambda _: tmp_path)
    # without the note the usual settings of a task hold
    assert task_for("held_out", model).decoding.max_new_tokens == 128
    (tmp_path / "held_out.json").write_text("[1]")
    with pytest.raises(FileProblem, match=r"held_out\.json: this does not hold the keys of a task"):
        task_for("held_out", model)


def test_the_report_can_be_drawn_from_what_is_stored(finished: Finished, tmp_path: Path) -> None:
    page = write_report(stored_result([finished.folder]), tmp_path / "report.html")
    assert "ROUGE-L" in page.read_text(encoding="utf-8")


def test_another_primary_keeps_level_and_tolerance(finished: Finished, tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="Unknown primary measure 'rougel'"):
        stored_result([finished.folder], "rougel")
    for name in ("base", "step-2", "step-4", "step-6"):
        target = tmp_path / "eval" / name
        target.mkdir(parents=True)
        for file in ("results.json", "samples.jsonl"):
            (target / file).write_bytes((finished.folder / "eval" / name / file).read_bytes())
    changed = tuple(
        replace(c, metrics=tuple(replace(m, level=0.9, tolerance=0.05) for m in c.metrics))
        for c in finished.result.comparisons
    )
    write_result(replace(finished.result, comparisons=changed), tmp_path)
    found = stored_result([tmp_path], "bleu")
    assert [c.primary.measure for c in found.comparisons if c.primary] == ["bleu"] * 3
    assert {(m.level, m.tolerance) for c in found.comparisons for m in c.metrics} == {(0.9, 0.05)}


def test_runs_of_an_experiment_can_be_compared_by_hand(finished: Finished) -> None:
    folders = [finished.folder / "eval" / name for name in ("base", "step-6", "base")]
    found = stored_result(folders)
    assert [run.name for run in found.runs] == ["base", "step-6", "base (2)"]
    assert found.comparisons[0].metrics == finished.result.comparisons[2].metrics
    assert (found.name, found.chosen, found.chosen_reason) == ("comparison", 2, "the last one named")
    alone = stored_result(folders[:1])
    assert (alone.name, alone.chosen, alone.headline) == ("base", None, None)
    assert alone.chosen_reason == "there is one checkpoint only"
    with pytest.raises(InputError, match="There is no run to report on"):
        stored_result([])


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"{", "not the result of an experiment"), (b"{}", "run it again"), (b"[]", "not the result")],
)
def test_a_damaged_result_is_named(content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "results.json").write_bytes(content)
    with pytest.raises(FileProblem, match=words):
        read_experiment(tmp_path)
    (tmp_path / "results.json").unlink()
    with pytest.raises(FileProblem, match="this experiment has no results yet"):
        read_experiment(tmp_path)


def scripted(folder: Path, **changes: Any) -> ExperimentSettings:
    """An experiment without tuning, on the scripted model."""
    spec = {"scripted": {"default": "river first."}}
    return load_experiment(write_experiment(folder, experiment(spec, tune=None, **changes)))


def test_without_tuning_there_is_one_run_and_no_verdict(tmp_path: Path) -> None:
    settings = scripted(tmp_path)
    with Store.open(tmp_path) as store:
        result = run_experiment(settings, Workplace(tmp_path / "out", store))
    assert ([run.name for run in result.runs], result.comparisons, result.chosen) == (["base"], (), None)
    assert (result.headline, result.training, result.environment.device) == (None, None, "remote")
    assert result.data is not None
    assert result.data.lengths is None
    value = json.loads((tmp_path / "out" / "results.json").read_bytes())
    assert (value["verdict"], value["sentence"], value["checkpoint"]) == (None, None, "base")
    assert read_experiment(tmp_path / "out") == result


def test_a_second_run_of_the_scripted_model_asks_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = []

    def opened(*_: Any, **__: Any) -> ScriptedModel:
        models.append(ScriptedModel(default="river first."))
        return models[-1]

    monkeypatch.setattr(stage, "open_model", opened)
    for _ in range(2):
        with Store.open(tmp_path) as store:
            run_experiment(scripted(tmp_path), Workplace(tmp_path / "out", store))
    assert [model.calls for model in models] == [1, 0]


def test_tasks_come_in_the_order_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "more.jsonl").write_text('{"question": "a?", "answer": "river first."}\n')
    settings = scripted(tmp_path, tasks=["more.jsonl", {"task": "held_out", "limit": 3}])
    with Store.open(tmp_path) as store:
        result = run_experiment(settings, Workplace(tmp_path / "out", store))
    assert {name: found["exact_match"].n for name, found in result.runs[0].estimates.items()} == {
        "more": 1,
        "held_out": 3,
    }
    assert list(result.runs[0].estimates) == ["more", "held_out"]


def test_an_experiment_without_data_of_its_own(tmp_path: Path) -> None:
    content = experiment({"scripted": {"default": "x"}}, tune=None, data=None, tasks=["docs.jsonl"])
    settings = load_experiment(write_experiment(tmp_path, content))
    result = run_experiment(settings, Workplace(tmp_path / "out", NoStore()))
    assert (result.data, list(result.runs[0].estimates)) == (None, ["docs"])
    assert "data file" not in result.digests


def test_new_data_in_the_same_file_is_prepared_anew(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    first = run_experiment(scripted(tmp_path), Workplace(folder, NoStore()))
    path = tmp_path / "docs.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:30]))
    settings = load_experiment(tmp_path / "tiny.yaml")
    second = run_experiment(settings, Workplace(folder, NoStore()))
    assert first.data is not None
    assert second.data is not None
    assert (first.data.rows, second.data.rows) == (40, 30)


def test_rows_that_cannot_be_used_are_counted_and_the_run_goes_on(tmp_path: Path) -> None:
    settings = scripted(tmp_path)
    with (tmp_path / "docs.jsonl").open("a") as file:
        file.write('{"question": "hollow?", "answer": " "}\n')
    result = run_experiment(settings, Workplace(tmp_path / "out", NoStore()))
    assert result.data is not None
    assert result.data.skipped == {"empty answer": 1}


def points(*losses: float | None) -> Training:
    found = tuple(
        TrainingPoint(step=2 * i, epoch=0.1 * i, validation_loss=loss) for i, loss in enumerate(losses)
    )
    empty = {"settings": {}, "steps": 6, "epochs": 1.0, "tokens": 1, "checkpoints": (), "adapter_bytes": 1}
    return Training(method="lora", points=found, trainable_parameters=1, total_parameters=2, **empty)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("losses", "chosen", "reason"),
    [
        ((9.0, 3.0, 1.0, 2.0), 2, "lowest validation loss, 1.000, of 3 saved"),
        ((0.5, 3.0, 2.0, 2.0), 2, "lowest validation loss, 2.000, of 3 saved"),
        ((9.0, 3.0, None, 2.0), 3, "the last one saved; there is no validation loss to choose by"),
        ((), 3, "the last one saved; there is no validation loss to choose by"),
    ],
)
def test_choose(losses: tuple[float | None, ...], chosen: int, reason: str, make_run: RunMaker) -> None:
    runs = [make_run({"rougeL": [0.5]})]
    runs += [make_run({"rougeL": [0.5]}, name=f"step-{step}", step=step) for step in (2, 4, 6)]
    assert choose(runs, points(*losses)) == (chosen, reason)
    assert choose(runs[:1], points(*losses)) == (None, "there is one checkpoint only")
    assert choose(runs, None)[0] == 3


def test_an_adapter_is_not_tuned_again(finished: Finished, tmp_path: Path) -> None:
    adapter = finished.folder / "checkpoints" / "checkpoint-4"
    settings = load_experiment(write_experiment(tmp_path, experiment(adapter)))
    with pytest.raises(InputError, match="is an adapter; fine-tune its base instead"):
        run_experiment(settings, Workplace(tmp_path / "out", NoStore()))


def test_full_weights_are_a_model_of_their_own(tiny_model: Path, tmp_path: Path) -> None:
    base = open_model(str(tiny_model))
    (tmp_path / "model.safetensors").write_bytes((tiny_model / "model.safetensors").read_bytes())
    found = checkpoint_model(base, tmp_path, "full step 2")
    assert (found.folder, found.adapter, found.name) == (tmp_path, None, "full step 2")
    with pytest.raises(InputError, match="'scripted' has no checkpoints"):
        checkpoint_model(ScriptedModel(), tmp_path, "x")


def test_another_models_tokens_are_counted_anew(finished: Finished, tmp_path: Path) -> None:
    data = finished.settings.data
    assert data is not None
    preparation.prepare_once(data, tmp_path)
    first = open_model(finished.settings.model, HfSettings(dtype="float32"))
    other = open_model(finished.settings.model, HfSettings(dtype="bfloat16"))
    assert isinstance(first, HfModel)
    assert isinstance(other, HfModel)
    short = dataclasses.replace(data, max_length=4)
    preparation.prepare_once(short, tmp_path)
    counted = preparation.measure_once(short, first, tmp_path)
    assert counted.card.lengths is not None
    assert counted.card.lengths.cut == counted.card.kept
    again = preparation.measure_once(short, other, tmp_path)
    # what was said of the first model's lengths is not said twice
    assert again.card == counted.card
    assert preparation.measure_once(short, other, tmp_path) == again


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_kill_while_lengths_are_stored_is_made_good(
    finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """Killed before the card with the lengths is written, and after it but before it is marked."""
    data = finished.settings.data
    assert data is not None
    model = open_model(finished.settings.model, HfSettings(dtype="float32"))
    assert isinstance(model, HfModel)
    short = dataclasses.replace(data, max_length=4)  # which is worth a warning
    preparation.prepare_once(short, tmp_path / "whole")
    whole = preparation.measure_once(short, model, tmp_path / "whole")
    preparation.prepare_once(short, tmp_path / "killed")

    def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(preparation, "write_card" if when == "before" else "_mark", killed)
        with pytest.raises(KeyboardInterrupt):
            preparation.measure_once(short, model, tmp_path / "killed")
    assert preparation.prepare_once(short, tmp_path / "killed").train == whole.train
    assert preparation.measure_once(short, model, tmp_path / "killed") == whole


def test_prepared_data_that_someone_removed_is_made_again(finished: Finished, tmp_path: Path) -> None:
    data = finished.settings.data
    assert data is not None
    first = preparation.prepare_once(data, tmp_path)
    (tmp_path / "card.json").unlink()
    assert preparation.prepare_once(data, tmp_path) == first


def test_runs_made_again_do_not_stand_beside_old_verdicts(finished: Finished, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(finished.folder, tmp_path / "copy"))
    run = json.loads((folder / "eval" / "base" / "results.json").read_bytes())
    run["fingerprint"] = "of other weights"
    (folder / "eval" / "base" / "results.json").write_text(json.dumps(run))
    with pytest.raises(FileProblem, match="some of its runs were made again later"):
        read_experiment(folder)


def test_runs_remember_where_they_were_made(finished: Finished) -> None:
    run = finished.folder / "eval" / "base"
    made = stored_result([run]).environment
    assert (made.packages, made.device) == (
        finished.result.environment.packages,
        finished.result.environment.device,
    )
    value = json.loads((run / "results.json").read_bytes())
    del value["environment"]
    (run.parent / "old").mkdir()
    (run.parent / "old" / "results.json").write_text(json.dumps(value))
    shutil.copy(run / "samples.jsonl", run.parent / "old")
    assert stored_result([run.parent / "old"]).environment.device == "not recorded"
    shutil.rmtree(run.parent / "old")


def test_changing_a_part_of_the_decoding_keeps_the_rest() -> None:
    keys = {"template": "chat", "decoding": {"max_new_tokens": 64, "seed": 3}}
    assert changed(keys, {"decoding": {"max_new_tokens": 8}}) == {
        "template": "chat",
        "decoding": {"max_new_tokens": 8, "seed": 3},
    }
    assert changed({}, {"decoding": {"seed": 1}}) == {"decoding": {"seed": 1}}


def test_only_a_model_on_disk_shows_its_tokens(tiny_model: Path) -> None:
    with pytest.raises(InputError, match="tokens of 'scripted' cannot be counted"):
        preparation.token_counter(ScriptedModel())
    assert preparation.token_counter(open_model(str(tiny_model)))([("ab", "c")]) == [4]

"""Every verb on real files: what it prints, writes and returns, on the scripted and a tiny model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cli.conftest import Call
from support.pipeline import experiment, write_experiment

from harness.cli.eval_verb import folder_name
from harness.models.scripted import ScriptedModel
from harness.records import Finish, Generation
from harness.stages import experiment as stage


def read(path: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(path.read_bytes())
    return value


def test_prepare_writes_the_parts_and_says_what_it_did(work: Path, call: Call) -> None:
    with (work / "docs.jsonl").open("a") as file:
        file.write('{"question": "hollow?", "answer": ""}\n')
    said = call("prepare", "docs.jsonl", "--test", "10", "--validation", "0.1", "--json", "card.json")
    assert (said.code, said.err) == (0, "prepare: 5 of 5\n")
    assert said.out.startswith("41 rows, 40 kept, 0 exact and 0 near duplicates removed.\n")
    assert "Skipped, empty answer: 1.\nSplit: train 26, validation 4, test 10.\n" in said.out
    assert said.out.endswith("Prepared data: prepared\n")
    assert {path.name for path in (work / "prepared").iterdir()} == {
        "train.jsonl",
        "validation.jsonl",
        "test.jsonl",
        "card.json",
    }
    assert read(work / "card.json")["splits"] == {"train": 26, "validation": 4, "test": 10}


def test_prepare_maps_columns_and_counts_tokens(work: Path, call: Call, tiny_model: Path) -> None:
    (work / "own.jsonl").write_text(
        "".join(f'{{"q": "about {i} {i * 7919}", "a": "yes"}}\n' for i in range(20))
    )
    columns = ("--column", "input=q", "--column", "target=a")
    said = call("prepare", "own.jsonl", *columns, "--test", "4", "--model", tiny_model, "--json", "card.json")
    assert said.code == 0
    card = read(work / "card.json")
    assert card["columns"] == "q/a"
    assert sum(card["lengths"]["counts"]) == 20


def test_run_without_tuning_reports_rows_and_page(work: Path, call: Call) -> None:
    said = call("run", "tiny.yaml", "--json", "deep/result.json")
    assert said.code == 0
    assert said.out.splitlines() == [
        "40 rows, 40 kept, 0 exact and 0 near duplicates removed.",
        "Split: train 24, validation 4, test 12.",
        "Only 12 test rows are left. So few rarely decide a comparison.",
        "Report: runs/tiny/report.html",
    ]
    assert read(work / "deep" / "result.json") == read(work / "runs" / "tiny" / "results.json")
    assert (work / "runs" / "tiny" / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_a_row_with_an_empty_answer_is_counted_and_the_run_goes_on(work: Path, call: Call) -> None:
    with (work / "docs.jsonl").open("a") as file:
        file.write('{"question": "hollow?", "answer": ""}\n')
    said = call("run", "tiny.yaml")
    assert said.code == 0
    assert "Skipped, empty answer: 1.\n" in said.out


def test_run_with_another_name_data_and_workspace(
    work: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = (work / "docs.jsonl").read_text().splitlines(keepends=True)
    (work / "fewer.jsonl").write_text("".join(lines[:30]))
    said = call("run", "tiny.yaml", "--name", "other", "--data", "fewer.jsonl", "--workspace", "place")
    assert (said.code, said.out.splitlines()[-1]) == (0, "Report: place/other/report.html")
    assert read(work / "place" / "other" / "results.json")["data"]["rows"] == 30
    monkeypatch.setenv("HARNESS_WORKSPACE", str(work / "elsewhere"))
    assert call("run", "tiny.yaml").code == 0
    assert (work / "elsewhere" / "tiny" / "results.json").is_file()
    assert call("run", "tiny.yaml", "--name", "a/b").code == 2


def test_no_store_leaves_none(work: Path, call: Call) -> None:
    assert call("run", "tiny.yaml", "--no-store").code == 0
    assert not (work / "runs" / "store.sqlite").exists()


def test_paths_in_an_experiment_are_relative_to_its_file(work: Path, call: Call, tiny_model: Path) -> None:
    folder = work / "project"
    content = experiment(
        None, tune=None, tasks=["held_out", "more.jsonl", {"task": "own.yaml"}], plugins=["p.py"]
    )
    write_experiment(folder, content | {"model": "./weights", "metrics": ["shout"]})
    (folder / "weights").symlink_to(tiny_model)
    (folder / "more.jsonl").write_text('{"question": "a?", "answer": "b"}\n')
    (folder / "own.yaml").write_text("name: own\ndata: more.jsonl\nmetrics: [exact_match]\n")
    (folder / "p.py").write_text(
        "import harness\n@harness.metric(binary=True)\ndef shout(answer, sample):\n    return answer.isupper()\n"
    )
    said = call("run", "project/tiny.yaml")
    assert said.code == 0, said.err
    assert list(read(work / "runs" / "tiny" / "results.json")["results"]) == ["held_out", "more", "own"]


def test_a_broken_checkpoint_ends_with_1_after_everything_is_written(
    work: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    nan = Generation("", 0, Finish.NONFINITE, "numbers that are not finite")
    monkeypatch.setattr(stage, "open_model", lambda *_, **__: ScriptedModel(lambda _: nan, identity="nan"))
    said = call("run", "tiny.yaml")
    assert said.code == 1
    assert said.err.endswith("harness: Numbers that are not finite came from: base (12 samples).\n")
    assert read(work / "runs" / "tiny" / "results.json")["runs"][0]["nonfinite"] == 12
    assert (work / "runs" / "tiny" / "report.html").is_file()


def test_eval_compare_and_report_by_hand(work: Path, call: Call, tiny_model: Path) -> None:
    options = ("--set", "metrics=[rouge]", "--set", "decoding={max_new_tokens: 4}", "--limit", "5")
    options += ("--dtype", "float32")
    base = call("eval", tiny_model, "--task", "docs.jsonl", *options, "--out", "base", "--json", "base.json")
    assert base.code == 0, base.err
    assert base.out.splitlines()[0].split() == ["task", "metric", "value", "95%", "interval", "n"]
    assert base.out.endswith("Run: base\n")
    assert read(work / "base.json") == read(work / "base" / "results.json")
    assert read(work / "base.json")["n-samples"] == {"docs": {"original": 5, "effective": 5}}
    again = call("eval", tiny_model, "--task", "docs.jsonl", *options)
    assert again.code == 0, again.err
    (folder,) = (work / "runs" / "eval").iterdir()
    compared = call("compare", "base", folder, "--json", "comparison.json", "--primary", "rouge1")
    assert compared.code == 0, compared.err
    assert compared.out.splitlines()[0].startswith("task  metric")
    assert "no difference" in compared.out.splitlines()[-1]
    assert read(work / "comparison.json")["primary"]["measure"] == "rouge1"
    report = call("report", "base", folder, "--out", "page/report.html", "--json", "report.json")
    assert report.code == 0, report.err
    assert report.out.endswith("Report: page/report.html\n")
    assert (work / "page" / "report.html").is_file()
    assert read(work / "report.json")["chosen"] == 1


def test_comparing_a_broken_run_ends_with_1(work: Path, call: Call) -> None:
    assert call("run", "tiny.yaml").code == 0
    run = work / "runs" / "tiny" / "eval" / "base"
    (work / "nan").mkdir()
    (work / "nan" / "samples.jsonl").write_bytes((run / "samples.jsonl").read_bytes())
    value = read(run / "results.json")
    (work / "nan" / "results.json").write_text(json.dumps(value | {"nonfinite": 3, "name": "nan"}))
    said = call("compare", run, "nan", "--json", "comparison.json")
    assert said.code == 1
    assert said.err == (
        "harness: The tuned checkpoint is broken: it returns numbers that are not finite on 3 of 12 samples.\n"
    )
    assert read(work / "comparison.json")["verdict"] == "broken"


def test_compare_prints_the_warnings(work: Path, call: Call) -> None:
    assert call("run", "tiny.yaml").code == 0
    run = work / "runs" / "tiny" / "eval" / "base"
    assert "Both runs are of the same weights" in call("compare", run, run).out


def test_the_whole_way_on_a_tiny_model(work: Path, call: Call, tiny_model: Path) -> None:
    write_experiment(work, experiment(tiny_model))
    said = call("run", "tiny.yaml")
    assert said.code == 0, said.err
    assert said.out.splitlines()[-1] == "Report: runs/tiny/report.html"
    sentence = said.out.splitlines()[-2]
    result = read(work / "runs" / "tiny" / "results.json")
    assert sentence == result["sentence"]
    assert "training: 6 of 6" in said.err
    # the folder of an experiment, and two of its runs, can be named by hand
    report = call("report", "runs/tiny")
    assert report.out.splitlines() == [sentence, "Report: report.html"]
    compared = call("compare", "runs/tiny/eval/base", f"runs/tiny/eval/{result['checkpoint']}")
    assert compared.out.splitlines()[-1] == sentence
    again = call("eval", "runs/tiny/checkpoints/checkpoint-4", "--task", "held_out", "--dtype", "float32")
    assert "generation: 12 of 12" in again.err.lower()
    assert call("compare", "runs/tiny/eval/step-4", "runs/eval/runs-tiny-checkpoints-checkpoint-4").code == 0


def test_finetune_says_steps_and_checkpoints(work: Path, call: Call, tiny_model: Path) -> None:
    keys = ("batch_size=8", "save_every=2", "rank=2", "dtype=float32", "max_length=64")
    settings = [part for key in keys for part in ("--set", key)]
    said = call("finetune", tiny_model, "docs.jsonl", "--epochs", "1", *settings, "--json", "training.json")
    assert said.code == 0, said.err
    lines = said.out.splitlines()
    assert lines[0].startswith("5 steps, ")
    assert ", validation loss " in lines[0]
    assert lines[-1] == "Checkpoint, step 5: tuned/checkpoints/checkpoint-5"
    training = read(work / "training.json")
    assert (training["settings"]["max_length"], training["steps"]) == ("64", 5)
    assert json.loads((work / "tuned" / "data" / "card.json").read_bytes())["lengths"]["limit"] == 64
    # its folder names its own test split, for the base too
    for name, model in (("base", tiny_model), ("step-5", "tuned/checkpoints/checkpoint-5")):
        options = ("--set", "decoding={max_new_tokens: 4}", "--dtype", "float32")
        assert call("eval", model, "--task", "tuned", *options, "--out", name).code == 0
    card = read(work / "tuned" / "data" / "card.json")
    compared = call("compare", "base", "step-5", "--json", "comparison.json")
    assert compared.code == 0, compared.err
    assert read(work / "comparison.json")["primary"]["n"] == card["splits"]["test"]


@pytest.mark.parametrize("kind", ["metrics", "categorizers", "models", "tasks", "suites", "templates"])
def test_list(kind: str, work: Path, call: Call) -> None:
    said = call("list", kind, "--json", "list.json")
    assert (said.code, said.err) == (0, "")
    rows = read(work / "list.json")[kind]
    names = [line.split()[0] for line in said.out.splitlines()]
    assert names == ["name", *(row["name"] for row in rows)]
    known = {"metrics": "rouge", "categorizers": "truncated", "models": "smollm2-135m-q4"}
    assert known.get(kind, {"tasks": "held_out", "suites": "quick", "templates": "alpaca"}.get(kind)) in names


def test_tasks_and_suites_say_where_they_come_from(work: Path, call: Call) -> None:
    assert call("list", "tasks", "--json", "list.json").code == 0
    origins = {row["name"]: row["origin"] for row in read(work / "list.json")["tasks"]}
    assert origins["harness_qa"] == "checkpoint-harness"
    assert (origins["arc_easy"], origins["mmlu"]) == ("lm-eval", "lm-eval")
    # the list in DESIGN, section 3
    assert "leaderboard  arc_challenge, 25-shot; hellaswag, 10-shot; mmlu, 5-shot; truthfulqa_mc2" in (
        call("list", "suites").out
    )


def test_list_names_a_broken_plugin(work: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.cli.list_verb._broken", lambda _: {"odd": "ImportError: no odd"})
    said = call("list", "templates", "--json", "list.json")
    assert (said.code, said.err) == (0, "odd: this plugin cannot be loaded (ImportError: no odd).\n")
    assert read(work / "list.json")["broken"] == {"odd": "ImportError: no odd"}


def test_demo_runs_the_shipped_experiment(
    work: Path, call: Call, monkeypatch: pytest.MonkeyPatch, tiny_model: Path
) -> None:
    from harness.stages import settings

    given = settings.load_experiment

    def small(path: Path) -> settings.ExperimentSettings:
        from dataclasses import replace

        found = given(path)
        assert (found.name, found.model) == ("demo", "smollm2-135m-q4")
        assert found.tune is not None
        tune = replace(found.tune, max_steps=2, save_every=2, rank=2)
        evaluate = replace(found.evaluate, max_new_tokens=2, dtype="float32")
        return replace(found, model=str(tiny_model), tune=tune, evaluate=evaluate)

    monkeypatch.setattr(settings, "load_experiment", small)
    said = call("demo", "--json", "demo.json")
    assert said.code == 0, said.err
    assert said.out.endswith("Report: runs/demo/report.html\n")
    demo = read(work / "demo.json")
    assert demo["data"]["splits"]["test"] == 72
    (compared,) = demo["comparisons"]
    named = [each["metric"]["task"] for each in compared["forgetting"]]
    assert named == ["arc_easy", "hellaswag", "truthfulqa_mc1", "mmlu", "arc_challenge"]
    assert all(each["home_made"] for each in compared["forgetting"])


@pytest.mark.parametrize(
    ("model", "folder"),
    [
        ("smollm2-135m-q4", "smollm2-135m-q4"),
        ("../a b/checkpoint-5/", "a-b-checkpoint-5"),
        ("..", "model"),
        ("/", "model"),
        ("org/name.v2", "org-name.v2"),
    ],
)
def test_the_folder_of_a_model_is_never_above(model: str, folder: str) -> None:
    assert folder_name(model) == folder

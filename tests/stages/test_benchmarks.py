"""Benchmarks inside an experiment: entries, checks before any work, stored results, merging."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from benchmarks.conftest import checksum_model, write_benchmarks
from support.pipeline import experiment, write_experiment

from harness.benchmarks import BenchSettings, bench, index
from harness.exceptions import BadValue, FileProblem, InputError, MissingExtra, UnknownName
from harness.models.scripted import ScriptedModel
from harness.records import ExperimentResult, LogLikelihood, RunResult
from harness.resources import resource
from harness.stages import benchmarks
from harness.stages.benchmarks import Entry, check, entry_of, is_entry, with_benchmarks
from harness.stages.compare import compare
from harness.stages.evaluate import RunLabel
from harness.stages.experiment import Workplace, run_experiment
from harness.stages.resultfile import read_experiment
from harness.stages.settings import load_experiment
from harness.stages.stored import stored_result
from harness.store import NoStore, Store

EMPTY = RunResult("base", "checksum", "f", None, {}, {}, ())


@pytest.fixture
def files(tmp_path: Path) -> Path:
    return write_benchmarks(tmp_path / "files")


def entry(name: str, files: Path | None, **settings: Any) -> Entry:
    return Entry(name, BenchSettings(data_dir=files, **settings))


def test_which_entries_are_benchmarks() -> None:
    assert all(map(is_entry, ["arc_easy", {"suite": "quick"}, {"task": "gsm8k", "limit": 3}]))
    own: list[str | Mapping[str, Any]] = [
        "held_out",
        "harness_qa",
        {"task": "held_out"},
        "docs.jsonl",
        {"task": "a.yaml"},
    ]
    assert not any(map(is_entry, [*own, {"task": 3}, {"limit": 3}]))


def test_an_entry_names_a_suite_or_a_task_with_its_settings() -> None:
    read = entry_of({"suite": "quick", "limit": 5, "num_fewshot": 2, "data_dir": "here"}, "tasks.0")
    assert read.settings == BenchSettings(limit=5, num_fewshot=2, data_dir=Path("here"))
    assert [chosen.name for chosen in read.chosen] == ["arc_easy", "hellaswag", "mmlu", "truthfulqa_mc1"]
    assert {(chosen.limit, chosen.num_fewshot) for chosen in read.chosen} == {(5, 2)}
    assert entry_of("arc_easy", "tasks.0") == Entry("arc_easy", BenchSettings())
    assert entry_of("quick", "tasks.0").name == "quick"


@pytest.mark.parametrize(
    ("spec", "problem", "words"),
    [
        ({"suite": "leaderbord"}, UnknownName, "Unknown suite 'leaderbord'. Did you mean 'leaderboard'?"),
        ({"task": "arc_easy", "shots": 3}, UnknownName, "Unknown key at 'tasks.1.shots'"),
        ({"task": "arc_easy", "template": "chat"}, UnknownName, "'template'"),
        ({"task": "arc_easy", "suite": "quick"}, BadValue, "a suite or a task, not both"),
        ({"suite": None}, BadValue, "the name of a suite or a task"),
        ({"task": "arc_easy", "limit": 0}, BadValue, "limit is 0"),
        ({"task": "arc_easy", "num_fewshot": -1}, BadValue, "num_fewshot is -1"),
        ("held_outt", UnknownName, "Unknown task 'held_outt'. Did you mean 'held_out'?"),
    ],
)
def test_an_entry_that_cannot_be_used(spec: Any, problem: type[InputError], words: str) -> None:
    with pytest.raises(problem) as raised:
        entry_of(spec, "tasks.1")
    assert words in str(raised.value)


def test_local_files_are_checked_without_lm_eval(files: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from harness.benchmarks import BenchSettings\n"
        "from harness.stages.benchmarks import Entry, check\n"
        f"settings = BenchSettings(data_dir=Path({str(files)!r}))\n"
        "print(check([Entry('quick', settings), Entry('arc_challenge', settings)], ['held_out']))\n"
        "print([name for name in ('lm_eval', 'torch', 'datasets') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    measures, loaded = done.stdout.splitlines()
    assert loaded == "[]"
    assert measures == (
        "{'arc_easy': ('acc', 'acc_norm'), 'hellaswag': ('acc', 'acc_norm'), 'mmlu': ('acc',), "
        "'truthfulqa_mc1': ('acc',), 'arc_challenge': ('acc', 'acc_norm')}"
    )
    assert check([], ["a"]) == {}
    assert check([entry("mmlu_virology", files)], []) == {"mmlu_virology": ("acc",)}


def test_a_broken_line_and_a_missing_file_are_named(files: Path) -> None:
    path = files / "mmlu" / "virology" / "test.jsonl"
    path.write_text(path.read_text() + "oops\n")
    with pytest.raises(FileProblem, match=r"test.jsonl, line 11: this line is not JSON"):
        check([entry("mmlu", files)], [])
    (files / "truthfulqa" / "mc.jsonl").unlink()
    with pytest.raises(FileProblem, match=r"mc.jsonl: this file of the benchmark is missing"):
        check([entry("truthfulqa_mc1", files)], [])
    with pytest.raises(FileProblem, match="there is no such data folder"):
        check([entry("arc_easy", files / "gone")], [])
    shutil.rmtree(files / "mmlu")
    with pytest.raises(FileProblem, match="no folder of an MMLU subject"):
        check([entry("mmlu", files)], [])


@pytest.mark.parametrize(
    "names", [("arc_easy", "arc_easy"), ("mmlu", "mmlu_virology"), ("mmlu_virology", "mmlu")]
)
def test_a_task_that_comes_twice_is_refused(files: Path, names: tuple[str, str]) -> None:
    with pytest.raises(InputError, match=r"The task '(arc_easy|mmlu_virology)' is named twice in `tasks:`"):
        check([entry(name, files) for name in names], [])
    with pytest.raises(InputError, match="'arc_easy' is named twice"):
        check([entry("arc_easy", files)], ["arc_easy"])


def test_groups_of_one_experiment_that_share_nothing(files: Path) -> None:
    found = check([entry("mmlu_virology", files), entry("mmlu_stem", files)], [])
    assert list(found) == ["mmlu_virology", "mmlu_abstract_algebra", "mmlu_anatomy", "mmlu_stem"]
    assert found["mmlu_stem"] == ("acc",)


def test_an_unknown_name_is_answered_with_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    real = index.manager_of("arc_easy").task_index
    monkeypatch.setattr(index, "_full_index", lambda: real)
    with pytest.raises(
        UnknownName, match=r"Unknown task 'hellaswagg'\. Did you mean 'hellaswag'\?"
    ) as raised:
        check([Entry("hellaswagg", BenchSettings())], [])
    assert "harness_qa" in raised.value.allowed


def test_without_lm_eval_the_command_that_installs_it_is_named(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> str:
        raise benchmarks.PackageNotFoundError(name)

    monkeypatch.setattr(benchmarks, "version", missing)
    with pytest.raises(MissingExtra, match=r"checkpoint-harness\[lm-eval\]"):
        check([entry("arc_easy", files)], [])


def test_results_are_those_of_bench_and_added_to_the_run(files: Path) -> None:
    model = checksum_model()
    direct = bench(model, ["arc_easy"], NoStore(), BenchSettings(data_dir=files, limit=5), RunLabel("base"))
    own = replace(EMPTY, settings={"dtype": "x"}, timing={"seconds": 1.0, "model_seconds": 2.0}, nonfinite=1)
    found = with_benchmarks(own, model, [entry("arc_easy", files, limit=5), entry("mmlu", files)], NoStore())
    assert found.estimates["arc_easy"] == direct.estimates["arc_easy"]
    assert found.samples[:5] == direct.samples
    assert (found.name, found.model, found.nonfinite) == ("base", "checksum", 1)
    assert found.settings["group mmlu"] == "3 of 57 subjects have local files"
    assert found.timing["model_seconds"] == pytest.approx(
        2.0 + sum(seconds for name, seconds in found.timing.items() if name.startswith("model_seconds "))
    )
    with pytest.raises(InputError, match="'arc_easy' is named twice"):
        with_benchmarks(found, model, [entry("arc_easy", files)], NoStore())


def test_a_stored_result_needs_neither_model_nor_lm_eval(
    files: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    entries = [entry("quick", files, limit=4)]
    with Store.open(tmp_path / "store") as store:
        first = with_benchmarks(EMPTY, checksum_model(), entries, store)
        monkeypatch.setattr("harness.benchmarks.bench", None)
        again = checksum_model()
        second = with_benchmarks(EMPTY, again, entries, store)
    assert again.calls == 0
    assert replace(second, timing={}) == replace(first, timing={})
    assert list(second.estimates) == list(first.estimates)
    assert second.timing["model_seconds"] == first.timing["model_seconds"]


def other_script(prompt: Any, continuation: str) -> LogLikelihood:
    return LogLikelihood(-float(len(f"{prompt}{continuation}")), greedy=False, tokens=1)


@pytest.mark.parametrize("change", ["model", "limit", "shots", "file", "version", "code", "source"])
def test_what_changes_a_number_makes_the_result_anew(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    with Store.open(tmp_path / "store") as store:
        with_benchmarks(EMPTY, checksum_model(), [entry("arc_easy", files, limit=4)], store)
        called: list[Any] = []
        monkeypatch.setattr("harness.benchmarks.bench", lambda *a: called.append(a) or EMPTY)
        again, model = entry("arc_easy", files, limit=4), checksum_model()
        if change == "model":
            model = ScriptedModel(loglikelihoods=other_script, identity="other")
        if change == "limit":
            again = entry("arc_easy", files, limit=5)
        if change == "shots":
            again = entry("arc_easy", files, limit=4, num_fewshot=1)
        if change == "file":
            path = files / "arc_easy" / "train.jsonl"
            path.write_text(path.read_text() + "\n")
        if change == "version":
            monkeypatch.setattr(benchmarks, "version", lambda _: "0.4.99")
        if change == "code":
            monkeypatch.setattr(benchmarks, "_code", list)
        if change == "source":
            again = entry("arc_easy", resource("tasks", "benchmarks"), limit=4)
        with_benchmarks(EMPTY, model, [again], store)
        assert len(called) == 1
        monkeypatch.undo()


def test_files_of_another_task_do_not_matter(files: Path) -> None:
    before = benchmarks._key(entry("arc_easy", files), checksum_model())
    (files / "hellaswag" / "train.jsonl").write_text("{}\n")
    assert before == benchmarks._key(entry("arc_easy", files), checksum_model())
    assert before is not None


def test_data_of_the_hub_are_not_known_to_be_the_same() -> None:
    assert benchmarks._key(entry("arc_easy", None), checksum_model()) is None


def test_a_result_with_a_failed_sample_is_tried_again(files: Path, tmp_path: Path, monkeypatch: Any) -> None:
    path = files / "arc_easy" / "test.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[1]["answerKey"] = "Z"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with Store.open(tmp_path / "store") as store:
        first = with_benchmarks(EMPTY, checksum_model(), [entry("arc_easy", files)], store)
        assert [sample.failure is None for sample in first.samples[:3]] == [True, False, True]
        called: list[Any] = []
        monkeypatch.setattr("harness.benchmarks.bench", lambda *a: called.append(a) or EMPTY)
        with_benchmarks(EMPTY, checksum_model(), [entry("arc_easy", files)], store)
        assert len(called) == 1


TASKS = [
    "held_out",
    {"task": "arc_easy", "limit": 6, "data_dir": "files"},
    {"task": "mmlu", "limit": 2, "data_dir": "files"},
]


@pytest.fixture(scope="module")
def whole(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ExperimentResult]:
    place = tmp_path_factory.mktemp("benchmarks")
    write_benchmarks(place / "files")
    tuning = experiment(tiny_model)["tune"] | {"max_steps": 4}
    path = write_experiment(
        place, experiment(tiny_model, tasks=TASKS, tune=tuning, compare={"forgetting_tolerance": 0.1})
    )
    with Store.open(place / "runs") as store:
        found = run_experiment(load_experiment(path), Workplace(place / "runs" / "tiny", store))
    # here, since another test runs the same experiment again from another process
    assert read_experiment(place / "runs" / "tiny") == found
    return path, found


def test_base_and_every_checkpoint_are_asked_and_compared(whole: tuple[Path, ExperimentResult]) -> None:
    path, result = whole
    for run in result.runs:
        subjects = ["mmlu_abstract_algebra", "mmlu_anatomy", "mmlu_virology"]
        assert {sample.task for sample in run.samples} == {"held_out", "arc_easy", *subjects}
        assert len(run.samples) == 12 + 6 + 3 * 2
    assert len(result.runs) == 3
    for comparison in result.comparisons:
        assert {metric.task for metric in comparison.metrics} == {"held_out"}
        assert [(f.metric.task, f.metric.measure, f.metric.n) for f in comparison.forgetting] == [
            ("arc_easy", "acc_norm", 6),
            ("mmlu", "acc", 6),
        ]
        assert not any(each.home_made for each in comparison.forgetting)
    assert result.environment.seeds["few-shots"] == 1234
    folder = path.parent / "runs" / "tiny"
    assert json.loads((folder / "results.json").read_bytes())["comparisons"][0]["forgetting"][1]["tasks"] == 3


def test_the_same_command_again_asks_nothing_and_imports_no_lm_eval(
    whole: tuple[Path, ExperimentResult],
) -> None:
    path, result = whole
    folder = path.parent / "runs"
    before = {name: (folder / "tiny" / name).read_bytes() for name in ("eval/base/samples.jsonl",)}
    script = (
        "import sys; from pathlib import Path; from harness.store import Store\n"
        "from harness.stages.experiment import Workplace, run_experiment\n"
        "from harness.stages.settings import load_experiment\n"
        f"place = Path({str(folder)!r})\n"
        "with Store.open(place) as store:\n"
        f"    found = run_experiment(load_experiment(Path({str(path)!r})), Workplace(place / 'tiny', store))\n"
        "print('lm_eval' in sys.modules, found.headline.sentence)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.headline is not None
    assert done.stdout == f"False {result.headline.sentence}\n"
    assert before == {name: (folder / "tiny" / name).read_bytes() for name in before}


def test_a_benchmark_can_give_the_verdict(whole: tuple[Path, ExperimentResult]) -> None:
    path, result = whole
    named = write_experiment(
        path.parent, json.loads(path.read_text()) | {"compare": {"primary": "arc_easy/acc"}}, "named.yaml"
    )
    settings = load_experiment(named)
    found = compare(result.runs[0], result.runs[1], settings.compare)
    assert found.primary is not None
    assert (found.primary.task, found.primary.measure) == ("arc_easy", "acc")
    assert [each.metric.task for each in found.forgetting] == ["mmlu"]


def test_another_primary_keeps_the_tolerance_of_forgetting(whole: tuple[Path, ExperimentResult]) -> None:
    path, result = whole
    found = stored_result([path.parent / "runs" / "tiny"], "exact_match")
    assert found.comparisons[0].primary is not None
    assert found.comparisons[0].primary.measure == "exact_match"
    assert found.comparisons[0].forgetting == result.comparisons[0].forgetting
    assert found.comparisons[0].forgetting[0].metric.tolerance == 0.1


def test_shipped_stands_for_the_products_own_samples(tmp_path: Path) -> None:
    tasks: list[Any] = [{"task": "arc_easy", "limit": 4, "data_dir": "shipped"}]
    model = {"scripted": {"default": "x", "default_loglikelihood": -1.0}}
    path = write_experiment(tmp_path, experiment(model, tasks=tasks, tune=None, data=None))
    result = run_experiment(load_experiment(path), Workplace(tmp_path / "runs", NoStore()))
    assert list(result.runs[0].estimates) == ["arc_easy"]
    assert "shipped" in result.runs[0].estimates["arc_easy"]["acc"].signature
    (tmp_path / "shipped").mkdir()
    with pytest.raises(FileProblem, match="this file of the benchmark is missing"):
        run_experiment(load_experiment(path), Workplace(tmp_path / "runs", NoStore()))

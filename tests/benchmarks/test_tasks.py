"""Names, suites and the index: what starts without reading lm-eval's 13,000 files, what is refused, and how."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import datasets
import lm_eval.tasks
import pytest
from benchmarks.conftest import arc_row, write

from harness.benchmarks import BenchSettings, index
from harness.benchmarks.index import index_file, manager_of
from harness.benchmarks.suites import Chosen, choose
from harness.benchmarks.tasks import load_tasks, quiet
from harness.benchmarks.templates import compiled_once
from harness.exceptions import BadValue, FileProblem, InputError, UnknownName

PLAIN = BenchSettings()


@pytest.fixture
def full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder, and a stand-in of a few hundred files for the whole of lm-eval's tasks."""
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    real = index.TaskManager

    def manager(include_defaults: bool = True, include_path: Any = None) -> Any:
        calls.append(include_defaults)
        folder = index.TASKS_FOLDER / "glue"
        return real(include_defaults=False, include_path=[folder] if include_defaults else include_path)

    calls: list[bool] = []
    monkeypatch.setattr(index, "TaskManager", manager)
    monkeypatch.setattr(index, "full_calls", calls, raising=False)
    return tmp_path / "cache"


def full_scans() -> int:
    calls: list[bool] = index.full_calls  # type: ignore[attr-defined]
    return sum(calls)


@pytest.mark.parametrize(
    "name", ["arc_easy", "hellaswag", "mmlu", "mmlu_stem", "mmlu_virology", "truthfulqa_mc2"]
)
def test_names_of_the_table_need_no_full_index(full: Path, name: str) -> None:
    assert name in manager_of(name).task_index
    assert full_scans() == 0
    assert not full.exists()


def test_the_full_index_is_made_once_and_knows_groups_and_tags(full: Path) -> None:
    first = manager_of("glue").task_index["glue"]
    assert full_scans() == 1
    assert index_file() == full / "lm_eval" / "index-0.4.13.json"
    again = manager_of("glue").task_index
    assert full_scans() == 1
    assert (again["glue"].kind, again["glue"].tags) == (first.kind, first.tags)
    assert again["cola"].yaml_path == index.TASKS_FOLDER / "glue" / "cola" / "default.yaml"
    assert again["cola"].kind.name == "TASK"


@pytest.mark.usefixtures("full")
def test_a_damaged_index_is_made_anew() -> None:
    manager_of("glue")
    index_file().write_text('{"glue": 3}')
    assert "cola" in manager_of("cola").task_index
    assert (full_scans(), json.loads(index_file().read_text())["cola"][0]) == (2, "TASK")


def test_a_cache_that_cannot_be_written_is_no_matter(full: Path) -> None:
    full.write_text("a file in its place")
    assert "cola" in manager_of("cola").task_index
    assert full_scans() == 1


@pytest.mark.usefixtures("full")
def test_an_unknown_name_names_the_nearest() -> None:
    with pytest.raises(
        UnknownName, match=r"Unknown benchmark 'qqpp'\. Did you mean 'qqp'\? Allowed: arc_easy"
    ):
        manager_of("qqpp")


def test_suites_and_what_goes_before_them() -> None:
    assert choose(["leaderboard"], PLAIN)[0] == Chosen("arc_challenge", 25)
    settings = BenchSettings(limit=50, limits={"mmlu": 5}, num_fewshot=1)
    found = {chosen.name: (chosen.num_fewshot, chosen.limit) for chosen in choose(["leaderboard"], settings)}
    assert found == {
        "arc_challenge": (1, 50),
        "hellaswag": (1, 50),
        "mmlu": (1, 5),
        "truthfulqa_mc2": (1, 50),
    }
    quick = {chosen.name: chosen.limit for chosen in choose(["quick"], PLAIN)}
    assert quick == {"arc_easy": 200, "hellaswag": 200, "mmlu": 10, "truthfulqa_mc1": 200}


def test_bad_selections() -> None:
    with pytest.raises(InputError, match="'hellaswag' is named twice"):
        choose(["quick", "hellaswag"], PLAIN)
    with pytest.raises(InputError, match="No benchmark is named"):
        choose([], PLAIN)
    with pytest.raises(InputError, match="a limit for 'mmlu', but only these run: arc_easy"):
        choose(["arc_easy"], BenchSettings(limits={"mmlu": 5}))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"limit": 0}, "limit is 0, but must be a whole number from 1, or a share between 0 and 1"),
        ({"limit": 1.5}, "limit is 1.5"),
        ({"limits": {"mmlu": -1}}, "limit of mmlu is -1"),
        ({"num_fewshot": -1}, "num_fewshot is -1, but must be 0 or more"),
        ({"sample_seed": 1}, "give a limit, too"),
        ({"fewshot_as_multiturn": True}, "only with the chat template"),
    ],
)
def test_bad_settings(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises((BadValue, InputError), match=sentence):
        BenchSettings(**settings)


def load(folder: Path, *names: str) -> Any:
    settings = BenchSettings(data_dir=folder)
    return load_tasks(choose(names, settings), settings)


def test_a_task_in_two_groups_is_refused(bench_dir: Path) -> None:
    with pytest.raises(InputError, match="'mmlu_anatomy' is in the selection twice"):
        load(bench_dir, "mmlu_anatomy", "mmlu_stem")


def test_a_missing_subject_and_missing_folders(bench_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(FileProblem, match=r"mmlu/astronomy/dev.jsonl|mmlu/astronomy/test.jsonl"):
        load(bench_dir, "mmlu_astronomy")
    with pytest.raises(FileProblem, match="there is no such data folder"):
        load(tmp_path / "none", "arc_easy")
    write(tmp_path / "some" / "arc_easy" / "test.jsonl", [arc_row(1)])
    with pytest.raises(FileProblem, match="mmlu: there is no folder of an MMLU subject here"):
        load(tmp_path / "some", "mmlu")


def test_a_group_without_local_subjects_is_left_out(bench_dir: Path) -> None:
    loaded = load(bench_dir, "mmlu")
    assert {leaf.name for leaf in loaded.leaves} == {"mmlu_anatomy", "mmlu_virology", "mmlu_abstract_algebra"}
    assert {group.name for group in loaded.groups} == {"mmlu", "mmlu_stem", "mmlu_other"}


def test_the_hub_out_of_reach_is_one_sentence() -> None:
    with pytest.raises(InputError, match=r"'arc_easy' cannot be loaded: .*Local files can be given"):
        load_tasks((Chosen("arc_easy"),), PLAIN)


def test_a_fixed_number_of_few_shots_stays(bench_dir: Path) -> None:
    settings = BenchSettings(data_dir=bench_dir, num_fewshot=4)
    loaded = load_tasks(choose(["truthfulqa_mc1", "arc_easy"], settings), settings)
    assert [leaf.task.config.num_fewshot for leaf in loaded.leaves] == [0, 4]


OWN = """
task: own
output_type: multiple_choice
dataset_path: json
dataset_kwargs: {{data_files: {{test: {file}}}, cache_dir: {cache}}}
test_split: test
doc_to_text: question
doc_to_choice: ["yes", "no"]
doc_to_target: 0
{extra}
"""


@pytest.mark.parametrize(
    ("extra", "sentence"),
    [
        ("unsafe_code: true", "runs code that the model writes"),
        ("doc_to_image: [question]", "needs pictures or sound"),
    ],
)
def test_tasks_that_are_not_run_here(tmp_path: Path, extra: str, sentence: str) -> None:
    file = write(tmp_path / "own.jsonl", [{"question": "why?"}])
    path = tmp_path / "own.yaml"
    path.write_text(OWN.format(file=file, cache=tmp_path / "cache", extra=extra))
    with pytest.raises(InputError, match=sentence):
        load_tasks((Chosen(str(path)),), PLAIN)


def test_bars_and_templates_are_as_before_afterwards() -> None:
    from lm_eval.utils import apply_template, env

    datasets.enable_progress_bars()
    with quiet(), compiled_once():
        assert datasets.are_progress_bars_disabled()
        with compiled_once():
            assert apply_template("{{a}}!", {"a": 1}) == "1!"
        assert [apply_template("{{a}}!", {"a": number}) for number in (1, 2)] == ["1!", "2!"]
    assert not datasets.are_progress_bars_disabled()
    assert "from_string" not in vars(env)
    datasets.disable_progress_bars()
    with quiet():
        pass
    assert datasets.are_progress_bars_disabled()
    datasets.enable_progress_bars()


def test_the_shipped_index_module_speaks_of_lm_evals_folder() -> None:
    assert Path(lm_eval.tasks.__file__).parent == index.TASKS_FOLDER
    assert all((index.TASKS_FOLDER / folder).is_dir() for folder in index.FOLDERS)

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.pipeline import experiment, write_experiment

from harness.exceptions import BadValue, InputError, UnknownName
from harness.resources import resource
from harness.stages.finetune import split_lengths
from harness.stages.settings import EvaluateSettings, ExperimentSettings, load_experiment, load_plugin


def load(folder: Path, *, model: str = "smollm2-135m-q4", **changes: Any) -> ExperimentSettings:
    return load_experiment(write_experiment(folder, experiment(model, **changes)))


def test_the_shipped_experiment_loads() -> None:
    settings = load_experiment(resource("tasks", "demo.yaml"))
    assert (settings.name, settings.compare.primary, settings.evaluate.max_new_tokens) == (
        "demo",
        "rougeL",
        64,
    )
    assert settings.data is not None
    assert Path(settings.data.path).is_file()


def test_paths_near_the_file_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (project / "smollm2-135m-q4").mkdir(parents=True)
    for folder in (project, elsewhere):
        for name in ("docs.jsonl", "test.jsonl", "more.jsonl"):
            (folder / name).write_text("{}")
    (elsewhere / "far.jsonl").write_text("{}")
    monkeypatch.chdir(elsewhere)
    data = {"path": "docs.jsonl", "test_path": "test.jsonl"}
    settings = load(
        project, data=data, tasks=["more.jsonl", "far.jsonl", "harness_qa", {"task": "more.jsonl"}], tune=None
    )
    assert settings.data is not None
    assert settings.data.path == str(project / "docs.jsonl")
    assert settings.data.test_path == str(project / "test.jsonl")
    assert settings.tasks == (
        str(project / "more.jsonl"),
        "far.jsonl",
        "harness_qa",
        {"task": str(project / "more.jsonl")},
    )
    # an alias stays an alias, whatever lies beside the file
    assert settings.model == "smollm2-135m-q4"


def test_hub_names_stay_as_they_are(tmp_path: Path) -> None:
    settings = load(tmp_path, data={"path": "owner/docs"}, model="owner/model", tune=None)
    assert settings.data is not None
    assert (settings.data.path, settings.model) == ("owner/docs", "owner/model")


@pytest.mark.parametrize(
    ("tune", "words"),
    [
        (
            {"max_length": 64},
            "tune.max_length is 64, but must be left out; data.max_length decides, and that is 96",
        ),
        ({"truncation_side": "left"}, "tune.truncation_side is 'left'"),
    ],
)
def test_two_length_limits_are_a_contradiction(tune: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(BadValue, match=words):
        load(tmp_path, tune=tune)


def test_the_same_length_limit_twice_is_none(tmp_path: Path) -> None:
    assert load(tmp_path, tune={"max_length": 96}).tune is not None


def test_lengths_go_to_the_data() -> None:
    assert split_lengths({"max_length": 64, "rank": 8, "truncation_side": "left"}) == (
        {"max_length": 64, "truncation_side": "left"},
        {"rank": 8},
    )


def test_how_checkpoints_answer() -> None:
    settings = EvaluateSettings(max_new_tokens=5, temperature=0.5, stop=("x",), dtype="float32", max_rows=3)
    assert (settings.decoding().stop, settings.decoding().temperature) == (("x",), 0.5)
    assert (settings.model_settings().dtype, settings.model_settings().max_rows) == ("float32", 3)
    with pytest.raises(UnknownName, match="dtype 'float31'"):
        EvaluateSettings(dtype="float31")
    with pytest.raises(BadValue, match="max_new_tokens"):
        EvaluateSettings(max_new_tokens=0)
    with pytest.raises(BadValue, match="max_rows"):
        EvaluateSettings(max_rows=0)


def test_plugins(tmp_path: Path) -> None:
    good = tmp_path / "good.py"
    good.write_text("from harness.exceptions import InputError\nraise InputError('The file says no.')\n")
    with pytest.raises(InputError, match=r"^The file says no\.$"):
        load_plugin(good)
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(InputError, match="not a Python file"):
        load_plugin(tmp_path / "notes.txt")
    (tmp_path / "broken.py").write_text("def (:\n")
    with pytest.raises(InputError, match="cannot be loaded: SyntaxError"):
        load_plugin(tmp_path / "broken.py")

"""`harness bench` on a tiny model: what it prints, writes and returns, beside lm-eval's own HFLM."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import lm_eval
import pytest
from benchmarks.conftest import TaskManager, arc_row, write, write_benchmarks
from cli.conftest import Call
from lm_eval.models.huggingface import HFLM

from harness.benchmarks.index import TASKS_FOLDER
from harness.cli.bench_verb import cautions, read_limits
from harness.exceptions import BadValue
from harness.models.hf import HfModel
from harness.records import LogLikelihood
from harness.stages.runfiles import read_run


@pytest.fixture
def files(work: Path) -> Path:
    return write_benchmarks(work / "data")


def read(path: Path) -> Any:
    return json.loads(path.read_bytes())


def hflm(model: Path, files: Path, task: str, **settings: Any) -> Any:
    """lm-eval's own model on the same files."""
    folder = files / task
    data = {split: str(folder / f"{name}.jsonl") for split, name in
            {"train": "train", "validation": "train", "test": "test"}.items()}  # fmt: skip
    source = {"data_files": data, "cache_dir": str(files / "cache")}
    member = {"task": task, "dataset_path": "json", "dataset_name": None, "dataset_kwargs": source}
    manager = TaskManager(include_defaults=False, include_path=[TASKS_FOLDER / "arc"])
    lm = HFLM(pretrained=str(model), dtype="float32", device="cpu", batch_size=4)
    group = {"group": "own", "task": [member]}
    return lm_eval.simple_evaluate(lm, tasks=[group], task_manager=manager, bootstrap_iters=0, **settings)


CHAT = ("--apply-chat-template", "--fewshot-as-multiturn", "--system-instruction", "Be brief.")


@pytest.mark.parametrize("chat", [(), CHAT])
def test_a_run_equals_hflms(files: Path, call: Call, tiny_model: Path, chat: tuple[str, ...]) -> None:
    said = call(
        "bench", tiny_model, "--tasks", "arc_easy", "--data-dir", files, "--limit", "6", "--num-fewshot", "3",
        "--dtype", "float32", "--out", "out", "--json", "out.json", *chat,
    )  # fmt: skip
    assert said.code == 0, said.err
    settings = {"apply_chat_template": True, "system_instruction": "Be brief."} if chat else {}
    theirs = hflm(tiny_model, files, "arc_easy", limit=6, num_fewshot=3, **settings)
    result = read(Path("out") / "results.json")
    assert result == read(Path("out.json"))
    for key in ("acc,none", "acc_norm,none"):
        assert result["results"]["arc_easy"][key] == theirs["results"]["arc_easy"][key]
    lines = [json.loads(line) for line in (Path("out") / "samples.jsonl").read_text().splitlines()]
    for line, sample in zip(lines, theirs["samples"]["arc_easy"], strict=True):
        assert line["prompt"] == sample["arguments"][0][0]
        assert line["loglikelihoods"] == pytest.approx([reply[0][0] for reply in sample["resps"]], abs=1e-3)
    assert said.out.splitlines()[-1] == "Run: out"
    assert result["environment"]["seeds"] == {"few-shots": 1234}


def test_a_second_run_asks_the_model_nothing_and_compares(files: Path, call: Call, tiny_model: Path) -> None:
    first = ("bench", tiny_model, "--tasks", "arc_easy,mmlu", "--data-dir", files, "--limit", "3,mmlu=2")
    assert call(*first, "--out", "one").code == 0
    said = call(*first, "--out", "two")
    assert said.code == 0
    assert read(Path("two/results.json"))["timing"]["model_seconds"] == 0
    assert Path("one/samples.jsonl").read_bytes() == Path("two/samples.jsonl").read_bytes()
    assert "group mmlu: 3 of 57 subjects have local files." in said.out
    assert len(read_run(Path("one")).samples) == 3 + 3 * 2
    said = call("compare", "one", "two")
    assert said.code == 0
    assert "makes no difference" in said.out


def test_prompts_that_the_model_has_no_room_for_are_counted(
    files: Path, call: Call, tiny_model: Path
) -> None:
    """The tiny model takes 512 tokens and has one a byte: 8 worked examples of 70 or more bytes do not fit."""
    said = call(
        "bench", tiny_model, "--tasks", "arc_easy", "--data-dir", files, "--limit", "2", "--num-fewshot", "8",
        "--dtype", "float32", "--out", "out", "--no-store",
    )  # fmt: skip
    assert said.code == 0
    assert "task arc_easy, prompts cut at their beginning: 2 of 2 samples." in said.out
    first = read_run(Path("out")).samples[0]
    whole = len(str(first.prompt)) + len(" " + "option 0 3" * 3)
    assert first.cut == whole - 512 - 1
    theirs = hflm(tiny_model, files, "arc_easy", limit=2, num_fewshot=8)["samples"]["arc_easy"]
    assert first.loglikelihoods == pytest.approx([reply[0][0] for reply in theirs[0]["resps"]], abs=1e-3)


def test_a_diverged_checkpoint_is_broken(
    files: Path, call: Call, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def diverged(self: HfModel, pairs: Any, have: Any = ()) -> Any:  # noqa: ARG001
        yield range(len(pairs)), [LogLikelihood(math.nan, greedy=False, tokens=1)] * len(pairs)

    monkeypatch.setattr(HfModel, "loglikelihood", diverged)
    said = call("bench", tiny_model, "--tasks", "truthfulqa_mc1", "--data-dir", files, "--out", "out")
    assert said.code == 1
    assert said.err.splitlines()[-1].endswith("returned numbers that are not finite on 9 of 9 samples.")
    assert (
        read_run(Path("out")).samples[0].failure == "the model returned a log-likelihood that is not finite"
    )
    assert read(Path("out/results.json"))["nonfinite"] == 9
    line = json.loads((Path("out") / "samples.jsonl").read_text().splitlines()[0])
    assert line["loglikelihoods"] == ["nan"] * 4


def test_a_failed_sample_is_said(files: Path, call: Call, tiny_model: Path) -> None:
    write(files / "arc_easy" / "test.jsonl", [arc_row(0), arc_row(1) | {"answerKey": "Z"}])
    said = call("bench", tiny_model, "--tasks", "arc_easy", "--data-dir", files, "--out", "out")
    assert said.code == 0
    assert (
        "task arc_easy, failed: 1 of 2 samples (first: sample 1, test.jsonl, line 2: the answer key"
        in said.out
    )
    assert "1 of 2" in said.out.splitlines()[1]


@pytest.mark.usefixtures("work")
def test_the_shipped_samples_are_marked(call: Call, tiny_model: Path) -> None:
    options = ("--tasks", "arc_easy,truthfulqa_mc2", "--limit", "2", "--out", "out")
    said = call("bench", tiny_model, *options, "--data-dir", "shipped")
    assert said.code == 0, said.err
    assert "small home-made samples, whose scores are not comparable with published ones.\n" in said.out
    run = read_run(Path("out"))
    assert "|data:shipped," in run.estimates["arc_easy"]["acc"].signature
    assert all(sample.failure is None for sample in run.samples)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            ("--tasks", "arc_easy", "--limit", "many"),
            "limit is 'many', but must be a number such as 40 or 0.1",
        ),
        (("--tasks", "arc_easy", "--limit", "0"), "limit is 0.0, but must be a whole number from 1"),
        (("--tasks", "arc_easy", "--dtype", "float8"), "Unknown dtype 'float8'"),
        (("--tasks", " , "), "No benchmark is named"),
        (("--tasks", "arc_easy", "--data-dir", "nowhere"), "nowhere: there is no such data folder."),
        (("--tasks", "arc_easy", "--sample-seed", "1"), "give a limit, too"),
        ((), "Missing option '--tasks'"),
    ],
)
def test_bad_input_is_one_sentence(
    work: Path, call: Call, tiny_model: Path, options: Any, sentence: str
) -> None:
    said = call("bench", tiny_model, *options)
    assert said.code == 2
    assert sentence in said.err
    assert len(said.err.splitlines()) == 1
    assert not (work / "runs" / "eval").exists()


def test_limits_as_they_are_written() -> None:
    assert read_limits(None) == (None, {})
    assert read_limits("40") == (40, {})
    assert read_limits("0.5, mmlu=5,arc_easy=7") == (0.5, {"mmlu": 5, "arc_easy": 7})
    with pytest.raises(BadValue, match="one number for all tasks"):
        read_limits("40,50")


def test_cautions_are_the_lines_with_something_to_say() -> None:
    settings = {"dtype": "float32", "task a": "x", "task a, failed": "1 of 2", "group mmlu": "3 of 57"}
    assert cautions(settings) == ["task a, failed: 1 of 2.", "group mmlu: 3 of 57."]

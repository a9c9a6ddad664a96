from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from stages.conftest import RunMaker

from harness.exceptions import FileProblem
from harness.models.scripted import ScriptedModel
from harness.records import Category, Finish, Message, RunResult, Score
from harness.stages.evaluate import RunLabel, evaluate
from harness.stages.runfiles import json_bytes, read_run, sample_from_json, sample_to_json, write_run
from harness.store import NoStore
from harness.tasks import Task

ODD = 'caf\u00e9 \U0001f642 \u2028 \x00 \ud800 "quoted" \\ \n\ttab'
"""Beyond the basic plane, a line separator, a null, half of a surrogate pair, escapes."""


def odd_run(make_run: RunMaker) -> RunResult:
    run = make_run(
        {"rougeL": [0.1, None]},
        name="step-8",
        prompts=[ODD, (Message("system", "be brief"), Message("user", ODD))],
        step=8,
        settings={"stop": ODD},
        timing={"seconds": 0.1},
        nonfinite=1,
    )
    first = replace(
        run.samples[0],
        generation=ODD,
        answer=ODD,
        target=None,
        metadata={ODD: ODD},
        categories=(Category("empty", ODD),),
        scores={"bleu": Score(12.5, (1.0, 2.0, 3.0)), "rougeL": Score(0.1)},
    )
    second = replace(run.samples[1], finish=Finish.NONFINITE, failure="not finite")
    return replace(run, samples=(first, second))


def test_read_gives_back_what_was_written(make_run: RunMaker, tmp_path: Path) -> None:
    run = odd_run(make_run)
    write_run(run, tmp_path / "deep" / "run")
    assert read_run(tmp_path / "deep" / "run") == run


def test_every_line_is_one_sample(make_run: RunMaker, tmp_path: Path) -> None:
    write_run(odd_run(make_run), tmp_path)
    lines = (tmp_path / "samples.jsonl").read_bytes().splitlines()
    assert len(lines) == 2
    assert [json.loads(line)["sample_id"] for line in lines] == ["s0", "s1"]


def test_a_real_run_survives(task: Callable[..., Task], tmp_path: Path) -> None:
    model = ScriptedModel({"question 0": "answer 0"}, failures={}, default="no")
    run = evaluate(model, [task(3, metrics=("rouge", "bleu", "exact_match"))], NoStore(), RunLabel("base"))
    write_run(run, tmp_path)
    assert read_run(tmp_path) == run


def test_results_use_the_key_names_of_lm_eval_and_keep_the_clock_apart(
    make_run: RunMaker, tmp_path: Path
) -> None:
    run = make_run({"rougeL": [0.25, 0.75, None]}, timing={"model_seconds": 1.5, "seconds": 2.5})
    write_run(run, tmp_path)
    value = json.loads((tmp_path / "results.json").read_bytes())
    assert value["results"] == {"held_out": {"alias": "held_out", "rougeL,none": 0.5}}
    assert value["n-samples"] == {"held_out": {"original": 3, "effective": 2}}
    found = value["estimates"]["held_out"]["rougeL"]
    assert {key: found[key] for key in ("value", "n", "scored", "low", "high", "signature")} == {
        "value": 0.5,
        "n": 3,
        "scored": 2,
        "low": None,
        "high": None,
        "signature": "rougeL|test",
    }
    assert value.pop("timing") == {"model_seconds": 1.5, "seconds": 2.5}
    assert "seconds" not in json.dumps(value)


def test_samples_hold_what_others_read(make_run: RunMaker, tmp_path: Path) -> None:
    write_run(make_run({"rougeL": [0.5]}), tmp_path)
    value = json.loads((tmp_path / "samples.jsonl").read_bytes())
    assert {
        "task",
        "sample_id",
        "prompt_hash",
        "target",
        "generation",
        "scores",
        "categories",
    } <= value.keys()
    assert value["scores"] == {"rougeL": 0.5}


def test_a_number_that_is_not_finite_is_never_written(make_run: RunMaker, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_run(make_run({"rougeL": [0.5]}, timing={"seconds": float("nan")}), tmp_path)
    assert not (tmp_path / "results.json").exists()


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "this is not a finished run: results.json is missing"),
        ({"results.json": b"{"}, "results.json: this is not JSON; run the evaluation again"),
        ({"results.json": b"\xff"}, "this is not JSON"),
        ({"results.json": b"{}"}, r"not the result of one run \('estimates' is missing\)"),
        ({"results.json": b"[1]"}, "not the result of one run; run the evaluation again"),
        (
            {"results.json": b'{"estimates": {"a": {"b": {"scale": [0, 1]}}}}'},
            "not the result of one run; run",
        ),
        ({"results.json": b'{"runs": [{"name": "base"}, {"name": "step-8"}]}'}, "eval/base, .*eval/step-8"),
        ({"samples.jsonl": None}, "samples.jsonl is missing"),
        ({"samples.jsonl": b'{"task": "x"}\n'}, "samples.jsonl, line 1: this is not a sample of a run"),
        ({"samples.jsonl": b"\n\n[]\n"}, "samples.jsonl, line 3"),
    ],
)
def test_a_damaged_folder_is_named(
    files: dict[str, bytes | None], words: str, make_run: RunMaker, tmp_path: Path
) -> None:
    if "samples.jsonl" in files:
        write_run(make_run({"rougeL": [0.5]}), tmp_path)
    for name, content in files.items():
        (tmp_path / name).unlink(missing_ok=True)
        if content is not None:
            (tmp_path / name).write_bytes(content)
    with pytest.raises(FileProblem, match=words):
        read_run(tmp_path)


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(FileProblem, match="gone: there is no such run folder"):
        read_run(tmp_path / "gone")


def test_a_run_folder_that_is_a_file(make_run: RunMaker, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(FileProblem, match="a file"):
        write_run(make_run({"rougeL": [0.5]}), tmp_path / "taken")


def test_blank_lines_are_passed_over(make_run: RunMaker, tmp_path: Path) -> None:
    run = make_run({"rougeL": [0.5, 0.25]})
    write_run(run, tmp_path)
    path = tmp_path / "samples.jsonl"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\n\n"))
    assert read_run(tmp_path) == run


def test_a_sample_of_another_form(make_run: RunMaker) -> None:
    value = sample_to_json(make_run({"rougeL": [0.5]}).samples[0])
    assert sample_from_json(value) == make_run({"rougeL": [0.5]}).samples[0]
    with pytest.raises(ValueError, match="bored"):
        sample_from_json({**value, "finish": "bored"})


def test_json_is_for_people_and_programs() -> None:
    assert json_bytes({"a": "é\ud800"}) == '{\n  "a": "é\ud800"\n}\n'.encode("utf-8", "surrogatepass")

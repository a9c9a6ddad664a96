"""Prompts do not depend on the subset; bad samples are counted; few-shots with the answer are noticed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from benchmarks.conftest import LABEL, Oracle, arc_row, checksum_model, hellaswag_row, write
from lm_eval.api.task import ConfigurableTask

from harness.benchmarks import BenchSettings, bench
from harness.exceptions import FileProblem, InputError
from harness.records import Finish, LogLikelihood, RunResult
from harness.stages.compare import compare
from harness.store import NoStore


def run(names: list[str], model: Any = None, **settings: Any) -> RunResult:
    return bench(model or checksum_model(), names, NoStore(), BenchSettings(**settings), LABEL)


def prompts(found: RunResult) -> dict[str, Any]:
    return {sample.sample_id: sample.prompt for sample in found.samples}


def test_a_random_subset_has_the_prompts_of_lm_evals_full_run(bench_dir: Path, oracle: Oracle) -> None:
    full = oracle(bench_dir, "hellaswag", num_fewshot=3)["samples"]["hellaswag"]
    theirs = {str(sample["doc_id"]): sample["arguments"][0][0] for sample in full}
    seen = []
    for seed in range(4):
        found = run(["hellaswag"], data_dir=bench_dir, num_fewshot=3, limit=4, sample_seed=seed)
        mine = prompts(found)
        assert mine == {key: theirs[key] for key in mine}
        assert [int(key) for key in mine] == sorted(int(key) for key in mine)
        assert len(mine) == 4
        seen.append(tuple(mine))
    assert len(set(seen)) > 1
    assert run(["hellaswag"], data_dir=bench_dir, limit=4, sample_seed=1).samples == tuple(
        run(["hellaswag"], data_dir=bench_dir, limit=4, sample_seed=1).samples
    )


def test_a_larger_random_subset_holds_the_smaller(bench_dir: Path) -> None:
    small = run(["hellaswag"], data_dir=bench_dir, limit=3, sample_seed=9)
    large = run(["hellaswag"], data_dir=bench_dir, limit=0.5, sample_seed=9)
    assert set(prompts(small)) < set(prompts(large))
    assert len(large.samples) == 6  # ceil(11 * 0.5)
    signature = small.estimates["hellaswag"]["acc"].signature
    assert "samples:random 3 of 11, seed 9" in signature
    whole = run(["hellaswag"], data_dir=bench_dir, limit=11, sample_seed=9)
    assert "samples:all" in whole.estimates["hellaswag"]["acc"].signature


def test_the_prompts_of_a_task_do_not_depend_on_its_neighbours(bench_dir: Path) -> None:
    alone = run(["arc_easy"], data_dir=bench_dir, num_fewshot=2)
    after = run(["hellaswag", "arc_easy"], data_dir=bench_dir, num_fewshot=2)
    assert prompts(alone) == {s.sample_id: s.prompt for s in after.samples if s.task == "arc_easy"}


BAD_ROWS = [
    ({**arc_row(1), "answerKey": "E"}, "the answer key 'E' is none of the labels A, B, C, D"),
    ({**arc_row(1), "question": None}, "`question` is None, but must be a text"),
    (
        {**arc_row(1), "choices": {"text": ["a", ""], "label": ["A", "B"]}},
        "choice 1 of `choices.text` is empty",
    ),
    ({**arc_row(1), "choices": ["a", "b"]}, "`choices` must hold `text` and `label`"),
]


@pytest.mark.parametrize(("row", "reason"), BAD_ROWS)
def test_a_bad_row_fails_alone_and_the_others_keep_their_prompts(
    bench_dir: Path, row: dict[str, Any], reason: str
) -> None:
    whole = run(["arc_easy"], data_dir=bench_dir, num_fewshot=2)
    path = bench_dir / "arc_easy" / "test.jsonl"
    write(path, [*(arc_row(i) for i in range(3)), row, *(arc_row(i) for i in range(4, 12))])
    found = run(["arc_easy"], data_dir=bench_dir, num_fewshot=2)
    failed = found.samples[3]
    assert failed.failure == f"test.jsonl, line 4: {reason}"
    assert (failed.finish, failed.sample_id, failed.scores["acc"].value) == (Finish.FAILED, "3", None)
    estimate = found.estimates["arc_easy"]["acc"]
    assert (estimate.scored, estimate.n) == (11, 12)
    kept = {key: prompt for key, prompt in prompts(whole).items() if key != "3"}
    assert {key: prompt for key, prompt in prompts(found).items() if key != "3"} == kept
    assert found.settings["task arc_easy, failed"].startswith("1 of 12 samples (first: sample 3, test.jsonl")
    pairs = compare(found, found)
    assert {metric.n for metric in pairs.metrics} == {11}


OWN = """
task: own
output_type: multiple_choice
dataset_path: json
dataset_kwargs: {{data_files: {{test: {file}, train: {file}}}, cache_dir: {cache}}}
test_split: test
fewshot_split: {shots}
doc_to_text: "Q: {{{{question}}}}{{{{inner.word}}}}\\nA:"
doc_to_choice: "{{{{choices}}}}"
doc_to_target: "{{{{gold}}}}"
metric_list: [{{metric: acc, aggregation: mean, higher_is_better: true}}]
"""


def own(tmp_path: Path, rows: list[dict[str, Any]], shots: str = "test") -> str:
    file = write(tmp_path / "own.jsonl", rows)
    path = tmp_path / "own.yaml"
    path.write_text(OWN.format(file=file, cache=tmp_path / "cache", shots=shots))
    return str(path)


def row(number: int, **changes: Any) -> dict[str, Any]:
    plain = {"question": f"{number}?", "inner": {"word": "!"}, "choices": ["yes", "no"], "gold": number % 2}
    return plain | changes


def test_a_broken_template_is_a_failed_sample_and_the_others_keep_their_prompts(tmp_path: Path) -> None:
    rows = [row(i) for i in range(8)]
    whole = run([own(tmp_path / "a", rows)])
    rows[5]["inner"] = None
    found = run([own(tmp_path / "b", rows)])
    assert found.samples[5].failure is not None
    assert found.samples[5].failure.startswith("its prompt cannot be made (UndefinedError: ")
    assert found.estimates["own"]["acc"].scored == 7
    assert prompts(whole) | {"5": ""} == prompts(found)


def test_few_shots_survive_a_sample_that_breaks(tmp_path: Path) -> None:
    """lm-eval's own run over the unbroken data gives the prompts that must stay."""
    rows = [row(i) for i in range(8)]
    whole = run([own(tmp_path / "a", rows, "train")], num_fewshot=1)
    rows[6]["choices"] = ["yes", " "]
    found = run([own(tmp_path / "b", rows, "train")], num_fewshot=1)
    assert found.samples[6].failure == "choice 1 is empty"
    same = [a.prompt == b.prompt for a, b in zip(whole.samples, found.samples, strict=True)]
    assert same == [True] * 6 + [False, True]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"gold": 2}, "its right answer is number 2, but there are 2 choices (from 0)"),
        ({"gold": "-1"}, "its right answer '-1' is none of its choices"),
        ({"choices": ["", "no"]}, "choice 0 is empty"),
    ],
)
def test_a_meaningless_sample_is_named(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    text = "gold" in changes and isinstance(changes["gold"], str)
    rows = [row(i, gold=str(i % 2)) if text else row(i) for i in range(3)]
    rows.append(rows[1] | changes)
    found = run([own(tmp_path, rows)])
    assert found.samples[3].failure == reason


def test_few_shots_that_hold_the_own_question_are_counted(tmp_path: Path) -> None:
    """Few-shots drawn from a second copy of the scored rows: each prompt is counted by hand."""
    found = run([own(tmp_path, [row(i) for i in range(6)], "train")], num_fewshot=2)
    by_hand = [
        sample for sample in found.samples if str(sample.prompt).count(f"Q: {sample.sample_id}?!") == 2
    ]
    assert 0 < len(by_hand) < 6
    assert [s for s in found.samples if "few-shots" in s.metadata] == by_hand
    key = "task own, few-shots that hold the sample's own question"
    assert found.settings[key] == f"{len(by_hand)} of 6 samples"
    clean = run([own(tmp_path / "clean", [row(i) for i in range(6)], "test")], num_fewshot=2)
    assert key not in clean.settings


def test_a_task_without_a_usable_sample_stops(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"No sample of 'own' can be asked: its right answer '-1' is none of"
    ):
        run([own(tmp_path, [row(i, gold=-1) for i in range(3)])])


def test_the_first_sample_may_be_the_broken_one(tmp_path: Path) -> None:
    """lm-eval tries a task out on its first sample, and would not make the task at all."""
    rows = [row(0, gold=4), row(1, inner=None), row(2, choices=["", "no"]), row(3), row(4)]
    found = run([own(tmp_path, rows)])
    assert [sample.failure is None for sample in found.samples] == [False, False, False, True, True]
    assert found.samples[0].failure == "its right answer is number 4, but there are 2 choices (from 0)"
    assert found.samples[3].prompt == "Q: 3?!\nA:"
    assert "eval_docs" not in vars(ConfigurableTask)


def test_a_task_of_nothing_but_broken_samples_cannot_be_loaded(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"own.yaml' cannot be loaded: list index out of range"):
        run([own(tmp_path, [row(i, gold=4) for i in range(3)])])


def test_more_few_shots_than_there_are(bench_dir: Path) -> None:
    with pytest.raises(
        InputError, match=r"No sample of 'mmlu_anatomy' can be asked: .*exceeds the 5 that are"
    ):
        run(["mmlu_anatomy"], data_dir=bench_dir, num_fewshot=6)


def test_a_diverged_model_is_broken_and_not_right(bench_dir: Path) -> None:
    """lm-eval scores a model that returns NaN 1.0 on TruthfulQA MC1, whose right answer always comes first."""
    nan = checksum_model(loglikelihoods=lambda *_: float("nan"))
    found = run(["truthfulqa_mc1"], nan, data_dir=bench_dir)
    estimate = found.estimates["truthfulqa_mc1"]["acc"]
    assert (found.nonfinite, estimate.value, estimate.scored, estimate.n) == (9, None, 0, 9)
    assert {sample.finish for sample in found.samples} == {Finish.NONFINITE}


def test_one_infinite_number_costs_one_sample(bench_dir: Path) -> None:
    def score(_: Any, continuation: str) -> LogLikelihood:
        value = float("-inf") if continuation == " False 4 1" else -float(len(continuation))
        return LogLikelihood(value, greedy=False, tokens=1)

    found = run(["truthfulqa_mc1"], checksum_model(loglikelihoods=score), data_dir=bench_dir)
    assert (found.nonfinite, found.estimates["truthfulqa_mc1"]["acc"].scored) == (1, 8)


def test_mc2_does_not_underflow(bench_dir: Path) -> None:
    """exp(-2000) is 0 in double precision; the share of the two true of five equal answers is 2/5."""
    found = run(["truthfulqa_mc2"], checksum_model(loglikelihoods=lambda *_: -2000.0), data_dir=bench_dir)
    assert found.estimates["truthfulqa_mc2"]["acc"].value == pytest.approx(0.4)


def test_a_missing_split_and_a_broken_line_are_named(bench_dir: Path) -> None:
    model = checksum_model()
    path = bench_dir / "arc_easy" / "test.jsonl"
    path.write_text(path.read_text() + "{broken\n")
    with pytest.raises(FileProblem, match=r"arc_easy/test.jsonl, line 13: this line is not JSON"):
        run(["hellaswag", "arc_easy"], model, data_dir=bench_dir)
    (bench_dir / "hellaswag" / "train.jsonl").unlink()
    with pytest.raises(FileProblem, match=r"hellaswag/train.jsonl: this file of the benchmark is missing"):
        run(["hellaswag"], model, data_dir=bench_dir)
    assert model.calls == 0


def test_a_bad_few_shot_row_stops_everything(bench_dir: Path) -> None:
    write(bench_dir / "hellaswag" / "train.jsonl", [hellaswag_row(1), {**hellaswag_row(2), "label": "4"}])
    with pytest.raises(
        FileProblem, match=r"train.jsonl, line 2: `label` is 4, but must be a number from 0 to 3"
    ):
        run(["hellaswag"], data_dir=bench_dir)

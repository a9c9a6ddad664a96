"""Tiny benchmark files in the four formats, a model whose every number is a checksum, and lm-eval as the oracle."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import lm_eval
import pytest
from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from lm_eval.tasks import TaskManager

from harness.benchmarks.index import FOLDERS, TASKS_FOLDER
from harness.benchmarks.local_data import layout_of
from harness.models.scripted import ScriptedModel
from harness.records import LogLikelihood
from harness.stages.evaluate import RunLabel

LABEL = RunLabel("base")
Row = dict[str, Any]


def checksum(text: str) -> int:
    return zlib.crc32(text.encode())


def score(prompt: Any, continuation: str) -> LogLikelihood:
    """A log-likelihood from 0 to -20 and a greedy flag that only the two texts decide."""
    number = checksum(f"{prompt}\0{continuation}")
    return LogLikelihood(-(number % 10007) / 500, number % 3 == 0, 1)


def say(prompt: Any) -> str:
    return f"So the answer is {checksum(str(prompt)) % 5}.\n\nQuestion"


def checksum_model(**changes: Any) -> ScriptedModel:
    return ScriptedModel(**({"answers": say, "loglikelihoods": score, "identity": "checksum"} | changes))


class OracleLM(LM):
    """The same numbers, straight to lm-eval."""

    def loglikelihood(self, requests: list[Instance]) -> list[tuple[float, bool]]:
        found = [score(*request.args) for request in requests]
        return [(each.value, each.greedy) for each in found]

    def loglikelihood_rolling(self, requests: list[Instance]) -> list[float]:
        return [score("", request.args[0]).value for request in requests]

    def generate_until(self, requests: list[Instance]) -> list[str]:
        answers = []
        for request in requests:
            text = say(request.args[0])
            for stop in request.args[1]["until"]:
                text = text.split(stop)[0]
            answers.append(text)
        return answers

    def apply_chat_template(
        self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True
    ) -> str:
        return chat(chat_history, add_generation_prompt)

    @property
    def tokenizer_name(self) -> str:
        return "oracle"


def chat(turns: Sequence[dict[str, str]], ask: bool) -> str:
    return "".join(f"<{turn['role']}>{turn['content']}" for turn in turns) + ("<assistant>" if ask else "")


def arc_row(number: int) -> Row:
    labels = list("ABCD") if number % 3 else ["1", "2", "3"]
    return {
        "question": f"Which of these is thing {number}?",
        "choices": {
            "text": [f"option {number} {label}" * (1 + place) for place, label in enumerate(labels)],
            "label": labels,
        },
        "answerKey": labels[number % len(labels)],
    }


def hellaswag_row(number: int) -> Row:
    return {
        "activity_label": f"Doing {number}",
        "ctx_a": f"A man [title] does {number}  things.",
        "ctx_b": "he then" if number % 2 else "",
        "ctx": "unused",
        "endings": [f"ends {number} [substeps] way {place}" + "." * place for place in range(4)],
        "label": str(number % 4),
    }


def mmlu_row(number: int) -> Row:
    return {
        "question": f" What is {number} plus one? ",
        "subject": "x",
        "choices": [str(number + place) for place in range(4)],
        "answer": number % 4,
    }


def truthfulqa_row(number: int) -> Row:
    true, false = [f"True {number} {i}" for i in range(2)], [f"False {number} {i}" for i in range(3)]
    return {
        "question": f"Is {number} a number?",
        "mc1_targets": {"choices": [true[0], *false], "labels": [1, 0, 0, 0]},
        "mc2_targets": {"choices": [*true, *false], "labels": [1, 1, 0, 0, 0]},
    }


def write(path: Path, rows: Sequence[Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


SUBJECTS = ("anatomy", "virology", "abstract_algebra")


def write_benchmarks(folder: Path) -> Path:
    for name in ("arc_easy", "arc_challenge"):
        write(folder / name / "train.jsonl", [arc_row(i) for i in range(100, 120)])
        write(folder / name / "test.jsonl", [arc_row(i) for i in range(12)])
    write(folder / "hellaswag" / "train.jsonl", [hellaswag_row(i) for i in range(100, 115)])
    write(folder / "hellaswag" / "validation.jsonl", [hellaswag_row(i) for i in range(11)])
    for place, subject in enumerate(SUBJECTS):
        write(folder / "mmlu" / subject / "dev.jsonl", [mmlu_row(i) for i in range(100, 105)])
        write(folder / "mmlu" / subject / "test.jsonl", [mmlu_row(i + place) for i in range(7 + 3 * place)])
    write(folder / "truthfulqa" / "mc.jsonl", [truthfulqa_row(i) for i in range(9)])
    return folder


@pytest.fixture
def bench_dir(tmp_path: Path) -> Path:
    return write_benchmarks(tmp_path / "benchmarks")


@pytest.fixture(scope="session")
def manager() -> TaskManager:
    return TaskManager(include_defaults=False, include_path=[TASKS_FOLDER / folder for folder in FOLDERS])


Oracle = Callable[..., Any]


@pytest.fixture
def oracle(tmp_path: Path, manager: TaskManager) -> Oracle:
    """lm-eval's own `simple_evaluate` on the same files, its built-in tasks pointed at them by an inline group.

    `lm`: the model that answers, by default the one whose every number is a checksum.
    """

    def evaluate(
        folder: Path, *names: str, group: dict[str, Any] | None = None, lm: Any = None, **settings: Any
    ) -> Any:
        members = []
        for name in names:
            layout = layout_of(name)
            assert layout is not None
            files = {split: str(folder / layout.folder / file) for split, file in layout.splits.items()}
            source = {"data_files": files, "cache_dir": str(tmp_path / "datasets")}
            override = {"dataset_path": "json", "dataset_name": None, "dataset_kwargs": source}
            members.append({"task": name, **override})
        inner = {"group": "inner", "task": members, **group} if group else None
        spec = {"group": "own", "task": [inner] if inner else members}
        return lm_eval.simple_evaluate(
            lm or OracleLM(), tasks=[spec], task_manager=manager, bootstrap_iters=0, **settings
        )

    return evaluate

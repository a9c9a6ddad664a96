"""The table of bad input: command lines, the files they meet, and the words of the one line that must come of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

WORDS = (
    "oak",
    "elm",
    "ash",
    "fir",
    "yew",
    "box",
    "bay",
    "fig",
    "pear",
    "plum",
    "lime",
    "pine",
    "teak",
    "palm",
)
ROWS = "".join(
    json.dumps({"question": f"What does part {word} do?", "answer": f"Part {word} does {word}."}) + "\n"
    for word in WORDS
)
EXPERIMENT = "name: demo\nmodel: smollm2-135m-q4\ndata: {path: docs.jsonl}\n"


@dataclass(frozen=True)
class Case:
    """A command line in a folder with a few files, and what must come of it."""

    name: str
    arguments: str
    words: tuple[str, ...]
    files: Mapping[str, str | bytes] = field(default_factory=dict)
    code: int = 2
    heavy: bool = False
    """Whether torch is loaded on the way: a folder with weights is opened first."""


def experiment(name: str, change: str, *words: str) -> Case:
    """A case of `harness run` on an experiment file that ends in `change`."""
    return Case(name, "run bad.yaml", words, {"bad.yaml": EXPERIMENT + change})


DATA = [
    Case(
        "missing file",
        "prepare dosc.jsonl",
        ("dosc.jsonl: this file does not exist", "Did you mean 'docs.jsonl'?"),
    ),
    Case("missing folder", "prepare data/docs.jsonl", ("this file does not exist", "The folder 'data'")),
    Case("empty file", "prepare empty.jsonl", ("empty.jsonl: this file is empty",), {"empty.jsonl": ""}),
    Case("blank file", "prepare blank.jsonl", ("blank.jsonl: this file is empty",), {"blank.jsonl": " \n\n"}),
    Case(
        "a line that is not JSON",
        "prepare broken.jsonl",
        ("broken.jsonl, line 2: this is not JSON",),
        {"broken.jsonl": '{"question": "a", "answer": "b"}\n{"question": \n'},
    ),
    Case(
        "a line that is no object",
        "prepare list.jsonl",
        ("list.jsonl, line 1",),
        {"list.jsonl": '["question", "answer"]\n'},
    ),
    Case(
        "not UTF-8",
        "prepare latin.jsonl",
        ("latin.jsonl, line 1", "UTF-8"),
        {"latin.jsonl": b'{"a": "\xe4"}\n'},
    ),
    Case(
        "missing column",
        "prepare half.jsonl",
        ("half.jsonl: the columns 'question'", "question/answer", "columns: {input: COLUMN, target: COLUMN}"),
        {"half.jsonl": '{"question": "a"}\n'},
    ),
    Case(
        "unknown column",
        "prepare docs.jsonl --column input=questoin --column target=answer",
        ("Unknown column of docs.jsonl 'questoin'", "Did you mean 'question'?"),
    ),
    Case(
        "unknown field",
        "prepare docs.jsonl --column imput=question --column target=answer",
        ("Unknown column mapping key 'imput'", "Did you mean 'input'?"),
    ),
    Case(
        "mapping without equals",
        "prepare docs.jsonl --column question",
        ("--column is 'question'", "FIELD=COLUMN"),
    ),
    Case(
        "no test rows",
        "prepare docs.jsonl --test 0.01",
        ("No test rows are left after the split", "0.01", "14 rows"),
    ),
    Case("split too large", "prepare docs.jsonl --test 30", ("split", "less than the 14 rows")),
    Case(
        "nothing usable",
        "prepare hollow.jsonl",
        ("no row of 1 can be used (empty answer: 1)",),
        {"hollow.jsonl": '{"question": "a", "answer": " "}\n'},
    ),
    Case(
        "unknown ending",
        "prepare docs.txt",
        ("'.txt' is not a known data format", ".jsonl"),
        {"docs.txt": "a"},
    ),
    Case(
        "unknown template", "prepare docs.jsonl --template alpacca", ("'alpacca'", "Did you mean 'alpaca'?")
    ),
    Case(
        "an output folder that is a file",
        "prepare docs.jsonl --out taken",
        ("taken: this is a file",),
        {"taken": ""},
    ),
    Case("below a file", "prepare docs.jsonl --out taken/x", ("taken: this is a file",), {"taken": ""}),
]
MODELS = [
    Case(
        "unknown model alias",
        "eval smollm2-135m-q5 --task docs.jsonl",
        ("Unknown model 'smollm2-135m-q5'", "Did you mean 'smollm2-135m-q4'?"),
    ),
    Case(
        "a folder that is no model",
        "eval hollow --task docs.jsonl",
        ("hollow: this folder holds no model", "config.json is missing", "notes.txt"),
        {"hollow/notes.txt": ""},
    ),
    Case(
        "a folder without weights",
        "eval bare --task docs.jsonl",
        ("bare: this folder holds no weights", "*.safetensors"),
        {"bare/config.json": "{}"},
    ),
    Case(
        "pickled weights",
        "eval old --task docs.jsonl",
        ("pytorch_model.bin", "--allow-pickle"),
        {"old/config.json": "{}", "old/pytorch_model.bin": "x"},
    ),
    Case(
        "a corrupt GGUF",
        "eval broken.gguf --task docs.jsonl",
        ("broken.gguf: this is not a GGUF file", "b'oops'"),
        {"broken.gguf": "oops, no weights"},
    ),
    Case("missing GGUF", "eval gone.gguf --task docs.jsonl", ("gone.gguf: there is no such model file",)),
    Case("missing folder", "eval ./gone --task docs.jsonl", ("gone: there is no such model file or folder",)),
    Case(
        "held_out of no checkpoint",
        "eval bare2 --task held_out",
        ("'held_out'", "not a checkpoint", "data file"),
        {"bare2/config.json": "{}", "bare2/model.safetensors": ""},
        heavy=True,
    ),
    Case(
        "unknown task",
        "eval smollm2-135m-q4 --task harness_qq",
        ("Unknown task 'harness_qq'", "'harness_qa'"),
    ),
    Case(
        "unknown task key",
        "eval smollm2-135m-q4 --task docs.jsonl --set templat=alpaca",
        ("'templat'", "Did you mean 'template'?"),
    ),
    Case(
        "a setting without equals",
        "eval smollm2-135m-q4 --task docs.jsonl --set limit",
        ("--set is 'limit'", "KEY=VALUE"),
    ),
    Case(
        "unknown dtype", "eval smollm2-135m-q4 --task docs.jsonl --dtype float31", ("'float31'", "'float32'")
    ),
    Case(
        "the same task twice",
        "eval bare2 --task docs.jsonl --task more/docs.jsonl",
        ("2 tasks have the name 'docs'",),
        {"bare2/config.json": "{}", "bare2/model.safetensors": "", "more/docs.jsonl": ROWS},
    ),
    Case(
        "a run folder that is a file",
        "eval smollm2-135m-q4 --task docs.jsonl --out taken",
        ("taken: this is a file",),
        {"taken": ""},
    ),
    Case(
        "fine-tune: no data file",
        "finetune smollm2-135m-q4 gone.jsonl",
        ("gone.jsonl: this file does not exist",),
    ),
    Case(
        "fine-tune: a method",
        "finetune smollm2-135m-q4 docs.jsonl --method loora",
        ("Unknown tuning method 'loora'", "Did you mean 'lora'?"),
    ),
    Case(
        "fine-tune: a setting",
        "finetune smollm2-135m-q4 docs.jsonl --set rnak=8",
        ("'rnak'", "Did you mean 'rank'?"),
    ),
    Case(
        "fine-tune: a broken list",
        "finetune smollm2-135m-q4 docs.jsonl --set targets=[a",
        ("--set targets is '[a'",),
    ),
]
EXPERIMENTS = [
    Case("no experiment file", "run gone.yaml", ("gone.yaml: there is no such file",)),
    Case("a folder for a file", "run .", (".: this is a folder, not a YAML file",)),
    Case(
        "not YAML", "run bad.yaml", ("bad.yaml, line 2: this is not YAML",), {"bad.yaml": "name: a\n b: [\n"}
    ),
    Case("an empty file", "run bad.yaml", ("bad.yaml: it must hold keys and values",), {"bad.yaml": ""}),
    Case("a missing key", "run bad.yaml", ("model is None, but must be given",), {"bad.yaml": "name: a\n"}),
    experiment("an unknown key", "metrisc: [rouge]\n", "Unknown key 'metrisc'", "Did you mean 'metrics'?"),
    experiment(
        "an unknown key below",
        "evaluate: {max_new_token: 3}\n",
        "'evaluate.max_new_token'",
        "'max_new_tokens'?",
    ),
    experiment("an unknown key of data", "tune: {lr: 3}\n", "'tune.lr'", "learning_rate"),
    experiment(
        "a wrong type",
        "evaluate: {max_new_tokens: many}\n",
        "evaluate.max_new_tokens is 'many'",
        "a whole number",
    ),
    experiment("a list for text", "compare: [rougeL]\n", "compare is ['rougeL']", "must be"),
    experiment("an impossible share", "compare: {alpha: 5}\n", "compare.alpha is 5", "between 0 and 1"),
    experiment("no tasks", "tasks: []\n", "tasks is []", "at least one task"),
    experiment(
        "an unknown task", "tasks: [held_out, harness_qq]\n", "Unknown task 'harness_qq'", "'harness_qa'"
    ),
    experiment("an unknown key of held_out", "tasks: [{task: held_out, limt: 3}]\n", "'limt'", "'limit'?"),
    experiment(
        "held_out twice", "tasks: [held_out, {task: held_out, limit: 3}]\n", "'held_out' once at most"
    ),
    experiment("an unknown metric", "metrics: [rogue]\n", "Unknown metric 'rogue'", "Did you mean 'rouge'?"),
    experiment(
        "a metric's setting", "metrics: [{rouge: {stemer: true}}]\n", "'stemer'", "Did you mean 'stemmer'?"
    ),
    experiment("a metric twice", "metrics: [rouge, rouge]\n", "both give the measure 'rouge1'"),
    experiment("an unknown categorizer", "categorizers: [emty]\n", "Unknown categorizer 'emty'", "'empty'?"),
    experiment(
        "an unknown primary", "compare: {primary: rougel}\n", "Unknown primary measure 'rougel'", "'rougeL'?"
    ),
    experiment("an unknown dtype", "evaluate: {dtype: bf16}\n", "Unknown dtype 'bf16'", "bfloat16"),
    experiment("an unknown plugin file", "plugins: [gone.py]\n", "The plugin file gone.py does not exist"),
    experiment(
        "two length limits", "tune: {max_length: 128}\n", "tune.max_length is 128", "data.max_length decides"
    ),
    Case(
        "tune without data",
        "run bad.yaml",
        ("a `tune:` block but no `data:` block",),
        {"bad.yaml": "name: a\nmodel: smollm2-135m-q4\ntasks: [harness_qa]\ntune: {}\n"},
    ),
    Case(
        "held_out without data",
        "run bad.yaml",
        ("'held_out' is the test split of `data:`",),
        {"bad.yaml": "name: a\nmodel: smollm2-135m-q4\n"},
    ),
    Case(
        "a name with a slash",
        "run bad.yaml",
        ("name is 'a/b'", "without slashes"),
        {"bad.yaml": "name: a/b\nmodel: smollm2-135m-q4\ndata: {path: docs.jsonl}\n"},
    ),
    Case(
        "a broken plugin",
        "run bad.yaml",
        ("plugin.py cannot be loaded: ZeroDivisionError",),
        {"bad.yaml": EXPERIMENT + "plugins: [plugin.py]\n", "plugin.py": "1 / 0\n"},
    ),
    Case(
        "missing data",
        "run bad.yaml",
        ("gone.jsonl: this file does not exist",),
        {"bad.yaml": "name: a\nmodel: smollm2-135m-q4\ndata: {path: gone.jsonl}\n"},
    ),
    Case(
        "the workspace is a file",
        "run good.yaml --workspace taken",
        ("taken: this is a file",),
        {"taken": "", "good.yaml": EXPERIMENT},
    ),
    Case(
        "the experiment's folder is a file",
        "run good.yaml",
        ("runs/demo: this is a file",),
        {"runs/demo": "", "good.yaml": EXPERIMENT},
    ),
    Case(
        "--data without data",
        "run bad.yaml --data docs.jsonl",
        ("--data replaces the path of `data:`",),
        {"bad.yaml": "name: a\nmodel: smollm2-135m-q4\ntasks: [harness_qa]\n"},
    ),
    Case(
        "a model that cannot learn",
        "run bad.yaml",
        ("'scripted' cannot be fine-tuned",),
        {"bad.yaml": "name: a\nmodel: {scripted: {default: x}}\ndata: {path: docs.jsonl}\ntune: {}\n"},
    ),
    Case(
        "a GGUF for a model",
        "run bad.yaml",
        ("this is not a GGUF file",),
        {"bad.yaml": "name: a\nmodel: ./x.gguf\ndata: {path: docs.jsonl}\n", "x.gguf": "oops"},
    ),
]
USAGE = [
    Case("unknown verb", "evla", ("Unknown verb 'evla'", "Did you mean 'eval'?")),
    Case(
        "unknown option",
        "list metrics --jsn x",
        ("No such option: --jsn", "--json", "See: harness list --help"),
    ),
    Case("unknown kind", "list metrix", ("Unknown kind 'metrix'", "Did you mean 'metrics'?")),
    Case("missing argument", "compare base", ("Missing argument 'tuned_run'", "harness compare --help")),
    Case("missing option", "eval smollm2-135m-q4", ("Missing option '--task'",)),
    Case(
        "a word for a number", "prepare docs.jsonl --test many", ("'--test'", "must be a valid number. See")
    ),
    Case("too many arguments", "list metrics models", ("unexpected extra argument", "models")),
    Case("no such run", "compare gone away", ("gone: there is no such run folder",)),
    Case(
        "no finished run",
        "compare hollow hollow",
        ("hollow: this is not a finished run: results.json is missing",),
        {"hollow/x": ""},
    ),
    Case("not a result", "compare odd odd", ("results.json: this is not JSON",), {"odd/results.json": "{"}),
    Case(
        "another's result",
        "report odd",
        ("not the result of one run ('estimates' is missing)",),
        {"odd/results.json": "{}"},
    ),
    Case(
        "a result of another form",
        "report odd",
        ("this is not the result of one run; run",),
        {"odd/results.json": "[]"},
    ),
    Case(
        "a whole experiment",
        "compare demo demo",
        ("this is a whole experiment; name one of its runs: demo/eval/base",),
        {"demo/results.json": '{"runs": [{"name": "base"}]}'},
    ),
    Case(
        "an unfinished experiment",
        "report demo",
        ("not a finished run",),
        {"demo/eval/base/results.json": "{}"},
    ),
    Case(
        "an odd experiment",
        "report demo",
        ("demo/results.json: this is not the result of an experiment",),
        {"demo/eval/x": "", "demo/results.json": "{}"},
    ),
    Case("a report on a folder", "report demo --out folder", ("folder: this is a folder",), {"folder/x": ""}),
    Case("JSON on a folder", "list metrics --json folder", ("folder: this is a folder",), {"folder/x": ""}),
    Case(
        "JSON below a file", "list metrics --json taken/a/b.json", ("taken: this is a file",), {"taken": ""}
    ),
]
CASES = [*DATA, *MODELS, *EXPERIMENTS, *USAGE]


def identify(case: Case) -> str:
    return f"{case.arguments.split()[0]}: {case.name}"


def fill(folder: Path, case: Case) -> None:
    for name, content in {"docs.jsonl": ROWS, **case.files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

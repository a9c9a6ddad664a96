"""`harness list KIND`: what can be named."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from harness.cli.terminal import JsonOption, check_output_file, write_json

KINDS = ("metrics", "categorizers", "models", "tasks", "suites", "templates")
_OWN, _LM_EVAL = "checkpoint-harness", "lm-eval"
_BENCHMARKS = {
    "arc_easy": "grade-school science, simple questions",
    "arc_challenge": "grade-school science, harder questions",
    "hellaswag": "what comes next in everyday scenes",
    "mmlu": "57 subjects, from school to profession; each also alone, as mmlu_SUBJECT",
    "truthfulqa_mc1": "common misconceptions, one true answer",
    "truthfulqa_mc2": "common misconceptions, several true answers",
}
"""The benchmarks that local files can serve; every other name of lm-eval can be used, too: some 14,000."""


def verb(
    kind: Annotated[str, typer.Argument(help="metrics, categorizers, models, tasks, suites or templates.")],
    json_file: JsonOption = None,
) -> None:
    """Print one line a name."""
    from harness.cli.run_table import aligned
    from harness.exceptions import UnknownName

    check_output_file(json_file)
    if kind not in KINDS:
        raise UnknownName("kind", kind, KINDS)
    rows, broken = _ROWS[kind](), _broken(kind)
    if rows:
        heads = list(rows[0])
        for line in aligned([heads, *[[str(row[head]) for head in heads] for row in rows]]):
            typer.echo(line)
    for name, reason in broken.items():
        typer.echo(f"{name}: this plugin cannot be loaded ({reason}).", err=True)
    write_json({kind: rows, "broken": broken}, json_file)


def _broken(kind: str) -> dict[str, str]:
    from harness.categorizers import registry as categorizers
    from harness.metrics import registry as metrics
    from harness.models import MODELS

    families: dict[str, Any] = {"metrics": metrics(), "categorizers": categorizers(), "models": MODELS}
    return dict(families[kind].broken) if kind in families else {}


def _metrics() -> list[dict[str, Any]]:
    from dataclasses import fields

    from harness.metrics import registry

    rows = []
    for name in registry().names():
        made: Any = registry().create(name)
        settings = ", ".join(f"{field.name}={field.default!r}" for field in fields(made)) or "none"
        rows.append(
            {
                "name": name,
                "origin": registry().origin(name),
                "measures": ", ".join(measure.name for measure in made.measures),
                "scale": "; ".join(sorted({f"{m.low:g} to {m.high:g}" for m in made.measures})),
                "needs": "target" if made.needs_target else "nothing",
                "settings": settings,
            }
        )
    return rows


def _categorizers() -> list[dict[str, Any]]:
    from harness.categorizers import registry

    return [
        {
            "name": name,
            "origin": registry().origin(name),
            "needs": "target" if registry().create(name).needs_target else "nothing",
        }
        for name in registry().names()
    ]


def _models() -> list[dict[str, Any]]:
    from harness.checkpoints.aliases import HUBS, WHEELS
    from harness.models import MODELS

    aliases = [{"name": a.name, "kind": "alias", "about": a.about} for a in (*WHEELS, *HUBS)]
    kinds = [
        {"name": name, "kind": "kind", "about": f"from {MODELS.origin(name)}"} for name in MODELS.names()
    ]
    return [*aliases, *kinds]


def _tasks() -> list[dict[str, Any]]:
    from harness.tasks import HELD_OUT, read_yaml, shipped_tasks

    about = {HELD_OUT: "the test split of the experiment, or of a fine-tuned folder"}
    about |= {name: str(read_yaml(path).get("about", "")) for name, path in shipped_tasks().items()}
    rows = [{"name": name, "origin": _OWN, "about": text} for name, text in about.items()]
    return rows + [{"name": name, "origin": _LM_EVAL, "about": text} for name, text in _BENCHMARKS.items()]


def _suites() -> list[dict[str, Any]]:
    from harness.benchmarks.suites import SUITES

    return [{"name": name, "holds": "; ".join(map(_told, chosen))} for name, chosen in SUITES.items()]


def _told(chosen: Any) -> str:
    """A member of a suite: mmlu, 0-shot, 10 samples a task."""
    said = [chosen.name]
    if chosen.num_fewshot is not None:
        said.append(f"{chosen.num_fewshot}-shot")
    if chosen.limit is not None:
        said.append(f"{chosen.limit:g} samples a task")
    return ", ".join(said)


def _templates() -> list[dict[str, Any]]:
    from harness.data.templates import TEMPLATES

    return [{"name": made.name, "about": (type(made).__doc__ or "").partition("\n")[0]} for made in TEMPLATES]


_ROWS = {
    "metrics": _metrics,
    "categorizers": _categorizers,
    "models": _models,
    "tasks": _tasks,
    "suites": _suites,
    "templates": _templates,
}

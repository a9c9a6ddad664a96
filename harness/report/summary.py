"""From an experiment to everything that stands on its page.

Each section has a module that fills its view; this one decides which sections there are and what is said about those
that are not.
"""

from __future__ import annotations

from harness.records import ExperimentResult
from harness.report import words
from harness.report.checkpoints import checkpoints_view
from harness.report.datacard import data_view
from harness.report.forgetting import forgetting_view
from harness.report.methods import methods_view
from harness.report.metrics import metrics_view
from harness.report.samples import samples_view
from harness.report.subject import Subject, study
from harness.report.training import training_view
from harness.report.verdict import verdict_view
from harness.report.views import Page


def summarise(result: ExperimentResult) -> Page:
    """Everything on the page as plain data; raises BadValue where there is no run at all."""
    subject = study(result)
    checkpoints = checkpoints_view(subject)
    samples = samples_view(subject)
    forgetting = forgetting_view(subject)
    training = training_view(subject)
    data = data_view(subject)
    drawn = {
        "verdict": ("Verdict", True),
        "metrics": ("Metrics", True),
        "checkpoints": ("Checkpoints", checkpoints is not None),
        "samples": ("Samples", samples is not None),
        "forgetting": ("Forgetting", forgetting is not None),
        "training": ("Training", training is not None),
        "data": ("Data", data is not None),
        "methods": ("Methods", True),
    }
    name = words.label(result.name, 60)
    subtitle = _subtitle(subject)
    return Page(
        name=name,
        subtitle=subtitle,
        title=f"{name}: {subtitle}",
        contents=tuple((key, title) for key, (title, there) in drawn.items() if there),
        verdict=verdict_view(subject),
        metrics=metrics_view(subject),
        checkpoints=checkpoints,
        samples=samples,
        forgetting=forgetting,
        training=training,
        data=data,
        methods=methods_view(
            subject, _missing(subject, {key for key, (_, there) in drawn.items() if not there})
        ),
        footer=f"Made by checkpoint-harness {words.label(result.environment.harness, 30)}. "
        "The same result gives the same page, byte for byte.",
    )


def _subtitle(subject: Subject) -> str:
    base = words.label(subject.base.model, 50)
    if subject.tuned is None:
        return f"{base}, {words.label(subject.base.name, 40)} alone"
    training = subject.result.training
    how = f"{words.method(training.method)}, " if training is not None else ""
    return f"{base}, base against {how}{words.label(subject.tuned.name, 40)}"


def _missing(subject: Subject, absent: set[str]) -> tuple[tuple[str, str], ...]:
    """Sections without data, each with its reason."""
    found = []
    if subject.comparison is None:
        found.append(("Comparison", "only one checkpoint was evaluated"))
    elif "checkpoints" in absent:
        found.append(("Checkpoints", "fewer than two tuned checkpoints were scored"))
    if "samples" in absent:
        found.append(("Samples", "no sample was asked"))
    if not any(sample.categories for run in subject.result.runs for sample in run.samples):
        found.append(("Kinds of mistakes", "no categorizer found any"))
    if subject.comparison is not None and "forgetting" in absent:
        found.append(("Forgetting", "no benchmark was run beside the task"))
    if "training" in absent:
        found.append(("Training", "this result holds no training"))
    if "data" in absent:
        found.append(("Data", "this result holds no data card"))
    return tuple(found)

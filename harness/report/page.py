"""Puts the page together: templates, style and script from `reports/`, one file with nothing to fetch.

Everything that a template writes is first made visible (control characters, lone surrogates) and then escaped; only
drawings made in `charts` pass as they are. The Content-Security-Policy names the one style and the one script by
their SHA-256, so nothing that came with the data can run.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from harness.exceptions import FileProblem
from harness.records import ExperimentResult
from harness.report import charts
from harness.report.figures import Bars
from harness.report.summary import summarise
from harness.report.views import Page
from harness.resources import resource
from harness.stages.layout import write_output
from harness.wording.text import visible


def render_report(result: ExperimentResult) -> str:
    """The whole report as one HTML page; the same result gives the same text.

    Raises BadValue where the result holds no run.
    """
    page = summarise(result)
    style, script = _asset("report.css"), _asset("report.js")
    template = _environment().get_template("page.html.j2")
    return template.render(
        page=page,
        drawn=_drawings(page),
        style=Markup(style),  # noqa: S704 (shipped with the product)
        script=Markup(script),  # noqa: S704 (shipped with the product)
        policy=_policy(style, script),
    )


def write_report(result: ExperimentResult, path: Path) -> Path:
    """Write the report to `path`, whole or not at all, and return the path.

    Missing folders are made. Raises FileProblem where the path cannot be written, StageFailed on a full disk.
    """
    path = Path(path)
    if path.is_dir():
        raise FileProblem(path, "this is a folder; the report needs the name of a file.")
    text = render_report(result)
    write_output(path, text.encode(), "The report")
    return path


def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(resource("reports", "templates")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )


def _finalize(value: object) -> object:
    """Make strange characters visible in all that is written, drawings and shipped files excepted."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _asset(name: str) -> str:
    return resource("reports", name).read_text(encoding="utf-8").strip()


def _policy(style: str, script: str) -> str:
    """The Content-Security-Policy for exactly this style and this script."""
    return (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _drawings(page: Page) -> dict[str, Markup | list[Markup] | None]:
    """The charts of the sections that are there."""
    curve = page.checkpoints.curve if page.checkpoints else None
    loss = page.training.loss if page.training else None
    return {
        "glance": charts.glance_chart(page.verdict.glance) if page.verdict.glance else None,
        "curve": charts.score_chart(curve) if curve else None,
        "loss": charts.loss_chart(loss) if loss else None,
        "lines": [charts.line_chart(line) for line in page.training.lines] if page.training else [],
        "changes": _bars(page.samples.histogram if page.samples else None),
        "lengths": _bars(page.data.lengths if page.data else None),
    }


def _bars(view: Bars | None) -> Markup | None:
    return charts.bar_chart(view) if view is not None and view.counts else None

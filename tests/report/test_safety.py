"""Nothing that comes with the data runs, loads or leaks."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.records import Category, ExperimentResult, MetricComparison, RunResult, SampleResult, Score
from harness.report import render_report, write_report

Parse = Callable[[str], Any]
Visiting = Callable[..., Any]

HOSTILE = (
    "<script>window.__xss=1</script>",
    "</script><script>window.__xss=1</script>",
    "</style><script>window.__xss=1</script>",
    "</title><script>window.__xss=1</script>",
    "</textarea><script>window.__xss=1</script>",
    "--><script>window.__xss=1</script>",
    "<!--<script>",
    "<![CDATA[<script>window.__xss=1</script>]]>",
    "<img src=x onerror=window.__xss=1>",
    "<svg onload=window.__xss=1>",
    "<svg><script>window.__xss=1</script></svg>",
    "<iframe srcdoc='<script>parent.__xss=1</script>'></iframe>",
    "<a href='javascript:window.__xss=1'>click</a>",
    "[click](javascript:window.__xss=1)",
    "![x](https://example.org/pixel.png)",
    "<link rel=stylesheet href=https://example.org/a.css>",
    "<meta http-equiv=refresh content='0;url=https://example.org'>",
    "<base href=https://example.org>",
    "<form action=https://example.org><input autofocus onfocus=window.__xss=1>",
    "<body onload=window.__xss=1>",
    "<details open ontoggle=window.__xss=1>",
    '" onmouseover="window.__xss=1',
    "' onmouseover='window.__xss=1",
    '"><img src=x onerror=window.__xss=1>',
    "{{ 7 * 7 }}{% raw %}",
    "{{ ''.__class__.__mro__ }}",
    "${7*7}#{7*7}<%= 7*7 %>",
    "&lt;script&gt;window.__xss=1&lt;/script&gt;",
    "&#60;script&#62;",
    "\u2028window.__xss=1\u2029",
    "\u202egnihton\u202c \u2066x\u2069",
    "nul \x00 bell \x07 escape \x1b[31mred\x1b[0m",
    "lone \ud800 surrogate \udfff",
    "hasOwnProperty __proto__ constructor",
    "expression(window.__xss=1) url(javascript:window.__xss=1)",
    "%3Cscript%3Ewindow.__xss=1%3C/script%3E",
    "\ufeff\ufffe\uffff",
    "\U000e0041\U000e0042 tags",
)


def poisoned(result: ExperimentResult) -> ExperimentResult:
    """Every text of the result is hostile, a different one wherever possible."""
    state = {"next": 0}

    def bad() -> str:
        state["next"] += 1
        return HOSTILE[state["next"] % len(HOSTILE)]

    def sample(old: SampleResult) -> SampleResult:
        text = bad()
        return replace(
            old,
            sample_id=f"{old.sample_id} {bad()}",
            prompt=bad(),
            input=bad(),
            target=bad(),
            generation=f"{text} {bad()}",
            answer=text,
            failure=bad(),
            categories=(Category(bad(), bad()),),
            metadata={bad(): bad()},
            scores={name: Score(None, reason=bad()) for name in old.scores}
            if old.tokens % 7 == 0
            else old.scores,
        )

    def run(old: RunResult) -> RunResult:
        return replace(
            old,
            name=f"{old.name} {bad()}",
            model=bad(),
            fingerprint=bad(),
            settings={bad(): bad()},
            samples=tuple(sample(one) for one in old.samples),
        )

    def metric(old: MetricComparison) -> MetricComparison:
        return replace(old, label=bad(), test=bad())

    assert result.data is not None
    assert result.training is not None
    comparisons = tuple(
        replace(
            one,
            metrics=(changed := tuple(metric(m) for m in one.metrics)),
            primary=changed[0],
            warnings=(bad(), bad()),
        )
        for one in result.comparisons
    )
    return replace(
        result,
        name=bad(),
        runs=tuple(run(one) for one in result.runs),
        comparisons=comparisons,
        chosen_reason=bad(),
        environment=replace(
            result.environment,
            command=bad(),
            platform=bad(),
            device=bad(),
            packages={bad(): bad()},
            seeds={bad(): 1},
        ),
        data=replace(
            result.data,
            source=bad(),
            template=bad(),
            columns=bad(),
            skipped={bad(): 1},
            splits={bad(): 60},
            leaks=((bad(), bad()),),
            examples=((bad(), bad()),),
            warnings=(bad(),),
        ),
        training=replace(result.training, method=bad(), settings={bad(): bad()}),
        digests={bad(): bad()},
    )


def test_the_policy_names_exactly_the_style_and_the_script(result: ExperimentResult, parse: Parse) -> None:
    html = render_report(result)
    tree = parse(html)
    head = tree.one("head")
    metas = head.all("meta")
    assert "charset" in metas[0].attrs
    policy = metas[1].attrs
    assert policy["http-equiv"] == "Content-Security-Policy"

    def digest(name: str) -> str:
        inside = re.findall(rf"<{name}>(.*?)</{name}>", html, flags=re.DOTALL)
        assert len(inside) == 1
        return "sha256-" + base64.b64encode(hashlib.sha256(inside[0].encode()).digest()).decode()

    assert policy["content"] == (
        f"default-src 'none'; script-src '{digest('script')}'; style-src '{digest('style')}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def test_nothing_is_fetched_and_nothing_needs_an_inline_style(result: ExperimentResult, parse: Parse) -> None:
    html = render_report(result)
    tree = parse(html)
    for node in tree.all():
        assert node.tag not in {"link", "img", "iframe", "object", "embed", "base", "form", "audio", "video"}
        for name, value in node.attrs.items():
            assert name not in {"style", "src", "srcset", "action", "xlink:href"}, (node.tag, name)
            assert not name.startswith("on"), (node.tag, name)
            assert "http" not in value or name == "http-equiv", (node.tag, name, value)
    assert "url(" not in tree.one("style").text
    assert "@import" not in tree.one("style").text
    script = tree.one("script").text
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|fetch\(|XMLHttp|import\(", script
    )


def test_home_folders_and_tokens_stay_out(result: ExperimentResult) -> None:
    command = "harness run /home/alice/projects/docs-qa.yaml --token hf_abcdefghijklmnopqrstuvwxyz"
    html = render_report(replace(result, environment=replace(result.environment, command=command)))
    assert "alice" not in html
    assert "hf_abc" not in html
    assert "harness run ~/projects/docs-qa.yaml --token [redacted]" in html


def test_hostile_text_stays_text(result: ExperimentResult, parse: Parse) -> None:
    clean, dirty = render_report(result), render_report(poisoned(result))
    dirty.encode()  # lone surrogates would not pass
    tree = parse(dirty)
    known = {node.tag for node in parse(clean).all()} | {"select", "option", "p"}
    assert {node.tag for node in tree.all()} <= known
    assert len(tree.all("script")) == 1
    assert len(tree.all("style")) == 1
    attributes = {name for node in tree.all() for name in node.attrs}
    assert not {name for name in attributes if name.startswith("on")}
    assert all(node.attrs["href"].startswith("#") for node in tree.all("a"))
    assert "49" not in tree.one("h1").text  # {{ 7 * 7 }} was not worked out
    for char in "\x00\x07\x1b\u202e\u2066\u2028\u2029\ud800\ufeff\U000e0041":
        assert char not in dirty
    assert "\\x1b[31mred" in dirty
    assert "lone \\ud800 surrogate" in dirty


def test_answers_read_as_they_were_given(result: ExperimentResult, parse: Parse) -> None:
    base, *others = result.runs
    samples = tuple(
        replace(sample, answer=text, generation=text)
        for sample, text in zip(base.samples, HOSTILE, strict=False)
    )
    html = render_report(
        replace(result, runs=(replace(base, samples=(*samples, *base.samples[len(samples) :])), *others))
    )
    tree = parse(html)
    for index, text in enumerate(HOSTILE):
        shown = tree.one("details", id=f"s-{index + 1}").all("div", css="pane")[0].one("p", css="txt").text
        escapes = r"\\x([0-9a-f]{2})|\\u([0-9a-f]{4})|\\U([0-9a-f]{8})"
        assert re.sub(escapes, lambda m: chr(int(m[1] or m[2] or m[3], 16)), shown) == text


def test_right_to_left_text_and_emoji_keep_their_characters(result: ExperimentResult, parse: Parse) -> None:
    text = "שלום עולם، مرحبا 👩🏽‍🚀 \U0001f3f4 e\u0301"
    base, *others = result.runs
    first = replace(base.samples[0], answer=text, generation=text, input=text)
    html = render_report(replace(result, runs=(replace(base, samples=(first, *base.samples[1:])), *others)))
    sample = parse(html).one("details", id="s-1")
    pane = sample.all("div", css="pane")[0].one("p", css="txt")
    assert pane.text == text
    assert pane.attrs["dir"] == "auto"
    assert sample.one("h3").text == text


@pytest.mark.slow
def test_hostile_text_does_not_run(visit: Visiting, result: ExperimentResult, tmp_path: Path) -> None:
    seen = visit(write_report(poisoned(result), tmp_path / "bad.html"))
    seen.page.keyboard.press("j")
    seen.page.wait_for_timeout(200)
    assert seen.ask("typeof window.__xss") == "undefined"
    assert len(seen.requests) == 1
    assert seen.complaints == []


@pytest.mark.slow
def test_what_a_page_could_smuggle_in_is_blocked(
    visit: Visiting, result: ExperimentResult, tmp_path: Path
) -> None:
    seen = visit(write_report(result, tmp_path / "report.html"))
    seen.ask(
        "() => { const s = document.createElement('script'); s.textContent = 'window.__xss = 1';"
        " document.body.append(s); const i = document.createElement('img');"
        " i.setAttribute('onerror', 'window.__xss=1'); i.src = 'missing.png'; document.body.append(i); }"
    )
    seen.page.wait_for_timeout(200)
    assert seen.ask("typeof window.__xss") == "undefined"
    assert any("Content Security Policy" in line for line in seen.complaints)

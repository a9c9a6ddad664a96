"""The whole page: structure, safety, determinism, and what it says about odd results."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.exceptions import BadValue, FileProblem
from harness.records import (
    Category,
    ExperimentResult,
    Finish,
    MetricComparison,
    RunResult,
    SampleResult,
    Score,
    Verdict,
)
from harness.report import render_report, write_report

Parse = Callable[[str], Any]

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


def test_the_page_is_well_formed_and_ids_are_unique(result: ExperimentResult, parse: Parse) -> None:
    tree = parse(render_report(result))
    ids = [node.attrs["id"] for node in tree.all() if "id" in node.attrs]
    assert len(ids) == len(set(ids))
    assert len(tree.all("main")) == 1
    targets = {node.attrs["href"] for node in tree.all("a")}
    assert targets == {f"#{target[1:]}" for target in targets}
    assert {target[1:] for target in targets} <= set(ids)


def test_sections_stand_in_order_with_findings_as_headings(result: ExperimentResult, parse: Parse) -> None:
    tree = parse(render_report(result))
    sections = [node.attrs["id"] for node in tree.all("section")]
    assert sections == ["verdict", "metrics", "checkpoints", "samples", "training", "data", "methods"]
    contents = [node.attrs["href"] for node in tree.one("nav", css="toc").all("a")]
    assert contents == [f"#{name}" for name in sections]
    findings = [node.text for node in tree.all("h2")]
    assert findings == [
        "MetricsTwo of three metrics are better, one is not decided",
        "CheckpointsStep 150 was chosen and did best of three on the test set",
        "Samples12 samples got worse; read them first",
        "TrainingValidation loss fell from 1.77 to 1.58 and was still falling at the end",
        "Data2 test questions also stand in the training data",
        "MethodsHow to repeat this",
    ]


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


def test_every_figure_of_the_metric_table_is_the_record(result: ExperimentResult, parse: Parse) -> None:
    table = parse(render_report(result)).one("section", id="metrics").all("table", css="stack")[0]
    rows = table.one("tbody").all("tr")
    headline = result.headline
    assert headline is not None
    assert len(rows) == len(headline.metrics) == 3
    for row, metric in zip(rows, headline.metrics, strict=True):
        cells = {node.attrs.get("class", "").split()[1]: node.text for node in row.all("td", css="n")[:4]}
        percent = metric.base.binary

        def number(text: str) -> float:
            return float(text.replace("\u2212", "-").replace("%", "").replace("+", ""))

        scale = 100 if percent else 1
        near = {True: 0.05, False: 0.5 * 10 ** -(1 if metric.measure == "bleu" else 3)}[percent]
        assert number(cells["c-base"]) == pytest.approx(scale * (metric.base.value or 0), abs=near)
        assert number(cells["c-tuned"]) == pytest.approx(scale * (metric.tuned.value or 0), abs=near)
        assert cells["c-base"].endswith("%") == percent
        assert number(cells["c-chg"]) == pytest.approx((metric.delta or 0) * metric.points, abs=0.05)
        assert cells["c-chg"][0] in "+\u2212"
        low, high = (number(end) for end in cells["c-ci"].split(" to "))
        assert low == pytest.approx((metric.low or 0) * metric.points, abs=0.05)
        assert high == pytest.approx((metric.high or 0) * metric.points, abs=0.05)
        assert row.one("td", css="c-n").text == "60"
        assert row.one("td", css="v").text[1:] == metric.verdict.value


def test_every_drawing_names_itself_and_describes_its_numbers(result: ExperimentResult, parse: Parse) -> None:
    tree = parse(render_report(result))
    drawings = tree.all("svg")
    assert (
        len(drawings) == 8 + 7
    )  # two plot heads, 3 + 3 rows; glance, curve, changes, loss, two lines, lengths
    for svg in drawings:
        assert svg.attrs["role"] == "img"
        assert [child.tag for child in svg.children if child.tag][:2] == ["title", "desc"]
        assert svg.one("title").text.strip()
        assert svg.one("desc").text.strip()
    for figure in tree.all("figure"):
        assert (
            figure.all("summary")
            or figure.attrs.get("class") == "glance"
            or "training"
            in {section.attrs["id"] for section in tree.all("section") if figure in section.all("figure")}
        )


def test_every_sample_stands_on_the_page_the_largest_loss_first(
    result: ExperimentResult, parse: Parse
) -> None:
    section = parse(render_report(result)).one("section", id="samples")
    articles = section.all("details", css="sample")
    assert len(articles) == 60
    assert sum(1 for node in articles if "open" in node.attrs) == 20
    worst = articles[0]
    assert worst.one("p", css="meta").text == "q-006 · ▼ worse −91.0 · Web console"
    assert worst.one("h3").text == "How do I rotate the signing key from the web console?"
    assert [node.text for node in worst.all("del")] == ["The documentation does not say."]
    assert len(worst.all("ins")) == 1
    links = section.one("ol", css="list").all("a")
    assert [link.attrs["href"][1:] for link in links] == [node.attrs["id"] for node in articles]


def test_answers_are_rebuilt_from_their_marked_words(result: ExperimentResult, parse: Parse) -> None:
    tree = parse(render_report(result))
    shown = {
        node.one("p", css="meta").text.split(" · ")[0]: [
            pane.one("p", css="txt").text for pane in node.all("div", css="pane")
        ]
        for node in tree.all("details", css="sample")
    }
    for base, tuned in zip(result.runs[0].samples, result.runs[3].samples, strict=True):
        assert shown[base.sample_id] == [base.answer, tuned.answer]


def test_the_same_result_gives_the_same_bytes(result: ExperimentResult) -> None:
    assert render_report(result) == render_report(result)


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


# Odd results: the page opens and names the problem.


def shown(result: ExperimentResult, parse: Parse) -> str:
    """All text of the page's main part on one line."""
    return " ".join(parse(render_report(result)).one("main").text.replace("\u00a0", " ").split())


def only(result: ExperimentResult, count: int) -> ExperimentResult:
    """The result with the first samples alone; nothing can be tested on one pair."""
    runs = tuple(replace(run, samples=run.samples[:count]) for run in result.runs)
    comparisons = tuple(
        replace(
            one,
            metrics=(
                changed := tuple(
                    replace(m, n=count, low=None, high=None, p=None, p_adjusted=None, needed=None,
                            verdict=Verdict.NOT_DECIDED)
                    for m in one.metrics
                )
            ),
            primary=changed[0],
            verdict=Verdict.NOT_DECIDED,
        )
        for one in result.comparisons
    )  # fmt: skip
    return replace(result, runs=runs, comparisons=comparisons)


def test_one_sample_has_no_interval(result: ExperimentResult, parse: Parse) -> None:
    text = shown(only(result, 1), parse)
    assert (
        "It is not decided whether the tuned checkpoint is better in ROUGE-L (+36.4 points, no interval, n = 1)."
        in text
    )
    assert "Only 1 sample was compared. Read the direction, not the size." in text
    assert "It cannot be said: there is no interval." in text


def test_no_score_at_all(result: ExperimentResult, parse: Parse) -> None:
    def bare(run: RunResult) -> RunResult:
        samples = tuple(
            replace(s, scores={n: Score(None, reason="no target") for n in s.scores}) for s in run.samples
        )
        estimates = {
            task: {n: replace(e, value=None, low=None, high=None, scored=0) for n, e in group.items()}
            for task, group in run.estimates.items()
        }
        return replace(run, samples=samples, estimates=estimates)

    runs = tuple(bare(run) for run in result.runs)
    comparisons = tuple(
        replace(one, metrics=(), primary=None, verdict=Verdict.NOT_DECIDED) for one in result.comparisons
    )
    text = shown(replace(result, runs=runs, comparisons=comparisons), parse)
    assert "not decided whether the tuned checkpoint is better: no metric scored both checkpoints" in text
    assert "No metric scored both checkpoints" in text
    assert "No sample was scored on both sides" in text
    assert "60 of 60 answers of the base could not be scored by ROUGE-L, Exact match and BLEU." in text
    assert "not scored: no target" in text


def test_a_measure_without_values_keeps_its_row(result: ExperimentResult, parse: Parse) -> None:
    def emptied(metric: MetricComparison) -> MetricComparison:
        nothing = {"value": None, "low": None, "high": None, "scored": 0}
        return replace(
            metric, base=replace(metric.base, **nothing), tuned=replace(metric.tuned, **nothing), n=0, delta=None,
            low=None, high=None, p=None, p_adjusted=None, verdict=Verdict.NOT_DECIDED, needed=None,
        )  # fmt: skip

    comparisons = tuple(
        replace(one, metrics=(changed := tuple(emptied(m) for m in one.metrics)), primary=changed[0],
                verdict=Verdict.NOT_DECIDED)
        for one in result.comparisons
    )  # fmt: skip
    odd = replace(result, comparisons=comparisons)
    text = shown(odd, parse)
    assert "ROUGE-L scored no sample on both sides" in text
    table = parse(render_report(odd)).one("section", id="metrics").all("table", css="stack")[0]
    assert [cell.text for cell in table.all("td", css="c-chg")] == ["–", "–", "–"]


def test_a_broken_checkpoint(result: ExperimentResult, parse: Parse) -> None:
    broken = replace(result.runs[3], nonfinite=4)
    comparison = replace(
        result.comparisons[2],
        metrics=tuple(replace(m, verdict=Verdict.BROKEN) for m in result.comparisons[2].metrics),
        verdict=Verdict.BROKEN,
    )
    odd = replace(result, runs=(*result.runs[:3], broken), comparisons=(*result.comparisons[:2], comparison))
    text = shown(odd, parse)
    assert (
        "The tuned checkpoint is broken: it returns numbers that are not finite on 4 of 60 samples." in text
    )
    assert "All three metrics are broken" in text
    assert "Do not use this checkpoint." in text
    assert "step-150 returned numbers that are not finite on 4 of 60 samples." in text
    assert "×broken" in text


def test_identical_checkpoints_make_no_difference(result: ExperimentResult, parse: Parse) -> None:
    base = result.runs[0]
    twin = replace(base, name="step-150", step=150)
    metrics = tuple(
        replace(m, tuned=m.base, delta=0.0, low=0.0, high=0.0, p=None, p_adjusted=None, wins=0, losses=0, ties=60,
                verdict=Verdict.NO_WORSE, needed=None)
        for m in result.comparisons[2].metrics
    )  # fmt: skip
    comparison = replace(result.comparisons[2], metrics=metrics, primary=metrics[0], verdict=Verdict.NO_WORSE)
    text = shown(
        replace(result, runs=(base, twin), comparisons=(comparison,), chosen=1, training=None, data=None),
        parse,
    )
    assert (
        "The tuned checkpoint makes no difference: it gave the base's answer to all 60 samples, "
        "so ROUGE-L stayed at 0.397." in text
    )
    assert "Nothing changed: every answer is the same, letter by letter" in text
    assert "Nowhere: all 60 samples scored the same as before." in text
    assert "Nothing got worse." in text
    assert "Checkpoints (fewer than two tuned checkpoints were scored)." in text


def test_a_single_run_uses_the_same_page(single: ExperimentResult, parse: Parse) -> None:
    text = shown(single, parse)
    assert text.startswith("Base scored 0.397 in ROUGE-L (95% interval 0.313 to 0.482, n = 60).")
    assert "Comparison (only one checkpoint was evaluated)." in text
    tree = parse(render_report(single))
    assert [node.attrs["id"] for node in tree.all("section")] == ["verdict", "metrics", "samples", "methods"]
    assert len(tree.all("div", css="pane")) == 60


def test_no_sample_at_all(single: ExperimentResult, parse: Parse) -> None:
    run = replace(single.runs[0], samples=(), estimates={})
    text = shown(replace(single, runs=(run,)), parse)
    assert "Base has no score: no metric could score a sample." in text
    assert "No sample was asked. There is nothing to rely on." in text
    assert "Samples (no sample was asked)." in text


def test_no_run_at_all_is_refused(single: ExperimentResult) -> None:
    with pytest.raises(BadValue, match="runs is 'empty'"):
        render_report(replace(single, runs=()))


def test_a_label_of_300_characters_is_cut(result: ExperimentResult, parse: Parse) -> None:
    name = "A very long name of a metric " * 10
    comparisons = tuple(
        replace(
            one, metrics=(changed := tuple(replace(m, label=name) for m in one.metrics)), primary=changed[0]
        )
        for one in result.comparisons
    )
    tree = parse(render_report(replace(result, comparisons=comparisons)))
    assert len(tree.one("p", css="headline").text) < 200
    assert (
        tree.one("section", id="metrics")
        .all("th", css="c-name")[1]
        .text.startswith("A very long name of a metric A")
    )


def test_failures_are_said_where_they_happened(result: ExperimentResult, parse: Parse) -> None:
    tuned = result.runs[3]
    failed = replace(
        tuned.samples[0], answer="", generation="", finish=Finish.FAILED, failure="out of memory",
        scores={name: Score(None, reason="out of memory") for name in tuned.samples[0].scores},
    )  # fmt: skip
    odd = replace(result, runs=(*result.runs[:3], replace(tuned, samples=(failed, *tuned.samples[1:]))))
    sample = parse(render_report(odd)).one("details", id="s-1")
    pane = sample.all("div", css="pane")[1]
    assert "no answer" in pane.text
    assert "Failed: out of memory" in pane.text
    assert "not scored" in sample.one("p", css="meta").text


# Writing


def test_the_report_is_written_whole(result: ExperimentResult, tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "report.html"
    assert write_report(result, path) == path
    assert path.read_text(encoding="utf-8") == render_report(result)
    assert [file.name for file in path.parent.iterdir()] == ["report.html"]


def test_a_folder_in_place_of_the_file_is_refused(result: ExperimentResult, tmp_path: Path) -> None:
    with pytest.raises(FileProblem, match="this is a folder"):
        write_report(result, tmp_path)


def test_a_file_in_place_of_the_folder_is_refused(result: ExperimentResult, tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("in the way")
    with pytest.raises(FileProblem, match="cannot be written here"):
        write_report(result, tmp_path / "runs" / "report.html")


def test_a_failed_write_leaves_the_old_report(
    result: ExperimentResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(FileProblem, match="No space left on device"):
        write_report(result, path)
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]


# In a browser

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@pytest.fixture
def browser() -> Iterator[Any]:
    """A Chromium without a window."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not CHROMIUM.exists():
        pytest.skip("no Chromium is installed")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield opened
        opened.close()


class Visit:
    """A page opened from disk, with what it asked for and complained about."""

    def __init__(self, browser: Any, path: Path, **options: Any) -> None:
        self.page = browser.new_context(**options).new_page()
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(path.as_uri())

    def ask(self, script: str) -> Any:
        """The value of an expression in the page."""
        return self.page.evaluate(script)


@pytest.fixture
def file(result: ExperimentResult, tmp_path: Path) -> Path:
    """The report on disk."""
    return write_report(result, tmp_path / "report.html")


@pytest.mark.slow
def test_it_opens_from_disk_with_one_request(browser: Any, file: Path) -> None:
    visit = Visit(browser, file)
    visit.page.wait_for_selector("html[data-ready=true]", state="attached")
    assert visit.requests == [file.as_uri()]
    assert visit.complaints == []


@pytest.mark.slow
def test_hostile_text_does_not_run(browser: Any, result: ExperimentResult, tmp_path: Path) -> None:
    visit = Visit(browser, write_report(poisoned(result), tmp_path / "bad.html"))
    visit.page.wait_for_selector("html[data-ready=true]", state="attached")
    visit.page.keyboard.press("j")
    visit.page.wait_for_timeout(200)
    assert visit.ask("typeof window.__xss") == "undefined"
    assert len(visit.requests) == 1
    assert visit.complaints == []


@pytest.mark.slow
def test_what_a_page_could_smuggle_in_is_blocked(browser: Any, file: Path) -> None:
    visit = Visit(browser, file)
    visit.ask(
        "() => { const s = document.createElement('script'); s.textContent = 'window.__xss = 1';"
        " document.body.append(s); const i = document.createElement('img'); i.setAttribute('onerror', 'window.__xss=1');"
        " i.src = 'missing.png'; document.body.append(i); }"
    )
    visit.page.wait_for_timeout(200)
    assert visit.ask("typeof window.__xss") == "undefined"
    assert any("Content Security Policy" in line for line in visit.complaints)


@pytest.mark.slow
def test_without_javascript_everything_can_be_read(browser: Any, file: Path) -> None:
    visit = Visit(browser, file, java_script_enabled=False)
    for section in ("verdict", "metrics", "checkpoints", "samples", "training", "data", "methods"):
        assert visit.page.locator(f"#{section}").is_visible()
    assert visit.page.locator(".sample .pane >> visible=true").count() == 40
    assert not visit.page.locator(".bar-f").is_visible()
    closed = visit.page.locator(".sample:not([open])").first
    closed.locator("summary").first.click()
    assert (
        closed.locator(".pane").first.is_visible()
        or visit.page.locator(".pane >> visible=true").count() == 42
    )


@pytest.mark.slow
def test_dark_differs_and_the_button_turns_it(browser: Any, file: Path) -> None:
    colour = "getComputedStyle(document.body).backgroundColor"
    light, dark = Visit(browser, file, color_scheme="light"), Visit(browser, file, color_scheme="dark")
    assert light.ask(colour) == "rgb(255, 255, 255)"
    assert dark.ask(colour) == "rgb(18, 20, 23)"
    dark.page.click("#theme")
    assert dark.ask(colour) == "rgb(255, 255, 255)"


@pytest.mark.slow
def test_keys_filters_and_search(browser: Any, file: Path) -> None:
    page = Visit(browser, file).page
    chosen = ".list a[aria-current] .id"
    first = page.inner_text(chosen)
    page.keyboard.press("j")
    second = page.inner_text(chosen)
    assert first != second
    page.keyboard.press("k")
    assert page.inner_text(chosen) == first
    page.click("button[data-t=better]")
    assert page.inner_text(".side .foot") == "48 of 60 samples"
    page.fill("#f-q", "no such words")
    assert page.inner_text(".side .foot") == "No sample matches these filters. Clear one to see more."
    page.keyboard.press("j")
    assert page.input_value("#f-q") == "no such words"
    page.fill("#f-q", "acknowledgement")
    assert page.inner_text(".side .foot") == "6 of 60 samples"


@pytest.mark.slow
def test_a_column_sorts_by_its_figures(browser: Any, file: Path) -> None:
    page = Visit(browser, file).page
    page.click("#metrics thead button:has-text('Change')")
    changes = [
        float(text.replace("+", ""))
        for text in page.locator("#metrics .stack tbody .c-chg").all_inner_texts()
    ]
    assert changes == sorted(changes, reverse=True)


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 768, 1280])
@pytest.mark.parametrize("name", ["result", "single"])
def test_the_page_never_scrolls_sideways(
    browser: Any, width: int, name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    file = write_report(request.getfixturevalue(name), tmp_path / "report.html")
    visit = Visit(browser, file, viewport={"width": width, "height": 844})
    assert visit.ask("document.documentElement.scrollWidth") == width


OVERLAPS = """() => { const found = [];
for (const svg of document.querySelectorAll('svg')) {
  const texts = [...svg.querySelectorAll('text')].filter(t => t.textContent.trim() && t.getBoundingClientRect().width);
  texts.forEach((a, i) => texts.slice(i + 1).forEach(b => {
    const x = a.getBoundingClientRect(), y = b.getBoundingClientRect();
    const wide = Math.min(x.right, y.right) - Math.max(x.left, y.left);
    const high = Math.min(x.bottom, y.bottom) - Math.max(x.top, y.top);
    if (wide > 1 && high > 3) found.push([svg.querySelector('title').textContent, a.textContent, b.textContent]);
  }));
} return found; }"""


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1280])
def test_no_words_overlap_in_a_drawing(browser: Any, file: Path, width: int) -> None:
    visit = Visit(browser, file, viewport={"width": width, "height": 844})
    assert visit.ask(OVERLAPS) == []


@pytest.mark.slow
def test_on_paper_every_section_has_its_title(browser: Any, file: Path, tmp_path: Path) -> None:
    visit = Visit(browser, file, color_scheme="dark")
    visit.page.pdf(path=str(tmp_path / "report.pdf"), format="A4")
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
    visit.page.emulate_media(media="print")
    assert visit.ask("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    for section in ("metrics", "checkpoints", "samples", "training", "data", "methods"):
        assert visit.page.locator(f"#{section} h2").is_visible()
    assert not visit.page.locator(".bar-f").is_visible()
    assert not visit.page.locator(".list").is_visible()
    assert visit.page.locator(".sample >> visible=true").count() == 5
    assert visit.page.locator("#data .flow, #data table").last.is_visible()

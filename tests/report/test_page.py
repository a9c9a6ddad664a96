"""The whole page: structure, figures, determinism, writing, and how it behaves in a browser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.exceptions import FileProblem, StageFailed
from harness.records import ExperimentResult
from harness.report import render_report, write_report

Parse = Callable[[str], Any]
Visiting = Callable[..., Any]


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
    with pytest.raises(FileProblem, match="this is, or lies below, a file"):
        write_report(result, tmp_path / "runs" / "report.html")


def test_a_failed_write_leaves_the_old_report(
    result: ExperimentResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StageFailed, match="No space left on device"):
        write_report(result, path)
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]


# In a browser


@pytest.fixture
def file(result: ExperimentResult, tmp_path: Path) -> Path:
    """The report on disk."""
    return write_report(result, tmp_path / "report.html")


@pytest.mark.slow
def test_it_opens_from_disk_with_one_request(visit: Visiting, file: Path) -> None:
    seen = visit(file)
    assert seen.requests == [file.as_uri()]
    assert seen.complaints == []


@pytest.mark.slow
def test_without_javascript_everything_can_be_read(visit: Visiting, file: Path) -> None:
    seen = visit(file, java_script_enabled=False)
    for section in ("verdict", "metrics", "checkpoints", "samples", "training", "data", "methods"):
        assert seen.page.locator(f"#{section}").is_visible()
    assert seen.page.locator(".sample .pane >> visible=true").count() == 40
    assert not seen.page.locator(".bar-f").is_visible()
    closed = seen.page.locator(".sample:not([open])").first
    closed.locator("summary").first.click()
    assert (
        closed.locator(".pane").first.is_visible() or seen.page.locator(".pane >> visible=true").count() == 42
    )


@pytest.mark.slow
def test_dark_differs_and_the_button_turns_it(visit: Visiting, file: Path) -> None:
    colour = "getComputedStyle(document.body).backgroundColor"
    light, dark = visit(file, color_scheme="light"), visit(file, color_scheme="dark")
    assert light.ask(colour) == "rgb(255, 255, 255)"
    assert dark.ask(colour) == "rgb(18, 20, 23)"
    dark.page.click("#theme")
    assert dark.ask(colour) == "rgb(255, 255, 255)"


@pytest.mark.slow
def test_keys_filters_and_search(visit: Visiting, file: Path) -> None:
    page = visit(file).page
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
    assert page.input_value("#f-q") == "no such wordsj"  # typed, not taken as a key
    page.fill("#f-q", "acknowledgement")
    assert page.inner_text(".side .foot") == "6 of 60 samples"


@pytest.mark.slow
def test_a_column_sorts_by_its_figures(visit: Visiting, file: Path) -> None:
    page = visit(file).page
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
    visit: Visiting, width: int, name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    file = write_report(request.getfixturevalue(name), tmp_path / "report.html")
    seen = visit(file, viewport={"width": width, "height": 844})
    assert seen.ask("document.documentElement.scrollWidth") == width


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
def test_no_words_overlap_in_a_drawing(visit: Visiting, file: Path, width: int) -> None:
    seen = visit(file, viewport={"width": width, "height": 844})
    assert seen.ask(OVERLAPS) == []


@pytest.mark.slow
def test_on_paper_every_section_has_its_title(visit: Visiting, file: Path, tmp_path: Path) -> None:
    seen = visit(file, color_scheme="dark")
    seen.page.pdf(path=str(tmp_path / "report.pdf"), format="A4")
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
    seen.page.emulate_media(media="print")
    assert seen.ask("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    for section in ("metrics", "checkpoints", "samples", "training", "data", "methods"):
        assert seen.page.locator(f"#{section} h2").is_visible()
    assert not seen.page.locator(".bar-f").is_visible()
    assert not seen.page.locator(".list").is_visible()
    assert seen.page.locator(".sample >> visible=true").count() == 5
    assert seen.page.locator("#data .flow, #data table").last.is_visible()

"""A report as a page, as JUnit XML, as Markdown, and its JSON Schema."""

import json
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as Xml

from preceptor.evaluation.junit import to_junit
from preceptor.evaluation.markdown import to_markdown
from preceptor.evaluation.page import to_html
from preceptor.evaluation.report import CaseResult, Report

SCHEMA = Path(__file__).parents[2] / "docs" / "evaluation-report.schema.json"


def case(name: str, **told: object) -> CaseResult:
    known: dict[str, object] = {
        "question": f"What is {name}?", "chapter": None, "language": "en", "kind": "fact", "expected_in_book": True,
        "expected_sections": ("a#b",), "found": ("a#b",), "in_book": True, "answer": "It is.", "seconds": 1.5,
        "provider": "gemini", "model": "flash", "cost": 0.002, "trace_id": f"trace_{name}",
    }  # fmt: skip
    return CaseResult(name=name, **{**known, **told})  # pyright: ignore[reportArgumentType]


REPORT = Report(
    dataset="book",
    began=datetime(2026, 1, 1, tzinfo=UTC),
    k=5,
    thresholds={"cited": 0.9},
    cases=(
        case("good", assertions={"cited": True}),
        case(
            "<script>alert(1)</script>|`x`",
            assertions={"cited": False},
            answer="<img src=x onerror=alert(1)>\x00\x1b[31m",
        ),
        case("broken", assertions={"cited": False}, error="ValueError: no", traceback="Traceback …"),
    ),
)


class Tags(HTMLParser):
    """Collects tags, attributes and text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_needs_nothing_else_and_runs_nothing() -> None:
    page = Tags()
    page.feed(to_html(REPORT, traces="http://127.0.0.1:8000/traces"))

    assert not {"script", "img", "link", "iframe"} & set(page.tags)
    assert "default-src 'none'" in to_html(REPORT)
    assert page.links == [
        "http://127.0.0.1:8000/traces/trace_<script>alert(1)</script>|`x`",
        "http://127.0.0.1:8000/traces/trace_broken",
    ]
    assert "<script>alert(1)</script>|`x`: answered, but cited nothing" in page.text
    assert "`cited` is 33% (1 of 3), below 90%." in page.text
    assert "gemini flash" in page.text
    assert "0.200" in page.text, "the price of 100 answers"


def test_score_is_plotted_against_cost_for_each_tutor_and_tag() -> None:
    cheap = case(
        "cheap", assertions={"cited": False}, provider="local", model="<small>", cost=0.0, language="ur"
    )
    page = to_html(REPORT.model_copy(update={"cases": (*REPORT.cases[:1], cheap)}))

    titles = re.findall(r"<title>([^<]*)</title></circle>", page)
    assert sorted(titles) == [
        "gemini flash: 0.2 $ per 100 answers, 100% of the answers hold in all",
        "kind fact: 0.1 $ per 100 answers, 50% of the answers hold in all",
        "language en: 0.2 $ per 100 answers, 100% of the answers hold in all",
        "language ur: 0 $ per 100 answers, 0% of the answers hold in all",
        "local &lt;small&gt;: 0 $ per 100 answers, 0% of the answers hold in all",
    ]
    # Every mark lies in the picture, and what costs more stands further to the right.
    places = {name: float(x) for x, name in re.findall(r'cx="([\d.]+)"[^>]*><title>([^:]*):', page)}
    assert 0 < places["language ur"] < places["kind fact"] < places["language en"] < 640
    assert "<td>language ur</td><td>1</td><td>0%</td><td>0.000</td>" in page


def test_answers_without_a_price_are_not_plotted_as_if_they_were_free() -> None:
    page = to_html(REPORT.model_copy(update={"cases": (case("one", assertions={"cited": True}, cost=None),)}))
    assert "<svg" not in page
    assert "No price is known" in page
    assert "not known" in page


def test_a_ci_system_sees_each_case_as_a_test() -> None:
    suite = Xml.fromstring(to_junit(REPORT))

    assert {name: suite.get(name) for name in ("tests", "failures", "errors")} == {
        "tests": "4", "failures": "2", "errors": "1",
    }  # fmt: skip
    good, missed, broken, problem = suite.iter("testcase")
    assert list(good) == []
    assert missed[0].get("message") == "answered, but cited nothing"
    assert "What is <script>" in (missed[0].text or "")
    assert (broken[0].tag, broken[0].text) == ("error", "Traceback …")
    assert problem[0].get("message") == "`cited` is 33% (1 of 3), below 90%."


def test_the_summary_is_text_whatever_a_case_is_called() -> None:
    told = to_markdown(REPORT)

    assert told.startswith("### book: **did not pass**\n\n- `cited` is 33% (1 of 3), below 90%.")
    assert "| all | 33% (1/3) |" in told
    assert re.search(r"(?<!\\)<script", told) is None
    assert r"\|\`x\`" in told


def test_the_schema_of_the_saved_report_is_the_documented_one() -> None:
    assert json.loads(SCHEMA.read_text()) == Report.model_json_schema(), "run `make report-schema`"

"""Pages in other formats than Markdown, and what becomes of them where nothing can read them."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from preceptor.errors import BookEmpty, PageUnreadable
from preceptor.indexing.converted import read_page
from preceptor.indexing.digest import digest_of
from preceptor.indexing.discover import discover
from preceptor.indexing.formats import FORMATS, Format
from preceptor.indexing.outline import Heading, Outline
from preceptor.indexing.page import Page
from preceptor.indexing.run import Indexing
from preceptor.settings import Settings, SiteSettings

pytest.importorskip("pypdf", reason="needs the extra `formats`")
pytest.importorskip("bs4", reason="needs the extra `formats`")
pytest.importorskip("nbformat", reason="needs the extra `formats`")

HTML = """<!doctype html>
<html><head><title>Grippers</title><style>p { color: red }</style></head>
<body><nav><a href="/">Home</a></nav>
<main>
  <h1 id="grippers">Grippers</h1>
  <p>A gripper holds <em>things</em> &amp; lets them go.</p>
  <!-- a comment -->
  <h2 id="two-fingers">Two fingers</h2>
  <ul><li>parallel</li><li>angular</li></ul>
  <pre><code class="language-python">close(gripper)
lift(arm)</code></pre>
  <table><tr><th>Kind</th><th>Force</th></tr><tr><td>parallel</td><td>40 N</td></tr></table>
  <h3>Without an id</h3>
  <p>Still about two fingers.</p>
  <script>track()</script>
</main><footer>Imprint</footer></body></html>
"""

NOTEBOOK = {
    "nbformat": 4,
    "nbformat_minor": 5,
    "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    "cells": [
        {
            "id": "a",
            "cell_type": "markdown",
            "metadata": {},
            "source": "# Walking Robots\n\nLegs are *hard*.",
        },
        {
            "id": "b",
            "cell_type": "code",
            "metadata": {},
            "source": "gait = 'trot'",
            "outputs": [],
            "execution_count": 1,
        },
        {
            "id": "c",
            "cell_type": "markdown",
            "metadata": {},
            "source": ["## Zero Moment Point\n", "\n", "It stays inside."],
        },
        {"id": "d", "cell_type": "raw", "metadata": {}, "source": "for another program"},
    ],
}


def pdf(pages: Sequence[Sequence[str]], *, title: str = "") -> bytes:
    """A PDF with these lines on its pages; an empty line makes a gap."""
    font, first = 3, 4
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Count {len(pages)} /Kids [{' '.join(f'{first + 2 * n} 0 R' for n in range(len(pages)))}] >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for number, lines in enumerate(pages):
        drawn = "\n".join(f"({line}) Tj T*" for line in lines)
        content = f"BT /F1 12 Tf 14 TL 72 720 Td\n{drawn}\nET"
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {first + 2 * number + 1} 0 R "
            f"/Resources << /Font << /F1 {font} 0 R >> >> >>"
        )
        objects.append(f"<< /Length {len(content)} >>\nstream\n{content}\nendstream")
    objects.append(f"<< /Title ({title}) >>")
    written, places = "%PDF-1.4\n", list[int]()
    for number, one in enumerate(objects, start=1):
        places.append(len(written))
        written += f"{number} 0 obj\n{one}\nendobj\n"
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    end = f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}"
    trailer = f"trailer << /Size {len(objects) + 1} /Root 1 0 R /Info {len(objects)} 0 R >>"
    return f"{written}{end}{trailer}\nstartxref\n{len(written)}\n%%EOF\n".encode("latin-1")


SLIDES = pdf(
    [
        ["Sensors are the eyes of a robot.", "They see what is near."],
        ["A lidar measures dis-", "tances with light."],
    ],
    title="Sensors",
)


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    """The folder of a book with one page of each format."""
    docs = tmp_path / "book/docs"
    (docs / "more").mkdir(parents=True)
    (docs / "intro.md").write_text("# Start\n\nRead on.\n")
    (docs / "more/slides.pdf").write_bytes(SLIDES)
    (docs / "more/grippers.html").write_text(HTML)
    (docs / "walking.ipynb").write_text(json.dumps(NOTEBOOK))
    return docs


def page_of(docs: Path, name: str, site: SiteSettings | None = None) -> Page:
    """The page that a file becomes."""
    book = discover(docs.parent, site or SiteSettings(preset="plain"))
    return read_page(book, next(file for file in book.files if file.source == f"docs/{name}"))


def test_each_page_of_a_pdf_is_a_section_that_its_link_opens(docs: Path) -> None:
    page = page_of(docs, "more/slides.pdf")
    assert (page.title, page.url, page.status) == ("Sensors", "/docs/more/slides.pdf", "published")
    assert page.headings == ((2, "page=1", "Page 1"), (2, "page=2", "Page 2"))
    assert [section.text for section in page.sections if section.blocks] == [
        "Sensors are the eyes of a robot. They see what is near.",
        "A lidar measures distances with light.",
    ]


def test_html_keeps_its_ids_and_loses_what_is_around_the_page(docs: Path) -> None:
    page = page_of(docs, "more/grippers.html")
    assert (page.title, page.url) == ("Grippers", "/docs/more/grippers.html")
    assert [(anchor, text) for _, anchor, text in page.headings] == [
        ("grippers", "Grippers"),
        ("two-fingers", "Two fingers"),
        ("", "Without an id"),
    ]
    first, second = (section for section in page.sections if section.blocks)
    assert (first.anchor, first.text) == ("grippers", "A gripper holds things & lets them go.")
    assert second.anchor == "two-fingers"
    assert "- parallel\n- angular" in second.text
    assert "```python\nclose(gripper)\nlift(arm)\n```" in second.text
    assert "| Kind | Force |\n|---|---|\n| parallel | 40 N |" in second.text
    assert second.text.endswith("Still about two fingers.")
    for unseen in ("Home", "Imprint", "track", "color", "comment"):
        assert unseen not in page.text


def test_a_notebook_has_its_text_its_code_and_jupyters_ids(docs: Path) -> None:
    page = page_of(docs, "walking.ipynb")
    assert page.title == "Walking Robots"
    assert page.headings == (
        (1, "Walking-Robots", "Walking Robots"),
        (2, "Zero-Moment-Point", "Zero Moment Point"),
    )
    assert page.text == "Legs are hard.\n\n```python\ngait = 'trot'\n```\n\nIt stays inside."


@pytest.mark.parametrize(
    ("site", "url"),
    [
        (SiteSettings(), "/docs/more/slides.pdf"),
        (
            SiteSettings(url="https://book.example", base_url="/robots/"),
            "https://book.example/robots/docs/more/slides.pdf",
        ),
        (SiteSettings(preset="mkdocs"), "/more/slides.pdf"),
        (SiteSettings(preset="plain", base_url="/b/"), "/b/docs/more/slides.pdf"),
    ],
)
def test_the_link_is_where_the_site_has_the_file(docs: Path, site: SiteSettings, url: str) -> None:
    assert page_of(docs, "more/slides.pdf", site).url == url


def test_they_are_pages_among_the_others_in_a_dry_run(docs: Path) -> None:
    settings = Settings.model_validate({"env": "demo", "book": {"title": "Robots"}})
    pages = {page.source: made for page, made in Indexing(docs.parent, settings).pages()}
    assert list(pages) == [
        "docs/intro.md",
        "docs/more/grippers.html",
        "docs/more/slides.pdf",
        "docs/walking.ipynb",
    ]
    last = pages["docs/more/slides.pdf"][-1]
    assert last.url == "/docs/more/slides.pdf#page=2"
    assert last.breadcrumb == ("Robots", "More", "Sensors", "Page 2")


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.pdf", b"", "damaged or of another format"),
        ("a.pdf", b"%PDF-1.4 and no more", r"damaged or of another format \(Stream has ended unexpectedly\)"),
        ("a.pdf", pdf([[""]]), "holds no text"),
        ("a.html", b"<html><body><nav>Home</nav></body></html>", "holds no text"),
        ("a.ipynb", b"{", "damaged or of another format"),
        ("a.ipynb", b'{"cells": 3}', "damaged or of another format"),
    ],
)
def test_a_page_that_cannot_be_read_says_why(docs: Path, name: str, content: bytes, reason: str) -> None:
    (docs / name).write_bytes(content)
    with pytest.raises(PageUnreadable, match=reason):
        page_of(docs, name)


def test_a_new_format_is_one_entry(docs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its files are found, read, and part of the digest that tells whether a book has changed."""

    def read(path: Path) -> tuple[str, Outline]:
        outline = Outline()
        outline.begin(Heading(2, "all", "All of it"))
        outline.add(path.read_text(encoding="utf-8"))
        return "Notes", outline

    (docs / "notes.txt").write_text("A gripper is a hand.", encoding="utf-8")
    settings = Settings(env="demo")
    before = digest_of(discover(docs.parent, SiteSettings()), settings)
    monkeypatch.setitem(cast("dict[str, Format]", FORMATS), ".txt", Format(read))
    page = page_of(docs, "notes.txt")
    assert (page.title, page.url, page.sections[-1].text) == (
        "Notes",
        "/docs/notes.txt",
        "A gripper is a hand.",
    )
    found = digest_of(discover(docs.parent, SiteSettings()), settings)
    (docs / "notes.txt").write_text("A gripper is no hand.", encoding="utf-8")
    changed = digest_of(discover(docs.parent, SiteSettings()), settings)
    assert len({before, found, changed}) == 3


@pytest.fixture
def without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where nothing can read PDF files."""
    monkeypatch.setitem(
        cast("dict[str, Format]", FORMATS), ".pdf", replace(FORMATS[".pdf"], library="no_such_library")
    )


@pytest.mark.usefixtures("without_the_extra")
def test_without_the_extra_a_page_is_left_out_with_the_line_that_fixes_it(docs: Path) -> None:
    book = discover(docs.parent, SiteSettings())
    left_out = {file.source: file.reason for file in book.files if file.status != "published"}
    assert left_out == {"docs/more/slides.pdf": "`pip install 'preceptor[formats]'` reads PDF files"}


@pytest.mark.usefixtures("without_the_extra")
def test_a_book_of_nothing_else_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "slides.pdf").write_bytes(SLIDES)
    with pytest.raises(BookEmpty, match=r"`slides.pdf` cannot be read: `pip install 'preceptor\[formats\]'`"):
        discover(tmp_path, SiteSettings())


def test_the_libraries_of_the_extra_are_loaded_only_for_a_page_that_needs_them(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# A\n\nText.\n")
    code = (
        "import sys; from pathlib import Path; from preceptor.indexing.run import Indexing;"
        "from preceptor.settings import Settings;"
        "list(Indexing(Path(sys.argv[1]), Settings(env='demo')).pages());"
        "print({'pypdf', 'bs4', 'nbformat'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"

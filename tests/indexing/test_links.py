"""The links and heading ids are those of the real site generators."""

import json
from pathlib import Path
from typing import Any

import pytest

from preceptor.indexing.anchors import Anchors, GithubAnchors, MdbookAnchors, MkdocsAnchors
from preceptor.indexing.discover import discover
from preceptor.indexing.parse import read_page
from preceptor.indexing.site import Place, image_url, link_safe, resolve, split_number
from preceptor.settings import SiteSettings
from tests.indexing.pages import SITE, book_of, cut, model_tokenizer, page_of, pages_of

EDGE_CASES = Path(__file__).parent / "edge-cases"
"""Pages with every rule in them, and what Docusaurus 3.10.2 made of them, in the order of its sidebar."""


def _oracle(path: Path) -> list[dict[str, Any]]:
    return json.loads(path.read_text(encoding="utf-8"))


def test_every_link_and_heading_of_the_edge_cases_is_docusaurus_own() -> None:
    book = discover(EDGE_CASES, SITE)
    pages = {file.source: read_page(book, file) for file in book.files}
    for truth in _oracle(EDGE_CASES / "docusaurus-3.10.2.json"):
        page = pages[truth["source"]]
        assert page.url == truth["permalink"]
        headings = [(level, anchor or "") for level, anchor, _ in truth["headings"]]
        assert [(level, anchor) for level, anchor, _ in page.headings] == headings, page.source


def test_pages_are_read_in_the_order_of_the_generated_sidebar() -> None:
    files = discover(EDGE_CASES, SITE).files
    order = [file.source for file in files if file.status in ("published", "unlisted")]
    assert order == [truth["source"] for truth in _oracle(EDGE_CASES / "docusaurus-3.10.2.json")]


@pytest.mark.parametrize("name", ["physical-ai-textbook", "redux-docs"])
def test_every_link_and_heading_of_a_real_book_is_docusaurus_own(shared: Path, name: str) -> None:
    book = discover(shared / "books" / name, SITE)
    pages = {file.source: read_page(book, file) for file in book.files}
    for truth in _oracle(shared / "evalsets/docusaurus-urls" / f"{name}.json"):
        page = pages[truth["source"]]
        assert page.url == truth["permalink"]
        assert page.title == truth["title"]
        # headings without an id come from components, whose code is not here
        headings = [(level, anchor) for level, anchor, _ in truth["headings"] if anchor]
        assert [(level, anchor) for level, anchor, _ in page.headings if anchor] == headings, page.source


@pytest.mark.parametrize(
    ("options", "urls"),
    [
        ({}, ["/docs/", "/docs/a/", "/docs/a/b c"]),
        ({"base_url": "book", "route_base_path": "/"}, ["/book/", "/book/a/", "/book/a/b c"]),
        ({"base_url": "/x/y/", "route_base_path": "l/m"}, ["/x/y/l/m/", "/x/y/l/m/a/", "/x/y/l/m/a/b c"]),
        ({"trailing_slash": True}, ["/docs/", "/docs/a/", "/docs/a/b c/"]),
        (
            {"trailing_slash": False, "url": "https://b.io/"},
            [f"https://b.io/docs{end}" for end in ("", "/a", "/a/b c")],
        ),
        ({"number_prefixes": False}, ["/docs/", "/docs/1-a/", "/docs/1-a/02-b c"]),
    ],
)
def test_the_sites_options_shape_its_links(tmp_path: Path, options: dict[str, Any], urls: list[str]) -> None:
    sources = ["docs/index.md", "docs/1-a/README.md", "docs/1-a/02-b c.md"]
    pages = pages_of(tmp_path, dict.fromkeys(sources, ""), SiteSettings.model_validate(options))
    assert [pages[source].url for source in sources] == urls


@pytest.mark.parametrize(
    ("preset", "source", "url"),
    [
        ("docusaurus", "/img/a b.png", "https://b.io/x/img/a%20b.png"),
        ("docusaurus", "../../static/img/a.png", "https://b.io/x/img/a.png"),
        ("docusaurus", "@site/static/a.png", "https://b.io/x/a.png"),
        # Its name on the site has a hash in it, which the build alone knows.
        ("docusaurus", "./a.png", ""),
        ("mdbook", "../img/a.png", "https://b.io/x/img/a.png"),
        ("mkdocs", "a.png", "https://b.io/x/part/a.png"),
        ("quarto", "/img/a.png", "https://b.io/img/a.png"),
        ("plain", "a.png", "https://b.io/x/docs/part/a.png"),
        ("sphinx", "../figures/a.png", "https://b.io/x/_images/a.png"),
        ("plain", "https://B.io/a.png?v=1", "https://B.io/a.png?v=1"),
        ("plain", "https://images.example/a.png", "https://images.example/a.png"),
        ("plain", "//images.example/a.png", ""),
        ("plain", "https://elsewhere.example/a.png", ""),
        ("plain", "https://b.io.elsewhere.example/a.png", ""),
        ("plain", "https://b.io@elsewhere.example/a.png", ""),
        ("plain", "data:image/png;base64,AAAA", ""),
        ("plain", "javascript:alert(1)", ""),
        ("plain", "https://[", ""),
        ("plain", "", ""),
    ],
)
def test_an_image_has_the_address_that_its_site_gives_it(preset: Any, source: str, url: str) -> None:
    site = SiteSettings(
        preset=preset, url="https://b.io", base_url="/x/", image_origins=("https://images.example",)
    )
    place = Place("docs/part/page.md", "part/page.md")
    assert image_url(site, place, "https://b.io/x/part/page/", source, True) == url


def test_an_image_of_a_tag_is_where_the_browser_looks_for_it() -> None:
    place = Place("docs/part/page.md", "part/page.md")
    found = image_url(SiteSettings(), place, "/docs/part/page", "../a.png", False)
    assert found == "/docs/a.png"


def test_every_origin_may_be_allowed() -> None:
    site = SiteSettings(image_origins=("*",))
    assert image_url(site, Place("a.md", "a.md"), "/a", "http://any.example/a.png", True)
    assert not image_url(site, Place("a.md", "a.md"), "/a", "file:///etc/a.png", True)


def test_a_passages_link_can_stand_in_a_text(tmp_path: Path) -> None:
    page = pages_of(tmp_path, {"docs/à la carte/a (b).md": "## Über {#two words}\n\ntext"})[
        "docs/à la carte/a (b).md"
    ]
    [passage] = cut(page, model_tokenizer())
    assert passage.url == "/docs/à%20la%20carte/a%20(b)#two%20words"
    assert link_safe("/50%/a%20b?c#d") == "/50%25/a%20b%3Fc%23d"


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("01-intro", ("intro", 1)),
        ("003 - my page", ("my page", 3)),
        ("1. intro", ("intro", 1)),
        ("2__name", ("name", 2)),
        ("2021-11-post", ("2021-11-post", None)),
        ("7.0-foo", ("7.0-foo", None)),
        ("1.2.3", ("1.2.3", None)),
        ("2foo", ("2foo", None)),
        ("12", ("12", None)),
        ("3-", ("3-", None)),
        ("١-اول", ("١-اول", None)),
    ],
)
def test_number_prefixes_are_not_dates_or_versions(name: str, parts: tuple[str, int | None]) -> None:
    assert split_number(name) == parts


@pytest.mark.parametrize(
    ("path", "folder", "resolved"),
    [
        ("x", "/a/", "/a/x"),
        ("x", "/", "/x"),
        ("./x", "/a/b/", "/a/b/x"),
        ("../x/", "/a/b/", "/a/x/"),
        ("../../../x", "/a/", "/x"),
        (".", "/a/", "/a/"),
        ("..", "/a/b/", "/a/"),
        ("/x/../y", "/a/", "/y"),
    ],
)
def test_relative_slugs_are_resolved_as_browsers_do(path: str, folder: str, resolved: str) -> None:
    assert resolve(path, folder) == resolved


@pytest.mark.parametrize(
    ("anchors", "texts", "ids"),
    [
        (
            GithubAnchors(),
            [
                "A & B",
                "a_b -- c",
                "A & B",
                "A & B-1",
                "A & B",
                "⚠️ Über ①Ⓐ",
                "机器人, 操作",
                "نوڈ کیا ہے؟",
                "",
                "",
            ],
            [
                "a--b",
                "a_b----c",
                "a--b-1",
                "a--b-1-1",
                "a--b-2",
                "\ufe0f-über-ⓐ",
                "机器人-操作",
                "نوڈ-کیا-ہے",
                "",
                "-1",
            ],
        ),
        (MdbookAnchors(), ["A & B", "A & B", "É_x"], ["a--b", "a--b-1", "é_x"]),
        (MkdocsAnchors(), ["A & B", "A & B", "É_x", "机", "a_b_1"], ["a-b", "a-b_1", "e_x", "_1", "a_b_1"]),
    ],
)
def test_heading_ids_follow_the_generators_rule(anchors: Anchors, texts: list[str], ids: list[str]) -> None:
    assert [anchors(text) for text in texts] == ids


def test_a_partial_brings_its_headings_and_counts_its_own_repeats(tmp_path: Path) -> None:
    files = {
        "docs/page.mdx": "import Part from '@site/docs/_part.mdx'\n\n## Same\n\n<Part name='Ada' />\n\n## Same",
        "docs/_part.mdx": "## Same\n\nHello {props.name}.",
    }
    page = pages_of(tmp_path, files)["docs/page.mdx"]
    assert [anchor for _, anchor, _ in page.headings] == ["", "same", "same", "same-1"]
    assert page.text == "Hello Ada."


def test_a_partial_may_be_imported_by_any_name_for_a_default(tmp_path: Path) -> None:
    files = {
        "a.mdx": "import {default as P} from './_p.mdx'\nimport * as Q from './_p.mdx'\n\n<P />\n\n<Q.default />",
        "_p.mdx": "## Part\n\ntext",
    }
    page = pages_of(tmp_path, files)["a.mdx"]
    assert [anchor for _, anchor, _ in page.headings] == ["", "part", "part"]
    assert page.text == "text\n\ntext"


def test_a_site_may_keep_capital_letters_in_ids(tmp_path: Path) -> None:
    page = page_of(tmp_path, "## ROS 2 Nodes\n\n## Über X", SiteSettings(maintain_case=True))
    assert [anchor for _, anchor, _ in page.headings] == ["", "ROS-2-Nodes", "Über-X"]


def test_ids_do_not_depend_on_prices(tmp_path: Path) -> None:
    page = page_of(tmp_path, "## From $5 <Badge>new</Badge> to $10\n\n## Prices $5 and _x_ $6")
    assert [anchor for _, anchor, _ in page.headings] == ["", "from-5-new-to-10", "prices-5-and-x-6"]


def test_a_partial_outside_of_the_book_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret.md").write_text("secret")
    page = page_of(tmp_path / "book", "import S from '../secret.md'\n\n<S />\n\ntext")
    assert page.text == "text"


def test_partials_that_import_each_other_end(tmp_path: Path) -> None:
    one = "import B from './_b.md'\n\none\n\n<B />"
    two = "import A from './_a.md'\n\ntwo\n\n<A />"
    page = pages_of(tmp_path, {"a.md": one, "_a.md": one, "_b.md": two})["a.md"]
    assert page.text.split() == ["one", "two", "one"]


def test_plain_pages_keep_their_suffix_and_githubs_ids(tmp_path: Path) -> None:
    site = SiteSettings(preset="plain", url="https://github.com/ada/book/blob/main")
    text = "---\ntitle: Arms\nslug: /ignored\n---\n# Robot arms\n\nabove\n\n## Joints {#j}\n\nbelow"
    page = pages_of(tmp_path, {"docs/01-arms.md": text}, site)["docs/01-arms.md"]
    assert page.url == "https://github.com/ada/book/blob/main/docs/01-arms.md"
    assert page.headings == ((1, "robot-arms", "Robot arms"), (2, "joints-j", "Joints {#j}"))
    assert [passage.url.partition("#")[2] for passage in cut(page, model_tokenizer())] == [
        "robot-arms",
        "joints-j",
    ]


def test_mdbook_reads_what_its_summary_names(tmp_path: Path) -> None:
    files = {
        "src/SUMMARY.md": "# Summary\n\n[Preface](README.md)\n\n- [B](b.md)\n  - [A](sub/a.md)\n- [Draft]()\n",
        "src/README.md": "# Preface",
        "src/b.md": "## X\n\n## X",
        "src/sub/a.md": "",
        "src/left-out.md": "",
    }
    pages = pages_of(tmp_path, files, SiteSettings(preset="mdbook"))
    published = [page for page in pages.values() if page.status == "published"]
    assert [page.url for page in published] == ["/index.html", "/b.html", "/sub/a.html"]
    assert published[1].headings == ((2, "x", "X"), (2, "x-1", "X"))
    assert pages["src/left-out.md"].reason == "SUMMARY.md does not name it"


def test_mkdocs_gives_each_page_a_folder(tmp_path: Path) -> None:
    files = {"docs/index.md": "## É x\n\n## É x", "docs/a/b.md": '!!! note "Mind"\n\n    the gap'}
    pages = pages_of(tmp_path, files, SiteSettings(preset="mkdocs"))
    assert [page.url for page in pages.values()] == ["/", "/a/b/"]
    assert [anchor for _, anchor, _ in pages["docs/index.md"].headings] == ["e-x", "e-x_1"]
    assert pages["docs/a/b.md"].text == "Mind:\n\nthe gap"


def test_chapter_ids_are_paths_without_prefixes_and_unique(tmp_path: Path) -> None:
    files = dict.fromkeys(["01-intro.md", "02-intro.md", "02-intro.mdx", "10-ros/03-nodes.mdx"], "x")
    book = book_of(tmp_path, files)
    assert {file.source: file.chapter for file in book.files} == {
        "01-intro.md": "intro",
        "02-intro.md": "02-intro",
        "02-intro.mdx": "02-intro.mdx",
        "10-ros/03-nodes.mdx": "ros/nodes",
    }

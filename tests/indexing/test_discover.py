"""Which files are pages of a book, and in which order they are read."""

import os
from pathlib import Path

import pytest

from preceptor.errors import BookEmpty, BookNotFound, PageUnreadable
from preceptor.indexing.discover import discover
from preceptor.indexing.parse import read_page
from preceptor.settings import BookSettings, SiteSettings
from tests.indexing.pages import SITE, book_of, pages_of


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BookNotFound, match="does not exist"):
        discover(tmp_path / "nowhere", SITE)
    (tmp_path / "file.md").write_text("")
    with pytest.raises(BookNotFound, match="is a file, not a folder"):
        discover(tmp_path / "file.md", SITE)


def test_a_book_without_a_page_to_publish_says_what_was_left_out(tmp_path: Path) -> None:
    files = {"docs/_part.md": "x", "docs/draft.md": "---\ndraft: true\n---\nx", "docs/notes.txt": "x"}
    with pytest.raises(BookEmpty, match="2 drafts, partials or templates"):
        book_of(tmp_path, files)


def test_pages_are_treated_as_docusaurus_treats_them(tmp_path: Path) -> None:
    hidden = "---\nunlisted: true\n---\nx"
    files = {
        "docs/a.md": "x",
        "docs/b.test.md": "x",
        "docs/c.md": hidden,
        "docs/d.mdx": "---\ndraft: true\n---\nx",
        "docs/_e.mdx": "x",
        "docs/_f/g.md": "x",
        "docs/__tests__/h.md": "x",
        "docs/.hidden/i.md": "x",
        "docs/j.markdown": "x",
        "blog/k.md": "x",
        "i18n/ur/docusaurus-plugin-content-docs/current/a.md": "x",
    }
    book = book_of(tmp_path, files)
    assert {file.source: file.status for file in book.files} == {
        "docs/a.md": "published",
        "docs/b.test.md": "published",
        "docs/c.md": "unlisted",
        "docs/d.mdx": "draft",
        "docs/_e.mdx": "partial",
        "docs/_f/g.md": "partial",
        "docs/__tests__/h.md": "partial",
    }
    assert book.published == 2
    assert all(file.reason for file in book.files if file.status != "published")


def test_patterns_of_the_settings_leave_pages_out(tmp_path: Path) -> None:
    site = SiteSettings(exclude=("old/**", "**/todo.md"))
    files = dict.fromkeys(["docs/a.md", "docs/todo.md", "docs/x/todo.md", "docs/old/y/b.md"], "x")
    assert [file.source for file in book_of(tmp_path, files, site).files if file.status == "published"] == [
        "docs/a.md"
    ]


def test_a_repository_without_docs_folder_is_a_book_but_for_its_translations_and_licence(
    tmp_path: Path,
) -> None:
    names = [
        "README.md",
        "LICENSE.md",
        "units/one.mdx",
        "units/i18n/about.md",
        "i18n/ur/docusaurus-theme-classic/x.md",
        "node_modules/x/README.md",
    ]
    book = book_of(tmp_path, dict.fromkeys(names, "x"))
    published = {file.source for file in book.files if file.status == "published"}
    assert published == {"README.md", "units/one.mdx", "units/i18n/about.md"}


def test_labels_and_order_come_from_categories_then_index_pages_then_folders(tmp_path: Path) -> None:
    files = {
        "docs/z.md": "---\nsidebar_position: 1\n---\nx",
        "docs/02-first_steps/b.md": "x",
        "docs/02-first_steps/a.md": "x",
        "docs/lab/_category_.json": '\ufeff{"label": "The lab", "position": 1.5, "link": null}',
        "docs/lab/index.md": "---\nsidebar_position: 9\n---\nx",
        "docs/lab/1-x.md": "x",
        "docs/arm/README.md": "---\nsidebar_label: Arms\nsidebar_position: 3\n---\n# Robot arms",
        "docs/arm/_category_.yml": "collapsed: true",
        "docs/arm/deep/c.md": "x",
    }
    pages = pages_of(tmp_path, files)
    assert [(page.source.removeprefix("docs/"), page.breadcrumb) for page in pages.values()] == [
        ("z.md", ()),
        ("lab/1-x.md", ("The lab",)),
        ("lab/index.md", ("The lab",)),
        ("02-first_steps/a.md", ("First steps",)),
        ("02-first_steps/b.md", ("First steps",)),
        ("arm/README.md", ("Arms",)),
        ("arm/deep/c.md", ("Arms", "Deep")),
    ]
    assert [page.position for page in pages.values()] == list(range(7))


@pytest.mark.parametrize(
    "category", ["{", "[1]", '{"label": 3, "position": "x", "link": {"type": "doc"}}', "\0"]
)
def test_a_broken_category_file_is_as_good_as_none(tmp_path: Path, category: str) -> None:
    pages = pages_of(tmp_path, {"arm-and-hand/a.md": "x", "arm-and-hand/_category_.json": category})
    assert pages["arm-and-hand/a.md"].breadcrumb == ("Arm and hand",)


def test_a_link_that_leads_in_a_circle_is_followed_once(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    os.symlink(tmp_path / "docs", tmp_path / "docs" / "again")
    assert [file.source for file in book_of(tmp_path, {"docs/a.md": "x"}).files] == ["docs/a.md"]


def test_the_book_is_named_by_the_settings_or_by_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "Humanoid_Robots 2"
    book = book_of(folder, {"a.md": "x"})
    assert (book.id, book.title, book.language) == ("humanoid-robots-2", "Humanoid Robots 2", "en")
    book = discover(folder, SITE, BookSettings(id="hr", title="Humanoids", language="de"))
    assert (book.id, book.title, book.language) == ("hr", "Humanoids", "de")


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"caf\xe9", "not UTF-8 text \\(byte 3\\)"),
        (b"---\na: b: c\n---\nx", "front matter is not valid .*line 2"),
        (b"---\n? {x: 1}\n: 2\n---\n", "front matter is not valid"),
        (b"\xff\xfe\x00", "not UTF-8 text"),
    ],
)
def test_a_page_that_cannot_be_read_says_why_and_the_others_stand(
    tmp_path: Path, raw: bytes, reason: str
) -> None:
    book = book_of(tmp_path, {"a.md": "fine", "b.md": raw, "_c.md": raw})
    broken = next(file for file in book.files if file.source == "b.md")
    with pytest.raises(PageUnreadable, match=reason):
        read_page(book, broken)
    assert [read_page(book, file).text for file in book.files if file is not broken] == ["", "fine"]


def test_a_page_that_may_not_be_opened_is_unreadable(tmp_path: Path) -> None:
    book = book_of(tmp_path, {"a.md": "x", "b.md": "x"})
    (tmp_path / "b.md").unlink()
    with pytest.raises(PageUnreadable, match="No such file"):
        read_page(book, book.files[1])


@pytest.mark.parametrize(
    ("text", "front", "language"),
    [
        ("A node is a process.", "", "en"),
        ("روبوٹ ایک مشین ہے جو سوچتی ہے۔ `rclpy` and code", "", "ur"),
        ("ربات یک ماشین است که می‌گوید", "", "fa"),
        ("الروبوت آلة ذكية", "", "ar"),
        ("机器人是一种机器", "", "zh"),
        ("ロボットは機械です", "", "ja"),
        ("Робот это машина", "", "ru"),
        ("A node is a process.", "---\nlang: de\n---\n", "de"),
    ],
)
def test_the_script_of_a_page_tells_its_language(
    tmp_path: Path, text: str, front: str, language: str
) -> None:
    assert pages_of(tmp_path, {"a.md": front + text})["a.md"].language == language


def test_front_matter_is_read_as_site_generators_do(tmp_path: Path) -> None:
    files = {
        "a.md": "---\ntitle: 2021-10-17\nid: yes\n---\nx",
        "b.md": "\ufeff---\r\ntitle: 'Two: two'\r\n---\r\n\r\n# Other\r\n",
        "c.md": "---\n\ntext after a rule",
        "d.md": "---\njust text\n---\nmore",
        "e.md": "---\n---\nx",
    }
    pages = pages_of(tmp_path, files)
    assert {name: page.title for name, page in pages.items()} == {
        "a.md": "2021-10-17",
        "b.md": "Two: two",
        "c.md": "c",
        "d.md": "d",
        "e.md": "e",
    }
    assert pages["a.md"].url == "/docs/yes"
    assert pages["c.md"].text == "text after a rule"

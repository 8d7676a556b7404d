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


def test_the_sites_own_exclude_replaces_docusaurus_list(tmp_path: Path) -> None:
    config = "export default {presets: [['classic', {docs: {exclude: ['old/**']}}]]}"
    files = ["docs/a.md", "docs/_b.md", "docs/_c/d.md", "docs/old/e.md"]
    book = book_of(tmp_path, {"docusaurus.config.js": config, **dict.fromkeys(files, "x")})
    published = [file.source for file in book.files if file.status == "published"]
    assert sorted(published) == ["docs/_b.md", "docs/_c/d.md", "docs/a.md"]


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ("docs/docusaurus.config.js", "export default {presets: [['classic', {docs: {path: '.'}}]]}"),
        ("docs/conf.py", "extensions = ['myst_parser']"),
        ("mkdocs.yml", "site_name: Arms"),
    ],
)
def test_pages_about_contributing_are_pages_of_a_site(tmp_path: Path, config: str, text: str) -> None:
    book_of(tmp_path, {config: text, "docs/index.md": "# A", "docs/contributing.md": "# B"})
    book = discover(tmp_path / "docs", SITE)
    assert sorted(file.source for file in book.files if file.status == "published") == [
        "contributing.md",
        "index.md",
    ]


@pytest.mark.parametrize(
    ("text", "title", "reason"),
    [
        ("---\ntitle: Arms\n", "Arms", ""),
        ("---\ntitle: Arms\n\n# Arms\n\nText", "", "no line with `---` ends its front matter"),
        ("---\n\nText", "", "no line with `---` ends its front matter"),
        ("----\n\nText", "a", ""),
    ],
)
def test_front_matter_without_an_end_is_read_as_docusaurus_reads_it(
    tmp_path: Path, text: str, title: str, reason: str
) -> None:
    book = book_of(tmp_path / "site", {"docusaurus.config.js": "export default {}", "docs/a.md": text})
    if reason:
        with pytest.raises(PageUnreadable, match=reason):
            read_page(book, book.files[0])
    else:
        assert read_page(book, book.files[0]).title == title
    plain = book_of(tmp_path / "plain", {"a.md": text})
    assert "Text" not in text or "Text" in read_page(plain, plain.files[0]).text


@pytest.mark.parametrize(
    ("patterns", "left_out"),
    [
        (["old/**", "**/todo.md"], "todo.md x/todo.md old/y/b.md old/c.md"),
        (["*.md"], "a.md todo.md"),
        (["old/*"], "old/c.md"),
        (["old"], "old/y/b.md old/c.md"),
        (["./x/**"], "x/todo.md x/d.mdx"),
        (["{x,old/y}/**"], "x/todo.md x/d.mdx old/y/b.md"),
        (["**/{a,{b,c}}.md"], "a.md old/y/b.md old/c.md"),
        (["!(old)/**"], "a.md todo.md x/todo.md x/d.mdx"),
        (["@(x|y)/*.md?"], "x/d.mdx"),
        (["[a-s].md", "old/[!a-b].md"], "a.md old/c.md"),
        (["[z-a].md", "[", "{", "(", "\\", ""], ""),
    ],
)
def test_patterns_of_the_settings_are_docusaurus_globs(
    tmp_path: Path, patterns: list[str], left_out: str
) -> None:
    names = ["a.md", "todo.md", "x/todo.md", "x/d.mdx", "old/y/b.md", "old/c.md"]
    site = SiteSettings(exclude=tuple(patterns))
    book = book_of(tmp_path, {f"docs/{name}": "x" for name in names} | {"docs/z.md": "x"}, site)
    found = {file.place.relative for file in book.files if file.status == "partial"} - {"z.md"}
    assert found == set(left_out.split())


_CONFIG = "export default {presets: [['classic', {docs: {remarkPlugins: [math], lastVersion: 'current'}}]]};"


@pytest.mark.parametrize(
    ("source", "version", "links"),
    [
        ("site", "", {"versioned_docs/version-2.0/1-a.md": "/docs/a"}),
        ("site", "current", {"docs/1-a.md": "/docs/next/a"}),
        ("site", "1.0", {"versioned_docs/version-1.0/1-a.md": "/docs/1.0/a"}),
        ("site", 2.0, {"versioned_docs/version-2.0/1-a.md": "/docs/a"}),
        ("site/docs", "", {"1-a.md": "/docs/next/a"}),
        ("site/versioned_docs/version-1.0", "", {"1-a.md": "/docs/1.0/a"}),
        (".", "", {"site/versioned_docs/version-2.0/1-a.md": "/docs/a"}),
    ],
)
def test_of_a_site_with_versions_the_one_is_read_that_it_shows_first(
    tmp_path: Path, source: str, version: str, links: dict[str, str]
) -> None:
    folders = ["docs", "versioned_docs/version-2.0", "versioned_docs/version-1.0"]
    files = {f"site/{folder}/1-a.md": "text" for folder in folders} | {"site/versions.json": '["2.0", "1.0"]'}
    book_of(tmp_path, files | {"site/docusaurus.config.ts": "export default {};"})
    book = discover(tmp_path / source, SiteSettings.model_validate({"version": version}))
    assert {file.source: read_page(book, file).url for file in book.files} == links
    assert len(book.notes) == 1


@pytest.mark.parametrize(
    ("source", "docs_dir", "links"),
    [
        ("site", "community", {"community/b.md": "/community/b"}),
        ("site/community", "docs", {"b.md": "/community/b"}),
        (
            "site",
            "community_versioned_docs/version-1",
            {"community_versioned_docs/version-1/c.md": "/community/c"},
        ),
        ("site/docs/sub", "docs", {"d.md": "/community/next/sub/d"}),
    ],
)
def test_the_versions_of_a_site_are_not_those_of_its_second_docs_plug_in(
    tmp_path: Path, source: str, docs_dir: str, links: dict[str, str]
) -> None:
    files = dict.fromkeys(
        [
            "docs/sub/d.md",
            "versioned_docs/version-2/a.md",
            "community/b.md",
            "community_versioned_docs/version-1/c.md",
        ],
        "x",
    )
    files |= {"versions.json": '["2"]', "docusaurus.config.js": "module.exports = {}"}
    book_of(tmp_path / "site", files)
    book = discover(tmp_path / source, SiteSettings(docs_dir=docs_dir, route_base_path="community"))
    assert {file.source: read_page(book, file).url for file in book.files} == links


@pytest.mark.parametrize("source", [".", "site"])
def test_of_a_site_without_a_current_version_the_last_one_is_read(tmp_path: Path, source: str) -> None:
    files = {f"site/versioned_docs/version-{number}/a.md": "x" for number in (1, 2)}
    files |= {"site/versions.json": '["2", "1"]', "site/docusaurus.config.js": "module.exports = {}"}
    book_of(tmp_path, files | {"site/blog/b.md": "x"})
    book = discover(tmp_path / source, SITE)
    assert [read_page(book, file).url for file in book.files] == ["/docs/a"]
    [note] = book.notes
    assert "these are the pages of `2`, at /docs" in note


def test_the_docs_of_a_site_with_versions_may_have_another_name(tmp_path: Path) -> None:
    files = {"content/a.md": "x", "versioned_docs/version-1/a.md": "x", "versions.json": '["1"]'}
    book = book_of(tmp_path, files, SiteSettings(docs_dir="content"))
    assert [file.source for file in book.files] == ["versioned_docs/version-1/a.md"]


def test_versions_are_known_without_the_configuration(tmp_path: Path) -> None:
    names = ["docs/a.md", "versioned_docs/version-1/a.md"]
    pages = pages_of(tmp_path, dict.fromkeys(names, "x") | {"versions.json": '["1"]'})
    assert [(page.source, page.url) for page in pages.values()] == [(names[1], "/docs/a")]
    book = discover(tmp_path / "docs", SITE)
    assert [read_page(book, file).url for file in book.files] == ["/docs/next/a"]


def test_a_site_may_say_that_it_shows_the_current_version_first(tmp_path: Path) -> None:
    files = {
        "docs/a.md": "x",
        "versioned_docs/version-1/a.md": "x",
        "versions.json": '["1"]',
        "docusaurus.config.js": _CONFIG,
    }
    assert pages_of(tmp_path, files)["docs/a.md"].url == "/docs/a"
    older = discover(tmp_path, SiteSettings(version="1"))
    assert [read_page(older, file).url for file in older.files] == ["/docs/1/a"]
    with pytest.raises(BookNotFound, match=r"version-3. does not exist"):
        discover(tmp_path, SiteSettings(version="3"))


@pytest.mark.parametrize("versions", ["{", "[]", "{}", '["9"]', "\xff"])
def test_a_file_of_versions_without_their_folders_says_nothing(tmp_path: Path, versions: str) -> None:
    pages = pages_of(tmp_path, {"docs/a.md": "x", "versions.json": versions})
    assert pages["docs/a.md"].url == "/docs/a"


def test_a_site_one_folder_down_is_found_by_its_configuration(tmp_path: Path) -> None:
    files = {
        "README.md": "x",
        "website/blog/b.md": "x",
        "website/docs/a.mdx": "import P from '@site/parts/_p.md'\n\n<P />",
        "website/parts/_p.md": "part",
        "website/docusaurus.config.js": "export default {}",
    }
    pages = pages_of(tmp_path, files)
    assert [(page.source, page.url, page.text) for page in pages.values()] == [
        ("website/docs/a.mdx", "/docs/a", "part")
    ]
    assert book_of(tmp_path, {}).notes == ()
    [note] = book_of(tmp_path, {"docs/c.md": "x"}).notes
    assert "there are pages in `docs/`, too, which are not of this site" in note


@pytest.mark.parametrize(
    ("files", "says"),
    [
        (["website/docs/a.md", "README.md"], "If the site is in `website`, give `--source"),
        (["content/a.md", "docusaurus.config.mjs"], "set `site.docs_dir` to the `path`"),
        (["units/a.md", "README.md"], ""),
        (["docs/a.md", "docusaurus.config.mjs"], ""),
    ],
)
def test_a_folder_that_is_no_docs_folder_is_pointed_out(tmp_path: Path, files: list[str], says: str) -> None:
    notes = book_of(tmp_path, dict.fromkeys(files, "export default {}")).notes
    assert len(notes) == bool(says)
    assert says in "".join(notes)


@pytest.mark.parametrize(
    ("files", "math"),
    [
        ({"docusaurus.config.js": "import m from 'remark-math'; export default {}"}, True),
        ({"docusaurus.config.ts": "import m from './m'", "package.json": '{"remark-math": "6"}'}, True),
        ({"docusaurus.config.cjs": "module.exports = {}", "package.json": "{}"}, False),
        ({"docusaurus.config.cjs": "module.exports = require('./base')"}, None),
        ({"website/docusaurus.config.js": "module.exports = {}", "website/package.json": "{}"}, None),
        ({"website/docusaurus.config.js": "require('remark-math')"}, True),
        ({"docs/docusaurus.config.js.md": "about it"}, None),
        ({}, None),
    ],
)
def test_whether_a_site_has_formulas_is_what_its_configuration_says(
    tmp_path: Path, files: dict[str, str], math: bool | None
) -> None:
    assert book_of(tmp_path, {"docs/a.md": "x", **files}).site.math is math
    assert discover(tmp_path, SiteSettings(math=False)).site.math is False


@pytest.mark.parametrize("absolute", [True, False])
def test_the_docs_may_lie_beside_the_site(tmp_path: Path, absolute: bool) -> None:
    docs = tmp_path / "content"
    site = SiteSettings(docs_dir=str(docs) if absolute else "../content")
    (tmp_path / "site").mkdir()
    book_of(docs, {"a.mdx": "import P from './_p.md'\n\n<P />", "_p.md": "part"})
    book = discover(tmp_path / "site", site)
    [page] = [read_page(book, file) for file in book.files if file.status == "published"]
    assert (page.source, page.url, page.text) == ("../content/a.mdx", "/docs/a", "part")


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


def test_pages_behind_a_link_to_another_folder_of_the_book_keep_their_own_links(tmp_path: Path) -> None:
    book_of(tmp_path, {"site/docs/real/a.md": "x", "shared/b.md": "x"})
    os.symlink("real", tmp_path / "site/docs/before")
    os.symlink("../../shared", tmp_path / "site/docs/shared")
    book = discover(tmp_path / "site", SITE)
    assert [file.source for file in book.files] == ["docs/real/a.md", "docs/shared/b.md"]


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
        (b"---json\n{\n---\n", "front matter is not valid"),
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


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("1.0", "1"),
        ("-0", "0"),
        ("+12", "12"),
        ("0x1F", "31"),
        ("0b11", "3"),
        ("0o17", "15"),
        (".5", "0.5"),
        ("1e21", "1e+21"),
        ("123456789012345678901", "123456789012345680000"),
        ("1.5e-7", "1.5e-7"),
        ("0.000001", "0.000001"),
        (".inf", "Infinity"),
        ("0x" + "f" * 300, "Infinity"),
        ("-0x" + "f" * 300, "-Infinity"),
        (".nan", "NaN"),
        ("1_000", "1_000"),
        ("12:30", "12:30"),
        ("'007'", "007"),
    ],
)
def test_numbers_are_shown_as_javascript_writes_them(tmp_path: Path, written: str, shown: str) -> None:
    page = pages_of(tmp_path, {"a.mdx": f"---\nn: {written}\n---\nIt is {{frontMatter.n}}."})["a.mdx"]
    assert page.text == f"It is {shown}."


def test_front_matter_is_read_as_site_generators_do(tmp_path: Path) -> None:
    files = {
        "a.md": "---\ntitle: 2021-10-17\nid: yes\n---\nx",
        "b.md": "\ufeff---\r\ntitle: 'Two: two'\r\n---\r\n\r\n# Other\r\n",
        "c.md": "---\n\ntext after a rule",
        "d.md": "---\njust text\n---\nmore",
        "e.md": "---\n---\nx",
        "f.md": '---json\n{"title": "J", "slug": 1.50}\n---\nx',
        "g.md": "---\ntitle: 1.10\nid: 007\n----\nx",
        "h.md": "---\nbase: &base\n  title: Merged\n<<: *base\nid: 1e3\n---x",
    }
    pages = pages_of(tmp_path, files)
    assert {name: page.title for name, page in pages.items()} == {
        "a.md": "2021-10-17",
        "b.md": "Two: two",
        "c.md": "c",
        "d.md": "d",
        "e.md": "e",
        "f.md": "J",
        "g.md": "1.1",
        "h.md": "Merged",
    }
    urls = {name: pages[name].url for name in ("a.md", "f.md", "g.md", "h.md")}
    assert urls == {"a.md": "/docs/yes", "f.md": "/docs/1.5", "g.md": "/docs/7", "h.md": "/docs/1000"}
    assert (pages["f.md"].text, pages["g.md"].text, pages["h.md"].text) == ("x", "x", "x")
    assert pages["c.md"].text == "text after a rule"

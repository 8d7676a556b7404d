"""Sites of all generators without a setting: what their own files say, and what their real builds made of them."""

import json
from pathlib import Path
from typing import Any

import pytest

from preceptor.errors import SeveralSites
from preceptor.indexing.discover import discover
from preceptor.indexing.parse import read_page
from preceptor.settings import BookSettings, SiteSettings
from tests.indexing.pages import book_of, pages_of

BUILDS = Path(__file__).parent / "real-builds"


@pytest.mark.parametrize("name", sorted(path.stem for path in BUILDS.glob("*.json")))
def test_links_titles_and_ids_are_those_of_the_real_build(tmp_path: Path, name: str) -> None:
    build: dict[str, Any] = json.loads((BUILDS / f"{name}.json").read_text(encoding="utf-8"))
    book = book_of(tmp_path, build["files"])
    pages = {file.source: read_page(book, file) for file in book.files if file.status == "published"}
    assert sorted(pages) == sorted(page["source"] for page in build["pages"])
    for truth in build["pages"]:
        page = pages[truth["source"]]
        path = page.url.removeprefix(book.site.url)
        found = (path, page.title, [(level, anchor) for level, anchor, _ in page.headings if anchor])
        wanted = [(level, anchor) for level, anchor in truth["headings"] if anchor]
        assert found == (truth["permalink"], truth["title"], wanted), truth["source"]


@pytest.mark.parametrize(
    ("files", "line"),
    [
        (["docusaurus.config.js", "docs/a.md"], "Docusaurus site (docusaurus.config.js): `docs/` at /docs"),
        (["docs/a.md"], "no site's configuration found, read as Docusaurus docs: `docs/` at /docs"),
        (["book.toml", "src/SUMMARY.md", "src/a.md"], "mdBook site, `src/`, 1 chapter of SUMMARY.md"),
        (["src/SUMMARY.md", "src/a.md"], "mdBook site without a book.toml, `src/`, 1 chapter of SUMMARY.md"),
        (
            ["guide/book.toml", "guide/src/SUMMARY.md", "guide/src/a.md"],
            "mdBook site, `guide/src/`, 1 chapter of",
        ),
        (["mkdocs.yml", "docs/a.md"], "MkDocs site, `docs/`, 1 page"),
        (["conf.py", "index.md"], "Sphinx site with MyST Markdown, this folder, 1 page"),
        (["_toc.yml", "index.md"], "Jupyter Book, this folder, 1 page"),
        (["_quarto.yml", "index.qmd"], "Quarto book, this folder, 1 chapter of _quarto.yml"),
        (["config.ini", "index.md"], "book of d2lbook, this folder, 1 page"),
        (["myst.yml", "a.md"], "MyST (mystmd) site, whose rules are not known: read as plain Markdown"),
        (
            ["units/en/_toctree.yml", "units/en/a.mdx"],
            "Hugging Face course, `units/en/` (1 page) of _toctree.yml",
        ),
    ],
)
def test_the_first_line_says_for_which_site_a_folder_was_taken(
    tmp_path: Path, files: list[str], line: str
) -> None:
    texts = {
        "docusaurus.config.js": "export default {}",
        "SUMMARY.md": "# Summary\n\n- [A](a.md)",
        "book.toml": "[book]",
        "mkdocs.yml": "site_name: A",
        "config.ini": "[project]\ntitle = %x\n[build]\nexclusions = README.md\n",
        "conf.py": "extensions = ['myst_parser']",
        "_toc.yml": "format: jb-book\nroot: index\n",
        "_quarto.yml": "project: {type: book}\nbook: {chapters: [index.qmd]}",
        "_toctree.yml": "- {local: a, title: A}",
    }
    book = book_of(tmp_path, {file: texts.get(file.rpartition("/")[2], "# A") for file in files})
    assert book.line.startswith(line)


def test_a_folder_with_several_sites_is_not_guessed_at(tmp_path: Path) -> None:
    files = {
        "guide/book.toml": "",
        "guide/src/a.md": "x",
        "site/mkdocs.yml": "site_name: x",
        "site/docs/a.md": "x",
    }
    with pytest.raises(SeveralSites, match=r"`guide` \(mdBook\), `site` \(MkDocs\).*--source .*guide`"):
        book_of(tmp_path, files)
    assert [file.source for file in discover(tmp_path / "site", SiteSettings()).files] == ["docs/a.md"]
    chosen = discover(tmp_path, SiteSettings(docs_dir="site/docs"))
    assert chosen.line.startswith("MkDocs site, `site/docs/`")


def test_a_site_in_the_folder_of_pages_is_found_however_deep_its_repository_is(tmp_path: Path) -> None:
    files = {"docs/en/mkdocs.yml": "site_name: x", "docs/en/docs/a.md": "x", "examples/b.md": "x"}
    assert book_of(tmp_path, files).line == "MkDocs site, `docs/en/docs/`, 1 page"
    more = {f"docs/{name}/mkdocs.yml": "site_name: x" for name in ("de", "es", "fr", "hi", "ja", "ko")}
    with pytest.raises(SeveralSites, match=r"`docs/hi` \(MkDocs\) and 2 more\. Give"):
        book_of(tmp_path, more)


def test_a_folder_beside_a_site_is_no_part_of_it_whatever_its_settings_say(tmp_path: Path) -> None:
    files = {"mkdocs.yml": "site_name: A", "docs/a.md": "# A", "other/text/b.md": "# B"}
    book_of(tmp_path, files)
    book = discover(tmp_path / "other", SiteSettings(docs_dir="text"))
    assert book.line.startswith("no site's configuration found")


def test_a_setting_wins_over_the_site_and_the_difference_is_noted(tmp_path: Path) -> None:
    files = {"mkdocs.yml": "site_name: Arms\nsite_url: https://arms.acme.org/a/\n", "docs/x.md": "x"}
    book = book_of(tmp_path, files, SiteSettings(base_url="/b/", url="https://arms.acme.org"))
    assert [read_page(book, file).url for file in book.files] == ["https://arms.acme.org/b/x/"]
    assert book.notes == (
        "`site.base_url` is `/b/` in the settings and `/a/` in mkdocs.yml: the settings win",
    )


def test_title_and_language_are_the_sites_where_no_setting_says_them(tmp_path: Path) -> None:
    files = {
        "book.toml": '[book]\ntitle = "Arme"\nlanguage = "pt_BR"\n',
        "src/SUMMARY.md": "- [A](a.md)",
        "src/a.md": "x",
    }
    book = book_of(tmp_path, files)
    assert (book.title, book.language) == ("Arme", "pt-BR")
    book = discover(tmp_path, SiteSettings(), BookSettings(title="Arms", language="en"))
    assert (book.title, book.language) == ("Arms", "en")


# Docusaurus


def _docusaurus(tmp_path: Path, config: str, **files: str) -> tuple[list[str], tuple[str, ...]]:
    """Links of a site with this configuration, and the notes."""
    pages = {"docs/01-a.md": "x", "docusaurus.config.js": config, **files}
    book = book_of(tmp_path, pages)
    return [read_page(book, file).url for file in book.files if file.status == "published"], book.notes


@pytest.mark.parametrize(
    "config",
    [
        "module.exports = {baseUrl: '/x/', presets: [['classic', {docs: {routeBasePath: 'r'}}]]}",
        "const o = {routeBasePath: `r`};\nexport default {'baseUrl': \"\\x2fx/\", presets: "
        "[['@docusaurus/preset-classic', {docs: o}]]};",
        "const config = {presets: [], plugins: [['@docusaurus/plugin-content-docs', {routeBasePath: 'r'}]]};\n"
        "config2 = 1;\nmodule.exports = {...config, baseUrl: '/x/'};",
        "/** @type {import('x')} */\nmodule.exports = async () => { const baseUrl = '/x/'; return {baseUrl, presets: "
        "[[require.resolve('@docusaurus/preset-classic'), ({docs: {routeBasePath: '/r'}})]]}; };",
        "const p = process.env.NODE_ENV === 'production';\nmodule.exports = {baseUrl: p ? '/x/' : '/', presets: "
        "[p && ['classic', {docs: {routeBasePath: 'r'}}], !p && ['classic', {}]].filter(Boolean)};",
        "// baseUrl: '/wrong/'\nmodule.exports = {title: 'baseUrl: \"/wrong/\"', baseUrl: '/' + 'x/', "
        "presets: [['classic', {blog: {routeBasePath: 'wrong'}, docs: {routeBasePath: 'r'}}]]};",
    ],
)  # fmt: skip
def test_options_are_read_however_the_configuration_writes_them(tmp_path: Path, config: str) -> None:
    assert _docusaurus(tmp_path, config) == (["/x/r/a"], ())


@pytest.mark.parametrize(
    ("config", "link", "note"),
    [
        ("module.exports = {baseUrl: compute()}", "/docs/a", "(docusaurus.config.js:1: `compute()`)"),
        ("module.exports = {\n...shared,\ntitle: 'x'}", "/docs/a", "js:2: `shared`) and not read: set `site.base_url`"),
        ("module.exports = {baseUrl: process.env.B ?? '/x/'}", "/x/docs/a", "depends on `B` of the environment"),
        ("module.exports = {presets: make()}", "/docs/a", "set `site.docs_dir` and `site.route_base_path`"),
        ("module.exports = {presets: [['classic', {docs: opts()}]]}", "/docs/a", "docs plug-in are computed"),
        ("module.exports = require('./elsewhere')", "/docs/a", "nothing could be read"),
        ("const a = b; const b = a; module.exports = {baseUrl: a}", "/docs/a", "`baseUrl` is computed"),
        ("module.exports = {baseUrl: '/x/", "/docs/a", ""),
    ],
)  # fmt: skip
def test_code_that_is_not_run_is_named_with_the_setting_to_write(
    tmp_path: Path, config: str, link: str, note: str
) -> None:
    links, notes = _docusaurus(tmp_path, config)
    assert links == [link] or not note
    assert note in "\n".join(notes)


def test_of_several_configurations_the_one_is_read_that_docusaurus_loads(tmp_path: Path) -> None:
    typed = {"docusaurus.config.ts": "export default {baseUrl: '/typed/'}"}
    assert _docusaurus(tmp_path, "export default {baseUrl: '/old/'}", **typed)[0] == ["/typed/docs/a"]


def test_constants_of_other_files_of_the_site_are_read_and_none_outside(tmp_path: Path) -> None:
    (tmp_path / "secret.js").write_text("export const base = '/leak/';")
    config = "import {base} from './c';\nimport pack from './package.json';\nimport {base as s} from '../secret';\n"
    site = tmp_path / "site"
    links, notes = _docusaurus(
        site,
        config + "export default {baseUrl: `${base}${pack.name}/`, url: s};",
        **{"c.ts": "export const base: string = '/x/' as string;", "package.json": '{"name": "y"}'},
    )
    assert links == ["/x/y/docs/a"]
    assert "`url` is computed" in notes[0]


def test_the_site_may_call_itself_by_an_example_address_and_links_begin_with_a_slash(tmp_path: Path) -> None:
    for url in (
        "https://your-docusaurus-site.example.com",
        "http://localhost:3000",
        "https://robots.example",
    ):
        assert _docusaurus(tmp_path, f"export default {{url: '{url}'}}")[0] == ["/docs/a"]
    assert _docusaurus(tmp_path, "export default {url: 'https://acme.org/'}")[0] == [
        "https://acme.org/docs/a"
    ]


def test_a_translation_has_its_language_in_its_links_and_falls_back_to_the_page_itself(
    tmp_path: Path,
) -> None:
    current = "i18n/ur/docusaurus-plugin-content-docs/current"
    config = "export default {baseUrl: '/x/', i18n: {defaultLocale: 'en', locales: ['en', 'ur']}}"
    files = {
        "docs/a.md": "# A",
        "docs/b.md": "# B",
        f"{current}/a.md": "# اے",
        "docusaurus.config.js": config,
    }
    book_of(tmp_path, files)
    book = discover(tmp_path / current, SiteSettings())
    assert book.line == "Docusaurus site (docusaurus.config.js): this folder at /x/ur/docs"
    pages = {file.source: read_page(book, file) for file in book.files}
    assert {name: (page.url, page.title) for name, page in pages.items()} == {
        "a.md": ("/x/ur/docs/a", "اے"),
        "../../../../docs/b.md": ("/x/ur/docs/b", "B"),
    }


def test_pages_of_a_version_that_is_not_read_are_not_said_to_be_of_no_site(tmp_path: Path) -> None:
    files = {
        "website/docusaurus.config.js": "export default {presets: [['classic', {docs: {path: '../docs'}}]]}",
        "website/versions.json": '["1"]',
        "website/versioned_docs/version-1/a.md": "# A",
        "docs/a.md": "# A",
    }
    [note] = book_of(tmp_path, files).notes
    assert note.startswith("the site has versions")


def test_docs_outside_of_the_sites_folder_are_found_by_their_path(tmp_path: Path) -> None:
    config = "const path = require('path');\nmodule.exports = {presets: [['classic', {docs: {path: %s}}]]};"
    for path in ("'../content'", "path.resolve(__dirname, '../content')"):
        files = {"website/docusaurus.config.js": config % path, "content/a.md": "x", "content/i.mdx": "x"}
        pages = pages_of(tmp_path, files)
        assert {name: page.url for name, page in pages.items()} == {
            "content/a.md": "/docs/a",
            "content/i.mdx": "/docs/i",
        }


# mdBook


def test_the_folder_of_an_mdbook_is_the_one_that_book_toml_says(tmp_path: Path) -> None:
    files = {
        "book.toml": '[book]\nsrc = "text"\n[output.html]\nsite-url = "/hand/"\ncname = "arms.acme.org"\n',
        "text/SUMMARY.md": "# Summary\n\n# Basics\n\n- [The *arm*](./arm.md#part)\n    - [Draft]()\n",
        "text/arm.md": "---\ntitle: x\n---\n\ntext",
        "docs/CONTRIBUTING.md": "# Contribute",
        "docs/print.html": "<h1>built</h1>",
    }
    book = book_of(tmp_path, files | {"text/SUMMARY.md": files["text/SUMMARY.md"].replace("#part", "")})
    [file] = [file for file in book.files if file.status == "published"]
    page = read_page(book, file)
    assert (page.url, page.title, page.breadcrumb) == (
        "https://arms.acme.org/hand/arm.html",
        "The arm",
        ("Basics",),
    )
    assert page.headings == ((2, "title-x", "title: x"),)


def test_an_mdbook_without_its_default_preprocessors_keeps_readme_pages(tmp_path: Path) -> None:
    config = "[build]\nuse-default-preprocessors = false\n"
    files = {"book.toml": config, "src/SUMMARY.md": "[Start](README.md)", "src/README.md": "# X"}
    assert [page.url for page in pages_of(tmp_path, files).values() if page.status == "published"] == [
        "/README.html"
    ]
    assert pages_of(tmp_path, {"book.toml": ""})["src/README.md"].url == "/index.html"


def test_a_summary_that_names_no_page_below_its_comments_leaves_out_what_it_does_not_name(
    tmp_path: Path,
) -> None:
    summary = "# Summary\n\n- [One](one.md)\n<!-- - [Two](two.md) -->\n<!--\n- [Three](three.md)\n-->\n"
    files = {
        "book.toml": "",
        "src/SUMMARY.md": summary,
        **{f"src/{name}.md": "x" for name in ("one", "two", "three")},
    }
    book = book_of(tmp_path, files)
    assert [file.source for file in book.files if file.status == "published"] == ["src/one.md"]


# MkDocs


def test_headings_without_a_latin_letter_are_numbered_as_python_markdown_does(tmp_path: Path) -> None:
    text = "# Начало\n\n## Введение\n\n## Узлы\n\n## Итог\n"
    page = pages_of(tmp_path, {"mkdocs.yml": "site_name: x", "docs/index.md": text})["docs/index.md"]
    assert [anchor for _, anchor, _ in page.headings] == ["_1", "_2", "_3", "_4"]


def test_ids_of_attribute_lists_are_ids_only_where_the_extension_is_on(tmp_path: Path) -> None:
    text = "# Arm\n\n## First { #one .wide }\n\n## Second {: #two }\n\n## Third {.wide #three}\n"
    config = "site_name: x\nmarkdown_extensions: [attr_list]\n"
    page = pages_of(tmp_path, {"mkdocs.yml": config, "docs/index.md": text})["docs/index.md"]
    assert page.headings[1:] == ((2, "one", "First"), (2, "two", "Second"), (2, "three", "Third"))
    page = pages_of(tmp_path, {"mkdocs.yml": "site_name: x"})["docs/index.md"]
    assert page.headings[1] == (2, "first-one-wide", "First { #one .wide }")


def test_tags_of_mkdocs_yml_are_names_and_nothing_is_imported_or_run(tmp_path: Path) -> None:
    config = (
        "site_name: x\nsite_url: !ENV [NOWHERE, 'https://acme.org/x/']\nuse_directory_urls: !ENV FLAT\n"
        "extra: !!python/object/apply:os.system ['touch owned']\nhook: !unknown {a: 1}\n"
        "markdown_extensions:\n  - toc: {slugify: !!python/name:evil.module.slug ''}\n  - evil.extension\n"
    )
    book = book_of(tmp_path, {"mkdocs.yml": config, "docs/a.md": "## Ä b"})
    [file] = book.files
    page = read_page(book, file)
    assert (page.url, page.headings) == ("https://acme.org/x/a/", ((2, "a-b", "Ä b"),))
    assert not Path("owned").exists()
    for said in (
        "`site_url` depends on `NOWHERE`",
        "`evil.module.slug`, which is not run",
        "`evil.extension` is not run",
    ):
        assert said in "\n".join(book.notes)


def test_documentation_that_a_plug_in_makes_of_code_leaves_no_dead_link(tmp_path: Path) -> None:
    text = "# The [Arm][acme.Arm] and [`Leg`][]\n\nabove\n### ::: acme.Arm\n    options:\n      x: 1\n\n## Next\n"
    config = "site_name: x\nplugins: [mkdocstrings]\n"
    page = pages_of(tmp_path, {"mkdocs.yml": config, "docs/index.md": text})["docs/index.md"]
    assert page.headings == ((1, "the-arm-and-leg", "The Arm and Leg"), (2, "next", "Next"))
    assert page.text == "above"
    [missing] = page.missing
    assert (missing.kind, missing.place) == ("`:::` blocks of mkdocstrings not read", "docs/index.md:4")


def test_content_tabs_and_snippets_are_what_the_reader_sees(tmp_path: Path) -> None:
    config = (
        "site_name: x\nmarkdown_extensions:\n  - pymdownx.superfences\n  - pymdownx.tabbed: {alternate_style: true}\n"
        "  - pymdownx.snippets: {base_path: [., ..]}\n"
    )
    text = (
        '# Install\n\n=== "Linux"\n\n    ### On Linux\n\n    ```sh title="t.sh"\n    apt\n    ```\n\n'
        '--8<-- "part.md"\n\n--8<-- "secret.md"\n'
    )
    (tmp_path / "secret.md").write_text("secret")
    page = pages_of(
        tmp_path / "book", {"mkdocs.yml": config, "docs/i.md": text, "part.md": "It carries 12 kg."}
    )["docs/i.md"]
    assert [anchor for _, anchor, _ in page.headings] == ["install", "on-linux"]
    assert "Linux:" in page.text
    assert '```sh title="t.sh"\napt\n```' in page.text
    assert "It carries 12 kg." in page.text
    assert "secret" not in page.text


def test_pages_that_mkdocs_yml_leaves_out_or_that_its_blog_makes_are_no_pages(tmp_path: Path) -> None:
    config = (
        "plugins: [search, material/blog]\nexclude_docs: |\n  *.tmp.md\n  !keep.tmp.md\ndraft_docs: todo/\n"
    )
    names = [
        "a.md",
        "b.tmp.md",
        "keep.tmp.md",
        "todo/c.md",
        "blog/posts/d.md",
        "blog/index.md",
        "_e.md",
        ".f/g.md",
        "plan.html",
    ]
    book = book_of(
        tmp_path, {"mkdocs.yml": config, **{f"docs/{name}": "---\ndraft: true\n---\nx" for name in names}}
    )
    published = {file.place.relative for file in book.files if file.status == "published"}
    assert published == {"a.md", "keep.tmp.md", "blog/index.md", "_e.md", "plan.html"}


# Hugging Face


def test_a_course_has_the_order_titles_and_ids_of_its_contents(tmp_path: Path) -> None:
    contents = "- title: Unit 1\n  sections:\n  - {local: unit1/b, title: The second}\n  - {local: unit1/a, title: 1}\n"
    page = "# Hello 🤗 *World* `a_b` [[hello]]\n\n## What's up, *Doc*? `a_b`!\n\n## Same\n\n## Same\n"
    files = {f"units/{language}/_toctree.yml": contents for language in ("fr", "en")}
    files |= {
        f"units/{language}/unit1/{name}": page
        for language in ("fr", "en")
        for name in ("a.mdx", "b.mdx", "c.mdx")
    }
    files[".github/workflows/build.yml"] = (
        "jobs:\n  build:\n    uses: huggingface/doc-builder/.github/workflows/b.yml@main\n"
        "    with: {package_name: arm-course}\n"
    )
    book = book_of(tmp_path, files)
    pages = [read_page(book, file) for file in book.files if file.status == "published"]
    assert [(page.url, page.title, page.breadcrumb, page.language) for page in pages] == [
        (f"https://huggingface.co/learn/arm-course/{language}/unit1/{name}", title, ("Unit 1",), language)
        for language in ("en", "fr")
        for name, title in (("b", "The second"), ("a", "1"))
    ]
    assert [anchor for _, anchor, _ in pages[0].headings][:4] == [
        "hello",
        "whats-up-doc--ab-",
        "same",
        "same",
    ]
    one = discover(tmp_path, SiteSettings(docs_dir="units/fr"))
    assert {file.part.docs.name for file in one.files} == {"fr"}


def test_ids_of_a_courses_headings_are_doc_builders(tmp_path: Path) -> None:
    """Brackets are a link, whether defined or not, and the hidden id of a translated heading may have spaces."""
    headings = {
        "A [lake ⛄]((https://x.org/a/)": "a-lake---httpsxorga-",
        "foo[bar] z": "foo-bar-z",
        "a [b](c d) e": "a-b-c-d-e",
        "[1, 2] and [3]": "1-2-and-3",
        "[a][b] c": "a-c",
        "**k[l]m**": "k-l-m",
        "x [ y": "x--y",
        "3. What ... in -- this --- x": "3-what--in--this-----x",
        "Gradio [[Gradio 简介 a]]": "Gradio 简介 a",
    }
    page = "\n\n".join(["# T", *(f"## {heading}" for heading in headings)])
    book = book_of(tmp_path, {"_toctree.yml": "- {local: a, title: T}\n", "a.mdx": page})
    assert [anchor for _, anchor, _ in read_page(book, book.files[0]).headings][1:] == [*headings.values()]


# Quarto


def test_quarto_headings_have_pandocs_ids_and_titles_of_boxes_are_none(tmp_path: Path) -> None:
    text = (
        "---\ntitle: Arms\n---\n\n## A & B\n\n## A & B\n\n## 1. Numbers 2.3 and_x\n\n"
        "## Given {#sec-given .unnumbered}\n\n"
        "## Über 你好 straße!\n\n## 123\n\n## A -- b --- c... d\n\n::: {.callout-note}\n## Mind\nThe gap.\n:::\n"
    )
    config = "project: {type: website}\nwebsite: {title: T, site-url: 'https://acme.org/q'}\n"
    page = pages_of(tmp_path, {"_quarto.yml": config, "sub/a.qmd": text})["sub/a.qmd"]
    assert (page.url, page.title) == ("https://acme.org/q/sub/a.html", "Arms")
    assert [anchor for _, anchor, _ in page.headings] == [
        "a-b", "a-b-1", "numbers-2.3-and_x", "sec-given", "über-你好-straße", "section", "a-b-c-d"
    ]  # fmt: skip
    assert page.text == "Mind\n\nThe gap."


# d2lbook


def test_headings_without_a_latin_letter_are_numbered_together_with_citations(tmp_path: Path) -> None:
    text = (
        "# 数据操作\n:label:`sec_ndarray`\n\n"
        "见 :numref:`sec_x` 与 :cite:`A.B.2010,C.2011`。\n\n:begin_tab:`mxnet`\n我们导入`np`。\n"
        ":end_tab:\n\n## 入门\n\n## softmax 回归\n:label:`subsec_softmax`\n\n## 入门\n"
    )
    index = "# 书\n\n```toc\n:maxdepth: 2\n\nchapter_a/two\nchapter_a/one\n```\n"
    files = {
        "config.ini": "[project]\ntitle = 书\nlang = zh\n[build]\nexclusions = */*_origin.md README.md\n"
    }
    names = ["README.md", "chapter_a/one.md", "chapter_a/two.md", "chapter_a/one_origin.md"]
    book = book_of(tmp_path, {**files, "index.md": index, **dict.fromkeys(names, text)})
    pages = [read_page(book, file) for file in book.files if file.status == "published"]
    assert [page.url for page in pages] == ["/index.html", "/chapter_a/two.html", "/chapter_a/one.html"]
    assert [anchor for _, anchor, _ in pages[1].headings] == ["sec-ndarray", "id3", "softmax", "id5"]
    assert pages[1].text == "见 与 。\n\n我们导入`np`。"
    assert (book.title, book.language) == ("书", "zh")


def test_a_heading_that_was_there_before_uses_up_a_number_unless_code_that_runs_is_between(
    tmp_path: Path,
) -> None:
    code = "```{.python .input}\nnp.ones(2)\n```\n"
    text = (
        f"# 训练\n\n## 小结\n\n## 测试\n\n## 小结\n\n## 练习\n\n{code}\n## 测试\n\n```\nx\n```\n\n## 测试\n"
    )
    config = "[project]\ntitle = 书\nlang = zh\n[build]\nnotebooks = *.md\n"
    book = book_of(tmp_path, {"config.ini": config, "index.md": f"{text}\n```toc\n```\n"})
    [page] = [read_page(book, file) for file in book.files if file.status == "published"]
    assert [anchor for _, anchor, _ in page.headings] == ["id1", "id2", "id3", "id5", "id6", "id7", "id9"]


def test_a_line_of_d2lbook_that_goes_on_from_a_paragraph_is_no_heading(tmp_path: Path) -> None:
    config = "[project]\ntitle = 书\nlang = zh\n[build]\nnotebooks = *.md\n"
    text = "# A\n# B\n:label:`sec_b`\n## C\n\nText\n## D\n\n```toc\n```\n## E\n"
    book = book_of(tmp_path, {"config.ini": config, "index.md": text})
    [page] = [read_page(book, file) for file in book.files if file.status == "published"]
    assert [title for _, _, title in page.headings] == ["A", "B", "C", "E"]
    assert page.text.startswith("Text")

"""Files that a page takes in stand in it as the generator shows them; no page reads outside of its repository."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from preceptor.indexing.include import Body, mdbook_includes, reach
from preceptor.indexing.missing import Notes
from preceptor.indexing.page import Page
from preceptor.indexing.parse import read_page
from preceptor.settings import SiteSettings
from tests.indexing.pages import book_of, pages_of

MDBOOK = SiteSettings(preset="mdbook")
MKDOCS = SiteSettings(preset="mkdocs")
ARM = """\
fn main() {
    // ANCHOR: two
    let x = 1; // two
    // ANCHOR: three
    let y = 2;
    // ANCHOR_END: three
    // ANCHOR_END: two
}
"""


_EXTENSIONS = "".join(
    f"  - {name}\n"
    for name in (
        "admonition", "pymdownx.details", "pymdownx.superfences", "pymdownx.tabbed", "pymdownx.blocks.admonition",
    )
)  # fmt: skip


def rust_book(folder: Path, text: str, files: Mapping[str, str | bytes] | None = None) -> Page:
    """The page of an mdBook with this text, beside `listings/arm.rs`."""
    book = {
        "book.toml": '[book]\ntitle = "Arms"\n[output.html.code.hidelines]\npython = "~"\n',
        "src/SUMMARY.md": "# Summary\n\n- [Arm](arm.md)\n",
        "src/arm.md": text,
        "listings/arm.rs": ARM,
        **(files or {}),
    }
    return pages_of(folder, book, MDBOOK)["src/arm.md"]


def mkdocs_page(folder: Path, text: str, files: Mapping[str, str | bytes] | None = None) -> Page:
    """The page of a MkDocs site with snippets and this text."""
    snippets = "  - pymdownx.snippets:\n      base_path: [., parts]\n"
    config = f"site_name: Arms\nmarkdown_extensions:\n{_EXTENSIONS}{snippets}"
    return pages_of(folder, {"mkdocs.yml": config, "docs/index.md": text, **(files or {})}, MKDOCS)[
        "docs/index.md"
    ]


def told(page: Page) -> list[str]:
    """Parts that are missing of a page, as its author reads them."""
    return [f"{one.kind}: {one}" for one in page.missing]


# mdBook; every value below is what mdBook 0.5.4 shows


@pytest.mark.parametrize(
    ("include", "shown"),
    [
        ("{{#include ../listings/arm.rs}}", ARM.rstrip()),
        ("{{#include ../listings/arm.rs:2}}", "    // ANCHOR: two"),
        ("{{#include ../listings/arm.rs:3:4}}", "    let x = 1; // two\n    // ANCHOR: three"),
        ("{{#include ../listings/arm.rs::2}}", "fn main() {\n    // ANCHOR: two"),
        ("{{#include ../listings/arm.rs:7:}}", "    // ANCHOR_END: two\n}"),
        ("{{#include ../listings/arm.rs:two}}", "    let x = 1; // two\n    let y = 2;"),
        ("{{ #include ../listings/arm.rs:three }}", "    let y = 2;"),
        ("{{#rustdoc_include ../listings/arm.rs:two}}", "    let x = 1; // two\n    let y = 2;"),
        ("{{#rustdoc_include ../listings/arm.rs:5}}", "    let y = 2;"),
    ],
)
def test_mdbook_takes_in_a_file_a_range_or_an_anchor(tmp_path: Path, include: str, shown: str) -> None:
    page = rust_book(tmp_path, f"# Arm\n\n```rust\n{include}\n```\n")
    assert page.text == f"```rust\n{shown}\n```"
    assert page.missing == ()


def test_mdbook_shows_the_lines_around_an_anchor_where_the_code_is_not_rust(tmp_path: Path) -> None:
    listing = "def close():\n    # ANCHOR: body\n    return 35\n    # ANCHOR_END: body\n"
    page = rust_book(
        tmp_path,
        "```python\n{{#rustdoc_include ../listings/a.py:body}}\n```",
        {"listings/a.py": listing},
    )
    assert page.text == "```python\n# def close():\n    return 35\n```"


def test_lines_that_mdbook_hides_are_not_in_the_page(tmp_path: Path) -> None:
    text = (
        "```rust,ignore\n# hidden\n## a mark\nshown\n    # hidden\n#![allow(x)]\n#[derive(A)]\n#\n```\n\n"
        "```python\n~hidden\nshown\n# shown\n```\n\n```text,hidelines=!\n!hidden\nshown\n```"
    )
    assert rust_book(tmp_path, text).text.split("\n\n") == [
        "```rust,ignore\n# a mark\nshown\n#![allow(x)]\n#[derive(A)]\n```",
        "```python\nshown\n# shown\n```",
        "```text,hidelines=!\nshown\n```",
    ]


def test_mdbook_includes_stand_in_text_and_inside_one_another(tmp_path: Path) -> None:
    text = (
        "# Arm {{#title Other}}\n\n`{{#include a.md}}`\n\n{{#include sub/x.md}}\n\n"
        "{{#playground ../listings/p.rs editable}}"
    )
    files = {
        "src/a.md": "one",
        "src/sub/x.md": "x {{#include y.md}} x",
        "src/sub/y.md": "why\n",
        "listings/p.rs": "go()\n",
    }
    page = rust_book(tmp_path, text, files)
    assert page.text.split("\n\n") == ["`one`", "x why x", "```rust,editable\ngo()\n```"]
    assert page.headings == ((1, "arm", "Arm"),)
    assert page.missing == ()


def test_an_escaped_include_is_text_about_includes(tmp_path: Path) -> None:
    page = rust_book(tmp_path, "Write \\{{#include a.md}} or \\{{#include b.md}}.\n\n```hbs\n{{#if x}}\n```")
    assert page.text == "Write {{#include a.md}} or {{#include b.md}}.\n\n```hbs\n{{#if x}}\n```"
    assert page.missing == ()


def test_an_include_that_cannot_be_resolved_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "secret.md").write_text("secret")
    files = {
        "src/loop.md": "L {{#include loop.md}}",
        "src/big.md": "x" * 1_000_001,
        "src/arm.png": b"\x89PNG\0\0",
    }
    text = """\
---
title: Arm
---
Text.

{{#include none.md}}
{{#include ../../secret.md}}
{{#include loop.md}}
{{#include big.md}}
{{#include arm.png}}
{{#include ../listings/arm.rs:four}}
{{#quiz ../quiz.toml}}
"""
    page = rust_book(tmp_path / "book", text, files)
    assert page.text.split() == ["Text.", "L", "{{#quiz", "../quiz.toml}}"]
    assert sorted(told(page)) == [
        "`{{#include}}` not resolved: src/arm.md:10 (arm.png: binary, no text)",
        "`{{#include}}` not resolved: src/arm.md:11 (../listings/arm.rs: no `ANCHOR: four`)",
        "`{{#include}}` not resolved: src/arm.md:6 (none.md: no such file)",
        "`{{#include}}` not resolved: src/arm.md:7 (../../secret.md: outside the repository)",
        "`{{#include}}` not resolved: src/arm.md:8 (loop.md: it takes in itself)",
        "`{{#include}}` not resolved: src/arm.md:9 (big.md: 1,000,001 bytes, more than 1,000,000)",
        "`{{#quiz}}` not resolved: src/arm.md:12 ({{#quiz ../quiz.toml}})",
    ]


def test_files_that_take_in_others_twice_do_not_fill_the_memory(tmp_path: Path) -> None:
    for depth in range(9):
        (tmp_path / f"{depth}.md").write_text(f"{{{{#include {depth + 1}.md}}}}\n" * 9 + "x" * 999)
    notes = Notes()
    body = mdbook_includes(
        Body.of("{{#include 0.md}}"),
        tmp_path / "page.md",
        reach(tmp_path, tmp_path, tmp_path, "mdbook"),
        notes.of("page.md", [1]),
    )
    assert len(body.text) < 2_000_000
    assert any("more than 1,000,000 characters" in one.detail for one in notes.found)


def test_a_book_without_the_links_preprocessor_takes_in_nothing(tmp_path: Path) -> None:
    config = "[book]\ntitle = 'A'\n[build]\nuse-default-preprocessors = false\n"
    page = rust_book(tmp_path, "{{#include a.md}}", {"src/a.md": "one", "book.toml": config})
    assert page.text == "{{#include a.md}}"
    assert told(page) == ["`{{#include}}` not resolved: src/arm.md:1 ({{#include a.md}})"]


# the repository


def test_a_page_takes_in_what_is_in_its_repository_and_no_more(tmp_path: Path) -> None:
    (tmp_path / "repository/.git").mkdir(parents=True)
    (tmp_path / "repository/.git/config").write_text("token")
    (tmp_path / "repository/shared.md").write_text("shared")
    (tmp_path / "outside.md").write_text("secret")
    book = tmp_path / "repository/books/arms"
    (book / "src").mkdir(parents=True)
    os.symlink(tmp_path / "outside.md", book / "src/link.md")
    os.symlink(tmp_path / "repository/shared.md", book / "src/inside.md")
    text = "\n\n".join(
        f"{{{{#include {name}}}}}"
        for name in (
            "../../../shared.md",
            "inside.md",
            "link.md",
            "../../../.git/config",
            "/etc/passwd",
            "a\0b",
        )
    )
    page = rust_book(book, text)
    assert page.text == "shared\n\nshared"
    assert [one.detail.split(": ")[1] for one in page.missing] == [
        "outside the repository", "Git's own file", "outside the repository", "no such file",
    ]  # fmt: skip


@pytest.mark.parametrize("below", ["docs", "i18n/ur/docusaurus-plugin-content-docs/current"])
def test_partials_come_from_anywhere_in_the_site_wherever_the_run_begins(tmp_path: Path, below: str) -> None:
    (tmp_path / "outside.md").write_text("secret")
    up = "../" * below.count("/") + ".."
    text = f"""\
import Site from '@site/shared/_site.md';
import Rel from '{up}/shared/_rel.md';
import Out from '{up}/../outside.md';
import Site2 from '@site/../outside.md';
import Pack from 'some-package/readme.md';

<Site />

<Rel />

<Out />

<Site2 />

<Pack />
"""
    site = tmp_path / "site"
    for name, content in (("_site.md", "By site."), ("_rel.md", "By path.")):
        (site / "shared").mkdir(parents=True, exist_ok=True)
        (site / "shared" / name).write_text(content)
    (site / "docusaurus.config.js").write_text("module.exports = {}")
    (site / ".git").mkdir()
    page = pages_of(site / below, {"arm.mdx": text})["arm.mdx"]
    if below == "docs":  # where the site's folder is is not this module's to say
        assert page.text == "By site.\n\nBy path."
    assert "By path." in page.text
    assert "secret" not in page.text
    assert {one.kind for one in page.missing} == {"imported pages not resolved"}
    assert (
        "arm.mdx:11 (../../outside.md: outside the repository)" in map(str, page.missing) or below != "docs"
    )


def test_a_partial_shows_what_stands_between_its_tags_where_it_says_so(tmp_path: Path) -> None:
    files = {
        "a.mdx": "import Box from './_box.mdx'\nexport const who = 'we'\n\n<Box>**Inside** {who}</Box>\n\n<Box />",
        "_box.mdx": "Before\n\n{props.children}\n\nAfter",
    }
    assert pages_of(tmp_path, files)["a.mdx"].text.split() == [
        "Before", "Inside", "we", "After", "Before", "After",
    ]  # fmt: skip


# code from files


@pytest.mark.parametrize(
    ("loader", "use"),
    [
        ("!!raw-loader!../examples/arm.py", '<CodeBlock language="python">{Arm}</CodeBlock>'),
        ("!!raw-loader!@site/examples/arm.py", "<CodeBlock language='python'>\n  {Arm}\n</CodeBlock>"),
        ("raw-loader!../examples/arm.py", '<CodeBlock language="python">{Arm.trim()}</CodeBlock>'),
        ("!!raw-loader?esModule=false!../examples/arm.py", '<CodeBlock language="python" children={Arm} />'),
        ("../examples/arm.py?raw", '<Code language="python" code={Arm} />'),
    ],
)
def test_a_code_block_shows_the_file_that_is_imported_as_its_text(
    tmp_path: Path, loader: str, use: str
) -> None:
    files = {
        "docusaurus.config.js": "",
        "docs/a.mdx": f"import Arm from '{loader}';\n\n{use}",
        "examples/arm.py": "def lift():\n    return `12`\n",
    }
    page = pages_of(tmp_path, files)["docs/a.mdx"]
    assert page.text == "```python\ndef lift():\n    return `12`\n```"
    assert page.missing == ()


def test_code_of_a_component_may_be_an_exported_string_or_have_no_suffix(tmp_path: Path) -> None:
    text = (
        "import C from '!!raw-loader!./comp'\nimport N from '!!raw-loader!./none.py'\n"
        "export const run = `go\nnow`\n\n<CodeBlock>{run}</CodeBlock>\n\n<CodeBlock>{C}</CodeBlock>\n\n"
        "<CodeBlock>{N}</CodeBlock>"
    )
    page = pages_of(tmp_path, {"a.mdx": text, "comp.tsx": "x"})["a.mdx"]
    assert page.text == "```\ngo\nnow\n```\n\n```\nx\n```"
    assert told(page) == ["imported files not resolved: a.mdx:10 (./none.py: no such file)"]


# MkDocs; every value below is what mkdocs with pymdownx.snippets shows


@pytest.mark.parametrize(
    ("snippet", "shown"),
    [
        ('--8<-- "one.md"', "one\ntwo\nthree"),
        ("--8<-- 'one.md'", "one\ntwo\nthree"),
        ('--8<-- "one.md:2"', "two\nthree"),
        ('--8<-- "one.md:2:3"', "two\nthree"),
        ('--8<-- "one.md::1"', "one"),
        ('--8<-- "one.md:1:1,3:3"', "one\nthree"),
        ('--8<-- "one.md:-1"', "three"),
        ('--8<-- "code.py:body"', "lift()"),
        ('--8<-- "below.md"', "below the second base"),
        ("--8<--\none.md:1:1\n; left.md\n\nbelow.md\n--8<--", "one\n\nbelow the second base"),
        ('-8<- "one.md:1:1"', "one"),
        ('--8<-- "; one.md"', ""),
        (';--8<-- "one.md"', '--8<-- "one.md"'),
        ('    --8<-- "one.md:1:1"', "    one"),
    ],
)
def test_mkdocs_snippets_stand_in_the_page(tmp_path: Path, snippet: str, shown: str) -> None:
    files = {
        "one.md": "one\ntwo\nthree",
        "code.py": "# --8<-- [start:body]\nlift()\n# --8<-- [end:body]\n",
        "parts/below.md": "below the second base",
    }
    page = mkdocs_page(tmp_path, f"```text\n{snippet}\n```\n", files)
    assert page.text == (f"```text\n{shown}\n```" if shown else "")
    assert [one for one in told(page) if "without text" not in one] == []


@pytest.mark.parametrize(
    ("include", "shown"),
    [
        ("{!one.md!}", "one\ntwo\nthree"),
        ("{! one.md !}", "one\ntwo\nthree"),
        ("a {! one.md [ln:2] !} b", "a two b"),
        ("{! one.md [ln:1-2] !}", "one\ntwo"),
        ("{! one.md [ln:2-] | utf-8 !}", "two\nthree"),
        ("{!one.md!lines=1 3}", "one\nthree"),
        ("    {!> one.md [ln:1-2] !}", "    one\n    two"),
        ("{! again.md !}", "one"),
        ("\\{! one.md !}", "{! one.md !}"),
    ],
)
def test_files_between_braces_stand_in_the_page_where_an_extension_reads_them(
    tmp_path: Path, include: str, shown: str
) -> None:
    config = "site_name: A\nmarkdown_extensions:\n- mdx_include: {base_path: parts}\n"
    files = {"mkdocs.yml": config, "docs/a.md": f"# A\n\n```text\n{include}\n```\n"}
    parts = {"parts/one.md": "one\ntwo\nthree\n", "parts/again.md": "{! one.md [ln:1] !}\n"}
    book = book_of(tmp_path / "on", files | parts)
    page = read_page(book, book.files[0])
    assert (page.text, told(page), book.notes) == (f"```text\n{shown}\n```", [], ())
    book = book_of(tmp_path / "off", files | parts | {"mkdocs.yml": "site_name: A"})
    assert read_page(book, book.files[0]).text == f"```text\n{include}\n```"


def test_a_file_of_code_between_braces_is_code(tmp_path: Path) -> None:
    config = "site_name: A\nmarkdown_extensions: [markdown_include_variants]\n"
    text = "# A\n\n{* code/lift.py ln[2:3] hl[2] *}\n\n{* none.py *}\n\n{! ../out.md !}\n"
    code = {"code/lift.py": "import arm\n\narm.lift()\n"}
    (tmp_path / "out.md").write_text("secret")
    book = book_of(tmp_path / "book", {"mkdocs.yml": config, "docs/a.md": text, **code})
    page = read_page(book, book.files[0])
    assert page.text == "```py\narm.lift()\n```"
    assert told(page) == [
        "`{! … !}` includes not resolved: docs/a.md:5 (none.py: no such file)",
        "`{! … !}` includes not resolved: docs/a.md:7 (../out.md: outside the repository)",
    ]
    book = book_of(tmp_path / "off", {"mkdocs.yml": "site_name: A", "docs/a.md": text, **code})
    kinds = [one.kind for one in read_page(book, book.files[0]).missing]
    assert kinds == ["`{! … !}` includes not resolved"] * 3


def test_snippets_that_cannot_be_resolved_are_named_with_their_line(tmp_path: Path) -> None:
    (tmp_path / "outside.md").write_text("secret")
    files = {"loop.md": 'L\n\n--8<-- "loop.md"', "a.md": "a\nb"}
    text = """\
# Arm

--8<-- "a.md"

--8<--
none.md
--8<--

--8<-- "../outside.md"
--8<-- "https://x.example/a.md"
--8<-- "loop.md"
--8<-- "a.md:part"
"""
    page = mkdocs_page(tmp_path / "site", text, files)
    assert page.text == "a b\n\nL"
    assert told(page) == [
        "`--8<--` snippets not resolved: docs/index.md:5 (none.md: no such file)",
        "`--8<--` snippets not resolved: docs/index.md:9 (../outside.md: outside `base_path` of pymdownx.snippets)",
        "`--8<--` snippets not resolved: docs/index.md:10 (https://x.example/a.md: from the web)",
        "`--8<--` snippets not resolved: docs/index.md:11 (loop.md: it takes in itself)",
        "`--8<--` snippets not resolved: docs/index.md:12 (no section `part`)",
    ]


def test_snippets_do_not_lead_out_of_the_repository_even_if_mkdocs_lets_them(tmp_path: Path) -> None:
    (tmp_path / "outside.md").write_text("secret")
    config = "markdown_extensions:\n  pymdownx.snippets:\n    base_path: ..\n    restrict_base_path: false\n"
    page = mkdocs_page(tmp_path / "site", 'Text\n\n--8<-- "outside.md"', {"mkdocs.yml": config})
    assert page.text == "Text"
    assert told(page) == [
        "`--8<--` snippets not resolved: docs/index.md:3 (outside.md: outside the repository)"
    ]


def test_snippets_are_read_where_the_site_reads_them(tmp_path: Path) -> None:
    config = (
        "INHERIT: base.yml\nplugins: [!ENV [X, y]]\nextra: {f: !!python/name:a.b.c ''}\n"
        "markdown_extensions:\n  - abbr\n  - pymdownx.snippets:\n      base_path: !relative $docs_dir/parts\n"
        "      auto_append: [words.md]\n"
    )
    files = {
        "mkdocs.yml": config,
        "base.yml": "docs_dir: docs",
        "docs/parts/a.md": "a",
        "docs/parts/words.md": "*[ROS]: Robot Operating System\n\nThe end.",
    }
    assert mkdocs_page(tmp_path / "on", '--8<-- "a.md"', files).text == "a\n\nThe end."
    off = mkdocs_page(tmp_path / "off", 'Text\n\n--8<-- "a.md"', {"mkdocs.yml": "site_name: x", "a.md": "a"})
    assert off.text == 'Text\n\n--8<-- "a.md"'
    assert told(off) == ['`--8<--` snippets not resolved: docs/index.md:3 (--8<-- "a.md")']


def test_tabs_and_boxes_of_mkdocs_are_sections_and_text(tmp_path: Path) -> None:
    text = """\
# Install

=== "Linux"

    ### On Linux

    Run:

    ``` sh
    apt install
    ```


    Done.

    === "Deb"

        Deb text.

=== "Mac"

    ### On Mac

    Run brew.

!!! warning "Mind the *arm*"

    It moves.


    Still.

??? note
    Folded.

!!! tip ""
    No title.

/// danger | Hot
    attrs: {id: x}

Do not touch.
///

After.
"""
    page = mkdocs_page(tmp_path, text)
    assert [anchor for _, anchor, _ in page.headings] == ["install", "on-linux", "on-mac"]
    assert [section.text.split("\n\n") for section in page.sections[1:]] == [
        ["Linux:"],
        ["Run:", "```sh\napt install\n```", "Done.", "Deb:", "Deb text.", "Mac:"],
        [
            "Run brew.", "Mind the arm:", "It moves.", "Still.", "Note:", "Folded.", "No title.", "Hot:",
            "Do not touch.", "After.",
        ],
    ]  # fmt: skip

"""Parts of a page that the index lacks are noted: kind, file and line."""

from pathlib import Path

import pytest

from preceptor.indexing.missing import Missing, by_kind
from preceptor.settings import SiteSettings
from tests.indexing.pages import book_of, page_of

PLAIN = SiteSettings(preset="plain")


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("See :numref:`arm` there", "`:numref:` roles not resolved"),
        ("See {ref}`arm` there", "`{ref}` roles not resolved"),
        (":begin_tab:`mxnet`", "`:begin_tab:` tab markers not read"),
        (":end_tab:", "`:end_tab:` tab markers not read"),
        ('=== "Linux"', "`===` tab markers not read"),
        ("```{figure} a.png\nA caption\n```", "`{figure}` directives not resolved"),
        (":::{note} Mind\ntext\n:::", "`:::{note}` directives not resolved"),
        ("::: package.module.Arm", "`:::` directives not resolved"),
        (".. toctree::", "`.. toctree::` directives not resolved"),
        ("Text {{#quiz a.toml}}", "`{{#quiz}}` not resolved"),
        ("{{#include a.md}}", "`{{#include}}` not resolved"),
        ('--8<-- "a.md"', "`--8<--` snippets not resolved"),
        ('{{< figure src="a.png" >}}', "`{{< figure >}}` shortcodes not resolved"),
        ('{% include "a.md" %}', "`{% include %}` tags not resolved"),
        ("Version {{ version }} is out", "`{{ … }}` expressions that stayed"),
        ("{!docs/a.md!}", "`{! … !}` includes not resolved"),
        ("{* ../../src/a.py hl[1] *}", "`{! … !}` includes not resolved"),
        ("<<< @/snippets/a.py", "`<<<` includes not resolved"),
        ("![[Arm]]", "`![[ … ]]` embeds not resolved"),
        ("[[autodoc]] Arm", "`[[autodoc]]` not resolved"),
        ('<iframe src="https://x.example/a"></iframe>', "`<iframe>` frames"),
        (
            "<iframe src=\"https://x.example/a width='5' ></iframe>",
            "`<iframe>` with broken quotes, or without an end",
        ),
        ("```python\n#@tab pytorch\nx\n```", "`#@tab` tab markers not read"),
    ],
)
def test_what_nobody_resolves_is_noted(tmp_path: Path, line: str, kind: str) -> None:
    page = page_of(
        tmp_path,
        f"---\na: b\n---\n\n# Arm\n\nText\n{'' if line[0].isalpha() else chr(10)}{line}\n",
        PLAIN,
        name="a.md",
    )
    assert [one.kind for one in page.missing] == [kind]
    assert int(page.missing[0].place.removeprefix("a.md:")) in (8, 9, 10)


@pytest.mark.parametrize(
    "line",
    [
        "`:numref:` and `{{#include a.md}}` and `--8<--`",
        "```md\n{{#include a.md}}\n--8<-- \"a.md\"\n:numref:`x`\n<iframe src='a'>\n```",
        "```python\nx = {{1}}\n```",
        "```{python}\nx\n```",
        "```{.python .input}\nx\n```",
        "At 10:30: `code` and note: `code`",
        "Title: `code`",
        "the set {s, a} and {1, 2}",
        "a < b and <b>bold</b>",
    ],
)
def test_text_about_such_things_is_left_alone(tmp_path: Path, line: str) -> None:
    assert page_of(tmp_path, f"# Arm\n\n{line}\n", PLAIN, name="a.md").missing == ()


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("{items.map(one => one.name)}", "`{…}` expressions left out"),
        ("Version {version} is out", "`{…}` expressions that stayed"),
        ("<CodeBlock>{load()}</CodeBlock>", "`{…}` expressions left out"),
        (":::quiz\ntext\n:::", "`:::quiz` directives that are unknown"),
        ("::video[text]", "`::video` directives that are unknown"),
        ("<Arm speed={3} />", "components whose text is in their own code"),
        ("```js reference\nhttps://x.example/a.js\n```", "code references not resolved"),
    ],
)
def test_what_only_the_sites_own_code_knows_is_noted(tmp_path: Path, line: str, kind: str) -> None:
    page = page_of(tmp_path, f"# Arm\n\nText\n\n{line}\n")
    assert [(one.kind, one.place) for one in page.missing] == [(kind, "page.mdx:5")]


def test_mdx_that_is_read_whole_has_nothing_missing(tmp_path: Path) -> None:
    boxed = ":::note\n<DocCardList />\n:::"
    text = f"{{/* a */}} {{'b'}}\n\n<!-- c -->\n\n{boxed}\n\n<Tabs><TabItem value='a'>x</TabItem></Tabs>"
    assert page_of(tmp_path, text).missing == ()


def test_a_component_named_like_an_empty_element_may_hold_text(tmp_path: Path) -> None:
    page = page_of(tmp_path, "<div>\n  <Link to='/a'>\n    Go on\n  </Link>\n</div>")
    assert (page.text, page.missing) == ("Go on", ())


def test_a_page_without_text_is_noted(tmp_path: Path) -> None:
    assert page_of(tmp_path, "# Arm\n\n## Joints\n").missing == (Missing("pages without text", "page.mdx"),)


def test_kinds_are_counted_and_the_first_places_named() -> None:
    missing = [Missing("includes not resolved", f"a.md:{line}", "x.rs: no such file") for line in range(1, 6)]
    kinds = by_kind([Missing("frames", "b.md:1"), *missing, missing[0]])
    assert [str(kind) for kind in kinds] == [
        "5 includes not resolved: a.md:1 (x.rs: no such file), a.md:2 (x.rs: no such file), "
        "a.md:3 (x.rs: no such file) and 2 more",
        "1 frame: b.md:1",
    ]


@pytest.mark.parametrize(
    ("name", "text", "label"),
    [
        ("_category_.json", '\ufeff{"label": "Arms", "position": 03}', "Arms"),
        ("_category_.json", '{\n\t"label": "Arms", # of robots\n\t"position": 03,\n}', "Arms"),
        ("_category_.json", "label: Arms\nposition: 03", "Arms"),
        ("_category_.json", "{'label': 'Arms', position: 3.0}", "Arms"),
        ("_category_.yml", "label: Arms # of robots\nposition: 03\nlink: {type: generated-index}", "Arms"),
    ],
)
def test_a_category_is_read_as_docusaurus_reads_it(tmp_path: Path, name: str, text: str, label: str) -> None:
    files = {f"docs/z/{name}": text, "docs/z/a.md": "x", "docs/4-later.md": "x", "docs/2-sooner.md": "x"}
    book = book_of(tmp_path, files)
    assert [file.source for file in book.files] == ["docs/2-sooner.md", "docs/z/a.md", "docs/4-later.md"]
    assert book.files[1].breadcrumb == (label,)
    assert book.missing == ()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"label": "Arms"', "its front matter is not valid"),
        ('{"label": "Arms", "positon": 3}', "Docusaurus knows no `positon`"),
        ("[1, 2]", "it is no mapping"),
        (b"\xff\xff", "it is not UTF-8 text (byte 0)"),
    ],
)
def test_a_broken_category_is_noted(tmp_path: Path, text: str | bytes, why: str) -> None:
    book = book_of(tmp_path, {"docs/z/_category_.json": text, "docs/z/a.md": "x"})
    [missing] = book.missing
    assert (missing.kind, missing.place) == ("broken `_category_` files", "docs/z/_category_.json")
    assert missing.detail.startswith(why)


def test_documents_of_other_formats_beside_the_pages_are_noted(tmp_path: Path) -> None:
    book = book_of(tmp_path, {"docs/a.md": "x", "docs/b.rst": "x", "docs/c.docx": b"x", "docs/d.png": b"x"})
    assert [(one.kind, one.place) for one in book.missing] == [
        ("RST files not read", "docs/b.rst"),
        ("DOCX files not read", "docs/c.docx"),
    ]

"""MDX in markdown-it: which lines are tags, expressions, imports, lists and headings, without a book around them."""

from typing import Any

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from preceptor.indexing.jsx import Expression, Scanner, Tag
from preceptor.indexing.mdx import mdx_plugin


def parsed(text: str) -> tuple[list[Token], list[str]]:
    env: dict[str, Any] = {}
    tokens = MarkdownIt("commonmark", {"html": False}).use(mdx_plugin).parse(text, env)
    return tokens, env.get("esm", [])


def shape(text: str) -> list[str]:
    """One word for each block, and the parts of each line of text."""
    found: list[str] = []
    for token in parsed(text)[0]:
        if token.type == "inline":
            found.append("+".join(map(word, token.children or ())))
        elif token.type.startswith("mdx"):
            found.append(word(token))
        elif token.nesting == 1:
            found.append(token.tag)
        elif not token.nesting:
            found.append(token.type)
    return found


def word(token: Token) -> str:
    meta = token.meta.get("tag") or token.meta.get("expression")
    if isinstance(meta, Tag):
        return f"<{'/' * meta.closing}{meta.name}{'/' * meta.self_closing}>"
    if isinstance(meta, Expression):
        return f"{{{meta.code}}}"
    return token.content or token.type


@pytest.mark.parametrize(
    ("text", "blocks"),
    [
        # a line of its own is a block, among text it is a part of it
        ("<A>", ["<A>"]),
        ("<A/>", ["<A/>"]),
        ("{a}", ["{a}"]),
        ("<A>{b}</A>", ["<A>", "{b}", "</A>"]),
        ("<A>\n\ntext\n\n</A>", ["<A>", "p", "text", "</A>"]),
        ("  <A>  \ntext", ["<A>", "p", "text"]),
        ("<A>text</A>", ["p", "<A>+text+</A>"]),
        ("{a} {b}", ["p", "{a}+ +{b}"]),
        ("<A>{b}{c}", ["p", "<A>+{b}+{c}"]),
        ("one <A> {b} two", ["p", "one +<A>+ +{b}+ two"]),
        # over lines
        ("<A\n  b='c'\n>\ntext", ["<A>", "p", "text"]),
        ("{\n  a\n\n  b\n}\ntext", ["{\n  a\n\n  b\n}", "p", "text"]),
        ("<A\n>text</A>", ["p", "<A>+text+</A>"]),
        # what interrupts a paragraph
        ("text\n<A>\nmore", ["p", "text", "<A>", "p", "more"]),
        ("text\n{a}\nmore", ["p", "text", "{a}", "p", "more"]),
        # invalid ones stay text
        ("<A", ["p", "<A"]),
        ("a < b, c > d", ["p", "a < b, c > d"]),
        ("{a", ["p", "{a"]),
        ("## A {#id}", ["h2", "A {#id}"]),
        ("{ #id}", ["{ #id}"]),
        ("> {a\n\nb}", ["blockquote", "p", "{a", "p", "b}"]),
        ("> {a\n# b}", ["blockquote", "p", "{a", "h1", "b}"]),
        ("> <A b\n# c>", ["blockquote", "p", "<A b", "h1", "c>"]),
        # in a link, whose text is looked through twice
        ("[<A>](b)", ["p", "link_open+<A>+link_close"]),
        ("[a <!-- b --> c](d)", ["p", "link_open+a +mdx_comment+ c+link_close"]),
        # comments
        ("<!-- a -->", []),
        ("<!--\na\n\nb -->\ntext", ["p", "text"]),
        ("<!-- a --> # A", ["h1", "A"]),
        ("<!-- a --> - b", ["ul", "li", "p", "b"]),
        ("text <!-- a --> more", ["p", "text +mdx_comment+ more"]),
        ("text\n<!-- a -->\nmore", ["p", "text", "p", "more"]),
        ("<!-- a", ["p", "<!-- a"]),
        ("<!---->", []),
        ("<!--->", ["p", "<!--->"]),
        ("<!-->\nb -->c", ["p", "c"]),
        ("<!-- a --> b --> c", ["p", "b --> c"]),
        ("a <!----> b", ["p", "a +mdx_comment+ b"]),
        ("a <!-->b-->", ["p", "a +mdx_comment"]),
        ("a <!-- b --> c <!-- d --> e", ["p", "a +mdx_comment+ c +mdx_comment+ e"]),
        ("- a\n<!-- b -->c", ["ul", "li", "p", "a", "p", "c"]),
        ("text <!-- a", ["p", "text <!-- a"]),
        ("- <!-- a --> b\n- c", ["ul", "li", "p", "b", "li", "p", "c"]),
        # headings that are underlined, also below a tag
        ("A\n=", ["h1", "A"]),
        ("A\n---", ["h2", "A"]),
        ("A\n  =", ["h1", "A"]),
        ("A\n   ===  ", ["h1", "A"]),
        ("A\n-", ["h2", "A"]),
        ("> A\n===", ["blockquote", "p", "A+softbreak+==="]),
        ("A\nB\n-", ["h2", "A+softbreak+B"]),
        ("A\n-=", ["p", "A+softbreak+-="]),
        ("A\n\n---", ["p", "A", "hr"]),
        ("> A\n---", ["blockquote", "p", "A", "hr"]),
        # quotations and lists
        ("> a\nb", ["blockquote", "p", "a+softbreak+b"]),
        ("> a\n\nb", ["blockquote", "p", "a", "p", "b"]),
        ("a\n> b", ["p", "a", "blockquote", "p", "b"]),
        ("    - a", ["ul", "li", "p", "a"]),
        ("    a", ["p", "a"]),
        ("- a\n    - b", ["ul", "li", "p", "a", "ul", "li", "p", "b"]),
        ("   - a\n      - b\n    - c", ["ul", "li", "p", "a", "ul", "li", "p", "b", "li", "p", "c"]),
        (" - a\n  - b\n   - c\n    - d\n     - e",
         ["ul", "li", "p", "a", "li", "p", "b", "li", "p", "c", "li", "p", "d", "li", "p", "e"]),
        ("a\n1. b", ["p", "a", "ol", "li", "p", "b"]),
        ("a\n2. b", ["p", "a+softbreak+2. b"]),
        # the address of a link ends before them, too
        ("[a]: /b\n<A>\n", ["<A>"]),
        ("[a]: /b\n{c}\n\n[a]", ["{c}", "p", "link_open+a+link_close"]),
        ("[a]:\n<A>\n\n[a]", ["p", "[a]:", "<A>", "p", "[a]"]),
        ("[a]: /b 'c\n- d\n'\n\n[a]", ["p", "[a]: /b 'c", "ul", "li", "p", "d+softbreak+'", "p", "[a]"]),
        ("<A>\n      - a\n</A>", ["<A>", "ul", "li", "p", "a", "</A>"]),
        ("1. a\n\n   <A>\n\n2. b", ["ol", "li", "p", "a", "<A>", "li", "p", "b"]),
        ("a\n# B", ["p", "a", "h1", "B"]),
        ("```\n<A>\n```", ["fence"]),
    ],
)  # fmt: skip
def test_the_blocks_of_a_page(text: str, blocks: list[str]) -> None:
    assert [one for one in shape(text) if one] == blocks


@pytest.mark.parametrize(
    ("text", "esm", "blocks"),
    [
        ("import A from 'a'\n\ntext", ["import A from 'a'"], ["p", "text"]),
        ("import A from 'a'\nimport B from 'b'", ["import A from 'a'\nimport B from 'b'"], []),
        ("export const a = {\n\nb: 1\n}\n\ntext", ["export const a = {\n\nb: 1\n}"], ["p", "text"]),
        ("# A\nimport A from 'a'\n\ntext", ["import A from 'a'"], ["h1", "A", "p", "text"]),
        ("one\n\nimport A from 'a'\n\ntwo\n\nexport const b = 1", ["import A from 'a'", "export const b = 1"],
         ["p", "one", "p", "two"]),
        ("one\nimport A from 'a'", [], ["p", "one+softbreak+import A from 'a'"]),
        ("- import A from 'a'", [], ["ul", "li", "p", "import A from 'a'"]),
        ("> import A from 'a'", [], ["blockquote", "p", "import A from 'a'"]),
        (" import A from 'a'", [], ["p", "import A from 'a'"]),
        ("imports are high", [], ["p", "imports are high"]),
        ("import of goods", [], ["p", "import of goods"]),
        ("\timport A from 'a'", [], ["p", "import A from 'a'"]),
        ("- a\n\nimport B from 'b'\n\n- c", ["import B from 'b'"], ["ul", "li", "p", "a", "ul", "li", "p", "c"]),
    ],
)  # fmt: skip
def test_imports_and_exports_are_taken_out_where_they_begin_a_block(
    text: str, esm: list[str], blocks: list[str]
) -> None:
    assert parsed(text)[1] == esm
    assert shape(text) == blocks


def test_a_block_knows_its_lines() -> None:
    tokens, _ = parsed("one\n\n<A>\n\nTitle\n===\n\ntext\nmore\n")
    lines = {token.content or token.tag or token.type: token.map for token in tokens if token.map}
    assert lines == {
        "p": [7, 9], "one": [0, 1], "mdx_tag": [2, 3], "h1": [4, 5], "Title": [4, 5], "text\nmore": [7, 9],
    }  # fmt: skip
    assert [token.block for token in tokens if token.type == "mdx_tag"] == [True]
    inline = next(token for token in parsed("one <A>")[0] if token.type == "inline")
    assert [token.block for token in inline.children or () if token.type == "mdx_tag"] == [False]


@pytest.mark.parametrize("block", ["<A>", "{a}", "<!-- a -->\n\nb", "- b", "      - b", "# b"])
def test_a_block_ends_a_quotation(block: str) -> None:
    tokens, _ = parsed(f"> q\n{block}")
    kinds = [token.type for token in tokens]
    assert kinds[:5] == ["blockquote_open", "paragraph_open", "inline", "paragraph_close", "blockquote_close"]


def test_text_goes_on_with_a_quotation() -> None:
    assert [token.type for token in parsed("> q\n    a {b} <C>")[0]][-1] == "blockquote_close"


def test_all_of_a_page_has_one_budget_for_the_search_for_partners() -> None:
    used_up = Scanner(0)
    for _ in range(2):
        assert used_up.expression("{" + "a" * 8000, 0, 8001) == -1
    env: dict[str, Any] = {"scanner": used_up}
    tokens = MarkdownIt("commonmark", {"html": False}).use(mdx_plugin).parse("<A>\n\n{b}", env)
    assert [token.content for token in tokens if token.type == "inline"] == ["<A>", "{b}"]
    assert env["scanner"] is used_up

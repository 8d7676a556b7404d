"""JavaScript in a page: what is a comment, a string, a tag and an import, one fault at a time."""

from pathlib import Path

import pytest

from preceptor.indexing.jsx import Expression, Scanner, Tag
from tests.indexing.pages import page_of


@pytest.mark.parametrize(
    ("code", "is_comment", "comment"),
    [
        ("/* a */", True, "a"),
        (" /* a */ ", True, "a"),
        ("/* a */ /* b */", True, ""),
        ("// a\n", True, ""),
        ("//", True, ""),
        ("", True, ""),
        ("/*/", False, ""),
        ("/* a */ + b", False, ""),
        ("a", False, ""),
    ],
)
def test_an_expression_may_be_a_comment(code: str, is_comment: bool, comment: str) -> None:
    expression = Expression(code)
    assert (expression.is_comment, expression.comment) == (is_comment, comment)


@pytest.mark.parametrize(
    ("code", "literal", "verbatim"),
    [
        ("'a'", "a", "a"),
        (" -1.5 ", "-1.5", "-1.5"),
        ("`a ${b}`", None, "a ${b}"),
        (r"`a \${b}`", "a ${b}", "a ${b}"),
        (r"'\u{41}\x42\n\q'", "AB\nq", "AB\nq"),
        (r"'\u{110000}'", "\ufffd", "\ufffd"),
        ("'a\"", None, ""),
        ("f()", None, ""),
    ],
)
def test_strings_and_numbers_are_read_and_other_code_is_not(
    code: str, literal: str | None, verbatim: str
) -> None:
    expression = Expression(code)
    assert (expression.literal, expression.verbatim) == (literal, verbatim)


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("<a>", Tag("a")),
        ("</a>", Tag("a", closing=True)),
        ("<a/>", Tag("a", self_closing=True)),
        ("<>", Tag("")),
        ("<a.b:c d='&amp;' e={1} f=g h>", Tag("a.b:c", attributes={"d": "&", "e": Expression("1"), "f": "g", "h": ""})),
        ("<a {...b} c>", Tag("a", attributes={"c": ""})),
        ("<a{b}>", Tag("a")),
        ("<a b=>", None),
        ("<a b='>", None),
        ("<a b={>", None),
        ("<a !>", None),
        ("<1>", None),
        ("<a b", None),
    ],
)  # fmt: skip
def test_a_tag_is_read_with_its_attributes_or_is_none(text: str, tag: Tag | None) -> None:
    found = Scanner(len(text)).tag(text, 0, len(text))
    assert found == (None if tag is None else (tag, len(text)))


def test_the_text_of_an_attribute_is_that_of_a_string_in_quotes_or_in_braces() -> None:
    tag = Tag("a", attributes={"a": Expression("f()"), "b": "", "c": Expression("'said'"), "d": "last"})
    assert tag.text("a", "b", "c", "d") == "said"
    assert tag.text("a", "b", "x") == ""


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("{a}", 3),
        ("{ {a} }b", 7),
        ("{'}'}", 5),
        ("{`${'}'}`}", 10),
        ("{/* } */}", 9),
        ("{a // }\n}", 9),
        ("{", -1),
        ("{`}", -1),
        ("{/* }", -1),
    ],
)
def test_an_expression_ends_at_its_own_brace(text: str, end: int) -> None:
    assert Scanner(len(text)).expression(text, 0, len(text)) == end


@pytest.mark.parametrize(
    "code",
    [
        "import A from './a' /* ( */",
        "export const a = [1, {\n\nb: 2}]",
        "export const a = `(\n\n(`",
        "export const a = '(' // (",
    ],
)
def test_imports_and_exports_end_at_the_first_blank_line_outside_of_brackets(
    tmp_path: Path, code: str
) -> None:
    assert page_of(tmp_path, f"{code}\n\ntext").text == "text"

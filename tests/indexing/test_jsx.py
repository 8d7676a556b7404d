"""JavaScript in a page: what is a comment, a string, a tag and an import, one fault at a time."""

from pathlib import Path

import pytest

from preceptor.indexing.jsx import Bindings, Expression, Scanner, Tag, Text, bindings, strings
from tests.indexing.pages import page_of


@pytest.mark.parametrize(
    ("code", "is_comment", "comment"),
    [
        ("/* a */", True, "a"),
        ("/*a*/", True, "a"),
        ("/**/", True, ""),
        ("/* a */ // b", True, ""),
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
        (r"'\u0041\u{d7ff}\u{e000}\u{10FFFF}'", "A\ud7ff\ue000\U0010ffff", "A\ud7ff\ue000\U0010ffff"),
        (r"'\u{d800}\u{dfff}\u{110000}'", "\ufffd" * 3, "\ufffd" * 3),
        (r"`$\t{b}`", "$\t{b}", "$\t{b}"),
        ("'a\\\nb\\rc'", "abc", "abc"),
        ("1.", None, ""),
        ("'a' + 'b'", None, ""),
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
        ("<a b=", None),
        ("<a b= ", None),
        ("<a b==c>", None),
        ("<a b=<c>", None),
        ("<a b='c'd>", Tag("a", attributes={"b": "c", "d": ""})),
        ("<a b = 'c' >", Tag("a", attributes={"b": "c"})),
        ('<a b="c\nd" />', Tag("a", self_closing=True, attributes={"b": "c\nd"})),
        ("<a.b>", Tag("a.b")),
        ("<a,b>", None),
        ("<a / >", None),
        ("< b>", None),
        ("<", None),
        ("<a b={>", None),
        ("<a !>", None),
        ("<1>", None),
        ("<a b", None),
    ],
)  # fmt: skip
def test_a_tag_is_read_with_its_attributes_or_is_none(text: str, tag: Tag | None) -> None:
    found = Scanner(len(text)).tag(text, 0, len(text))
    assert found == (None if tag is None else (tag, len(text)))


@pytest.mark.parametrize("text", ["<a c b=>", "<a c b='>", "<a c b={>", "<a c !>", "<a c b"])
def test_a_tag_that_is_none_is_none_wherever_it_stands(text: str) -> None:
    text = f"a> {text}"
    assert Scanner(len(text)).tag(text, 3, len(text)) is None


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
        ("{/* a *//* } */}", 16),
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


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("text", -1),
        ("import of goods", -1),
        ("export it", -1),
        ("import A from 'a'\n\ntext", 17),
        ("import A from 'a'\n  \ntext", 17),
        ("import A from 'a'", 17),
        ("import A from 'a'\n", 17),
        ("export const a = 1\n \t", 18),
        ("import A from 'a'\nexport const b = {\n\n}\n\ntext", 39),
        ("export const a = `${b}`\n\ntext", 23),
        ("export const a = {\n\ntext", 18),
        ("export const a = `\n\ntext", 18),
        ("export const a = /* b\n\ntext", 27),
        ("export const a = {", 18),
        ("export const a = }\n\ntext", 18),
    ],
)
def test_code_that_never_closes_takes_no_more_than_its_paragraph(text: str, end: int) -> None:
    assert Scanner(len(text)).esm(text, 0) == end


def test_when_the_search_for_partners_has_used_up_its_time_brackets_are_text() -> None:
    text = "{" + "a" * 8000
    scanner = Scanner(0)
    assert scanner.expression("{a}", 0, 3) == 3
    assert [scanner.expression(text, 0, len(text)) for _ in range(2)] == [-1, -1]
    assert scanner.expression("{a}", 0, 3) == -1
    assert scanner.tag("<a>", 0, 3) is None


@pytest.mark.parametrize(
    "text", ["<a b='" + "c" * 8000, "<a " + "b " * 4000, "<a {" + "b" * 8000, "{/*" + "b" * 8000]
)
def test_every_search_that_finds_nothing_is_counted(text: str) -> None:
    scanner = Scanner(0)
    for _ in range(2):
        scanner.tag(text, 0, len(text))
        scanner.expression(text, 0, len(text))
    assert scanner.tag("<a>", 0, 3) is None


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("import A from './a'", Bindings(imports={"A": "./a"}, names=frozenset({"A"}))),
        (
            "import A, {b as c} from './a'\nimport {default as D} from './d'",
            Bindings(imports={"A": "./a", "D": "./d"}, names=frozenset({"A", "b", "c", "D"})),
        ),
        (
            "import A, * as B from './b'",
            Bindings(imports={"A": "./b", "B.default": "./b"}, names=frozenset({"A", "B"})),
        ),
        ("export const a = 'b'", Bindings(constants={"a": "b"}, names=frozenset({"a"}))),
        ("export const a: string = `b`;", Bindings(constants={"a": "b"}, names=frozenset({"a"}))),
        ("export let a = 2.5", Bindings(constants={"a": "2.5"}, names=frozenset({"a"}))),
        ("export const a = 'b' + c", Bindings(names=frozenset({"a"}))),
        ("export default function A() {}", Bindings(names=frozenset({"A"}))),
        (
            "export const a = ['b']\nexport const c = {d: 'e'}",
            Bindings(
                values={"a": Expression("['b']\n"), "c": Expression("{d: 'e'}")}, names=frozenset({"a", "c"})
            ),
        ),
        ("const a = 'b'", Bindings()),
    ],
)
def test_imports_and_exports_bind_names_to_paths_and_values(code: str, found: Bindings) -> None:
    assert bindings(code) == found


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("['a', `b ${c} d`]", [(0, "", "a"), (1, "", "b   d")]),
        ("{a: 'b', 'c-d': \"e\"}", [(1, "a", "b"), (1, "c-d", "e")]),
        ("[{a: 'b'}, {a: 'c'}]", [(1, "a", "b"), (3, "a", "c")]),
        ("{a: ['b', 'c'], d: 'e'}", [(1, "a", "b"), (1, "a", "c"), (1, "d", "e")]),
        ("{a: {b: 'c'}, d: 'e'}", [(2, "b", "c"), (1, "d", "e")]),
        ("[{a: <b>one <i>two</i></b>}, 'c']", [(1, "a", "one two"), (2, "", "c")]),
        ("<p>one</p><p>two</p>", [(0, "", "one two")]),
        ("['a', /* 'b' */ 'c', // 'd'\n 'https://e']", [(0, "", "a"), (1, "", "c"), (2, "", "https://e")]),
        ("['', f]", []),
        ("['', 'a']", [(1, "", "a")]),
    ],
)
def test_the_strings_of_a_literal_have_their_names_and_those_of_an_object_belong_together(
    code: str, found: list[tuple[int, str, str]]
) -> None:
    assert list(strings(code)) == [Text(*one) for one in found]

"""Tutors' markers as a reader sees them, however the stream is cut."""

import random
import re
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from preceptor.agents.citations import Citations, Cited, Text
from preceptor.library.passage import Hit, Passage, is_key
from tests.agents.growing import FULL_OF, MOST_HELD, Work, full_of


def _hit(key: str) -> Hit:
    passage = Passage(
        id=key,
        key=key,
        book="b",
        chapter="c",
        title="Chapter",
        breadcrumb=("Book", "Chapter"),
        url=f"/docs/c#{key}",
        anchor=key,
        heading="",
        position=0,
        order=0,
        ordinal=0,
        text="Text.",
        language="en",
    )
    return Hit(passage=passage, score=0.5, dense=None, bm25=None)


_MARKDOWN = MarkdownIt("commonmark", {"html": True})
SHOWN: Mapping[str, Hit] = {key: _hit(key) for key in ("k7qd", "a2bc", "m3xy2")}


def passed(pieces: list[str]) -> tuple[str, list[tuple[int, str]], int]:
    """The reader's text, the sources in order, and how many markers were dropped."""
    citations = Citations(SHOWN.get)
    text: list[str] = []
    marks: list[int] = []
    sources: list[tuple[int, str]] = []
    for out in [*map(citations.feed, pieces), citations.finish()]:
        for event in out:
            if isinstance(event, Text):
                assert event.text, "nobody is sent a piece of nothing"
                text.append(event.text)
                numbers = [event.text[mark.start : mark.end] for mark in event.marks]
                assert numbers == [f"[{mark.number}]" for mark in event.marks]
                marks.extend(mark.number for mark in event.marks)
            else:
                assert isinstance(event, Cited)
                sources.append((event.number, event.hit.passage.key))
    assert set(marks) == {number for number, _ in sources}, "a text says where its markers are"
    return "".join(text), sources, citations.unknown


CASES = [
    ("A node is a process [k7qd].", "A node is a process [1].", ["k7qd"], 0),
    ("One [a2bc], two [k7qd], one again [a2bc].", "One [1], two [2], one again [1].", ["a2bc", "k7qd"], 0),
    ("Both [k7qd, a2bc] or [ k7qd ; m3xy2 ].", "Both [1][2] or [1][3].", ["k7qd", "a2bc", "m3xy2"], 0),
    ("Numbers beside it [1, 2, 3, 4, 5, 6, k7qd].", "Numbers beside it [1].", ["k7qd"], 0),
    ("Made up [z9zz].", "Made up.", [], 1),
    ("Half made up [k7qd, z9zz].", "Half made up [1].", ["k7qd"], 1),
    ("A bare number [1] looks checked.", "A bare number looks checked.", [], 1),
    ("An index x[1] or f(y)[2] is none.", "An index x[1] or f(y)[2] is none.", [], 0),
    ("Words in [brackets] and [x] stay.", "Words in [brackets] and [x] stay.", [], 0),
    (
        "Code `a[k7qd]` and ``b[a2bc]`` stays [a2bc].",
        "Code `a[k7qd]` and ``b[a2bc]`` stays [1].",
        ["a2bc"],
        0,
    ),
    ("```py\nx = a[k7qd]\n```\nAfter [k7qd]", "```py\nx = a[k7qd]\n```\nAfter [1]", ["k7qd"], 0),
    ("A lone ` tick [k7qd]\n\nNext [a2bc].", "A lone ` tick [k7qd]\n\nNext [1].", ["a2bc"], 0),
    ("Cut off [k7qd", "Cut off", [], 1),
    ("Cut off in prose [see", "Cut off in prose [see", [], 0),
    ("اردو جملہ [k7qd]۔", "اردو جملہ [1]۔", ["k7qd"], 0),
    ("Trailing space [k7qd]  \n", "Trailing space [1]", ["k7qd"], 0),
    # numbers that are none
    ("Scaled to [0, 1] first.", "Scaled to [0, 1] first.", [], 0),
    ("The quaternion [0, 0, 0, 1] means rest.", "The quaternion [0, 0, 0, 1] means rest.", [], 0),
    (r"With $x \in [1, 2]$, $A_{[1]}$ too.", r"With $x \in [1, 2]$, $A_{[1]}$ too.", [], 0),
    (r"With \(x \in [1]\) [k7qd].", r"With \(x \in [1]\) [1].", ["k7qd"], 0),
    ("With $v = [x2ab, rows]$ too.", "With $v = [x2ab, rows]$ too.", [], 0),
    ("With v = [x2ab, rows] too.", "With v = too.", [], 1),
    ("A lone $ sign.\n\nNo number [2] here.", "A lone $ sign.\n\nNo number here.", [], 1),
    ("The first is `arr`[0] or d[`a`][1].", "The first is `arr`[0] or d[`a`][1].", [], 0),
    ("From [1, 5] to [2, 9] it grows.", "From [1, 5] to [2, 9] it grows.", [], 0),
    ("Several sources say so [1, 2].", "Several sources say so.", [], 2),
    ("A node ［１］ and 【2】 is one 【4:0†source】.", "A node and is one.", [], 4),
    ("A node [Source 1] is one [refs: 2, 3], it says [Document #4].", "A node is one, it says.", [], 4),
    ("See [Figure 1], [a source], [sources of 2] and [Source 2024].",) * 2 + ([], 0),
    ("Checked and not [k7qd][1].", "Checked and not [1].", ["k7qd"], 1),
    # code of other kinds
    ("~~~py\na[k7qd] + [1, 2]\n~~~\nAfter [k7qd]", "~~~py\na[k7qd] + [1, 2]\n~~~\nAfter [1]", ["k7qd"], 0),
    (
        "So:\n\n    a[k7qd] = [1]\n\n    b\n\nAfter [k7qd]",
        "So:\n\n    a[k7qd] = [1]\n\n    b\n\nAfter [1]",
        ["k7qd"],
        0,
    ),
    ("1. One\n\n    is a node [k7qd].", "1. One\n\n    is a node [1].", ["k7qd"], 0),
    # a number carries no link of the model's
    ("Log in [k7qd](https://evil.example).", "Log in [1] (https://evil.example).", ["k7qd"], 0),
    ("Log in [k7qd][z9zz](https://evil.example).", "Log in [1] (https://evil.example).", ["k7qd"], 1),
    (
        "As said [k7qd].\n\n[k7qd]: https://evil.example",
        "As said [1].\n\n[1] : https://evil.example",
        ["k7qd"],
        0,
    ),
    ("See[1](https://evil.example).", "See[1] (https://evil.example).", [], 0),
    ("In the text [k7qd][here].", "In the text [1] [here].", ["k7qd"], 0),
    ("Two nodes [k7qd]: a and b.", "Two nodes [1]: a and b.", ["k7qd"], 0),
    # other ways to write a key
    ("Loud [K7QD] and 【k7qd】 and [^k7qd].", "Loud [1] and [1] and [1].", ["k7qd"], 0),
    ("Named [key: k7qd] or (k7qd; a2bc).", "Named [1] or [1][2].", ["k7qd", "a2bc"], 0),
    ("Made up [Z9ZZ] [a1b2] 【z9zz】 [^z9zz] [key: z9zz].", "Made up.", [], 5),
    ("A codec (h264) and a card [A100] stay.", "A codec (h264) and a card [A100] stay.", [], 0),
    (
        "Raised ^k7qd^ and <sup>k7qd</sup> and <cite>k7qd</cite>.",
        "Raised ^[1]^ and <sup>[1]</sup> and <cite>[1]</cite>.",
        ["k7qd"],
        0,
    ),
    ("Angles ‹k7qd› and ‹z9zz› and a ‹node›.", "Angles [1] and and a ‹node›.", ["k7qd"], 1),
    ("|a|k7qd|\n|k7qd|b|", "|a|[1]|\n|[1]|b|", ["k7qd"], 0),
    # at the end of a clause it needs no brackets
    ("So k7qd says, see k7qd. In k7qd.py not.", "So k7qd says, see [1]. In k7qd.py not.", ["k7qd"], 0),
    ("- A node, k7qd\n- **k7qd**, a2bc", "- A node, [1]\n- **[1]**, [2]", ["k7qd", "a2bc"], 0),
    # a word of the answer is a word in parentheses, too
    ("Files are read by h5py. A library (h5py) [z9zz].", "Files are read by h5py. A library (h5py).", [], 1),
    # one fault each
    ("The index `arr`[1] stays.", "The index `arr`[1] stays.", [], 0),
    ("A vector [1, 1].", "A vector [1, 1].", [], 0),
    ("Twice [k7qd, k7qd].", "Twice [1].", ["k7qd"], 0),
    ("Cut off in `code[k7qd", "Cut off in `code[k7qd", [], 0),
    ("```py\ncut = off[k7qd", "```py\ncut = off[k7qd", [], 0),
    ("```py\na[z9zz]\n`````\nAfter [z9zz].", "```py\na[z9zz]\n`````\nAfter.", [], 1),
    (
        "````md\n```py\na[z9zz]\n```\n[z9zz]\n````\n[z9zz]!",
        "````md\n```py\na[z9zz]\n```\n[z9zz]\n````\n!",
        [],
        1,
    ),
    ("- An item\n\nProse.\n\n    code[k7qd]\n", "- An item\n\nProse.\n\n    code[k7qd]", [], 0),
    ("It costs 5 $ a month. Not [2].", "It costs 5 $ a month. Not.", [], 1),
    ("Half a key [k7", "Half a key", [], 0),
    ("Half a key 【 k7q", "Half a key", [], 0),
    ("A formula that is cut off: $x [k7", "A formula that is cut off: $x [k7", [], 0),
    ("A word [node", "A word [node", [], 0),
    ("Cut off [k7qd, a2bc", "Cut off", [], 1),
    ("Numbers [0], [1; 2], [ 3 ] and [1000].", "Numbers [0],, and [1000].", [], 3),
    ("Twice the same [2, 2] or [3, 1].", "Twice the same [2, 2] or [3, 1].", [], 0),
    ("In x_[1] and y)[1] and z}[1].", "In x_[1] and y)[1] and z}[1].", [], 0),
    ("[1] and k7qd.", " and [1].", ["k7qd"], 1),
    ("k7qd, and more.", "[1], and more.", ["k7qd"], 0),
    ("See [label](z9zz) and f(z9zz).", "See [label] and f(z9zz).", [], 1),
    ("A list [1, 2] of two, then [1, 2]\nand [1, 2]", "A list [1, 2] of two, then\nand", [], 4),
    ("After a marker [k7qd]a[1] and [k7qd] [1].", "After a marker [1]a[1] and [1].", ["k7qd"], 1),
    ("A [one two three four k7qd].", "A [1].", ["k7qd"], 0),
    ("A [one two three four five z9zz].", "A [one two three four five z9zz].", [], 0),
    ("A [one, two, three, four, z9zz].", "A.", [], 1),
    ("A [one two three four z9zz].", "A [one two three four z9zz].", [], 0),
    ("A [one two three four , z9zz].", "A.", [], 1),
    ("A 【one, z9zz】 and a file (`z9zz`).", "A and a file (`z9zz`).", [], 1),
    ("An _k7qd_, a __z9zz__, an _ [1].", "An _k7qd_, a __z9zz__, an _.", [], 1),
    (f"A [{', '.join(['k7qd'] * 16)}].", "A [1].", ["k7qd"], 0),
    (f"{'`' * 64}\na[z9zz]\n{'`' * 64}\nSaid [z9zz].", f"{'`' * 64}\na[z9zz]\n{'`' * 64}\nSaid.", [], 1),
    ("A [one,\n\nz9zz] and [k7qd,\n a2bc].", "A [one,\n\nz9zz] and [1][2].", ["k7qd", "a2bc"], 0),
    ("Run ./k7qd. Mail a@k7qd. See x-k7qd, k7qd!", "Run ./k7qd. Mail a@k7qd. See x-k7qd, [1]!", ["k7qd"], 0),
    ("A k7qd, a2bc; m3xy2? z9zz.", "A [1], [2]; [3]? z9zz.", ["k7qd", "a2bc", "m3xy2"], 0),
    ("$k7qd$ and $x$ k7qd", "$k7qd$ and $x$ [1]", ["k7qd"], 0),
    ("The K7QD.", "The K7QD.", [], 0),
    # formulas, code and lists
    ("$$x$$ [1]. \\[x\\] [1]. \\(y\\) [1].", "$$x$$. \\[x\\]. \\(y\\).", [], 3),
    ("$$x [1] $ [1]$$ [1].", "$$x [1] $ [1]$$.", [], 1),
    ("\\[x $ [1] \\) [1] \\] [1].", "\\[x $ [1] \\) [1] \\].", [], 1),
    ("\\(x [1]\n[1]\n\n[1].", "\\(x [1]\n[1]\n\n.", [], 1),
    ("``a ` [z9zz] `` [z9zz].", "``a ` [z9zz] ``.", [], 1),
    ("`a [z9zz]\n[z9zz]` [z9zz].", "`a [z9zz]\n[z9zz]`.", [], 1),
    ("~~~~\n[z9zz]\n~~~\n[z9zz]\n~~~~ [z9zz]\n[z9zz]!", "~~~~\n[z9zz]\n~~~\n[z9zz]\n~~~~ [z9zz]\n!", [], 1),
    ("A ~~~ b [z9zz].", "A ~~~ b.", [], 1),
    ("~~ [z9zz].", "~~.", [], 1),
    ("A\n    b [z9zz].", "A\n    b.", [], 1),
    ("A\n\n   b [z9zz].", "A\n\n   b.", [], 1),
    ("A\n\n\tb [z9zz].\n\n  \tc [z9zz].", "A\n\n\tb [z9zz].\n\n  \tc [z9zz].", [], 0),
    (
        "A\n\n    b [z9zz]\n    c [z9zz]\nd\n    e [z9zz].",
        "A\n\n    b [z9zz]\n    c [z9zz]\nd\n    e.",
        [],
        1,
    ),
    *(
        (f"{item} a\n\n      b [z9zz].", f"{item} a\n\n      b.", [], 1)
        for item in ("-", "*", "+", "1.", "12)", "123456789.")
    ),
    *(
        (f"{item}\n\n    b [z9zz].", f"{item}\n\n    b [z9zz].", [], 0)
        for item in ("-a", "1.a", "1234567890. a", "1: a", "a - b")
    ),
    ("- a\n  b\n\n    c [z9zz].", "- a\n  b\n\n    c.", [], 1),
    ("- a\nb c d\n\n    c [z9zz].", "- a\nb c d\n\n    c [z9zz].", [], 0),
    ("- a\n b\n\n    c [z9zz].", "- a\n b\n\n    c.", [], 1),
    ("- a\n  ```\nb\n  ```\n\n    c [z9zz].", "- a\n  ```\nb\n  ```\n\n    c.", [], 1),
    ("    a ``` b\nAfter [z9zz].", "    a ``` b\nAfter.", [], 1),
    ("    a ` $ b [z9zz]\nAfter [z9zz].", "    a ` $ b [z9zz]\nAfter.", [], 1),
    ("~~~\na ``` b $ c\n~~~\nAfter [z9zz].", "~~~\na ``` b $ c\n~~~\nAfter.", [], 1),
    ("```\na ~~~\n~~~\n```\nAfter [z9zz].", "```\na ~~~\n~~~\n```\nAfter.", [], 1),
    ("```\n    a\n\n    b\n```\n    After [z9zz].", "```\n    a\n\n    b\n```\n    After.", [], 1),
    ("A\n \t\n \t b [z9zz].\n  c [z9zz].", "A\n \t\n \t b [z9zz].\n  c.", [], 1),
    ("- a\nb\n\n    c [z9zz].", "- a\nb\n\n    c [z9zz].", [], 0),
]

FORMS = [
    "[KEY]",
    "(KEY)",
    "[ KEY ]",
    "[source: KEY]",
    "[Textstelle： KEY]",
    "[来源：KEY]",
    "[KEY，KEY、KEY]",
    "（出典：KEY）",
    "[ref KEY]",
    "[Quelle: KEY]",
    "(see KEY)",
    "(cf. KEY)",
    "[KEY.]",
    "[#KEY]",
    "[^KEY]",
    '[key="KEY"]',
    "［KEY］",
    "（KEY）",
    "【KEY】",
    "〔KEY〕",
    "〖KEY〗",
    "⟦KEY⟧",
    "<KEY>",
    "{KEY}",
    "[[KEY]]",
    "((KEY))",
    "([KEY])",
    "[(KEY)]",
    "[**KEY**]",
    "[_KEY_]",
    "\\[KEY\\]",
    "【1†KEY】",
    "[KEY†L1-L3]",
    "[KEY: Nodes]",
    "[KEY, Chapter 3]",
    "[Nodes, p. 3; KEY]",
    "[KEY/KEY]",
    "[KEY-KEY]",
    "[KEY|KEY]",
    "[KEY and KEY]",
    "(source: KEY; see also KEY)",
    "[KEY,\nKEY]",
    "(KEY, KEY)",
    "[\\_KEY\\_]",
]
"""Ways in which models write keys."""

UNUSUAL = [
    *(
        "[k 7 q d]",
        "[ K 7  Q D ]",
        "[k\u00a07\u00a0q\u00a0d]",
        "[k.7.q.d]",
        "[k-7-q-d]",
        "[k_7_q_d]",
        "(k 7 q d)",
        "([k 7 q d])",
    ),
    *("[ｋ７ｑｄ]", "［Ｋ７ＱＤ］", "(ｋ７ｑｄ)", "【ｋ 7 ｑ d】", "[𝐤𝟕𝐪𝐝]", "[ⓚ⑦ⓠⓓ]", "[ᵏ⁷qᵈ]", "[𝗄7qd]"),
    *(
        "&#91;k7qd&#93;",
        "&#x5b;k7qd&#X5D;",
        "&lbrack;k7qd&rbrack;",
        "&lsqb;k7qd]",
        "[k7qd&#93;",
        "&lpar;k7qd&rpar;",
    ),
    *(
        "&#40;see k7qd&#41;",
        "[&#107;7qd]",
        "[k&#55;qd]",
        "&#091;&#107;&#55;&#113;&#100;&#093;",
        "[k&nbsp;7&nbsp;q&nbsp;d]",
    ),
    *(
        "[k\u200b7\u200dqd]",
        "[\u2060k7qd\ufeff]",
        "[k\u00ad7qd]",
        "[k\u03327\u0332q\u0332d\u0332]",
        "\\[k&#8203;7qd\\]",
    ),
    "[source: k\u200b7qd]",
]
"""Ways in which a key is seen as one, though its characters are others or stand apart."""

SURVIVORS = [
    *(
        "[a b c d]",
        "[x 2]",
        "(x 2 y)",
        "(a, 2, b, c)",
        "(a-2-b-c)",
        "(v2 api)",
        "[h2 tag]",
        "[p5 js]",
        "(k8 sx)",
        "[1 2 3 4]",
    ),
    *(
        "R&D",
        "[R&D]",
        "AT&T (a&b)",
        "&lt;b&gt;",
        "&amp;[x]",
        "`&#91;k7qd&#93;`",
        "&#91;x&#93;",
        "&nosuch;[x]",
        "&#91 k7qd &",
        "x[²]",
    ),
    *("(𝐱𝟐)", "[नोड है]", "(a\u0301b)", "f&#40;h5py&#41;", "[a\u200bb]", "&(", "(&", "[&#9", "&#x"),
    "(ros2)",
    "(2024)",
    "(h264)",
    "[2D]",
    "[A100]",
    "(P3DX)",
    "(see h264)",
    "(Ubuntu 22.04)",
    "[Chapter 3](chapter3)",
    "[x]",
    "[ ]",
    "[citation needed]",
    "[see Fig. 2]",
    "f(x2yz)",
    "open(h5py)",
    "$f(x2yz)$",
    "$(x2yz)$",
    "`arr[abc1]`",
    "`(k7qd)`",
    "[0, 1)",
    "(0, 1]",
    "a[0][1]",
    "{a}",
    "<h2>",
    "x < y > z",
    "[h5py docs](https://docs.h5py.org)",
    "[using h5py]",
    "[0]",
    "[3, 2]",
    "[2024]",
    "(a, b)",
    "[…]",
    "[`h5py`](https://www.h5py.org)",
    "[`k5`]",
    "(e.g. [docs](https://ok.example))",
    "- [ ] to do",
    "「h5py」",
    "“h5py”",
    "h5py",
    "d3js",
    "HDF5 (by h5py and others)",
    "[[wiki]]",
    "((a))",
    "<b>bold</b>",
    "\\(f(x2yz)\\)",
]
"""Texts in which nothing is a key, though some words could be one by their form."""


@pytest.mark.parametrize("form", FORMS)
def test_a_shown_key_is_a_citation_however_it_is_written(form: str) -> None:
    written = f"A node {form.replace('KEY', 'k7qd')}, and more."
    assert passed([written]) == ("A node [1], and more.", [(1, "k7qd")], 0)
    assert passed(list(written)) == passed([written])


@pytest.mark.parametrize("form", FORMS)
def test_a_key_that_was_never_shown_is_dropped_however_it_is_written(form: str) -> None:
    written = f"A node {form.replace('KEY', 'z9zz')}, and more."
    assert passed([written]) == ("A node, and more.", [], form.count("KEY"))
    assert passed(list(written)) == passed([written])


@pytest.mark.parametrize("form", UNUSUAL)
def test_a_key_is_read_as_a_reader_sees_it(form: str) -> None:
    written = f"A node {form}, and more."
    assert passed([written]) == ("A node [1], and more.", [(1, "k7qd")], 0)
    assert passed(list(written)) == passed([written])
    citations = Citations({}.get)
    text = "".join(out.text for out in citations.feed(written) if isinstance(out, Text))
    assert (text, citations.unknown) == ("A node, and more.", 1)


def test_the_parts_of_a_shown_key_are_the_key() -> None:
    for written in ("A node [k7 qd].", "A node (see k7qd, or k7 qd).", "A node (k7 qd)."):
        assert passed(list(written)) == passed([written])
    assert passed(["A node [k7 qd] or (k7 qd)."])[:2] == ("A node [1] or [1].", [(1, "k7qd")])


LABELS = [
    *("source", "sources", "ref", "refs", "reference", "references", "key", "keys", "id"),
    *("ids", "cite", "cites", "cited", "citing", "citation", "citations", "passage", "passages"),
    *("quote", "quotes", "quotation", "quotations", "see", "cf", "also", "from", "per"),
    *("in", "and", "or", "siehe", "vgl", "quelle", "quellen", "und", "oder"),
    *("voir", "et", "ou", "fuente", "fuentes", "véase", "ver", "y", "fonte"),
    *("fontes", "fonti", "vedi", "e", "ماخذ", "حوالہ", "دیکھیے", "اور", "SEE"),
    *("bron", "bronnen", "zie", "kaynak", "sumber", "источник", "см", "джерело", "див", "πηγή"),
    *("المصدر", "مصدر", "منبع", "מקור", "来源", "來源", "出处", "出處", "出典", "출처"),
    *("doc", "document", "documents", "chunk", "snippet", "excerpt", "context"),
]


@pytest.mark.parametrize("label", LABELS)
def test_a_word_for_a_source_beside_a_key_says_nothing_of_its_own(label: str) -> None:
    assert passed([f"A node ({label} z9zz), and more."]) == ("A node, and more.", [], 1)
    assert passed([f"A node [{label} z9zz], and more."]) == ("A node, and more.", [], 1)
    assert passed([f"A node (x{label} z9zz), and more."])[2] == 0


@pytest.mark.parametrize("form", SURVIVORS)
def test_what_holds_no_key_stays_as_it_is(form: str) -> None:
    for written in (f"Said {form}, and more.", f"{form}\n\nMore.", f"- {form}\n- {form}!"):
        assert passed([written]) == (written, [], 0)
        assert passed(list(written)) == passed([written])


LINKED = [
    "[[k7qd]](https://evil.example)",
    "[a [k7qd]](https://evil.example)",
    "[a [k7qd] b](javascript:alert)",
    "[a\n[b **[k7qd]**]](https://evil.example)",
    "[a ![k7qd](https://evil.example/i.png)](https://evil.example)",
    "[a [k7qd]][here]\n\n[here]: https://evil.example",
    "[a [k7qd]][]\n\n[a [k7qd]]: https://evil.example",
    "[a (k7qd)](https://evil.example)",
    "[a \\] [k7qd]](https://evil.example)",
    "[a [k7qd][z9zz]](https://evil.example)",
    "[see k7qd](https://evil.example)",
    "[these are many words before the key: k7qd](https://evil.example)",
    "[k7qd](javascript:alert)",
    "[k7qd] [z9zz](https://evil.example)",
    "[k7qd][here]\n\n[here]: https://evil.example",
    "[k7qd]: https://evil.example\n\nA node [k7qd].",
    "1. [k7qd]: https://evil.example\n\nA node [k7qd].",
    "> [a [k7qd]]: https://evil.example\n\nA [a [k7qd]].",
    '<a href="https://evil.example">[k7qd]</a>',
    '<A\nHREF="https://evil.example">see <b>this [k7qd] and [a2bc]</b></A>',
    "https://evil.example/[k7qd]",
    "(www.evil.example)[k7qd]",
]


@pytest.mark.parametrize("written", LINKED)
def test_no_number_is_part_of_a_link_of_the_models(written: str) -> None:
    text, sources, _ = passed([written])
    assert passed(list(written))[0] == text
    assert sources
    html = _MARKDOWN.render(text)
    assert "[1]" in re.sub(r"<[^>]*>", "", html), "the reader still sees it"
    assert not re.search(r"<(a|img)\b[^>]*\[\d|<a\b[^>]*>(?:(?!</a>).)*\[\d", html, re.DOTALL | re.IGNORECASE)
    assert not re.search(r"(?:://|www\.)[^\s<]*\[\d", text), "an address ends before it"


def test_links_beside_citations_stay_links() -> None:
    written = "A node [k7qd]. See [the docs](https://ok.example), [more][1a] and <a href='x'>this</a> [k7qd]."
    assert passed([written])[0] == written.replace("k7qd", "1")


@pytest.mark.parametrize("opening", "[(")
def test_many_keys_in_a_bracket_that_never_closes_are_read_in_no_time(opening: str) -> None:
    """In exponential time this would outlast the machine."""
    written = opening + "a2bc " * 200 + "!"
    assert passed([written]) == (written, [], 0)


@pytest.mark.parametrize(("written", "shown", "keys", "unknown"), CASES)
def test_markers_are_checked_and_renumbered(written: str, shown: str, keys: list[str], unknown: int) -> None:
    text, sources, dropped = passed([written])
    assert text == shown
    assert sources == list(enumerate(keys, start=1))
    assert dropped == unknown


@pytest.mark.parametrize("written", [case[0] for case in CASES])
def test_it_does_not_matter_where_the_stream_is_cut(written: str) -> None:
    whole = passed([written])
    assert passed(list(written)) == whole
    for seed in range(12):
        cut = random.Random(seed)
        places = sorted(cut.sample(range(len(written) + 1), k=min(len(written), cut.randint(1, 12))))
        pieces = [written[a:b] for a, b in zip([0, *places], [*places, len(written)], strict=True)]
        assert passed(pieces) == whole, pieces


PIECES = [
    "[k7qd]",
    "[z9zz]",
    "[a2bc,k7qd]",
    "`",
    "```",
    "word",
    "[",
    "]",
    "[1]",
    "x[2]",
    "$",
    "~~~",
    "-",
    "(a2bc)",
    "(u)",
    ":",
    "\\",
    "\n",
    "\n\n",
    " ",
    "\n    ",
    "- ",
    "[0, 1]",
]
HALVES = [
    r"\[",
    r"\]",
    r"k7qd",
    r"k7",
    r"qd",
    r"h264",
    r"z9zz",
    r"(",
    r")",
    r"<",
    r">",
    r"</a>",
    r"【1†",
    r"】",
    r"**",
    r"_",
    r"://",
    r"www.",
    r"1.",
    r",",
    r"#",
    r"-",
    r"&",
    r"and",
    r"see",
    r"5",
    "<a ",
    "see ",
    "\t",
    "\r\n",
    " " * 70,
    "`" * 70,
    "~" * 70,
    "a" * 90,
    "[" * 5,
    "&#91;",
    "&#",
    "93;",
    "&lpar;",
    "k 7 q d",
    "k 7",
    "ｋ",
    "\u200b",
    "\u0332",
    "the words ",
]


@settings(max_examples=150)
@given(st.lists(st.sampled_from(PIECES), max_size=14), st.integers(1, 5))
def test_no_unknown_key_reaches_the_reader_outside_code(words: list[str], step: int) -> None:
    written = "".join(words)
    text, sources, _ = passed([written[place : place + step] for place in range(0, len(written), step)])
    assert passed([written])[0] == text
    if not any(code in written for code in ("`", "~", "    ")):
        assert "z9zz" not in text
        assert "k7qd" not in text
        # A bracket that is escaped begins no link.
        assert not re.search(r"(?<!\\\[)\d\]\(", text)
        assert "\n[1]:" not in text
    assert [number for number, _ in sources] == list(range(1, len(sources) + 1))


@settings(max_examples=150)
@given(st.lists(st.sampled_from(PIECES + HALVES), max_size=16), st.data())
def test_any_cut_of_any_text_gives_the_same(words: list[str], data: st.DataObject) -> None:
    written = "".join(words)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(written)), max_size=20)))
    pieces = [written[a:b] for a, b in zip([0, *cuts], [*cuts, len(written)], strict=True)]
    assert passed(pieces) == passed([written]) == passed(list(written))


BLOCKS = [
    *((f"Said {form.replace('KEY', 'z9zz')}.", "Said.") for form in FORMS),
    *((f"Said {form.replace('KEY', 'k7qd')}.", "Said [1].") for form in FORMS),
    *((f"Code `a{form}` [z9zz].", f"Code `a{form}`.") for form in ("[z9zz]", "(k7qd)", "[1]")),
    *(
        (f"{fence}py\na[z9zz] = (k7qd)\n\n$ b\n{fence}{longer}", None)
        for fence in ("```", "````", "~~~")
        for longer in ("", fence[0] * 3)
    ),
    ("````md\n```py\na[z9zz]\n```\n[k7qd]\n````", None),
    ("    a[z9zz]\n\n    b[k7qd]", None),
    ("- One [z9zz]\n\n  It costs 5 $ [2].\n\nSaid.", "- One\n\n  It costs 5 $.\n\nSaid."),
    ("A lone ` tick.", None),
    ("A lone $ sign and $x_{[1]}$.", None),
]


@settings(max_examples=150)
@given(st.lists(st.sampled_from(BLOCKS), min_size=1, max_size=8))
def test_no_unknown_key_reaches_the_reader_beside_code_and_code_stays(
    blocks: list[tuple[str, str | None]],
) -> None:
    written = "\n\n".join(before for before, _ in blocks)
    assert passed([written])[0] == "\n\n".join(after or before for before, after in blocks)


def test_a_source_comes_before_the_text_that_holds_its_number() -> None:
    citations = Citations(SHOWN.get)
    events = list(citations.feed("A node [k7qd] runs. "))
    assert [type(event) for event in events] == [Text, Cited, Text]


@pytest.mark.parametrize("marker", ["[k7qd]", "[[k7qd]]", "\\[k7qd\\]", "(k7qd)", "[(k7qd)]"])
def test_a_marker_that_is_closed_waits_for_nothing(marker: str) -> None:
    citations = Citations(SHOWN.get)
    assert [type(event) for event in citations.feed(f"A node {marker}")] == [Text, Cited, Text]


def test_words_and_numbers_are_no_keys() -> None:
    assert [word for word in ("node", "ros2", "2024", "1", "fig3", "a1", "gpt4") if is_key(word)] == []


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    """Counts what the filter reads, in characters, so that nothing depends on the machine."""
    work = Work()
    for module in ("preceptor.text.verbatim", "preceptor.agents.citations"):
        monkeypatch.setattr(f"{module}.look", work.look)
    return work


@pytest.mark.parametrize("kind", FULL_OF)
@pytest.mark.parametrize("piece", [1, 1_000_000])
def test_the_work_grows_as_the_answer_does(kind: str, piece: int, work: Work) -> None:
    lengths = (1_000, 2_000, 4_000)
    short, double, long = (work.filter(full_of(kind, length), size=piece) for length in lengths)
    assert double <= 2.1 * short
    assert long <= 4.2 * short
    assert work.most_held <= MOST_HELD


@pytest.mark.parametrize("kind", ["spaces", "prose"])
def test_a_piece_two_hundred_times_as_long_is_two_hundred_times_the_work(kind: str, work: Work) -> None:
    short, long = (work.filter(full_of(kind, length), size=length) for length in (1_000, 200_000))
    assert long <= 220 * short

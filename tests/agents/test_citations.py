"""What a reader sees of a tutor's markers, however the stream is cut."""

import random
import re
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preceptor.agents.citations import Citations, Cited, Text
from preceptor.library.passage import Hit, Passage, is_key


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
    ("A lone $ sign.\n\nNo number [2] here.", "A lone $ sign.\n\nNo number here.", [], 1),
    ("The first is `arr`[0] or d[`a`][1].", "The first is `arr`[0] or d[`a`][1].", [], 0),
    ("From [1, 5] to [2, 9] it grows.", "From [1, 5] to [2, 9] it grows.", [], 0),
    ("Several sources say so [1, 2].", "Several sources say so.", [], 2),
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
]


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
    for seed in range(60):
        cut = random.Random(seed)
        places = sorted(cut.sample(range(len(written) + 1), k=min(len(written), cut.randint(1, 12))))
        pieces = [written[a:b] for a, b in zip([0, *places], [*places, len(written)], strict=True)]
        assert passed(pieces) == whole, pieces


@settings(max_examples=400)
@given(
    st.lists(
        st.sampled_from(
            [
                "[k7qd]",
                "[z9zz]",
                "[a2bc,k7qd]",
                "`",
                "```",
                "\n",
                "\n\n",
                " ",
                "word",
                "[",
                "]",
                "[1]",
                "x[2]",
                "$",
                "~~~",
                "\n    ",
                "- ",
                "[0, 1]",
                "(a2bc)",
                "(u)",
                ":",
                "\\",
            ]
        ),
        max_size=14,
    ),
    st.integers(1, 5),
)
def test_no_unknown_key_reaches_the_reader_outside_code(words: list[str], step: int) -> None:
    written = "".join(words)
    text, sources, _ = passed([written[place : place + step] for place in range(0, len(written), step)])
    assert passed([written])[0] == text
    if not any(code in written for code in ("`", "~", "    ")):
        assert "z9zz" not in text
        assert "k7qd" not in text
        assert not re.search(r"\d\]\(", text)
        assert "\n[1]:" not in text
    assert [number for number, _ in sources] == list(range(1, len(sources) + 1))


def test_a_source_comes_before_the_text_that_holds_its_number() -> None:
    citations = Citations(SHOWN.get)
    events = list(citations.feed("A node [k7qd] runs. "))
    assert [type(event) for event in events] == [Text, Cited, Text]


def test_words_and_numbers_are_no_keys() -> None:
    assert [word for word in ("node", "ros2", "2024", "1", "fig3", "a1", "gpt4") if is_key(word)] == []

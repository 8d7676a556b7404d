"""Passages: nothing lost, nothing too long, each with its place."""

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit

from preceptor.indexing.discover import discover
from preceptor.indexing.page import Page
from preceptor.indexing.parse import read_page
from preceptor.library.passage import Passage, is_key, passage_id
from preceptor.settings import SiteSettings
from tests.indexing.pages import SITE, cut, model_tokenizer, page_of, pages_of

_FENCES = re.compile(r"^(?:`{3,}.*|\$\$)$", re.MULTILINE)
_TABLE_TOP = re.compile(r"^\|.*\n(?:\|---)+\|$", re.MULTILINE)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return model_tokenizer()


def _joined(text: str) -> str:
    """Without white space, and without what passages may repeat: fences and the tops of tables."""
    return re.sub(r"\s", "", _FENCES.sub("", _TABLE_TOP.sub("", text)))


def _check(page: Page, tokenizer: Tokenizer, size: int) -> None:
    made = cut(page, tokenizer, size=size)
    if page.status == "published":
        assert _joined("\n".join(passage.text for passage in made)) == _joined(page.text)
    encodings = tokenizer.encode_batch([passage.embedded_text for passage in made])
    assert all(len(encoding.ids) <= size for encoding in encodings)
    assert all(passage.text.strip() and is_key(passage.key) for passage in made)
    assert [passage.order for passage in made] == list(range(len(made)))
    assert len({passage.id for passage in made}) == len({passage.key for passage in made}) == len(made)


_WORDS = st.sampled_from(
    [
        "robot",
        "`rclpy`",
        "**joint**",
        "[link](x.md)",
        "$x^2$",
        "ünïcode",
        "روبوٹ",
        "机器人",
        "antidisestablishmentarianism",
        "😀",
    ]
)
_LINES = st.lists(_WORDS, min_size=1, max_size=12).map(" ".join)
_PROSE = st.lists(_LINES, min_size=1, max_size=8).map(". ".join)
_CODE_LINES = st.lists(
    st.sampled_from(["x = 1", "    y()", "", "# c", "print('" + "z" * 90 + "')"]), min_size=1, max_size=40
)
_BLOCKS = st.one_of(
    _PROSE,
    st.builds("{} {}".format, st.sampled_from(["#", "##", "###"]), _LINES),
    st.lists(_PROSE, min_size=1, max_size=5).map(lambda items: "\n".join(f"- {item}" for item in items)),
    _CODE_LINES.map(lambda lines: '```py title="a.py"\n' + "\n".join(lines) + "\n```"),
    st.lists(st.tuples(_LINES, _LINES), min_size=1, max_size=20).map(
        lambda rows: "\n".join(["| A | B |", "|---|---|", *(f"| {one} | {two} |" for one, two in rows)])
    ),
    _PROSE.map(lambda text: f":::note {text[:30].replace('[', '').replace('|', '')}\n\n{text}\n\n:::"),
    _PROSE.map(lambda text: f"<Tabs>\n<TabItem value='a' label='A'>\n\n{text}\n\n</TabItem>\n</Tabs>"),
    _PROSE.map(lambda text: f"> {text}"),
    st.just("$$\n\\frac{a}{b}\n$$"),
)


@pytest.mark.long
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(blocks=st.lists(_BLOCKS, max_size=10), size=st.sampled_from([32, 48, 64, 200, 512]))
def test_joined_passages_give_back_the_page(
    tmp_path: Path, tokenizer: Tokenizer, blocks: list[str], size: int
) -> None:
    _check(page_of(tmp_path, "\n\n".join(blocks)), tokenizer, size)


@pytest.mark.long
@pytest.mark.parametrize(
    "name", ["physical-ai-textbook", "deep-rl-course", "redux-docs", "docusaurus-website"]
)
def test_joined_passages_give_back_every_page_of_a_real_book(
    shared: Path, tokenizer: Tokenizer, name: str
) -> None:
    book = discover(shared / "books" / name, SITE)
    for file in book.files:
        _check(read_page(book, file), tokenizer, 200)


def test_a_passage_knows_its_place(tmp_path: Path, tokenizer: Tokenizer) -> None:
    files = {
        "docs/1-ros/_category_.json": '{"label": "ROS 2"}',
        "docs/1-ros/2-nodes.md": "# Nodes\n\nabove\n\n## Life\n\none\n\n### Birth\n\ntwo\n\n## Life\n\nthree",
    }
    page = pages_of(tmp_path, files, SiteSettings(url="https://b.io"))["docs/1-ros/2-nodes.md"]
    made = cut(page, tokenizer)
    assert [(passage.header, passage.url, passage.heading, passage.text) for passage in made] == [
        ("Robots › ROS 2 › Nodes", "https://b.io/docs/ros/nodes", "", "above"),
        ("Robots › ROS 2 › Nodes › Life", "https://b.io/docs/ros/nodes#life", "Life", "one"),
        ("Robots › ROS 2 › Nodes › Life › Birth", "https://b.io/docs/ros/nodes#birth", "Birth", "two"),
        ("Robots › ROS 2 › Nodes › Life", "https://b.io/docs/ros/nodes#life-1", "Life", "three"),
    ]
    assert made[1].id == passage_id("robots", "ros/nodes", "life", 0)
    assert {(passage.chapter, passage.title, passage.book, passage.language) for passage in made} == {
        ("ros/nodes", "Nodes", "robots", "en")
    }


def test_a_passage_has_the_images_whose_words_it_has(tmp_path: Path, tokenizer: Tokenizer) -> None:
    text = f"""# Arms

![The whole *arm*](/img/arm.png) ![](/img/ornament.png) ![Elsewhere](https://other.example/a.png)

## Joints

{"More of it. " * 40}

![A joint
from the side](/img/joint.png)

| Part | Picture |
|---|---|
| Hand | ![A hand](/img/hand.png) |

<img src="/docs/tag.png" alt="A tag" />

Without a picture.
"""
    made = cut(page_of(tmp_path, text), tokenizer, size=60)
    shown = [(passage.heading, image.url, image.alt) for passage in made for image in passage.images]
    assert shown == [
        ("", "/img/arm.png", "The whole arm"),
        ("Joints", "/img/joint.png", "A joint from the side"),
        ("Joints", "/img/hand.png", "A hand"),
        ("Joints", "/docs/tag.png", "A tag"),
    ]
    for passage in made:
        assert all(" ".join(image.alt.split()) in " ".join(passage.text.split()) for image in passage.images)
        assert Passage.from_payload(passage.id, json.loads(json.dumps(passage.payload()))) == passage
        # Nothing else is stored than before there were images.
        assert ("images" in passage.payload()) == bool(passage.images)


def test_sections_that_share_an_anchor_share_their_numbering(tmp_path: Path, tokenizer: Tokenizer) -> None:
    made = cut(page_of(tmp_path, "# A\n\none\n\n# B\n\ntwo\n\n# C\n\nthree"), tokenizer)
    assert [(passage.anchor, passage.ordinal) for passage in made] == [("", 0), ("", 1), ("", 2)]


def test_what_is_not_published_makes_no_passage(tmp_path: Path, tokenizer: Tokenizer) -> None:
    pages = pages_of(
        tmp_path, {"a.md": "---\ndraft: true\n---\nx", "_b.md": "x", "c.md": "x", "d.md": "## Empty"}
    )
    assert {name: len(cut(page, tokenizer)) for name, page in pages.items()} == {
        "a.md": 0, "_b.md": 0, "c.md": 1, "d.md": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "```\n" + "QUJDREVGR0hJ" * 2000 + "\n```",
        "x" * 20_000,
        "หุ่นยนต์เป็นเครื่องจักรที่สามารถทำงานได้โดยอัตโนมัติ " * 200,
    ],
)
def test_what_the_tokenizer_does_not_know_is_cut_all_the_same(
    tmp_path: Path, tokenizer: Tokenizer, text: str
) -> None:
    page = page_of(tmp_path, text)
    _check(page, tokenizer, 200)
    assert max(len(passage.text) for passage in cut(page, tokenizer)) < 1000


class _Counting:
    """A tokenizer that counts the characters that it is shown."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self.shown = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tokenizer, name)

    def encode(self, text: str, **options: Any) -> Any:
        self.shown += len(text)
        return self._tokenizer.encode(text, **options)


def test_long_prose_without_a_stop_takes_work_by_its_length(tmp_path: Path, tokenizer: Tokenizer) -> None:
    def work(count: int) -> int:
        counting = _Counting(tokenizer)
        cut(page_of(tmp_path, "机器人是一种机器" * count), cast("Tokenizer", counting), size=64)
        return counting.shown

    assert work(800) < 5 * work(200)


def test_a_table_that_is_cut_repeats_its_header(tmp_path: Path, tokenizer: Tokenizer) -> None:
    rows = [f"| joint {number} | {number * 7} Nm |" for number in range(30)]
    made = cut(page_of(tmp_path, "\n".join(["| Joint | Torque |", "|---|---|", *rows])), tokenizer, size=80)
    assert len(made) > 3
    assert all(passage.text.startswith("| Joint | Torque |\n|---|---|\n| joint") for passage in made)
    assert [row for passage in made for row in passage.text.splitlines()[2:]] == rows


def test_code_is_cut_between_lines_and_each_part_has_its_fences(tmp_path: Path, tokenizer: Tokenizer) -> None:
    lines = [f"    value_{number} = compute({number})" for number in range(40)]
    made = cut(page_of(tmp_path, "\n".join(['```py title="a.py"', *lines, "```"])), tokenizer, size=100)
    assert len(made) > 3
    for passage in made:
        first, *_, last = passage.text.splitlines()
        assert (first, last) == ('```py title="a.py"', "```")
    assert [line for passage in made for line in passage.text.splitlines()[1:-1]] == lines


def test_blocks_that_fit_stay_whole_and_together(tmp_path: Path, tokenizer: Tokenizer) -> None:
    prose = "A node is a process that computes. " * 8
    code = "```py\n" + "\n".join(f"call({number})" for number in range(20)) + "\n```"
    made = cut(page_of(tmp_path, f"{prose}\n\n{code}\n\nShort.\n\nShorter."), tokenizer, size=160)
    assert [passage.text for passage in made] == [prose.strip(), f"{code}\n\nShort.\n\nShorter."]


def test_a_label_is_not_parted_from_what_it_announces(tmp_path: Path, tokenizer: Tokenizer) -> None:
    code = "```py\n" + "\n".join(f"call({number})" for number in range(60)) + "\n```"
    filler = "word " * 120
    tab = f"<Tabs>\n<TabItem value='u' label='Ubuntu'>\n\n{code}\n\n</TabItem>\n</Tabs>"
    made = cut(page_of(tmp_path, f"{filler}\n\n{tab}"), tokenizer, size=130)
    [labelled] = [passage.text for passage in made if "Ubuntu" in passage.text]
    assert labelled.startswith("Ubuntu:\n```py\ncall(0)")


def test_prose_is_not_cut_behind_an_abbreviation_of_its_language(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    page = page_of(tmp_path, "---\nlang: de\n---\n" + "Den Regler hat Dr. Meier vgl. Abb. 3 entworfen. " * 8)
    for size in range(40, 66):  # the cut falls on every word of it
        texts = [passage.text for passage in cut(page, tokenizer, size=size)]
        assert len(texts) > 1
        assert {one[-10:] for one in texts} == {"entworfen."}


def test_overlap_repeats_the_end_of_the_prose_before(tmp_path: Path, tokenizer: Tokenizer) -> None:
    sentences = [f"Sentence number {number} says something about robots." for number in range(40)]
    made = cut(page_of(tmp_path, " ".join(sentences)), tokenizer, size=100, overlap=20)
    assert len(made) > 3
    for before, after in pairwise(made):
        repeated = after.text.split("\n\n")[0]
        assert before.text.endswith(repeated)
        assert 0 < len(tokenizer.encode(repeated, add_special_tokens=False).ids) <= 20
    assert all(len(tokenizer.encode(passage.embedded_text).ids) <= 100 for passage in made)


def test_a_breadcrumb_longer_than_a_passage_is_shortened_from_the_front(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    heading = "why the controllers of humanoid robots " * 8
    page = page_of(tmp_path, f"---\ntitle: {'A long title ' * 10}\n---\n## {heading}\n\n{'text ' * 50}")
    for passage in cut(page, tokenizer, size=48):
        assert heading.startswith(passage.header)
        assert len(tokenizer.encode(passage.embedded_text).ids) <= 48


def test_keys_are_unique_in_the_book(tmp_path: Path, tokenizer: Tokenizer) -> None:
    page = page_of(tmp_path, "one\n\n## A\n\ntwo")
    assert {passage.key for passage in cut(page, tokenizer)} == {
        passage.key for passage in cut(page, tokenizer)
    }


def test_a_header_row_that_leaves_no_room_for_rows_is_cut_like_prose(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    """Repeated in each part it would take more than half of it, or all."""
    for words in (30, 100):
        header = "| " + " ".join(f"column{number}" for number in range(words)) + " | B |"
        rows = [f"| joint {number} | {number * 7} Nm |" for number in range(20)]
        page = page_of(tmp_path, "\n".join([header, "|---|---|", *rows]))
        made = cut(page, tokenizer, size=150)
        assert all(len(tokenizer.encode(passage.embedded_text).ids) <= 150 for passage in made)
        assert "".join("".join(passage.text for passage in made).split()) == "".join(page.text.split())
        assert sum("column3 " in passage.text for passage in made) == 1


def test_a_header_row_that_takes_half_of_the_room_is_repeated(tmp_path: Path, tokenizer: Tokenizer) -> None:
    rows = [f"| joint {number} | {number * 7} Nm |" for number in range(60)]
    top = ["| " + "Joint " * 20 + "| Torque |", "|---|---|"]
    made = cut(page_of(tmp_path, "\n".join([*top, *rows])), tokenizer, size=120)
    assert len(made) > 3
    assert all(passage.text.startswith("| Joint Joint") for passage in made)


@pytest.mark.parametrize(
    "block",
    [
        "| Joint | Torque |\n|---|---|\n" + "\n".join(f"| knee {number} | 7 Nm |" for number in range(6)),
        "```py\n" + "\n".join(f"call({number})" for number in range(16)) + "\n```",
        "$$\n" + " + ".join(f"x_{number}" for number in range(12)) + "\n$$",
    ],
    ids=["table", "code", "formula"],
)
def test_the_end_of_a_table_of_code_and_of_a_formula_is_not_repeated(
    tmp_path: Path, tokenizer: Tokenizer, block: str
) -> None:
    prose = " ".join(f"Sentence number {number} says something about robots." for number in range(8))
    made = cut(page_of(tmp_path, f"{block}\n\n{prose}"), tokenizer, size=100, overlap=20)
    assert len(made) >= 2
    assert made[0].text == block
    assert made[1].text.startswith("Sentence number 0 ")


def test_no_more_than_half_of_a_passage_repeats_the_one_before(tmp_path: Path, tokenizer: Tokenizer) -> None:
    sentences = [f"Sentence number {number} says something about robots." for number in range(40)]
    made = cut(page_of(tmp_path, " ".join(sentences)), tokenizer, size=60, overlap=50)
    for before, after in pairwise(made):
        repeated = after.text.partition("\n\n")[0]
        assert before.text.endswith(repeated)
        assert len(tokenizer.encode(repeated, add_special_tokens=False).ids) <= 30


def test_lines_that_announce_too_much_go_before_what_they_announce(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    """A label of half a page leaves the code no room: it is a passage's text like any other."""
    code = "```py\n" + "\n".join(f"call({number})" for number in range(12)) + "\n```"
    label = "the operating system of the robot " * 14
    tab = f"<Tabs>\n<TabItem value='u' label='{label}'>\n\n{code}\n\n</TabItem>\n</Tabs>"
    page = page_of(tmp_path, tab)
    _check(page, tokenizer, 130)
    assert cut(page, tokenizer, size=130)[-1].text == code


@pytest.mark.parametrize(("letters", "tokens"), [(1, 1), (4, 1), (8, 2), (40, 10)])
def test_a_word_that_the_tokenizer_does_not_know_counts_by_its_length(
    tmp_path: Path, tokenizer: Tokenizer, letters: int, tokens: int
) -> None:
    """Four letters for a token: otherwise a line in an unknown script would be one token, however long."""
    word = "\u1200" * letters  # Ethiopic, which the shipped model has no letters of
    assert tokenizer.encode(word, add_special_tokens=False).tokens == ["[UNK]"]
    size = 2 + len(tokenizer.encode("Robots › page", add_special_tokens=False).ids) + 24
    made = cut(page_of(tmp_path, f"{word} " * 200), tokenizer, size=size)
    assert max(len(passage.text.split()) for passage in made) == 24 // tokens


def test_the_beginning_of_a_title_that_is_too_long_is_kept(tmp_path: Path, tokenizer: Tokenizer) -> None:
    title = " ".join(f"word{number}" for number in range(60))
    [passage] = cut(page_of(tmp_path, f"---\ntitle: {title}\n---\ntext"), tokenizer, size=60)
    assert passage.header.startswith("word0 word1 ")
    assert title.startswith(passage.header)


def size_of(page: Page, tokenizer: Tokenizer) -> int:
    """Tokens of the page's only passage, as the model reads it."""
    [passage] = cut(page, tokenizer, size=1000)
    return len(tokenizer.encode(passage.embedded_text).ids)


_NAMES = ["knee", "hip", "wrist", "ankle", "elbow", "neck"]


@pytest.mark.parametrize(
    "text",
    [
        " ".join(f"The {name} moves." for name in _NAMES),
        "\n\n".join(f"The {name} moves." for name in _NAMES),
        "- " + "\n- ".join(_NAMES),
        "| Joint |\n|---|\n" + "\n".join(f"| {name} |" for name in _NAMES),
        "```py\n" + "\n".join(f"{name}()" for name in _NAMES) + "\n```",
        "Ubuntu:\n\n```sh\n" + "\n".join(f"move {name}" for name in _NAMES) + "\n```",
    ],
    ids=["prose", "paragraphs", "list", "table", "code", "code with a lead"],
)
def test_what_just_fits_is_one_passage_and_with_a_token_less_it_is_two(
    tmp_path: Path, tokenizer: Tokenizer, text: str
) -> None:
    page = page_of(tmp_path, f"## The joints\n\n{text}")
    size = size_of(page, tokenizer)
    [whole] = cut(page, tokenizer, size=size)
    parts = cut(page, tokenizer, size=size - 1)
    assert len(parts) == 2
    assert max(len(tokenizer.encode(part.embedded_text).ids) for part in parts) < size
    words = set(re.findall(r"\w+", whole.text))
    assert words == {word for part in parts for word in re.findall(r"\w+", part.text)}


def test_lines_are_grouped_up_to_the_size_and_no_further(tmp_path: Path, tokenizer: Tokenizer) -> None:
    """A part is as large as it can be: with the next line it would not fit."""
    for top, end in (("| Joint |\n|---|", ""), ("```py", "```")):
        lines = [f"| knee {number} |" if "|" in top else f"call({number})" for number in range(60)]
        page = page_of(tmp_path, "\n".join(filter(None, [top, *lines, end])))
        made = cut(page, tokenizer, size=60)
        for before, after in pairwise(made):
            inner = len(top.splitlines())
            following = after.text.splitlines()[inner]
            grown = "\n".join([*before.embedded_text.splitlines(), following])
            assert len(tokenizer.encode(before.embedded_text).ids) <= 60
            assert len(tokenizer.encode(grown).ids) > 60


def test_pieces_of_prose_have_no_space_at_their_edges(tmp_path: Path, tokenizer: Tokenizer) -> None:
    made = cut(page_of(tmp_path, "A robot has a knee, and it bends it.  " * 40), tokenizer, size=60)
    assert len(made) > 4
    assert all(passage.text == passage.text.strip() for passage in made)


def test_a_line_of_code_that_is_too_long_loses_no_space(tmp_path: Path, tokenizer: Tokenizer) -> None:
    """Its pieces joined are the line; what follows it stands behind its last piece."""
    line = "        joints = [" + ",  ".join(f"'joint {number}'" for number in range(60)) + "]"
    page = page_of(tmp_path, f"```py\nif robot:\n{line}\n    end()\n```")
    made = cut(page, tokenizer, size=80)
    assert len(made) > 3
    first, *inner, last = [passage.text.splitlines()[1:-1] for passage in made]
    assert all(len(one) == 1 for one in inner)
    assert first[0] == "if robot:"
    assert last[-1] == "    end()"
    assert len(last) == 2
    pieces = [*first[1:], *(one for lines in inner for one in lines), last[0]]
    assert "".join(pieces) == line
    assert all(len(tokenizer.encode(passage.embedded_text).ids) <= 80 for passage in made)


@pytest.mark.parametrize(
    "block", ["| Joint | Torque |\n|---|---|", "```py\n```", "```py\n\n\n```"], ids=["table", "code", "blank"]
)
def test_a_block_without_a_line_in_it_is_no_trouble(tmp_path: Path, tokenizer: Tokenizer, block: str) -> None:
    prose = "A robot moves its knee. " * 20
    made = cut(page_of(tmp_path, f"{prose}\n\n{block}\n\n{prose}"), tokenizer, size=100)
    assert _joined("\n".join(passage.text for passage in made)) == _joined(prose * 2)


def test_the_rows_of_a_table_without_room_for_its_header_stay_on_their_lines(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    rows = [f"| joint {number} | {number * 7} Nm |" for number in range(20)]
    top = "| " + " ".join(f"column{number}" for number in range(40)) + " | B |"
    made = cut(page_of(tmp_path, "\n".join([top, "|---|---|", *rows])), tokenizer, size=150)
    lines = [line for passage in made for line in passage.text.splitlines()]
    assert [line for line in lines if line.startswith("| joint")] == rows


def test_code_with_a_blank_line_is_not_repeated_either(tmp_path: Path, tokenizer: Tokenizer) -> None:
    prose = " ".join(f"Sentence number {number} says something about robots." for number in range(8))
    block = "```py\n" + "\n\n".join(f"call({number})" for number in range(14)) + "\n```"
    made = cut(page_of(tmp_path, f"{block}\n\n{prose}"), tokenizer, size=100, overlap=20)
    assert [passage.text for passage in made if "```" in passage.text] == [block]
    assert made[1].text.startswith("Sentence number 0 ")


def test_only_the_last_paragraph_is_repeated(tmp_path: Path, tokenizer: Tokenizer) -> None:
    one = "A robot has a knee that bends, a hip that turns, and a wrist. "
    page = page_of(tmp_path, f"{one * 4}\n\nIt has two.\n\n{one * 4}")
    made = cut(page, tokenizer, size=100, overlap=20)
    assert len(made) == 2
    assert made[1].text.startswith("It has two.\n\nA robot has a knee")


def test_a_known_word_counts_as_the_tokenizer_counts_it_beside_an_unknown_one(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    word = "international"
    assert tokenizer.encode(word, add_special_tokens=False).tokens == [word]
    page = page_of(tmp_path, f"\u1200 {f'{word} ' * 30}")
    assert len(cut(page, tokenizer, size=size_of(page, tokenizer))) == 1


def test_a_tokenizer_that_knows_every_word_has_no_unknown_one(tmp_path: Path) -> None:
    words = ["international", "Robots", "page", "›"]
    known = Tokenizer(WordLevel({word: number for number, word in enumerate(words)}))  # pyright: ignore[reportCallIssue]
    known.pre_tokenizer = WhitespaceSplit()  # pyright: ignore[reportAttributeAccessIssue, reportCallIssue]
    [passage] = cut(page_of(tmp_path, "international " * 20), known, size=23)
    assert passage.text.split() == ["international"] * 20

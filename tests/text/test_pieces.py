"""A passage's text in pieces."""

import pytest

from preceptor.text.pieces import nearest, pieces, plain_sentences, whole

PAGE = """The costmap is a grid. It couples nothing.

Costmaps are built in layers:

- the static layer copies the map;
- the inflation layer surrounds obstacles.

```python title="a.py"
x = 1

y = 2
```

| Module | Memory |
|---|---|
| Orin | 64 GB |

A point appears at

$$
u = f
$$

where $f$ is the focal length. What is left?"""


def kinds(text: str) -> list[str]:
    return [piece.kind for piece in pieces(text, "en")]


def quoted(text: str, place: int, *, begins: bool = False) -> list[str] | None:
    run = pieces(text, "en")
    places = whole(run, place, begins=begins)
    return None if places is None else [run[one].text for one in places]


def test_blocks_are_kept_whole_and_prose_is_cut_into_sentences() -> None:
    assert kinds(PAGE) == [
        *["sentence", "sentence", "sentence", "list", "code", "table"],
        *["sentence", "formula", "sentence", "sentence"],
    ]
    code = pieces(PAGE, "en")[4]
    assert code.text.splitlines()[1:-1] == ["x = 1", "", "y = 2"]


def test_a_sentence_that_begins_with_a_pronoun_comes_with_the_one_before() -> None:
    assert quoted(PAGE, 1) == ["The costmap is a grid.", "It couples nothing."]


def test_a_pronoun_without_the_sentence_it_stands_for_cannot_be_quoted() -> None:
    assert quoted("It couples the two sides least.", 0) is None


def test_at_the_beginning_of_a_section_it_stands_for_the_heading_and_can() -> None:
    text = "It couples the two sides least. It is also the fastest."
    assert quoted(text, 0, begins=True) == ["It couples the two sides least."]
    assert quoted(text, 1, begins=True) == ["It couples the two sides least.", "It is also the fastest."]


def test_of_a_long_run_of_pronouns_the_two_sentences_before_come_along() -> None:
    run = [
        "A node is a process.",
        "It has a name.",
        "It has a clock.",
        "It has a parameter.",
        "It has a log.",
    ]
    assert quoted(" ".join(run), 4) == run[2:]


def test_a_sentence_that_announces_a_list_comes_with_the_list_or_not_at_all() -> None:
    alone = "Three things separate a robot from a program:"
    assert quoted(PAGE, 2) == [piece.text for piece in pieces(PAGE, "en")[2:4]]
    assert quoted(alone, 0) is None
    assert quoted("ROS 2 gives you four things. There is a way to exchange messages.", 0) is None


def test_a_list_comes_with_what_announces_it() -> None:
    assert quoted(PAGE, 3) == quoted(PAGE, 2)


def test_a_sentence_goes_on_behind_its_formula() -> None:
    assert quoted(PAGE, 6) == ["A point appears at", "$$\nu = f\n$$", "where $f$ is the focal length."]


def test_the_title_of_an_admonition_is_no_part_of_its_first_sentence() -> None:
    (piece,) = pieces("Rule of thumb:\nPick the newest release.", "en")
    assert (piece.text, piece.label) == ("Pick the newest release.", "Rule of thumb:")


def test_a_row_of_a_table_is_read_with_its_column_names() -> None:
    assert "Module: Orin · Memory: 64 GB" in plain_sentences(PAGE, "en")


@pytest.mark.parametrize(
    ("language", "sentence", "thing"),
    [
        ("en", "A node is a process.", "A node"),
        ("en", "URDF, the Unified Robot Description Format, is an XML format.", "URDF"),
        ("en", "The zero moment point (ZMP) is the point on the ground.", "The zero moment point"),
        ("en", "When in doubt, ask what the reader is after.", ""),
        ("es", "Un nodo es un proceso.", "Un nodo"),
        ("de", "Ein Knoten ist ein Prozess.", "Ein Knoten"),
        ("ur", "نوڈ ایک عمل ہے۔", ""),
    ],
)
def test_a_sentence_that_says_what_a_thing_is_names_it(language: str, sentence: str, thing: str) -> None:
    assert pieces(sentence, language)[0].defines == thing


def test_a_full_stop_of_another_script_ends_a_sentence() -> None:
    assert plain_sentences("یہ صفحہ ہے۔ روبوٹ چلتا ہے۔", "ur") == ["یہ صفحہ ہے۔", "روبوٹ چلتا ہے۔"]
    assert plain_sentences("这是机器人。它会走。", "zh") == ["这是机器人。", "它会走。"]


def test_the_quote_of_a_source_is_the_sentence_that_shares_most_with_the_claim() -> None:
    assert nearest("Obstacles get a cost around them from inflation.", PAGE, "en") == (
        "the inflation layer surrounds obstacles."
    )
    assert nearest("Zebras are striped.", PAGE, "en") == "The costmap is a grid."


@pytest.mark.parametrize("end", ["...", "…"])
def test_a_sentence_that_trails_off_comes_with_the_block_behind_it(end: str) -> None:
    sentence = f"You can also turn the motor off completely{end}"
    for block in ("```py\nstop()\n```", "- stop it"):
        assert whole(pieces(f"{sentence}\n\n{block}", "en"), 0, begins=False) == range(2)
    assert whole(pieces(f"{sentence}\n\nIt stops.", "en"), 0, begins=False) == range(1)

"""A reply is cut into sentences while it comes: each is given as soon as what follows cannot change it."""

import pytest

from preceptor.agents.streamed_sentences import Sentences, Unit


def cut(*pieces: str) -> list[list[str]]:
    """What is given after each piece and at the end; a line that is no prose begins with `|`."""
    sentences = Sentences("en")
    given = [list(sentences.feed(piece)) for piece in pieces]
    return [[shown(unit) for unit in units] for units in [*given, list(sentences.finish())]]


def shown(unit: Unit) -> str:
    return unit.text if unit.is_prose else f"|{unit.text}"


@pytest.mark.parametrize(
    ("pieces", "given"),
    [
        # a sentence ends when the next one has a whole word
        (["One. Tw", "o three."], [[], ["One. "], ["Two three."]]),
        (["One. — ", "two "], [["One. "], [], ["— two "]]),
        (["One", " is", " two.", " Three"], [[], [], [], [], ["One is two. ", "Three"]]),
        (["One. Two. Three. "], [["One. ", "Two. "], ["Three. "]]),
        (["One.\n", "Two"], [["One.\n"], [], ["Two"]]),
        # or when no marker can follow: markers belong to the sentence before them
        (["One. [k7", "qd] Two. "], [[], ["One. [k7qd] "], ["Two. "]]),
        (["One. [k7qd] [m4tw]. Two "], [["One. [k7qd] [m4tw]. "], ["Two "]]),
        (["One. (2) two. ", "x "], [["One. (2) "], ["two. "], ["x "]]),
        (["One. (so to ", "speak"], [[], [], ["One. ", "(so to speak"]]),
        ([f"One. ({'so to speak ' * 5}", " two "], [[], ["One. "], [f"({'so to speak ' * 5} two "]]),
        (["One. [a]\nTwo. "], [["One. [a]\n"], ["Two. "]]),
        # lines that are no prose
        (["# One. Two", " is\n", "Three"], [[], ["|# One. Two is\n"], [], ["Three"]]),
        (["| a. b. c |\n"], [["|| a. b. c |\n"], []]),
        (["One # two\n"], [["One # two\n"], []]),
        (["One. ", "# Two is\n"], [[], ["One. ", "# Two is\n"], []]),
        (["```py\n", "One. Two. Three\n", "```\n", "a. b. c"], [
            ["|```py\n"], ["|One. Two. Three\n"], ["|```\n"], [], ["a. b. c"],
        ]),
        (["~~~\n", "```\n", "~~~~\n", "One"], [["|~~~\n"], ["|```\n"], ["|~~~~\n"], [], ["One"]]),
        (["````\n", "```\n", "````\n", "One"], [["|````\n"], ["|```\n"], ["|````\n"], [], ["One"]]),
        (["```\n", "a ```\n", "```\n", "One"], [["|```\n"], ["|a ```\n"], ["|```\n"], [], ["One"]]),
        # formulas
        (["$$ a\n", "b $$\n", "One. "], [["|$$ a\n"], ["|b $$\n"], [], ["One. "]]),
        (["$$ a $$\n", "One. Two "], [["|$$ a $$\n"], ["One. "], ["Two "]]),
        (["$$\n", "$$ a\n", "One. Two "], [["|$$\n"], ["|$$ a\n"], [], ["|One. Two "]]),
        (["$$\n", "a $$ b\n", "c\n", "$$\n", "One. Two "], [
            ["|$$\n"], ["|a $$ b\n"], ["|c\n"], ["|$$\n"], ["One. "], ["Two "],
        ]),
    ],
)  # fmt: skip
def test_sentences_are_given_as_they_end(pieces: list[str], given: list[list[str]]) -> None:
    assert cut(*pieces) == given


WORDS = "word " * 400
"""As long as a sentence may be."""
LONG = "x" * 2000


@pytest.mark.parametrize(
    ("pieces", "given"),
    [
        ([WORDS], [[], [WORDS]]),
        ([f"{WORDS}a"], [[WORDS], ["a"]]),
        ([f"{WORDS}a b"], [[f"{WORDS}a "], ["b"]]),
        ([LONG], [[], [LONG]]),
        ([LONG, "y", "z"], [[], [f"{LONG}y"], [], ["z"]]),
        ([f"{WORDS}end", " more. A b", " y"], [[WORDS], ["end more. "], [], ["A b y"]]),
        ([f"{WORDS}|a", " b"], [[WORDS], [], ["|a b"]]),
        ([f"One. {LONG[1:]} y"], [["One. ", f"{LONG[1:]} "], ["y"]]),
        ([f"One. {LONG} y"], [[f"One. {LONG} "], ["y"]]),
        ([f"| {LONG}", "a ", "b. c. d", "\nOne. "], [[f"|| {LONG}"], [], [], ["|a b. c. d\n"], ["One. "]]),
        ([f"$$ {LONG}", "a $$ ", "b $$ ", "\nOne. "], [[f"|$$ {LONG}"], [], [], ["|a $$ b $$ \n"], ["One. "]]),
    ],
    ids=range(11),
)  # fmt: skip
def test_a_sentence_that_does_not_end_is_cut(pieces: list[str], given: list[list[str]]) -> None:
    assert cut(*pieces) == given


def test_what_is_not_finished_can_be_looked_at() -> None:
    sentences = Sentences("en")
    assert sentences.tail == ""
    assert [unit.text for unit in sentences.feed("One. Two is")] == ["One. "]
    assert sentences.tail == "Two is"
    assert [unit.text for unit in sentences.finish()] == ["Two is"]
    assert sentences.tail == ""


def test_a_sentence_that_grows_is_looked_at_again_when_it_has_grown_by_a_sixteenth() -> None:
    sentences = Sentences("en")
    begun = "word " * 160
    assert list(sentences.feed(begun)) == []
    assert [unit.text for unit in sentences.feed("end. Two is ")] == [], "by less"
    assert [unit.text for unit in sentences.feed("more " * 8)] == [f"{begun}end. "]


def test_a_letter_in_a_word_is_not_worth_a_look() -> None:
    sentences = Sentences("en")
    assert [unit.text for unit in sentences.feed("One. Two")] == []
    assert [unit.text for unit in sentences.feed("s")] == []
    assert [unit.text for unit in sentences.feed(" ")] == ["One. "]

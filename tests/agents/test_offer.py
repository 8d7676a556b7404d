"""What a piece of the book offers against what a question asks for."""

import pytest

from preceptor.agents.offer import offers, tells_fact
from preceptor.text.pieces import pieces

ABOVE = ("The book", "Grippers")
WHAT = "What does a gripper hold?"


def offered(question: str, text: str, *, heading: str = "Layers", tag: str = "en") -> float:
    return offers(question, pieces(text, tag), (*ABOVE, heading), tag)


@pytest.mark.parametrize(
    ("question", "better", "worse"),
    [
        (WHAT, "A gripper holds cups of tea.", "What does a gripper hold, and why?"),
        (WHAT, "A gripper holds cups of tea.", "Explain which cups a gripper holds."),
        (WHAT, "A gripper holds cups of tea.", "In this chapter you will see what a gripper holds."),
        (WHAT, "A gripper holds cups of tea.", "To learn more about what it holds, read its guide."),
        (WHAT, "A gripper holds cups of tea.", "A gripper holds the following things:"),
        (WHAT, "A gripper holds cups of tea.", "Cups of tea."),
        ("Why does a gripper slip?", "It slips because the cup is wet.", "It slips on cups of tea."),
        ("How many cups does it hold?", "It holds 3 cups of tea.", "It holds many cups of tea."),
        ("When was it built?", "It was built in 1998 near here.", "It was built by people near here."),
        ("Who built the gripper?", "The first one was built by Mary.", "The first one was built by people."),
        (
            "What is the difference between hooks and grippers?",
            "A hook holds bags, whereas a gripper holds cups.",
            "A hook may hold large bags of bread.",
        ),
        ("How do I close it?", "1. Press the lever.\n2. Let it go.", "It closes in many kinds of ways."),
        ("How do I close it?", "```sh\ngripper close --all\n```", "It closes in many kinds of ways."),
        (
            "What is the difference between hooks and grippers?",
            "| | holds |\n|---|---|\n| hook | bags |\n| gripper | cups |",
            "A hook may hold large bags of bread.",
        ),
    ],
)
def test_a_text_that_has_what_is_asked_for_offers_more(question: str, better: str, worse: str) -> None:
    assert offered(question, better) > offered(question, worse)


@pytest.mark.parametrize("heading", ["Exercises", "Learning objectives", "Summary", "Further reading"])
def test_a_section_that_does_not_teach_offers_less(heading: str) -> None:
    text = "A gripper holds cups of tea."
    assert offered(WHAT, text, heading=heading) < offered(WHAT, text)


@pytest.mark.parametrize(
    ("tag", "question", "text", "teaches", "tests"),
    [
        ("zh", "夹具能夹住什么？", "夹具可以夹住装满水的杯子。", "夹具的结构", "练习"),
        ("ur", "گرپر کیا پکڑتا ہے؟", "گرپر چائے کے کپ پکڑتا ہے۔", "ساخت", "مشقیں"),
        ("de", "Was hält ein Greifer?", "Ein Greifer hält Tassen und Teller.", "Aufbau", "Übungen"),
    ],
)
def test_so_it_is_in_other_languages(tag: str, question: str, text: str, teaches: str, tests: str) -> None:
    offer = {heading: offered(question, text, heading=heading, tag=tag) for heading in (teaches, tests)}
    assert offer[tests] < offer[teaches]


def test_the_section_whose_heading_is_the_question_offers_more() -> None:
    text = "It holds cups of tea."
    assert offered(WHAT, text, heading="What does a gripper hold") > offered(WHAT, text, heading="Hooks")
    assert offered(WHAT, text, heading="What does a gripper hold?") > offered(
        WHAT, text, heading="Hold bread"
    )


def test_a_heading_is_the_question_in_other_forms_of_its_words_too() -> None:
    text = "It holds cups of tea."
    assert offered("cups", text, heading="Cup") == offered("cups", text, heading="Cups")


def test_what_the_question_says_itself_is_no_answer_to_it() -> None:
    plain = "It was built by people near here."
    assert offered("When was it built, in 1998?", "In 1998, it was built near here.") == offered(
        "When was it built, in 1998?", plain
    )
    assert offered("Who built Mary first?", "The first one, Mary, was built near here.") == offered(
        "Who built Mary first?", plain
    )


@pytest.mark.parametrize(
    ("question", "text"),
    [
        ("Who built it?", "It was built when I was young."),
        ("Who built it?", "It was built with gRPC in mind."),
        (WHAT, "1. Press the lever of it.\n2. Let it go."),
        (WHAT, "| | holds |\n|---|---|\n| hook | bags |\n| gripper | cups |"),
    ],
    ids=["a letter", "a word with a capital in it", "steps", "a table"],
)
def test_what_was_not_asked_for_offers_nothing(question: str, text: str) -> None:
    assert offered(question, text) == 0


def test_the_title_of_the_book_is_no_role_of_its_sections() -> None:
    found = pieces("A gripper holds cups of tea.", "en")
    assert offers(WHAT, found, ("Exercises for robots", "Grippers", "Layers"), "en") == 0


def test_a_sentence_that_begins_with_a_capital_names_nobody() -> None:
    assert offered("Who built it?", "It was built near here. People still use it.") == 0


@pytest.mark.parametrize(
    ("question", "text", "heading", "offer"),
    [
        (WHAT, "A gripper holds cups of tea.", "Exercises", -0.5),
        (WHAT, "In this chapter you will see what a gripper holds.", "Layers", -0.25),
        (WHAT, "Explain which cups a gripper holds.", "Layers", -0.7),
        ("What is it?", "It holds cups of tea.", "what is IT?", 0.3),
        ("How do I close it?", "1. Press the lever.\n2. Let it go.", "Layers", 0.5),
        ("How many cups does it hold?", "It holds 3 cups of tea.", "Layers", 0.45),
        (WHAT, "Cups of tea.", "Layers", -0.4),
        (WHAT, "A gripper holds the following things:", "Layers", -0.3),
    ],
)
def test_the_weights_are_those_of_the_decision(question: str, text: str, heading: str, offer: float) -> None:
    """Whoever changes one changes decision 0026, and measures again."""
    assert offered(question, text, heading=heading) == pytest.approx(offer)


def test_a_row_below_a_column_of_names_sets_no_task() -> None:
    assert offered(WHAT, "| Name | Default |\n|---|---|\n| `cups` | a gripper holds 4 |") == 0


def test_the_title_of_a_box_tells_what_it_is_as_a_heading_does() -> None:
    text = "- A gripper holds cups of tea."
    assert offered(WHAT, f"Recap:\n{text}") == offered(WHAT, text, heading="Recap") < offered(WHAT, text)


def test_what_a_program_says_is_no_word_of_the_author() -> None:
    assert offered(WHAT, '```py\nprint("For more information see the guide")\n```') == 0


def test_a_plain_sentence_offers_nothing_but_its_words() -> None:
    assert offered(WHAT, "A gripper holds cups of tea.") == 0


def test_a_name_of_the_question_is_not_the_name_that_it_asks_for() -> None:
    assert not tells_fact("Who built Mary?", "In the workshop stood Mary.", "en")
    assert tells_fact("Who built Mary?", "The robot Mary was built by Joan.", "en")

"""The offline tutor's answers, on the sample book and on passages made up."""

import asyncio
import re
from pathlib import Path

import pytest
from agents import set_trace_processors

from preceptor.agents.answer import Answer, Question
from preceptor.agents.preceptor import open_preceptor
from preceptor.agents.support import SUPPORTED
from preceptor.library import open_engine
from preceptor.library.library import open_library
from preceptor.library.passage import Passage
from preceptor.settings import Settings
from preceptor.text.sentences import split_sentences
from tests.sample import sample_settings
from tests.standins.provider import Provider, call, calls, fails

DEFINITION = "What is a node in ROS 2?"
CODE = "How do I write a publisher in C++?"
TABLE = "Which Gazebo release belongs to Jazzy?"
LIST = "What separates a physical system from a digital one?"
OUTSIDE = "How long should sourdough rise before baking?"
SPANISH = "¿Qué es ROS 2?"
FRENCH = "Qui a peint la Joconde et où est-elle ?"
URDU = "فزیکل اے آئی سے کیا مراد ہے؟"
DEFINED = {
    "What is a topic in ROS 2?": "A topic is a named channel",
    "What is a service in ROS 2?": "A service is a request–response exchange",
    "What is an action in ROS 2?": "An action is a long-running task",
    "What is a parameter in ROS 2?": "A parameter is a named setting",
    "What is a callback in ROS 2?": "A callback is a function",
}
GRIPPER = "The gripper closes with 40 newtons. Its fingers are soft."


@pytest.fixture(scope="module")
def answers(sample_index: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Answer]:
    """By question."""
    settings = sample_settings(sample_index, tmp_path_factory.mktemp("offline"))
    questions = [DEFINITION, CODE, TABLE, LIST, OUTSIDE, SPANISH, FRENCH, URDU, *DEFINED]

    set_trace_processors([])

    async def ask() -> dict[str, Answer]:
        async with open_preceptor(settings) as preceptor:
            return {one: await preceptor.ask(Question(text=one)) for one in questions}

    return asyncio.run(ask())


@pytest.fixture(scope="module")
def book(sample_index: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Passage]:
    """The sample book's passages by key."""
    settings = sample_settings(sample_index, tmp_path_factory.mktemp("book"))

    async def read() -> dict[str, Passage]:
        engine = open_engine(settings)
        library = await open_library(engine, settings)
        chapters = await library.chapters()
        passages = [passage for chapter in chapters for passage in (await library.chapter(chapter.id))[1]]
        await library.close()
        await engine.close()
        return {passage.key: passage for passage in passages}

    return asyncio.run(read())


def quoted(answer: Answer) -> list[str]:
    return [re.sub(r"\s*\[\d+\]", "", part) for part in answer.text.split("\n\n")]


def test_the_right_sentence_comes_first_in_the_books_words(
    answers: dict[str, Answer], book: dict[str, Passage]
) -> None:
    answer = answers[DEFINITION]
    assert quoted(answer)[0].startswith("A node is a participant in a ROS 2 system")
    text = book[answer.sources[0].key].text
    assert all(sentence.strip() in text for sentence in split_sentences(quoted(answer)[0], "en"))
    # A source shows the sentence that was chosen, and not the one behind it that came along.
    assert quoted(answer)[0].startswith(answer.sources[0].quote)
    assert answer.sources[0].quote.startswith("A node is a participant")


@pytest.mark.parametrize(("question", "begins"), DEFINED.items())
def test_what_is_asked_for_is_defined_and_not_the_field_it_belongs_to(
    question: str, begins: str, answers: dict[str, Answer]
) -> None:
    """ "ROS 2" stands in the headings above: it must not outweigh the thing itself."""
    assert quoted(answers[question])[0].startswith(begins)


async def test_a_follow_up_is_searched_with_the_question_before_it(demo_settings: Settings) -> None:
    async with open_preceptor(demo_settings) as preceptor:
        first = await preceptor.ask(Question(text="What is a topic in ROS 2?"))
        second = await preceptor.ask(
            Question(text="And how does that differ from services?", session_id=first.session_id)
        )
        third = await preceptor.ask(Question(text="What is URDF?", session_id=first.session_id))
        fourth = await preceptor.ask(Question(text=OUTSIDE, session_id=first.session_id))
    assert "|  | Topic | Service | Action |" in second.text
    assert third.text.startswith("URDF, the Unified Robot Description Format")
    assert not fourth.in_book, "a question of its own is not answered from the one before it"


async def test_a_search_of_a_providers_that_failed_is_no_reason_to_refuse(
    sample_index: Path, tmp_path: Path, gemini: Provider
) -> None:
    gemini.will(calls(call("search_textbook", {"query": "node", "chapter": "none-such"})), fails(401, {}))
    settings = sample_settings(
        sample_index,
        tmp_path,
        tutor={"providers": ("gemini",), "book_only": False},
        gemini={"api_key": "test", "base_url": gemini.base_url, "attempts": 1},
    )
    async with open_preceptor(settings) as preceptor:
        answer = await preceptor.ask(Question(text=DEFINITION))
    assert answer.degraded
    assert answer.text.startswith("A node is a participant in a ROS 2 system")


@pytest.mark.parametrize(
    ("question", "says"),
    [
        ("How strong is the gripper?", "The gripper closes with 40 newtons. "),
        ("Who painted the Mona Lisa?", "No sentence of the marked text answers this."),
        ("Wer hat die Mona Lisa gemalt?", "Der markierte Text beantwortet diese Frage nicht."),
        ("Mit wie viel newtons schließt der gripper?", "Im Moment kann ich nur aus dem Buch zitieren:"),
    ],
)
async def test_a_question_about_a_marked_text_is_answered_from_it_or_declined(
    question: str, says: str, demo_settings: Settings
) -> None:
    async with open_preceptor(demo_settings) as preceptor:
        answer = await preceptor.ask(Question(text=question, selection=GRIPPER, selection_only=True))
    assert answer.text.startswith(says)
    assert answer.in_book is ("newtons" in answer.text)


def test_an_answer_is_short_and_each_quotation_has_its_source(answers: dict[str, Answer]) -> None:
    for question in (DEFINITION, SPANISH, URDU):
        parts = [part for part in answers[question].text.split("\n\n") if "[" in part]
        assert 1 <= len(parts) <= 3
        assert all(re.search(r"\[\d+\]$", part) for part in parts)


def test_what_is_quoted_is_supported_by_what_it_cites(answers: dict[str, Answer]) -> None:
    for question in (DEFINITION, LIST, URDU):
        answer = answers[question]
        assert answer.in_book
        assert answer.confidence == 1.0
        assert answer.sources
        assert all((source.support or 0.0) >= SUPPORTED for source in answer.sources)


def test_a_table_alone_claims_nothing_that_could_be_judged(answers: dict[str, Answer]) -> None:
    answer = answers[TABLE]
    assert answer.in_book
    assert answer.confidence is None
    assert [source.support for source in answer.sources] == [None] * len(answer.sources)


def test_code_that_was_cut_between_passages_is_quoted_whole(answers: dict[str, Answer]) -> None:
    answer = answers[CODE].text
    assert answer.count("```") == 2
    assert "#include" in answer
    assert "rclcpp::shutdown();\n}\n```" in answer
    assert len(answers[CODE].sources) >= 2


def test_a_table_comes_with_its_header(answers: dict[str, Answer]) -> None:
    assert "| ROS 2 | Recommended Gazebo |\n|---|---|\n" in answers[TABLE].text
    assert "| Jazzy | Harmonic |" in answers[TABLE].text


def test_the_tutor_reads_on_for_the_list_that_a_sentence_announces(answers: dict[str, Answer]) -> None:
    """The list stands in the next passage, which the search need not have found."""
    assert "Three things separate a physical system from a purely digital one:" in answers[LIST].text
    assert "- Sensors lie." in answers[LIST].text


def test_what_the_book_does_not_cover_is_declined_with_the_nearest_chapters(
    answers: dict[str, Answer],
) -> None:
    answer = answers[OUTSIDE]
    assert answer.text.startswith("The book does not cover this. Nearest chapters: ")
    assert (answer.in_book, answer.confidence, list(answer.sources)) == (False, None, [])


def test_a_reader_of_another_language_is_told_in_it_that_these_are_quotations(
    answers: dict[str, Answer],
) -> None:
    said, quotation, *_ = answers[SPANISH].text.split("\n\n")
    assert said == "Por ahora solo puedo citar el libro:"
    assert quotation.startswith("ROS 2, the Robot Operating System version 2")


def test_a_reader_of_another_language_is_told_that_only_the_books_own_was_searched(
    answers: dict[str, Answer],
) -> None:
    assert answers[FRENCH].text.startswith(
        "Pour le moment, je ne peux chercher dans le livre que dans sa propre"
    )
    assert not answers[FRENCH].in_book


def test_a_question_in_the_language_of_a_page_is_simply_answered(answers: dict[str, Answer]) -> None:
    assert quoted(answers[URDU])[0].startswith("فزیکل اے آئی (Physical AI) سے مراد")

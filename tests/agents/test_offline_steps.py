"""The next step of the offline tutor: it searches, reads on, answers or declines, by what the run has so far."""

import json
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from agents import Tool, function_tool

from preceptor.agents.offline import OfflineModel, current_run
from preceptor.errors import ProviderFailed
from preceptor.library.counterparts import Alike
from preceptor.library.passage import Hit, Passage
from preceptor.providers.local_model import Call
from preceptor.text.languages import phrases
from preceptor.tools.plugin import Ledger, Run
from tests.agents.quoting import hits, passage

GRIPPER = passage("The gripper closes with 40 newtons. Its fingers are soft.")
BREAD = passage("Bread rises overnight.", key="m4tw", chapter="bread", heading="Dough")
ASKED = "How many newtons does the gripper close with?"
NOT_COVERED = "The book does not cover this."


def tool(name: str) -> Tool:
    return function_tool(lambda query: query, name_override=name, strict_mode=False)  # pyright: ignore[reportUnknownLambdaType]


SEARCH, CHAPTER = tool("search_textbook"), tool("get_chapter")


def shown(*passages: Passage, score: float = 0.9) -> Ledger:
    ledger = Ledger()
    ledger.note(hits(*passages, score=score))
    return ledger


def asked(*questions: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": one} for one in questions]


def called(name: str, **arguments: Any) -> dict[str, Any]:
    return {"type": "function_call", "name": name, "arguments": json.dumps(arguments)}


async def unread(_: str, texts: Sequence[str]) -> Sequence[Alike]:
    """An embedding model that cannot read the question."""
    return []


@contextmanager
def running(run: Run) -> Generator[None]:
    token = current_run.set(run)
    try:
        yield
    finally:
        current_run.reset(token)


async def step(
    run: Run, *items: dict[str, Any], tools: Sequence[Tool] = (SEARCH, CHAPTER), language: str = "en"
) -> str | Call:
    with running(run):
        model = OfflineModel(unread, book_language=language)
        found: Any = [*asked(run.question), *items] if not any("role" in one for one in items) else items
        return await model.next(found, tools, [])


def query_of(call: str | Call) -> str:
    assert isinstance(call, Call)
    assert call.name == "search_textbook"
    return json.loads(call.arguments)["query"]


async def test_it_searches_first_in_the_readers_words() -> None:
    assert query_of(await step(Run(ASKED))) == ASKED


@pytest.mark.parametrize("greeting", ["Hello!", "thanks", "Good morning", "Ok"])
async def test_to_a_greeting_nothing_is_quoted(greeting: str) -> None:
    assert await step(Run(greeting)) == phrases(greeting).small_talk


@pytest.mark.parametrize("greeting", ["Tag", "super", "مرحبا"])
async def test_a_greeting_of_another_language_is_looked_for_before(greeting: str) -> None:
    assert query_of(await step(Run(greeting))) == greeting
    run = Run(greeting, searched=[greeting])
    assert await step(run, called("search_textbook", query=greeting)) == phrases(greeting).small_talk


async def test_it_answers_from_what_its_search_showed() -> None:
    run = Run(ASKED, ledger=shown(GRIPPER), searched=[ASKED])
    assert (
        await step(run, called("search_textbook", query=ASKED))
        == "The gripper closes with 40 newtons. [k7qd]"
    )


@pytest.mark.parametrize("tools", [(), (CHAPTER,)])
async def test_where_it_cannot_search_it_speaks_of_no_text_that_the_reader_marked(
    tools: Sequence[Tool],
) -> None:
    assert await step(Run(ASKED), tools=tools) == phrases(ASKED).not_searchable


async def test_a_marked_text_that_does_not_answer_is_said_to_be_marked() -> None:
    assert await step(Run(ASKED, ledger=shown(BREAD, score=0.1)), tools=()) == phrases(ASKED).not_selected


async def test_it_does_not_search_twice_for_the_same() -> None:
    answer = await step(Run(ASKED), called("search_textbook", query=ASKED))
    assert answer == NOT_COVERED


async def test_a_search_in_the_questions_words_by_a_tutor_that_failed_is_not_made_again() -> None:
    run = Run(ASKED, ledger=shown(GRIPPER), searched=["gripper newtons"])
    assert isinstance(await step(run), str)


@pytest.mark.parametrize("searched", [["bread"], [], ["gripper colours"]])
async def test_passages_that_were_found_for_something_else_are_no_search_for_the_question(
    searched: list[str],
) -> None:
    assert query_of(await step(Run(ASKED, ledger=shown(BREAD), searched=searched))) == ASKED


async def test_passages_of_a_chapter_that_was_only_read_are_no_search() -> None:
    run = Run(ASKED, ledger=Ledger(), searched=["gripper newtons"])
    run.ledger.note([Hit(GRIPPER, 0.0, dense=None, bm25=None)])
    assert query_of(await step(run)) == ASKED


async def test_a_search_narrowed_to_a_chapter_did_not_look_in_the_book() -> None:
    assert query_of(await step(Run(ASKED), called("search_textbook", query=ASKED, chapter="bread"))) == ASKED


@pytest.mark.parametrize("arguments", ["no json", "[]", "{}"])
async def test_a_call_that_a_tutor_wrote_wrongly_is_no_search(arguments: str) -> None:
    item = {"type": "function_call", "name": "search_textbook", "arguments": arguments}
    assert query_of(await step(Run(ASKED), item)) == ASKED


async def test_a_search_that_a_tutor_made_in_the_books_language_is_enough_for_a_question_in_another() -> None:
    question = "Mit wie viel newtons schließt der gripper?"
    run = Run(question, ledger=shown(GRIPPER), searched=["gripper closing force"])
    answer = await step(run)
    assert isinstance(answer, str)
    assert answer.startswith(
        "Im Moment kann ich nur aus dem Buch zitieren:\n\nThe gripper closes with 40 newtons. [k7qd]"
    )
    assert query_of(await step(Run(question, ledger=shown(GRIPPER)))) == question


async def test_quotations_in_the_readers_own_language_need_no_introduction() -> None:
    german = passage("Der Greifer schließt mit 40 Newton. Er ist weich.", language="de-DE")
    run = Run("Mit wie viel Newton schließt der Greifer?", ledger=shown(german), searched=["Greifer Newton"])
    answer = await step(run, language="de-AT")
    assert isinstance(answer, str)
    assert answer.startswith("Der Greifer schließt mit 40 Newton. [k7qd]")


async def test_a_failed_search_is_no_word_on_what_the_book_covers() -> None:
    run = Run(ASKED, failed={"search_textbook"})
    with pytest.raises(ProviderFailed):
        await step(run, called("search_textbook", query=ASKED))
    # Another search that succeeded, or another tool that failed, is.
    later = Run(ASKED, failed={"search_textbook"}, searched=[ASKED])
    assert await step(later, called("search_textbook", query=ASKED)) == NOT_COVERED
    known = Run(ASKED, failed={"search_textbook"}, ledger=shown(GRIPPER))
    assert (
        await step(known, called("search_textbook", query=ASKED))
        == "The gripper closes with 40 newtons. [k7qd]"
    )
    other = Run(ASKED, failed={"get_chapter"})
    assert await step(other, called("search_textbook", query=ASKED)) == NOT_COVERED


async def test_what_is_not_covered_is_declined_with_the_three_nearest_chapters() -> None:
    places = [
        passage(
            f"Bread {number} rises.",
            key=f"b{number}",
            chapter=f"bread {max(number - 1, 0)}",
            heading=f"Dough {number}",
        )
        for number in range(5)
    ]
    run = Run("Who painted it?", ledger=shown(*places, score=0.5), searched=["Who painted it?"])
    assert await step(run, called("search_textbook", query=run.question)) == (
        f"{NOT_COVERED} Nearest chapters: Bread 0, Bread 1, Bread 2."
    )


async def test_without_a_search_to_make_the_marked_text_alone_is_spoken_of() -> None:
    run = Run("Who painted the Mona Lisa?", ledger=shown(BREAD, score=0.0))
    assert await step(run, tools=[]) == "No sentence of the marked text answers this."


async def test_a_reader_of_another_language_is_told_that_only_the_books_was_searched() -> None:
    question = "Wer hat die Mona Lisa gemalt?"
    answer = await step(Run(question, searched=[question]), called("search_textbook", query=question))
    assert answer == phrases(question).not_searched


async def test_a_question_that_depends_on_the_one_before_is_searched_together_with_it() -> None:
    before, question = "What is a topic in ROS 2?", "And how does that differ from services?"
    assert query_of(await step(Run(question), *asked("Hello", before, question))) == f"{before} {question}"
    assert query_of(await step(Run(ASKED), *asked(before, ASKED))) == ASKED


async def test_whether_a_question_depends_on_the_one_before_is_told_in_its_own_language() -> None:
    before, question = "Was ist ein Topic in ROS 2?", "Und wie unterscheidet sich das von Diensten?"
    assert query_of(await step(Run(question), *asked(before, question))) == f"{before} {question}"
    assert query_of(await step(Run("ROS 2?"), *asked(before, "ROS 2?"))) == "ROS 2?"


async def test_pages_of_an_unknown_language_are_not_introduced_as_those_of_another() -> None:
    place = passage("Der Greifer schließt mit 40 Newton. Er ist weich.", language="")
    run = Run("Mit wie viel Newton schließt der Greifer?", ledger=shown(place), searched=["Greifer Newton"])
    answer = await step(run)
    assert isinstance(answer, str)
    assert "[k7qd]" in answer.split("\n\n")[0]


async def test_a_short_question_that_finds_nothing_is_searched_again_with_the_one_before() -> None:
    before, question = "What is a gripper?", "Why useful?"
    run = Run(question, ledger=shown(BREAD, score=0.1), searched=[question])
    items = [*asked(before, question), called("search_textbook", query=question)]
    assert query_of(await step(run, *items)) == f"{before} {question}"
    # And once only: then the two together are judged.
    run.searched.append(f"{before} {question}")
    answer = await step(run, *items, called("search_textbook", query=f"{before} {question}"))
    assert answer == f"{NOT_COVERED} Nearest chapters: Bread."
    useful = passage("A gripper is useful. It holds cups.")
    run.ledger = shown(useful)
    run.ledger.note(hits(BREAD, score=0.1))
    answer = await step(run, *items, called("search_textbook", query=f"{before} {question}"))
    assert isinstance(answer, str)
    assert answer.startswith("A gripper is useful. [k7qd]")


async def test_a_long_question_that_finds_nothing_is_not_searched_again() -> None:
    question = "Who painted the Mona Lisa in Florence long ago?"
    run = Run(question, ledger=shown(BREAD, score=0.1), searched=[question])
    answer = await step(
        run, *asked("What is a gripper?", question), called("search_textbook", query=question)
    )
    assert answer == f"{NOT_COVERED} Nearest chapters: Bread."


async def test_it_reads_one_section_on_where_the_best_quotation_is_cut_off() -> None:
    question = "Which two things does the gripper need?"
    cut = passage("Two things does the gripper need:", heading="Needs")
    run = Run(question, ledger=shown(cut), searched=[question])
    call = await step(run, called("search_textbook", query=question))
    assert isinstance(call, Call)
    assert (call.name, json.loads(call.arguments)) == (
        "get_chapter",
        {"chapter": "robots", "section": "needs"},
    )
    once = await step(run, called("search_textbook", query=question), called("get_chapter", chapter="robots"))
    assert not isinstance(once, Call)
    without = await step(run, called("search_textbook", query=question), tools=[SEARCH])
    assert without == f"{NOT_COVERED} Nearest chapters: Robots."


async def test_a_page_without_sections_is_read_as_a_whole() -> None:
    question = "Which two things does the gripper need?"
    cut = passage("Two things does the gripper need:", heading="")
    call = await step(Run(question, ledger=shown(cut), searched=[question]))
    assert isinstance(call, Call)
    assert json.loads(call.arguments) == {"chapter": "robots", "section": None}


async def test_the_embedding_model_has_a_say_in_which_sentence_comes_first() -> None:
    place = passage("Grippers hold cups. Grippers hold bread.")
    texts: list[str] = []

    async def likeness(question: str, found: Sequence[str]) -> Sequence[Alike]:
        texts.extend(found)
        return [Alike(0.99 if "bread" in one else 0.8) for one in found]

    run = Run("What do grippers hold?", ledger=shown(place), searched=["What do grippers hold?"])
    with running(run):
        items: Any = asked(run.question)
        answer = await OfflineModel(likeness, book_language="en").next(items, [SEARCH], [])
    assert isinstance(answer, str)
    assert answer.startswith("Grippers hold bread. [k7qd]")
    assert len(texts) == 2


async def test_the_model_judges_twelve_candidates_of_the_passages_best_first() -> None:
    many = passage(" ".join(f"Grippers hold cup {number}." for number in range(14)))
    counts: list[int] = []

    async def likeness(question: str, found: Sequence[str]) -> Sequence[Alike]:
        counts.append(len(found))
        return [Alike(0.9)] * len(found)

    run = Run("What do grippers hold?", ledger=shown(BREAD, score=0.1), searched=["What do grippers hold?"])
    run.ledger.note(hits(many))
    with running(run):
        items: Any = asked(run.question)
        answer = await OfflineModel(likeness, book_language="en").next(items, [SEARCH], [])
    assert counts == [12]
    assert isinstance(answer, str)
    assert "Grippers hold cup 0." in answer

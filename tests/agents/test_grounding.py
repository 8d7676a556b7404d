"""A provider's tutor is held to the book by the server, whatever its model does: over HTTP, with scripted models."""

import json
import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import pytest

from preceptor.agents.answer import Answer, Event, Question, Restart, Token
from preceptor.agents.preceptor import Preceptor, open_preceptor
from preceptor.agents.prompts import rules
from preceptor.library.passage import KEY
from preceptor.settings import Settings
from preceptor.text.languages import phrases
from tests.agents.quoting import passage
from tests.sample import sample_settings
from tests.standins.desk import Spans
from tests.standins.provider import Json, Provider, call, calls, chunk, says, stream
from tests.standins.tutors import tutor_of

ASKED = Question(text="What is a node in ROS 2?")
INVENTED = "A node is a subject that is studied in a particular way by its students."
NODE = passage("A node is a process that computes. One node may hold two timers. Nodes do not share memory.")
TOPIC = passage("A topic carries messages of one type.", key="m4tw")


@pytest.fixture
def settings(sample_index: Path, tmp_path: Path, gemini: Provider, openai: Provider) -> Settings:
    return sample_settings(
        sample_index,
        tmp_path,
        tutor={"providers": ("gemini", "openai")},
        gemini={"api_key": "test", "base_url": gemini.base_url, "attempts": 1},
        openai={"api_key": "test", "base_url": openai.base_url, "attempts": 1},
    )


def changed(settings: Settings, section: str, **values: Any) -> Settings:
    table = getattr(settings, section).model_copy(update=values)
    return settings.model_copy(update={section: table})


def retrieving(settings: Settings, how: str) -> Settings:
    rows = {
        **settings.providers,
        "gemini": settings.providers["gemini"].model_copy(update={"retrieval": how}),
    }
    return settings.model_copy(update={"providers": rows})


def searches(query: str = "What is a node in ROS 2?", **more: Any) -> Any:
    return calls(call("search_textbook", {"query": query, **more}, id="s1"))


@asynccontextmanager
async def opened(settings: Settings) -> AsyncGenerator[Preceptor]:
    async with open_preceptor(settings) as preceptor:
        yield preceptor


async def told(preceptor: Preceptor, question: Question) -> tuple[Answer, list[Event]]:
    """The answer, and the events before it."""
    *before, done = [event async for event in preceptor.stream(question)]
    return getattr(done, "answer"), before  # noqa: B009 - the last event is `Done`


def text_of(events: Sequence[Event]) -> str:
    """The text of an answer; the ids beside it may hold any number."""
    return "".join(event.content for event in events if isinstance(event, Token))


async def key_of(preceptor: Preceptor, query: str = ASKED.text) -> str:
    return (await preceptor.library.search(query))[0].passage.key


def left(answer: Answer) -> list[tuple[str, str]]:
    return [(note.tutor, note.reason) for note in answer.failures]


def wire(provider: Provider, request: int = -1) -> Json:
    return provider.requests[request].body


# --- the gate


async def test_of_a_tutor_that_cites_properly_not_a_byte_differs_and_nothing_waits(
    settings: Settings, gemini: Provider
) -> None:
    async with opened(settings) as preceptor:
        key = await key_of(preceptor)
        words = [
            "A node is ",
            "a partici",
            f"pant [{key}]. It ",
            f"exchanges data [{key}].\n\n",
            "- one",
            " more",
        ]
        gemini.will(searches(), says(*words))
        answer, events = await told(preceptor, ASKED)
    pieces = [event.content for event in events if isinstance(event, Token)]
    assert answer.text == "A node is a participant [1]. It exchanges data [1].\n\n- one more"
    assert "".join(pieces).strip() == answer.text
    assert len(pieces) > 2, "it comes sentence by sentence"
    assert (left(answer), answer.in_book, len(gemini.requests)) == ([], True, 2)


async def test_an_answer_that_rests_on_nothing_is_asked_for_once_more_behind_the_passages(
    settings: Settings, gemini: Provider, spans: Spans
) -> None:
    async with opened(settings) as preceptor:
        key = await key_of(preceptor)
        gemini.will(says(INVENTED), says(f"A node is a participant [{key}]."))
        answer, events = await told(preceptor, ASKED)
    assert answer.text == "A node is a participant [1]."
    assert left(answer) == [("gemini", "uncited")]
    assert not any(isinstance(event, Restart) for event in events), "the reader notices nothing"
    assert INVENTED not in str(events)
    assert (answer.usage.requests, answer.usage.output_tokens) == (2, 10)
    *_, last = wire(gemini)["messages"]
    assert last["role"] == "user"
    assert last["content"].index("<quotation") < last["content"].index(
        f"[{key}]", last["content"].index("The keys are")
    )
    assert INVENTED not in str(wire(gemini)["messages"])
    assert spans.failovers()[0]["reason"] == "uncited"
    assert [one["span_data"]["name"] for one in spans.ended if one["span_data"]["type"] == "function"] == [
        "search_textbook"
    ]


async def test_who_rests_on_nothing_twice_is_left_and_in_the_end_the_book_is_quoted(
    settings: Settings, gemini: Provider, openai: Provider
) -> None:
    gemini.will_only(says(INVENTED))
    openai.will_only(says("Paris is the capital of France, and it has 2 million people."))
    async with opened(settings) as preceptor:
        answer, events = await told(preceptor, ASKED)
    assert (answer.provider, answer.degraded, answer.in_book) == ("offline", True, True)
    assert left(answer) == [("gemini", "uncited"), ("openai", "uncited")]
    assert (len(gemini.requests), len(openai.requests)) == (2, 2)
    assert "Paris" not in str(events)
    assert answer.usage.requests == 4


async def test_a_citation_does_not_bear_a_name_or_a_figure_that_its_passage_has_not(
    settings: Settings, gemini: Provider, openai: Provider
) -> None:
    async with opened(settings) as preceptor:
        key = await key_of(preceptor)
        gemini.will_only(searches(), says(f"A node costs 119 dollars [{key}]."))
        openai.will_only(says(f"AlphaFold is a node [{key}]."))
        answer, events = await told(preceptor, ASKED)
    assert answer.provider == "offline"
    assert "119" not in text_of(events)
    assert "AlphaFold" not in str(events)


@pytest.mark.parametrize("whole", [False, True], ids=["streamed", "whole"])
async def test_what_stands_behind_a_key_in_mid_sentence_is_held_to_its_passage_too(
    whole: bool, settings: Settings, gemini: Provider, openai: Provider
) -> None:
    async with opened(changed(settings, "tutor", least_support=0.05)) as preceptor:
        key = await key_of(preceptor)
        gemini.will_only(
            searches(), says("A node is ", f"a participant [{key}]", " of Unitree", " for 119 dollars.")
        )
        openai.will_only(
            says(f"A node is a participant [{key}] and ", "bakes bread in kitchens every dark night.")
        )
        if whole:
            answer, events = await preceptor.ask(ASKED), []
        else:
            answer, events = await told(preceptor, ASKED)
    assert answer.provider == "offline"
    assert left(answer) == [("gemini", "uncited"), ("openai", "uncited")]
    assert not re.search("119|Unitree|kitchen", f"{answer.text} {events}")


async def test_a_plain_claim_that_its_passage_hardly_says_is_left_out_and_the_setting_takes_it_back(
    settings: Settings, gemini: Provider
) -> None:
    true = "A node is a participant in the ROS 2 graph"
    for least, kept in ((0.05, False), (0.0, True)):
        async with opened(changed(settings, "tutor", least_support=least)) as preceptor:
            key = await key_of(preceptor)
            gemini.will(searches(), says(f"{true} [{key}]. ", f"Nodes bake bread in dark kitchens [{key}]."))
            answer, events = await told(preceptor, ASKED)
        assert answer.text.startswith(f"{true} [1].")
        assert ("kitchen" in answer.text) is kept
        assert ("kitchen" in str(events)) is kept
        assert answer.left_out == (not kept)


async def test_where_the_book_need_not_be_kept_to_nothing_is_held(
    settings: Settings, gemini: Provider
) -> None:
    gemini.will(says(INVENTED))
    async with opened(changed(settings, "tutor", book_only=False)) as preceptor:
        answer, _ = await told(preceptor, ASKED)
    assert (answer.text, answer.in_book, left(answer)) == (INVENTED, False, [])
    assert "decline" not in {tool["function"]["name"] for tool in wire(gemini)["tools"]}


async def test_a_recited_instruction_is_no_answer(
    settings: Settings, gemini: Provider, openai: Provider
) -> None:
    async with opened(settings) as preceptor:
        prompt = (await tutor_of(preceptor.triage, "gemini")).instructions
        assert isinstance(prompt, str)
        key = await key_of(preceptor)
        part = prompt[300:600]
        gemini.will_only(searches(), says(f"I was told: {part}"))
        openai.will_only(says(f"A node is a participant [{key}]. ", *part.replace(" ", " \0").split("\0")))
        answer, _ = await told(preceptor, ASKED)
    assert answer.provider == "offline"
    assert left(answer) == [("gemini", "disclosed"), ("openai", "disclosed")]


# --- without a passage


async def test_a_tutor_declines_in_our_words_after_it_has_searched(
    settings: Settings, gemini: Provider
) -> None:
    no = calls(call("decline", {"reason": "not_in_book", "chapters": ["nowhere"]}, id="d1"))
    again = calls(call("decline", {"reason": "not_in_book"}, id="d2"))
    gemini.will(no, searches("capital of France"), again)
    async with opened(settings) as preceptor:
        answer, _ = await told(preceptor, Question(text="Quelle est la capitale de la France ?"))
    assert answer.text.startswith("Le livre ne traite pas cette question. Chapitres les plus proches : ")
    assert (answer.in_book, answer.provider, left(answer), len(gemini.requests)) == (False, "gemini", [], 3)
    assert "not searched" in wire(gemini, 1)["messages"][-1]["content"]


@pytest.mark.parametrize("reason", ["small_talk", "unclear"])
async def test_a_question_about_the_book_is_not_sent_away_whatever_the_model_takes_it_for(
    reason: str, settings: Settings, gemini: Provider, openai: Provider
) -> None:
    for provider in (gemini, openai):
        no = [calls(call("decline", {"reason": reason}, id=f"d{number}")) for number in range(4)]
        provider.will(no[0], searches(), *no[1:])
    async with opened(settings) as preceptor:
        answer, _ = await told(preceptor, ASKED)
    assert "not searched" in wire(gemini, 1)["messages"][-1]["content"]
    assert "asks about the book" in wire(gemini, 3)["messages"][-1]["content"]
    assert (answer.provider, answer.in_book) == ("offline", True)
    assert left(answer) == [("gemini", "malformed_tool_call"), ("openai", "malformed_tool_call")]


async def test_a_model_that_takes_a_question_for_small_talk_may_still_answer_it(
    settings: Settings, gemini: Provider
) -> None:
    async with opened(settings) as preceptor:
        key = await key_of(preceptor)
        no = calls(call("decline", {"reason": "small_talk"}, id="d1"))
        gemini.will(no, searches(), says(f"A node is a participant [{key}]."))
        answer, _ = await told(preceptor, ASKED)
    assert (answer.text, left(answer)) == ("A node is a participant [1].", [])


@pytest.mark.parametrize(
    ("question", "reason", "said"),
    [
        (
            "How is the weather in Paris?",
            "small_talk",
            "I am the tutor of this book. Ask me something about it.",
        ),
        ("Asdf qwertz?", "unclear", None),
        ("Merci beaucoup !", "small_talk", None),
    ],
)
async def test_what_is_no_question_about_the_book_is_declined_as_what_it_is(
    question: str, reason: str, said: str | None, settings: Settings, gemini: Provider
) -> None:
    greets = question.startswith("Merci")
    no = calls(call("decline", {"reason": reason}, id="d1"))
    gemini.will(*([] if greets else [searches(question)]), no)
    async with opened(settings) as preceptor:
        answer, _ = await told(preceptor, Question(text=question))
    assert (answer.provider, answer.in_book, left(answer)) == ("gemini", False, [])
    assert answer.text == (said or getattr(phrases(question), reason))
    assert len(gemini.requests) == 2 - greets


async def test_what_is_said_before_it_declines_is_no_part_of_the_answer(
    settings: Settings, gemini: Provider
) -> None:
    both = stream(
        chunk({"content": "I will call `decline`."}),
        chunk({"tool_calls": [call("decline", {"reason": "small_talk"}, id="d1", index=0)]}),
        chunk({}, "tool_calls"),
    )
    gemini.will(both)
    async with opened(settings) as preceptor:
        answer, events = await told(preceptor, Question(text="Hello!"))
    assert answer.text == "I am the tutor of this book. Ask me something about it."
    assert "call" not in str([event for event in events if isinstance(event, Token)])


async def test_what_rests_on_nothing_is_not_shown_behind_what_does(
    settings: Settings, gemini: Provider
) -> None:
    async with opened(settings) as preceptor:
        key = await key_of(preceptor)
        gemini.will(
            searches(), says(f"A node is a participant [{key}]. ", "Each of them costs ", "119 dollars.")
        )
        answer, events = await told(preceptor, ASKED)
        later = await preceptor.sessions.turns(answer.session_id)
    assert answer.text == "A node is a participant [1]."
    assert "119" not in text_of(events)
    assert "119 dollars" not in str(later)
    assert answer.left_out == 1


async def test_an_answer_that_begins_with_an_invention_is_none(settings: Settings, gemini: Provider) -> None:
    async with opened(settings) as preceptor:
        key = await key_of(preceptor)
        invents = f"AlphaFold is a node of great worth. A node is a participant [{key}]."
        gemini.will(searches(), says(invents), says(f"A node is a participant [{key}]."))
        answer, events = await told(preceptor, ASKED)
    assert (answer.text, left(answer)) == ("A node is a participant [1].", [("gemini", "uncited")])
    assert "AlphaFold" not in str(events)


@pytest.mark.parametrize("said", ["Yes [{key}].", "The reader's question: What is a node in ROS 2? [{key}]"])
async def test_a_citation_of_next_to_nothing_is_no_answer(
    said: str, settings: Settings, gemini: Provider
) -> None:
    async with opened(changed(settings, "tutor", providers=("gemini",))) as preceptor:
        gemini.will_only(searches(), says(said.format(key=await key_of(preceptor))))
        answer, _ = await told(preceptor, ASKED)
    assert (answer.provider, left(answer)) == ("offline", [("gemini", "uncited")])


async def test_added_citations_are_sources_and_do_not_count_in_the_confidence(
    settings: Settings, gemini: Provider
) -> None:
    async with opened(settings) as preceptor:
        first, *_ = await preceptor.library.search(ASKED.text)
        sentence = first.passage.text.split(". ")[0] + "."
        gemini.will(searches(), says(f"{sentence} And bread rises overnight in kitchens."))
        answer, _ = await told(preceptor, ASKED)
    assert answer.text == f"{sentence} [1]"
    assert (answer.in_book, answer.confidence) == (True, None)


# --- the manners of a real model

MANNERS: list[dict[str, Any]] = [
    json.loads(line)
    for line in (Path(__file__).parent / "data/small-model.jsonl").read_text("utf-8").splitlines()
]
"""What a model of 1.5 billion parameters said to 17 questions: `unasked`, when it did not search; `searched`, behind
what its search found; `behind_passages`, when the rule stood behind the passages."""
RIGHT = {
    "What is a node in ROS 2?": "participant",
    "How many particles does AMCL use by default?": "2000",
    "Which setting makes a late subscriber still get the map?": "durability",
    "What's a topic?": "named channel",
    "And how does that differ from a service?": "request",
    "How much audio was Whisper trained on?": "680,000",
    "What does the Kalman gain decide?": "measurement",
    "What is the difference between the map frame and the odom frame?": "jump",
    "How big is the stereo depth error at 8 metres in the example?": "0.7",
    "Which states does a lifecycle node go through?": "unconfigured",
}
MADE_UP = re.compile(
    r"Paris|1,299|\b119\b|AlphaFold|Bullet|useState|100 particles|0\.002|subject or area|Pending|node init"
    r"|central entity|I'll|search_textbook|k7qd|k0l1|Look it up before"
)


@pytest.mark.parametrize("retrieval", ["agent", "required", "first"])
async def test_a_small_model_s_inventions_reach_no_reader(
    retrieval: str, settings: Settings, gemini: Provider
) -> None:
    lone = retrieving(changed(settings, "tutor", providers=("gemini",), least_confidence=0.5), retrieval)
    async with opened(lone) as preceptor:
        for said in MANNERS:
            question, again = said["question"], says(said["behind_passages"])
            before: list[tuple[Literal["user", "assistant"], str]] = []
            if "after" in said:
                before = [("user", said["after"]), ("assistant", "A topic is a named channel.")]
            if retrieval == "agent":
                gemini.will_only(says(said["unasked"]), again)
            elif retrieval == "first":
                gemini.will_only(again)
            elif "searched" in said:
                gemini.will_only(searches(question), says(said["searched"]), again)
            else:
                continue  # it did not search of its own
            answer = await preceptor.ask(Question(text=question, history=before))
            assert answer.in_book == said["in"], (question, answer.text)
            # What it said of a service was true of a topic alone; the offline tutor says what a topic is.
            right = "named channel" if "after" in said and retrieval == "first" else RIGHT.get(question, "")
            assert right in answer.text.casefold(), (question, answer.text)
            assert not MADE_UP.search(answer.text), (question, answer.text)


# --- what goes over the wire


async def test_what_may_be_left_out_is_optional_on_the_wire(settings: Settings, gemini: Provider) -> None:
    gemini.will(says("Which one do you mean?"))
    async with opened(settings) as preceptor:
        await told(preceptor, ASKED)
    sent = {tool["function"]["name"]: tool["function"]["parameters"] for tool in wire(gemini)["tools"]}
    assert sent["search_textbook"]["required"] == ["query"]
    assert set(sent["search_textbook"]["properties"]) == {"query", "chapter"}
    assert sent["get_chapter"]["required"] == ["chapter"]
    assert sent["decline"]["required"] == ["reason"]


async def test_an_unknown_chapter_searches_the_whole_book_and_says_so(
    settings: Settings, gemini: Provider
) -> None:
    gemini.will(searches(chapter="Chapter 10"), says("Which one do you mean?"))
    async with opened(settings) as preceptor:
        await told(preceptor, ASKED)
    result = wire(gemini)["messages"][-1]["content"]
    assert result.startswith("There is no chapter `Chapter 10`.")
    assert "<quotation" in result


async def test_after_a_narrowed_search_the_offline_tutor_looks_in_the_whole_book(
    settings: Settings, gemini: Provider, openai: Provider
) -> None:
    asked = "What is quality of service in ROS 2?"
    async with opened(settings) as preceptor:
        elsewhere = [one for one in await preceptor.library.chapters() if "ros" not in one.id][-1]
        gemini.will_only(searches(asked, chapter=elsewhere.id), says(INVENTED))
        openai.will_only(says(INVENTED))
        answer, _ = await told(preceptor, Question(text=asked))
    assert (answer.provider, answer.in_book) == ("offline", True)
    assert "quality of service" in answer.text.lower()


async def test_a_tutor_that_must_search_is_made_to_on_its_first_turn_alone(
    settings: Settings, gemini: Provider
) -> None:
    async with opened(retrieving(settings, "required")) as preceptor:
        key = await key_of(preceptor)
        gemini.will(searches(), says(f"A node is a participant [{key}]."))
        await told(preceptor, ASKED)
    assert [request.body.get("tool_choice") for request in gemini.requests] == ["required", None]


async def test_where_the_server_searches_first_the_tutor_has_the_passages_and_the_rule(
    settings: Settings, gemini: Provider, spans: Spans
) -> None:
    async with opened(retrieving(settings, "first")) as preceptor:
        key = await key_of(preceptor)
        gemini.will(says(f"A node is a participant [{key}]."))
        answer, _ = await told(preceptor, ASKED)
    assert (answer.text, len(gemini.requests)) == ("A node is a participant [1].", 1)
    asked = wire(gemini)["messages"][-1]
    assert asked["role"] == "user"
    assert asked["content"].startswith(ASKED.text)
    assert "The keys are: " in asked["content"].split("</quotation>")[-1]
    assert any(one["span_data"].get("name") == "search_textbook" for one in spans.ended)


async def test_where_the_server_searches_first_no_tutor_is_asked_for_what_the_book_does_not_cover(
    settings: Settings, gemini: Provider, openai: Provider
) -> None:
    openai.will_only(says("Paris [z9zz]."))
    async with opened(retrieving(settings, "first")) as preceptor:
        answer, _ = await told(preceptor, Question(text="What is the capital of France?"))
    assert left(answer) == [("gemini", "not_covered"), ("openai", "uncited")]
    assert (answer.provider, answer.in_book, gemini.requests) == ("offline", False, [])


@pytest.mark.parametrize("retrieval", ["first", "required", "agent"])
async def test_where_the_server_has_searched_the_model_is_offered_no_further_search(
    retrieval: str, settings: Settings, gemini: Provider
) -> None:
    async with opened(retrieving(settings, retrieval)) as preceptor:
        key = await key_of(preceptor)
        gemini.will(
            *([] if retrieval == "first" else [searches()]), says(f"A node is a participant [{key}].")
        )
        answer, _ = await told(preceptor, ASKED)
    offered = {tool["function"]["name"] for tool in wire(gemini)["tools"]}
    assert {"get_chapter", "decline"} < offered
    assert ("search_textbook" in offered) is (retrieval != "first")
    assert (answer.provider, left(answer)) == ("gemini", [])


async def test_a_model_that_the_server_searched_for_is_not_told_to_search_nor_asked_the_same_again(
    settings: Settings, gemini: Provider, openai: Provider
) -> None:
    gemini.will(says(INVENTED))
    async with opened(retrieving(settings, "first")) as preceptor:
        openai.will(searches(), says(f"A node is a participant [{await key_of(preceptor)}]."))
        answer, _ = await told(preceptor, ASKED)
    assert (left(answer), answer.provider) == ([("gemini", "uncited")], "openai")
    [first], second = gemini.requests, openai.requests[-1]
    assert "Look it up" not in first.body["messages"][0]["content"]
    assert "Look it up" in second.body["messages"][0]["content"]


async def test_a_search_that_was_not_offered_is_made_all_the_same(
    settings: Settings, gemini: Provider
) -> None:
    async with opened(retrieving(settings, "first")) as preceptor:
        key = await key_of(preceptor)
        gemini.will(searches("ROS 2 nodes"), says(f"A node is a participant [{key}]."))
        answer, _ = await told(preceptor, ASKED)
    assert (answer.text, left(answer)) == ("A node is a participant [1].", [])


async def test_a_tutor_that_searches_by_itself_is_not_held_to_what_the_server_judged_for_another(
    settings: Settings, gemini: Provider, openai: Provider
) -> None:
    asked = Question(text="What is the capital of France?")
    async with opened(retrieving(settings, "first")) as preceptor:
        key = await key_of(preceptor)
        openai.will(searches(), says(f"A node is a participant [{key}]."))
        answer, _ = await told(preceptor, asked)
    assert left(answer) == [("gemini", "not_covered")]
    assert (answer.provider, answer.text) == ("openai", "A node is a participant [1].")


async def test_where_no_tutor_is_left_to_say_so_the_model_is_asked_all_the_same(
    settings: Settings, gemini: Provider
) -> None:
    alone = changed(settings, "tutor", providers=("gemini",), offline_fallback=False)
    gemini.will(says("The book does not cover this."))
    async with opened(retrieving(alone, "first")) as preceptor:
        answer, _ = await told(preceptor, Question(text="What is the capital of France?"))
    assert (answer.provider, left(answer), len(gemini.requests)) == ("gemini", [], 1)


@pytest.mark.parametrize("retrieval", ["first", "agent"])
async def test_where_the_server_searches_first_an_answer_must_rest_on_what_answers_the_question(
    retrieval: str, settings: Settings, gemini: Provider, openai: Provider
) -> None:
    async with opened(retrieving(settings, retrieval)) as preceptor:
        first, *_, last = await preceptor.library.search(ASKED.text)
        assert first.passage.heading != last.passage.heading
        beside = f"{last.passage.text.split('. ')[0]} [{last.passage.key}]."
        gemini.will(*([] if retrieval == "first" else [searches()]), says(beside))
        openai.will(says(f"A node is a participant [{first.passage.key}]."))
        answer, events = await told(preceptor, ASKED)
    if retrieval == "agent":
        assert (answer.provider, left(answer)) == ("gemini", [])
        return
    assert left(answer) == [("gemini", "beside")]
    assert (answer.provider, answer.text) == ("openai", "A node is a participant [1].")
    assert last.passage.text[:20] not in text_of(events)
    assert len(gemini.requests) == 1, "it is not asked again"


async def test_a_question_in_another_language_is_put_by_the_tutor_itself(
    settings: Settings, gemini: Provider
) -> None:
    gemini.will_only(says("Ein Knoten ist ein Gegenstand."))
    async with opened(settings) as preceptor:
        await told(preceptor, Question(text="Was ist ein Knoten und wozu ist er gut?"))
    assert [request.body.get("tool_choice") for request in gemini.requests] == [None, "required"]


async def test_for_a_question_in_another_language_the_model_is_asked_what_to_search_for_and_for_no_answer(
    settings: Settings, gemini: Provider
) -> None:
    gemini.will(searches("capital of France"))
    async with opened(retrieving(settings, "first")) as preceptor:
        answer, _ = await told(preceptor, Question(text="Was ist die Hauptstadt von Frankreich?"))
    assert ("gemini", "not_covered") in left(answer)
    assert [request.body.get("tool_choice") for request in gemini.requests] == ["required"]


async def test_below_the_least_confidence_the_book_is_quoted_instead(
    settings: Settings, gemini: Provider, openai: Provider
) -> None:
    async with opened(changed(settings, "tutor", least_confidence=0.5)) as preceptor:
        key = await key_of(preceptor)
        gemini.will(
            searches(), says(f"The kitchen bread rises every night [{key}]. It does so twice [{key}].")
        )
        answer, events = await told(preceptor, ASKED)
    assert (answer.provider, answer.degraded, openai.requests) == ("offline", True, [])
    assert left(answer) == [("gemini", "unsupported")]
    assert "kitchen" not in str(events)


def test_the_key_of_the_example_can_be_nobodys() -> None:
    for key in re.findall(r"\[(\w{4})\]", " ".join(rules())):
        assert not re.fullmatch(KEY, key)

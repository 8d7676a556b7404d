"""A provider's tutor is held to the book by the server, whatever its model does: over HTTP, with scripted models."""

import json
import random
import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import pytest

from preceptor.agents.answer import Answer, Event, Question, Restart, Token
from preceptor.agents.attribution import Attribution
from preceptor.agents.passageless import needs_no_passage
from preceptor.agents.preceptor import Preceptor, open_preceptor
from preceptor.agents.prompts import rules
from preceptor.agents.streamed_sentences import Sentences
from preceptor.library.passage import KEY
from preceptor.settings import Settings
from preceptor.tools.plugin import Ledger, Run
from tests.agents.quoting import hits, passage
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
    assert "119" not in str(events)
    assert "AlphaFold" not in str(events)


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


@pytest.mark.parametrize(
    ("asked", "said", "searched", "passes"),
    [
        ("Hello!", "Hello, how nice to meet you!", False, True),
        ("Danke!", "Gern geschehen.", False, True),
        ("Thanks", "You are welcome, it costs 300 dollars.", False, False),
        ("What does a robot cost?", "It is free.", False, False),
        ("And that?", "Which of the two do you mean?", False, True),
        ("And that?", "Do you mean the Unitree robot?", False, False),
        ("What is gold?", "It is a metal of great value. Do you see?", False, False),
        ("What is gold?", "The book does not cover this.", True, True),
        ("What is gold?", "The book does not cover this.", False, False),
        ("What is gold?", "The book does not cover gold; gold is yellow.", True, False),
        ("Can nodes share memory?", "Nodes cannot share memory.", True, False),
        ("Was ist Gold?", "Das Buch behandelt diese Frage nicht.", True, True),
        ("What is gold?", "", True, False),
    ],
)
def test_what_may_be_said_without_a_passage(asked: str, said: str, searched: bool, passes: bool) -> None:
    assert needs_no_passage(said, Run(asked, searched=["it"] if searched else [])) is passes


# --- citations that the server adds


def shown(*passages: Any) -> Ledger:
    ledger = Ledger()
    ledger.note(hits(*passages))
    return ledger


def attributed(text: str, ledger: Ledger, pieces: Sequence[str] | None = None) -> str:
    attribution = Attribution(Run("What is a node?", ledger=ledger), tag="en", drops=False)
    return "".join(attribution.feed(piece) for piece in pieces or [text]) + attribution.finish()


TEXTS = {
    "A node is a process that computes. It is nice.": "A node is a process that computes. [k7qd] It is nice.",
    "A node is a process that computes": "A node is a process that computes [k7qd]",
    "A node is a process that computes [z9zz].": "A node is a process that computes [z9zz]. [k7qd]",
    "A node is a process that computes [k7qd].": None,
    "A node is a process that computes. [k7qd] Yes.": None,
    "A topic carries messages of one type [k7qd].": "A topic carries messages of one type [m4tw].",
    "Nodes of one kind share much [m4tw].": None,
    "$$\nA node is a process that computes.\n$$\n": None,
    "Bread rises overnight [z9zz].": None,
    "- A topic carries messages of one type.\n- So.\n": "- A topic carries messages of one type. [m4tw]\n- So.\n",
    "```text\nA node is a process that computes.\n```\n": None,
    "| A node is a process that computes. |\n": None,
    "# A node is a process that computes\n": None,
    "Is a node a process that computes?": None,
    "One node may hold 12 timers.": None,
    "See e.g. that. One node may hold two timers, i.e. two.": None,
}


@pytest.mark.parametrize("text", TEXTS)
def test_a_sentence_that_cites_nothing_gets_the_key_of_the_passage_that_bears_it(text: str) -> None:
    ledger, wanted = shown(NODE, TOPIC), TEXTS[text]
    if text.startswith("See"):
        assert attributed(text, ledger).replace(" [k7qd]", "") == text
    else:
        assert attributed(text, ledger) == (wanted or text)
    assert attributed(text, ledger, list(text)) == attributed(text, ledger)


def test_however_an_answer_comes_its_sentences_are_the_same() -> None:
    ledger, whole = shown(NODE, TOPIC), " ".join(TEXTS) + "\n\n" + "\n".join(TEXTS)
    once = attributed(whole, ledger)
    units = [*(sentences := Sentences("en")).feed(whole), *sentences.finish()]
    assert "".join(unit.text for unit in units) == whole
    for seed in range(10):
        chance = random.Random(seed)
        pieces, place = list[str](), 0
        while place < len(whole):
            end = place + chance.randint(1, 40)
            pieces.append(whole[place:end])
            place = end
        assert attributed(whole, ledger, pieces) == once


KEPT = {
    # what rests on nothing is left out, wherever it stands
    "A node is a process that computes [k7qd]. It costs 500 dollars.": "A node is a process that computes [k7qd].",
    "A node is a process that computes [k7qd]. It costs 500 dollars. It holds two timers [k7qd].": (
        "A node is a process that computes [k7qd]. It holds two timers [k7qd]."
    ),
    "A node is a process that computes [k7qd].\n\nBread rises overnight in kitchens.\n": (
        "A node is a process that computes [k7qd].\n\n"
    ),
    "I will look it up in the textbook first.\n\nA node is a process that computes [k7qd].": (
        "\nA node is a process that computes [k7qd]."
    ),
    "I will look it up in the textbook first. A node is a process that computes [k7qd].": (
        "A node is a process that computes [k7qd]."
    ),
    "- A node is a process that computes [k7qd].\n- AlphaFold is another one.\n- So.\n": (
        "- A node is a process that computes [k7qd].\n- So.\n"
    ),
    "What there is:\n\n- A node computes [k7qd].\n\nBread rises overnight in kitchens.\n": (
        "What there is:\n\n- A node computes [k7qd].\n\n"
    ),
    # also where it cites a passage that has not its name or its figure
    "A node is a process that computes [k7qd]. AlphaFold is a node [k7qd].": (
        "A node is a process that computes [k7qd]."
    ),
    "A node is a process that computes [k7qd]. It has 500 timers [k7qd].": (
        "A node is a process that computes [k7qd]."
    ),
    # and what announces it
    "A node is a process that computes [k7qd].\n\nWhat else there is:\n- Bread rises overnight in kitchens.\n": (
        "A node is a process that computes [k7qd].\n\n"
    ),
    # a citation bears the sentences beside it in its paragraph, as long as they add nothing
    "A node is a process that computes [k7qd]. It is good to keep each of them small.": None,
    "A node is a process that computes [k7qd]. What else there is:\n\n- It is good to keep each of them small.\n": None,
    "Nodes keep their files, tables and memory apart. A node computes [k7qd].": None,
    "A node is a process that computes [k7qd]. So nodes do not share memory.": (
        "A node is a process that computes [k7qd]. So nodes do not share memory. [k7qd]"
    ),
    "These are the 2 rules: 1) a node computes, 2) nodes do not share memory [k7qd].": None,
    # what says nothing needs no passage
    "Good question! A node is a process that computes [k7qd]. Shall I go on?": None,
    "A node is a process that computes [k7qd]. Shall I tell you of AlphaFold?": (
        "A node is a process that computes [k7qd]."
    ),
    "A node is a process that computes [k7qd]. The book does not cover nodes of gold.": None,
    # over languages nothing can be compared but figures
    "Ein Knoten ist ein Prozess und rechnet [k7qd]. Er hat 500 Uhren.": (
        "Ein Knoten ist ein Prozess und rechnet [k7qd]."
    ),
    "Ein Knoten ist ein Prozess und rechnet [k7qd]. Er ist für sich allein.": None,
    # code, tables and formulas are not judged
    "A node is a process that computes [k7qd].\n\n```sh\nros2 run 500\n```\n\n| a | 500 |\n\n$$\nx = 500\n$$\n": None,
    # a reply of which nothing rests on a passage has been let pass for what it is
    "Hello, how nice to meet you!": None,
    "The book does not cover this.\nSorry.": None,
}


STRICTLY = {
    "A node is a process that computes [k7qd]. Bread rises overnight in kitchens. It holds two timers [k7qd].": (
        "A node is a process that computes [k7qd]. It holds two timers [k7qd]."
    ),
    "- A node is a process that computes [k7qd].\n- Bread rises overnight in kitchens.\n- So.\n": (
        "- A node is a process that computes [k7qd].\n- So.\n"
    ),
    "A node is a process that computes [k7qd]. So nodes do not share memory.": (
        "A node is a process that computes [k7qd]. So nodes do not share memory. [k7qd]"
    ),
}


@pytest.mark.parametrize("text", STRICTLY)
def test_of_a_reply_that_is_read_strictly_stays_what_a_passage_supports(text: str) -> None:
    kept = Attribution(Run("What is a node?", ledger=shown(NODE, TOPIC)), tag="en", strict=True)
    assert (kept.feed(text) + kept.finish()).rstrip(" ") == STRICTLY[text]


@pytest.mark.parametrize("text", KEPT)
def test_of_a_reply_stays_what_rests_on_the_book(text: str) -> None:
    ledger, asked = shown(NODE, TOPIC), "What is a node of gold?"
    for pieces in ([text], list(text)):
        kept = Attribution(Run(asked, searched=[asked], ledger=ledger), tag="en")
        said = "".join([*map(kept.feed, pieces), kept.finish()])
        assert said.rstrip(" ") == (KEPT[text] or text)
        assert bool(kept.left_out) == (len(said) < len(text) and "[k7qd]" in text and KEPT[text] is not None)


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
    assert "119" not in str(events)
    assert "119" not in str(later)
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
            assert RIGHT.get(question, "") in answer.text, (question, answer.text)
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


async def test_a_question_in_another_language_is_put_by_the_tutor_itself(
    settings: Settings, gemini: Provider
) -> None:
    gemini.will_only(says("Ein Knoten ist ein Gegenstand."))
    async with opened(settings) as preceptor:
        await told(preceptor, Question(text="Was ist ein Knoten und wozu ist er gut?"))
    assert [request.body.get("tool_choice") for request in gemini.requests] == [None, "required"]


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

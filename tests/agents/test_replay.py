"""Recorded runs are played again: the same answer, and nobody is asked."""

import asyncio
import json
import random
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from agents import set_trace_processors
from typer.testing import CliRunner, Result

from preceptor.agents.answer import Answer, Question
from preceptor.agents.preceptor import open_preceptor
from preceptor.agents.replay import first_step, recorded_answer, replay, replay_live
from preceptor.cli import app
from preceptor.errors import IndexTimeout, ReplayDiverged
from preceptor.library.library import Library
from preceptor.library.passage import Hit
from preceptor.settings import Settings
from preceptor.tracing.processor import install
from preceptor.tracing.store import TraceStore
from tests.sample import sample_settings
from tests.server.test_recorded import QUESTIONS, TEXTS, script, search
from tests.standins.provider import Provider, call, calls, says


@pytest.fixture
def settings(sample_index: Path, tmp_path: Path, gemini: Provider, openai: Provider) -> Settings:
    place = {"api_key": "key", "attempts": 1}
    return sample_settings(
        sample_index,
        tmp_path,
        tutor={"providers": ("gemini", "openai")},
        gemini={**place, "base_url": gemini.base_url},
        openai={**place, "base_url": openai.base_url},
        breaker={"failures": 100},
    )


@pytest.fixture
def store(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[TraceStore]:
    monkeypatch.setattr(Library, "search", search)
    installed = install(settings.traces)
    yield installed
    set_trace_processors([])
    installed.close()


def refuse_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any) -> None:
        raise AssertionError("a replay opened a connection")

    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.setattr(socket.socket, "connect_ex", refused)
    monkeypatch.setattr(Library, "search", refused)


def comparable(answer: Answer) -> Answer:
    """An answer without what differs from run to run: times and ids."""
    return replace(
        answer, seconds=0, timings=replace(answer.timings, phases={}, first_token=0),
        session_id="", response_id="", trace_id="", also_relevant=tuple(answer.also_relevant),
    )  # fmt: skip


async def recorded(
    settings: Settings, store: TraceStore, gemini: Provider, openai: Provider, runs: int
) -> list[Answer]:
    """Asks with scripted providers that fail in many ways; returns the answers."""
    chance = random.Random(runs)
    answers: list[Answer] = []
    session: str | None = None
    async with open_preceptor(settings, traces=store) as preceptor:
        for number in range(runs):
            for provider, replies in zip((gemini, openai), script(number), strict=True):
                provider.will_only(*replies)
            question = Question(
                text=QUESTIONS[number % len(QUESTIONS)],
                session_id=session,
                selection="A node is a process that computes." if number % 7 == 3 else None,
                selection_only=number % 14 == 3,
            )
            events = preceptor.stream(question) if number % 2 else None
            answer = None
            if events is None:
                answer = await preceptor.ask(question)
            else:
                async for event in events:
                    answer = getattr(event, "answer", answer)
            assert answer is not None
            answers.append(answer)
            session = answer.session_id if chance.random() < 0.5 else None
    assert store.flush()
    return answers


async def check_replays(
    settings: Settings, store: TraceStore, answers: list[Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    tapes = [store.tape(answer.trace_id) for answer in answers]
    before = store.runs(1000)
    with monkeypatch.context() as patch:
        refuse_connections(patch)
        for tape, answer in zip(tapes, answers, strict=True):
            again = await replay(tape, settings)
            assert again.text == answer.text
            assert comparable(again) == comparable(answer)
            assert recorded_answer(tape) == replace(answer, also_relevant=tuple(answer.also_relevant))
    store.flush()
    assert store.runs(1000) == before, "a replay is not a run of its own"


async def test_a_replay_gives_the_recorded_answer_and_no_request_leaves(
    settings: Settings, store: TraceStore, gemini: Provider, openai: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = await recorded(settings, store, gemini, openai, 10)
    requests = len(gemini.requests) + len(openai.requests)
    assert len({answer.text for answer in answers}) > 7
    await check_replays(settings, store, answers, monkeypatch)
    assert len(gemini.requests) + len(openai.requests) == requests


@pytest.mark.long
async def test_a_hundred_replays_give_the_recorded_answers(
    settings: Settings, store: TraceStore, gemini: Provider, openai: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = await recorded(settings, store, gemini, openai, 100)
    await check_replays(settings, store, answers, monkeypatch)


async def test_the_command_line_replays_shows_and_compares_runs(
    settings: Settings,
    store: TraceStore,
    gemini: Provider,
    openai: Provider,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    first, second = await recorded(settings, store, gemini, openai, 2)
    monkeypatch.setenv("PRECEPTOR_TRACES__PATH", str(settings.traces.path))
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["traces", *arguments])

    async def told(*arguments: str) -> tuple[int, str]:
        found = await asyncio.to_thread(run, *arguments, "--env", "demo")
        return found.exit_code, found.stdout

    refuse_connections(monkeypatch)
    code, shown = await told("replay", first.trace_id)
    assert (code, shown.rstrip("\n")) == (0, first.text)
    code, shown = await told("replay", first.trace_id, "--json")
    assert (code, json.loads(shown)["same"]) == (0, True)
    code, shown = await told(first.trace_id[:20])
    assert code == 0
    assert "1 Triage: hand over to gemini({})" in shown
    code, shown = await told("diff", first.trace_id, second.trace_id, "--json")
    assert (code, json.loads(shown)["what"]) == (1, "question")
    assert (await told("diff", first.trace_id, first.trace_id))[0] == 0
    code, shown = await told("--json", "--provider", "nobody")
    assert (code, shown) == (0, "[]\n")
    code, shown = await told("list", "--search", first.text.split()[0], "--json")
    assert first.trace_id in [run["trace_id"] for run in json.loads(shown)]
    assert {"in_book", "provider", "degraded", "cost", "prices"} <= json.loads(shown)[0].keys()
    assert (await told("prune", "--keep-runs", "1")) == (0, f"Removed 1 run from `{settings.traces.path}`.\n")


async def test_a_live_replay_plays_the_steps_before_it_and_asks_the_model_for_the_rest(
    settings: Settings, store: TraceStore, gemini: Provider, openai: Provider
) -> None:
    gemini.will_only(calls(call("search_textbook", {"query": "node"})), says(f"{TEXTS[0]} [k7qd]"))
    async with open_preceptor(settings, traces=store) as preceptor:
        answer = await preceptor.ask(Question(text="What is a node?"))
    store.flush()
    tape = store.tape(answer.trace_id)
    assert [(step.get("kind"), step.get("name")) for step in tape.steps] == [
        ("model", None),
        ("model", None),
        ("tool", "search_textbook"),
        ("model", None),
    ]

    gemini.will_only(says(f"{TEXTS[1]} [x9z1]"))
    again = await replay_live(
        tape, settings, live_from=4, traces=store, prompt="Be brief.", replay_of=answer.trace_id
    )

    assert again.text.startswith(TEXTS[1].partition(".")[0])
    assert len(gemini.requests) == 1
    sent = gemini.requests[-1].body["messages"]
    assert sent[0]["content"].startswith("Be brief.")
    assert TEXTS[0] in json.dumps(sent), "the recorded passages are sent"
    store.flush()
    assert store.run(again.trace_id).facts["metadata"] == {"replay_of": answer.trace_id, "live_from": 4}
    assert (await replay(store.tape(again.trace_id), settings)).text == again.text
    assert (first_step(tape), first_step(tape, tool=True)) == (2, 3)


async def test_a_live_replay_searches_anew(
    settings: Settings, store: TraceStore, gemini: Provider, openai: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    gemini.will_only(calls(call("search_textbook", {"query": "node"})), says(f"{TEXTS[0]} [k7qd]"))
    async with open_preceptor(settings, traces=store) as preceptor:
        answer = await preceptor.ask(Question(text="What is a node?"))
    store.flush()
    searched: list[str] = []

    async def other(library: Library, query: str, **more: Any) -> list[Hit]:
        searched.append(query)
        return (await search(library, "parameters configure"))[:1]

    monkeypatch.setattr(Library, "search", other)
    gemini.will_only(says(f"{TEXTS[4]} [m2wr]"))
    again = await replay_live(store.tape(answer.trace_id), settings, live_from=3, traces=store)

    assert searched == ["node"], "the model's call is the tape's"
    assert [source.key for source in again.sources] == ["m2wr"]


async def test_a_run_without_an_answer_says_where_it_ended(
    settings: Settings, store: TraceStore, gemini: Provider, openai: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object, **__: object) -> list[Hit]:
        raise IndexTimeout("https://index", 1.0)

    monkeypatch.setattr(Library, "search", broken)
    gemini.will_only(calls(call("search_textbook", {"query": "node"})))
    async with open_preceptor(settings, traces=store) as preceptor:
        with pytest.raises(IndexTimeout):
            await preceptor.ask(Question(text="What is a node?"))
    store.flush()
    [run] = store.runs()

    with pytest.raises(ReplayDiverged, match=r"at step 3: the run ended with "):
        await replay(store.tape(run.trace_id), settings)


async def test_a_played_hand_over_to_a_provider_without_a_key_is_named(
    settings: Settings, store: TraceStore, gemini: Provider, openai: Provider
) -> None:
    gemini.will_only(calls(call("search_textbook", {"query": "node"})), says(f"{TEXTS[0]} [k7qd]"))
    async with open_preceptor(settings, traces=store) as preceptor:
        answer = await preceptor.ask(Question(text="What is a node?"))
    store.flush()
    alone = settings.model_copy(
        update={"tutor": settings.tutor.model_copy(update={"providers": ("openai",)})}
    )

    with pytest.raises(ReplayDiverged, match="hands over to `gemini`"):
        await replay_live(store.tape(answer.trace_id), alone, live_from=4)


async def test_tools_that_run_beside_each_other_keep_their_own_passages(
    settings: Settings, store: TraceStore, gemini: Provider, openai: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_may_end = asyncio.Event()

    async def slow_first(library: Library, query: str, **more: Any) -> list[Hit]:
        if "topics" in query:
            await first_may_end.wait()
        else:
            first_may_end.set()
        return (await search(library, query))[:1]

    monkeypatch.setattr(Library, "search", slow_first)
    gemini.will_only(
        calls(
            call("search_textbook", {"query": "topics carry messages"}, id="a", index=0),
            call("search_textbook", {"query": "parameters configure"}, id="b", index=1),
        ),
        says(f"{TEXTS[4]} [m2wr] {TEXTS[1]} [x9z1]"),
    )
    async with open_preceptor(settings, traces=store) as preceptor:
        answer = await preceptor.ask(Question(text="What are topics and parameters?"))
    store.flush()
    tape = store.tape(answer.trace_id)
    shown = {
        step.get("call_id"): [one["passage"]["key"] for one in step.get("passages", ())]
        for step in tape.steps
        if step.get("kind") == "tool"
    }
    assert list(shown.values()) == [["m2wr"], ["x9z1"]], "in the order of their ends"
    monkeypatch.undo()
    assert comparable(await replay(tape, settings)) == comparable(answer)

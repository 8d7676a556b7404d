"""CPU of one chat over that of the bare SDK making the same three model calls.

Both sides answer from the same stand-in model in this process: a hand-off, a tool call, an answer. On the bare side
there is no trace and nothing is kept; on ours the citation is checked, the session and the trace are written. The
sides alternate in one run; CPU is that of all threads.

`ratio`: the bare side's tool does nothing; ours searches the sample book, for questions that were asked before (their
vectors are remembered, `embedding.cache_size`). `ratio_new_questions`: each question is new, so ours embeds each.
`ratio_same_search`: the bare side has our search, too, so that what is left is everything around it.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from agents import Agent, Handoff, RunConfig, Runner, Tool, function_tool, handoff

from preceptor.agents.answer import Question
from preceptor.agents.preceptor import Preceptor, open_preceptor
from preceptor.agents.tutors import TriageModel
from preceptor.indexing.run import Indexing
from preceptor.library import open_engine
from preceptor.providers.local_model import Call, Items, LocalModel
from preceptor.providers.order import FallbackOrder
from preceptor.settings import load_settings, shipped
from preceptor.tools.discovery import load_tools
from preceptor.tools.plugin import Deps, Run
from preceptor.tracing.processor import install
from tests.standins.tutors import speaks_for

QUESTION = "What is a node in ROS 2?"
_CALLS = 3


class FreeProvider(LocalModel):
    """A tool call, then an answer that cites what the tool gave, in no time."""

    name = "free"

    async def next(self, input: Items, tools: Sequence[Tool], handoffs: Sequence[Handoff]) -> str | Call:
        """Search, then answer."""
        # The last output may be the hand-off's: the bare side shows it to the tutor, ours does not.
        searches = {item["call_id"] for item in input if item.get("name") == "search_textbook"}
        if input[-1].get("call_id") not in searches:
            asked = next(str(item["content"]) for item in reversed(input) if item.get("role") == "user")
            return Call("search_textbook", json.dumps({"query": asked}))
        found = str(input[-1]["output"])  # bare: empty
        key = found.partition('key="')[2][:4] or "k7qd"
        return f"A node is a process that computes and talks to others [{key}]."


@function_tool(name_override="search_textbook")
async def search_nothing(query: str) -> str:
    """Find passages."""
    return ""


def bare_sdk(search: Tool) -> Callable[[str], Awaitable[Any]]:
    """The same three calls with the SDK alone."""
    tutor = Agent[Run](name="Tutor", model=FreeProvider(), tools=[search])
    triage = Agent[Run](
        name="Triage", model=TriageModel(FallbackOrder({}, {}), retry_after=1), handoffs=[handoff(tutor)]
    )

    async def ask(question: str) -> None:
        run_config = RunConfig(tracing_disabled=True)
        result = Runner.run_streamed(triage, question, context=Run(question), run_config=run_config)
        async for _ in result.stream_events():
            pass
        assert len(result.raw_responses) == _CALLS, "it must make the calls that ours makes"

    return ask


async def cpu_ms(ask: Callable[[str], Awaitable[Any]], questions: Sequence[str]) -> float:
    """CPU milliseconds of one question, all threads."""
    began = time.process_time()
    for question in questions:
        await ask(question)
    return (time.process_time() - began) / len(questions) * 1000


async def with_free_provider(preceptor: Preceptor) -> Callable[[str], Awaitable[Any]]:
    """Ask through everything of ours, with the free provider in the offline tutor's place."""
    await speaks_for(preceptor.triage, "offline", FreeProvider())

    async def ask(question: str) -> None:
        answer = await preceptor.ask(Question(text=question))
        assert answer.sources, "the answer must cite what the tool found"

    return ask


async def measure(rounds: int, each: int) -> dict[str, Any]:
    """Alternate the two sides."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        settings = load_settings(
            "demo",
            overrides={
                "index": {"path": str(place / "index")},
                "traces": {"path": str(place / "traces.db")},
                "session": {"url": f"sqlite:///{place}/sessions.db"},
            },
        )
        engine = open_engine(settings)
        await Indexing(shipped("examples/physical-ai"), settings).into(engine)
        await engine.close()
        traces = install(settings.traces, redact=[])
        async with open_preceptor(settings, traces=traces) as preceptor:
            ours, bare = await with_free_provider(preceptor), bare_sdk(search_nothing)
            [search] = [
                one for one in load_tools(Deps(preceptor.library, settings)) if one.name == "search_textbook"
            ]
            searching = bare_sdk(search)
            await cpu_ms(ours, [QUESTION] * 20)
            await cpu_ms(bare, [QUESTION] * 20)
            await cpu_ms(searching, [QUESTION] * 20)
            known: list[float] = []
            new: list[float] = []
            base: list[float] = []
            base_searching: list[float] = []
            for number in range(rounds):
                base.append(await cpu_ms(bare, [QUESTION] * each))
                base_searching.append(await cpu_ms(searching, [QUESTION] * each))
                known.append(await cpu_ms(ours, [QUESTION] * each))
                new.append(await cpu_ms(ours, [f"{QUESTION} ({number}, {one})" for one in range(each)]))
        traces.close()
    middle = statistics.median
    return {
        "bench": "overhead",
        "bare_sdk_cpu_ms": round(middle(base), 2),
        "chat_cpu_ms": round(middle(known), 2),
        "chat_new_question_cpu_ms": round(middle(new), 2),
        "ratio": round(middle(a / b for a, b in zip(known, base, strict=True)), 2),
        "ratio_same_search": round(middle(a / b for a, b in zip(known, base_searching, strict=True)), 2),
        "ratio_new_questions": round(middle(a / b for a, b in zip(new, base, strict=True)), 2),
    }


def main() -> None:
    """Print the result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--chats", type=int, default=40, help="of each side in a round")
    parser.add_argument("--json", action="store_true", help="one JSON line")
    args = parser.parse_args()
    result = asyncio.run(measure(args.rounds, args.chats))
    if args.json:
        print(json.dumps(result))
    else:
        for name, value in result.items():
            print(f"{name:28} {value}")


if __name__ == "__main__":
    main()

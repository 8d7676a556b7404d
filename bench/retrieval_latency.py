"""Latency of the whole search tool: p50 and p95 over the embedded index and over a loopback Qdrant.

The tool is called as the SDK calls it, with questions that nobody asked before: it embeds, searches, fuses and
shows the passages. The loopback Qdrant speaks the REST API to the real client, but searches with the client's local
mode in a thread of this process: its numbers are those of our side and of HTTP, not of Qdrant Cloud. `known` are
questions whose vectors are remembered.
"""

import argparse
import asyncio
import json
import math
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agents import FunctionTool
from agents.tool_context import ToolContext

from preceptor.indexing.run import Indexing
from preceptor.library import open_engine
from preceptor.library.library import open_library
from preceptor.settings import Settings, load_settings, shipped
from preceptor.tools.discovery import load_tools
from preceptor.tools.plugin import Deps, Run

sys.path.insert(0, str(Path(__file__).parent.parent))

# The tests lie beside the benches, not in the package.
from tests.standins.qdrant import QdrantStandIn

QUESTIONS = (
    "What is a node in ROS 2?",
    "How does a robot know where it is?",
    "What is the difference between a topic and a service?",
    "Which sensors does a humanoid need to keep its balance?",
    "How is a policy trained in simulation brought to a real robot?",
    "What does a URDF file describe?",
)


async def latencies(settings: Settings, questions: Sequence[str]) -> list[float]:
    """Seconds of each call of the tool."""
    engine = open_engine(settings)
    library = await open_library(engine, settings)
    try:
        tools = load_tools(Deps(library, settings))
        tool = next(one for one in tools if isinstance(one, FunctionTool) and one.name == "search_textbook")
        times: list[float] = []
        for question in questions:
            arguments = json.dumps({"query": question})
            context = ToolContext(
                Run(question), tool_name=tool.name, tool_call_id="1", tool_arguments=arguments
            )
            began = time.perf_counter()
            found = await tool.on_invoke_tool(context, arguments)
            times.append(time.perf_counter() - began)
            if 'key="' not in str(found):
                raise RuntimeError(f"the search found nothing for `{question}`: {str(found)[:200]}")
    finally:
        await library.close()
        await engine.close()
    return times


def percentiles(times: Sequence[float]) -> dict[str, float]:
    """By nearest rank, in milliseconds."""
    ranked = sorted(times)
    return {
        f"p{share}": round(ranked[math.ceil(share / 100 * len(ranked)) - 1] * 1000, 2) for share in (50, 95)
    }


async def of_backend(settings: Settings, source: Path, calls: int) -> dict[str, Any]:
    """Index the book, then search it."""
    engine = open_engine(settings)
    summary = await Indexing(source, settings).into(engine)
    await engine.close()
    new = [f"{QUESTIONS[number % len(QUESTIONS)]} ({number})" for number in range(calls)]
    known = [QUESTIONS[number % len(QUESTIONS)] for number in range(calls)]
    await latencies(settings, new[:10])
    return {
        "passages": summary.passages,
        "new": percentiles(await latencies(settings, new)),
        "known": percentiles((await latencies(settings, known))[len(QUESTIONS) :]),
    }


async def measure(source: Path, calls: int) -> dict[str, Any]:
    """Both backends."""
    with tempfile.TemporaryDirectory() as folder, QdrantStandIn() as qdrant:
        embedded = load_settings("demo", overrides={"index": {"path": folder}})
        cloud = load_settings(
            "demo", overrides={"index": {"backend": "cloud"}, "qdrant": {"endpoint": qdrant.url}}
        )
        return {
            "bench": "retrieval_latency",
            "calls": calls,
            "embedded": await of_backend(embedded, source, calls),
            "loopback_qdrant": await of_backend(cloud, source, calls),
        }


def main() -> None:
    """Print the result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--source", type=Path, default=shipped("examples/physical-ai"), help="a book")
    parser.add_argument("--calls", type=int, default=200, help="of the tool, for each kind of question")
    parser.add_argument("--json", action="store_true", help="one JSON line")
    args = parser.parse_args()
    result = asyncio.run(measure(args.source, args.calls))
    if args.json:
        print(json.dumps(result))
        return
    for backend in ("embedded", "loopback_qdrant"):
        print(f"{backend:16} {result[backend]}")


if __name__ == "__main__":
    main()

"""A run of the real SDK: triage hands over, the tutor searches and answers. Only the provider is ours."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from agents import (
    Agent,
    OpenAIChatCompletionsModel,
    RunConfig,
    Runner,
    RunResult,
    function_tool,
    set_trace_processors,
)
from agents.testing import ScriptedModel, function_call
from openai import AsyncOpenAI

from preceptor.settings import TracesSettings
from preceptor.tracing.processor import install
from preceptor.tracing.store import TraceStore
from tests.tracing.sdk_run import PASSAGE, QUESTION, Ask, Install, provider


@pytest.fixture
def traces(tmp_path: Path) -> Iterator[Install]:
    """Installs tracing into a file of this test."""
    stores: list[TraceStore] = []

    def installed(
        redact: tuple[str, ...] = (), *, openai_key: str | None = None, **settings: Any
    ) -> TraceStore:
        store = install(
            TracesSettings(path=tmp_path / "traces.db", **settings), redact, openai_key=openai_key
        )
        stores.append(store)
        return store

    yield installed
    set_trace_processors([])
    for store in stores:
        store.close()


@pytest.fixture
def ask() -> Ask:
    """Asks once and gives what the SDK gives."""

    async def asked(
        question: str = QUESTION,
        *,
        passage: str = PASSAGE,
        broken: Exception | None = None,
        metadata: dict[str, Any] | None = None,
        trace_id: str | None = None,
        model: Callable[[httpx2.Request], httpx2.Response] = provider,
    ) -> RunResult:
        @function_tool(failure_error_function=None)
        async def search_textbook(query: str) -> str:  # pyright: ignore[reportUnusedParameter]
            if broken is not None:
                raise broken
            return passage

        async with httpx2.AsyncClient(transport=httpx2.MockTransport(model)) as http:
            client = AsyncOpenAI(
                api_key="unused", base_url="http://provider/v1", http_client=http, max_retries=0
            )
            tutor = Agent[None](
                name="Gemini tutor",
                instructions="Answer from the book.",
                tools=[search_textbook],
                model=OpenAIChatCompletionsModel("gemini-2.5-flash", client),
            )
            triage = Agent[None](
                name="Triage",
                handoffs=[tutor],
                model=ScriptedModel([[function_call("transfer_to_gemini_tutor", {}, call_id="t")]]),
            )
            config = RunConfig(group_id="session-1", trace_metadata=metadata, trace_id=trace_id)
            return await Runner.run(triage, question, run_config=config, max_turns=5)

    return asked

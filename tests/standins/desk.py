"""A small desk of tutors for the tests: triage, a tutor for each provider, one tool, and what came of it."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any

from agents import Agent, Runner, Span, Trace, TracingProcessor, function_tool
from agents.items import TResponseInputItem
from agents.result import RunResultBase
from agents.stream_events import RawResponsesStreamEvent
from openai.types.responses import ResponseTextDeltaEvent

from preceptor.agents.tutors import build_tutors
from preceptor.providers.failure import Failures
from preceptor.providers.models import ProviderModels, open_models
from preceptor.providers.scope import RunScope, current_scope
from preceptor.settings import Settings


class Spans(TracingProcessor):
    """Keeps the ended spans of all runs as the SDK exports them."""

    def __init__(self) -> None:
        self.ended: list[dict[str, Any]] = []

    def on_span_end(self, span: Span[Any]) -> None:
        exported = span.export()
        assert exported is not None
        self.ended.append(exported)

    def errors(self) -> list[str]:
        """Errors of the failed calls' spans."""
        generations = [span for span in self.ended if span["span_data"]["type"] == "generation"]
        return [span["error"]["data"]["error"] for span in generations if span["error"]]

    def failovers(self) -> list[dict[str, Any]]:
        """The data of the spans that say why a tutor was left."""
        return [
            span["span_data"]["data"] for span in self.ended if span["span_data"].get("name") == "failover"
        ]

    def on_span_start(self, span: Span[Any]) -> None: ...
    def on_trace_start(self, trace: Trace) -> None: ...
    def on_trace_end(self, trace: Trace) -> None: ...
    def shutdown(self) -> None: ...
    def force_flush(self) -> None: ...


@dataclass(frozen=True)
class Outcome:
    """Outcome of one question."""

    answer: str
    tutor: str
    shown: list[str]
    """Texts that the reader saw, tutor by tutor."""
    failures: list[tuple[str, str]]
    """The tutors that were left, each with the reason."""
    items: list[TResponseInputItem]
    """The conversation, as the next question's input."""
    tokens: tuple[int, int]
    requests: int

    @classmethod
    def of(cls, result: RunResultBase, lost: Failures, shown: list[str], tutor: str) -> "Outcome":
        usage = result.context_wrapper.usage
        return cls(
            answer=result.final_output,
            tutor=tutor,
            shown=shown,
            failures=[(note.tutor, note.reason) for note in lost.notes],
            items=result.to_input_list(),
            tokens=(
                usage.input_tokens + lost.spent.input_tokens,
                usage.output_tokens + lost.spent.output_tokens,
            ),
            requests=usage.requests + lost.spent.requests,
        )


@dataclass
class Desk:
    """Triage with the tutors behind it."""

    models: ProviderModels
    triage: Agent[Any]
    searched: list[str]
    """Queries that reached the tool."""

    async def ask(self, question: str, history: Sequence[TResponseInputItem] = ()) -> Outcome:
        """Answer a question as the server does: streamed."""
        shown = [""]
        scope = RunScope()
        asked: list[TResponseInputItem] = [*history, {"role": "user", "content": question}]
        context = copy_context()
        context.run(current_scope.set, scope)
        result = context.run(lambda: Runner.run_streamed(self.triage, asked))
        try:
            async for event in result.stream_events():
                if event.type == "agent_updated_stream_event":
                    shown.append("")
                elif isinstance(event, RawResponsesStreamEvent):
                    shown[-1] += event.data.delta if isinstance(event.data, ResponseTextDeltaEvent) else ""
        except BaseException:
            result.cancel()
            raise
        return Outcome.of(result, scope.failures, [text for text in shown if text], self._tutor(result))

    async def ask_whole(self, question: str) -> Outcome:
        """Answer a question without streaming."""
        scope = RunScope()
        current_scope.set(scope)
        result = await Runner.run(self.triage, question)
        return Outcome.of(result, scope.failures, [result.final_output], self._tutor(result))

    def _tutor(self, result: RunResultBase) -> str:
        return self.models.order.provider_of(result.last_agent.name)


@asynccontextmanager
async def open_desk(settings: Settings) -> AsyncGenerator[Desk]:
    """Open the providers' models and put the tutors in line."""
    searched: list[str] = []

    @function_tool
    def search_textbook(query: str) -> str:
        """Find passages."""
        searched.append(query)
        return f"[k7qd] What the book says about {query}."

    models = open_models(settings)
    triage = build_tutors(models, instructions="", tools=[search_textbook], offline=None, retry_after=1)
    try:
        yield Desk(models, triage, searched)
    finally:
        await models.close()


def two_providers(gemini: str, openai: str | None = None, **more: Any) -> Settings:
    """Settings with Gemini at one address and, unless it is None, OpenAI at the other.

    Args:
        gemini: Gemini's address.
        openai: OpenAI's address; None: there is no key for it.
        more: `breaker`, a table; the rest is for Gemini.
    """
    breaker = more.pop("breaker", {})
    table = {"api_key": "gemini-key", "model": "gemini-3-flash", "timeout": 5.0, "first_token": 4.0, **more}
    return Settings.model_validate(
        {
            "env": "local",
            "gemini": {"base_url": gemini, **table},
            "openai": {"base_url": openai, "api_key": "openai-key", "model": "gpt-small"} if openai else {},
            "breaker": breaker,
        }
    )

"""Measures the times of a run, and tells its outcome to the log, the observer and the trace."""

import logging
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Protocol

from agents import Agent, ItemHelpers, ModelResponse, RunContextWrapper, RunHooks, Tool
from agents.tool_context import ToolContext
from openai.types.responses import ResponseFunctionToolCall

from preceptor.agents.answer import Answer, Event, Question, Started, Status, Timings, Token
from preceptor.agents.recorded import RecordedModel
from preceptor.agents.running import Called, HandedOver, Said, Tell
from preceptor.providers.failure import FailureNote, Usage
from preceptor.providers.scope import HAND_OVER
from preceptor.tools.plugin import Run, phase_of
from preceptor.tracing.recorder import Recorder
from preceptor.tracing.run import trace_id
from preceptor.tracing.store import TraceStore

logger = logging.getLogger(__name__)


class Observer(Protocol):
    """Receives the outcome of every run, for instance for metrics."""

    def answered(self, answer: Answer) -> None:
        """Called when a run gave this answer."""
        ...

    def failed(self, error: BaseException, failures: Sequence[FailureNote], usage: Usage) -> None:
        """Called when a run ended with an error or was cancelled."""
        ...


class Outcomes:
    """Tells the log, the observer and the trace how runs ended."""

    def __init__(self, traces: TraceStore | None, observer: Observer | None, *, book: str = "") -> None:
        """Tell those that there are.

        Args:
            traces: Store of the runs.
            observer: Receives the outcome of every run.
            book: Id of the book, where the runs of several are kept together.
        """
        self._book = book
        self._traces = traces
        self._observer = observer

    def begun(self, started: Started, question: Question) -> None:
        """A run begins: it can be looked at while it goes on, and is known of if this process is killed."""
        if self._traces is not None:
            self._traces.annotate(
                started.trace_id,
                question=question.text,
                response_id=started.response_id,
                session_id=started.session_id,
            )

    def answered(self, question: Question, answer: Answer, recorder: Recorder | None = None) -> None:
        """A run has given this answer."""
        logger.info(
            "answered trace=%s provider=%s sources=%d failures=%s seconds=%.3f",
            answer.trace_id,
            answer.provider,
            len(answer.sources),
            _listed(answer.failures),
            answer.seconds,
        )
        if self._observer is not None:
            self._observer.answered(answer)
        if self._traces is not None:
            if recorder is not None:
                self._traces.record(answer.trace_id, lambda: recorder.tape(answer=answer))
            if answer.left_out:
                self._traces.annotate(answer.trace_id, left_out=answer.left_out)
            self._traces.annotate(
                answer.trace_id,
                question=question.text,
                answer=answer.text,
                provider=answer.provider,
                model=answer.model,
                in_book=answer.in_book,
                degraded=answer.degraded,
                truncated=answer.truncated,
                confidence=answer.confidence,
                sources=[source.key for source in answer.sources],
                failover=_failover(answer.failures),
                usage=asdict(answer.usage),
                timings=_milliseconds(answer),
                response_id=answer.response_id,
                session_id=answer.session_id,
            )
            self._note_book(answer.trace_id, question)

    def failed(
        self,
        started: Started,
        question: Question,
        failures: Sequence[FailureNote],
        usage: Usage,
        error: BaseException,
        recorder: Recorder | None = None,
    ) -> None:
        """A run has ended with an error, or was cancelled."""
        name = type(error).__name__
        logger.warning("no answer trace=%s error=%s failures=%s", started.trace_id, name, _listed(failures))
        if self._observer is not None:
            self._observer.failed(error, failures, usage)
        if self._traces is not None:
            if recorder is not None:
                self._traces.record(started.trace_id, lambda: recorder.tape(error=name))
            self._traces.annotate(
                started.trace_id,
                question=question.text,
                response_id=started.response_id,
                session_id=started.session_id,
                error=name,
                failover=_failover(failures),
                usage=asdict(usage),
            )
            self._note_book(started.trace_id, question)

    def _note_book(self, trace_id: str, question: Question) -> None:
        book = self._book or question.book
        if book and self._traces is not None:
            self._traces.annotate(trace_id, book=book)

    def not_begun(self, error: BaseException) -> None:
        """A run could not begin; it has no trace."""
        if self._observer is not None:
            self._observer.failed(error, (), Usage())


class Stopwatch:
    """Measures the times of a run, until the first token and of each phase; starts when constructed."""

    def __init__(self) -> None:
        self.began = time.perf_counter()
        self._first_token: float | None = None
        self._phases: dict[str, float] = {}
        self._phase = "starting"
        self._since = self.began

    def note(self, event: Event) -> None:
        """Register the next event for the reader."""
        if isinstance(event, Token):
            if self._first_token is None:
                self._first_token = time.perf_counter() - self.began
        elif isinstance(event, Status):
            self._turn_to(event.phase)

    def stop(self) -> tuple[float, Timings]:
        """Returns the total time and the duration of each phase, in seconds."""
        self._turn_to("")
        return self._since - self.began, Timings(self._first_token, self._phases)

    def _turn_to(self, phase: str) -> None:
        now = time.perf_counter()
        self._phases[self._phase] = self._phases.get(self._phase, 0.0) + now - self._since
        self._phase, self._since = phase, now


class RunLog(RunHooks[Run]):
    """Hooks of the SDK that log hand-offs and tool calls: names only, never text of reader, book or model.

    What a tool returned goes to the run's tape, and the reader is told of calls and hand-offs.
    """

    def __init__(self, tell: Tell, recorder: Recorder | None = None) -> None:
        """Record the results of tools, too, if there is a recorder."""
        self._tell = tell
        self._recorder = recorder

    async def on_llm_end(
        self, context: RunContextWrapper[Run], agent: Agent[Run], response: ModelResponse
    ) -> None:
        """A model has ended its reply."""
        # Whoever puts another model in an agent's place gets its text as well, if not while it is made.
        if not isinstance(agent.model, RecordedModel):
            said = "".join(ItemHelpers.extract_text(item) or "" for item in response.output)
            if said:
                self._tell(Said(said))
        for item in response.output:
            if isinstance(item, ResponseFunctionToolCall) and not item.name.startswith(HAND_OVER):
                self._tell(Called(item.name, item.arguments, phase_of(agent.tools, item.name)))

    async def on_handoff(
        self, context: RunContextWrapper[Run], from_agent: Agent[Run], to_agent: Agent[Run]
    ) -> None:
        """An agent hands the question to another one."""
        self._tell(HandedOver(to_agent.name))
        logger.info("%s hands over to %s trace=%s", from_agent.name, to_agent.name, trace_id())

    async def on_tool_end(
        self, context: RunContextWrapper[Run], agent: Agent[Any], tool: Tool, result: object
    ) -> None:
        """A tool has answered."""
        if self._recorder is not None and isinstance(context, ToolContext):
            self._recorder.returned(
                agent.name,
                tool.name,
                call_id=context.tool_call_id,
                arguments=context.tool_arguments,
                output=result,
            )
        logger.info(
            "%s called %s passages=%d trace=%s",
            agent.name,
            tool.name,
            len(context.context.ledger),
            trace_id(),
        )


def _milliseconds(answer: Answer) -> dict[str, float]:
    first = answer.timings.first_token
    seconds = {
        "total": answer.seconds,
        **({} if first is None else {"first_token": first}),
        **answer.timings.phases,
    }
    return {name: round(value * 1000, 1) for name, value in seconds.items()}


def _listed(failures: Sequence[FailureNote]) -> str:
    return ",".join(f"{note.tutor}:{note.reason}" for note in failures) or "none"


def _failover(failures: Sequence[FailureNote]) -> list[dict[str, str]]:
    return [{"from": note.tutor, "reason": note.reason} for note in failures]

"""Entry point: open a book, then `ask` or `stream`. The server, the command line and evaluations use it."""

import asyncio
import contextvars
import logging
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, nullcontext
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from typing import Any, cast
from uuid import uuid4

from agents import Agent, AgentsException, RunConfig, Runner, ToolErrorFormatterArgs
from agents.items import TResponseInputItem
from agents.tracing import gen_trace_id

from preceptor.agents.answer import Answer, Done, Event, NewArtifact, Question, Source, Started, Timings, hit
from preceptor.agents.attribution import Attribution
from preceptor.agents.grounding import BookRule, Gate, Rules
from preceptor.agents.offline import OfflineModel, current_run
from preceptor.agents.outcome import Observer, Outcomes, RunLog, Stopwatch
from preceptor.agents.player import Player
from preceptor.agents.prompts import instructions, instructions_of_selection, prompt, rules
from preceptor.agents.recorded import Recording, current_recording
from preceptor.agents.reply import Reply
from preceptor.agents.running import Running
from preceptor.agents.session_store import open_store
from preceptor.agents.sessions import Sessions, Turns
from preceptor.agents.tutors import build_tutors
from preceptor.errors import PreceptorError, ProviderFailed, SessionsUnavailable
from preceptor.library import open_engine
from preceptor.library.library import Embedders, Library, open_library
from preceptor.library.passage import Hit
from preceptor.library.protocol import Engine
from preceptor.providers.failure import FailureNote, Usage
from preceptor.providers.models import ProviderModels, open_models
from preceptor.providers.scope import RunScope, current_scope
from preceptor.settings import Settings
from preceptor.text.languages import language_of
from preceptor.tools.discovery import Toolbox, load_tools, open_toolbox
from preceptor.tools.plugin import Artifact, Deps, Ledger, Run, tell_model
from preceptor.tracing.processor import send_nothing
from preceptor.tracing.recorder import Recorder
from preceptor.tracing.store import TraceStore
from preceptor.tracing.tape import Step

logger = logging.getLogger(__name__)

_ALSO_RELEVANT = 5
_OF_QUESTION = [one.name for one in fields(Question) if one.name not in ("session_id", "history")]


class Preceptor:
    """An open book with its tutors; safe to share between any number of runs on one event loop."""

    def __init__(
        self,
        settings: Settings,
        *,
        library: Library,
        models: ProviderModels,
        build_triage: Callable[[Toolbox], Agent[Run]],
        triage_of_selection: Agent[Run],
        sessions: Sessions,
        tools: Toolbox,
        traces: TraceStore | None,
        language: str = "en",
        observer: Observer | None = None,
        book: str = "",
    ) -> None:
        """Assemble the parts; use `open_preceptor` instead."""
        self.settings = settings
        self.library = library
        self.models = models
        self.sessions = sessions
        self.tools = tools
        self.traces = traces
        self._outcomes = Outcomes(traces, observer, book=book)
        self._language = language
        self._rules = Rules([*rules(), settings.book.instructions])
        self._build_triage = build_triage
        self.triage = build_triage(tools)
        self.triage_of_selection = triage_of_selection
        """Tutors without tools, for questions about the marked text alone."""

    async def reload_tools(self) -> None:
        """Load all plug-ins anew; runs that have begun keep the tools that they have."""
        tools = await asyncio.to_thread(load_tools, Deps(self.library, self.settings))
        tools.adopt(self.tools)
        self.tools = tools
        self.triage = self._build_triage(self.tools)

    async def ask(self, question: Question) -> Answer:
        """Returns the finished answer to a question."""
        async with aclosing(self.stream(question, whole=True)) as events:
            async for event in events:
                if isinstance(event, Done):
                    return event.answer
        raise AssertionError("a run ends with an answer or an error")

    async def stream(
        self, question: Question, *, whole: bool = False, player: Player | None = None
    ) -> AsyncGenerator[Event, None]:
        """Answer a question while it is made; the last event is `Done`.

        Closing the iterator ends the run and the provider's call.

        Args:
            question: The question.
            whole: Nobody reads the answer while it is made. Then providers are asked for it in one piece: that
                is less work, and `timeout` is the only limit of a call.
            player: Plays a recorded run, whose question this is, in place of the session and of its steps.

        Raises:
            SessionNotFound: There is no such session.
            SessionBusy: Too many questions wait for it.
            SessionsUnavailable: The session cannot be looked up.
            UnknownChapter: There is no such chapter.
            UnknownBook: There is no such book.
            DeadlineExceeded: There was no answer within `tutor.deadline`.
            TutorError: No tutor could answer.
            VectorIndexError: The index failed.
        """
        clock = Stopwatch()
        # Before the session is opened: a chapter that there is not must not begin one.
        if player is None:
            await self.library.check(chapter=question.chapter, book=question.book)
        seconds = self.settings.tutor.deadline
        deadline = clock.began + seconds
        async with AsyncExitStack() as stack:
            opened = (
                nullcontext(player.turns())
                if player
                else self.sessions.open(
                    question.session_id,
                    history=_items(question),
                    keeps_history=question.keeps_history,
                    seconds=deadline - time.perf_counter(),
                )
            )
            try:
                turns = await stack.enter_async_context(opened)
            except SessionsUnavailable as error:
                self._outcomes.not_begun(error)
                raise
            started = Started(uuid4().hex, turns.session_id, gen_trace_id())
            yield started
            language = player.language if player else self._language
            run, book, reply = self._begun(question, turns, language)
            scope = self._scope(question, run, book, language, deadline=deadline, whole=whole)
            failures = scope.failures
            recording = self._recording(question, run, turns, scope, player)
            recorder = recording.recorder
            self._outcomes.begun(started, question)
            running = Running(run)
            self._start(question, running, turns, scope, started, recording)
            shown_artifacts = 0
            try:
                async with aclosing(running.events(deadline, seconds)) as events:
                    async for told in events:
                        for out in reply.take(told, reason=failures.reason):
                            clock.note(out)
                            yield out
                        while shown_artifacts < len(run.artifacts):
                            yield NewArtifact(run.artifacts[shown_artifacts])
                            shown_artifacts += 1
                        # What would not be shown need not be paid for.
                        if reply.truncated:
                            running.cancel()
                            break
                # Our own words, given by a tool: no model has said them.
                if run.declined:
                    for out in reply.decline(running.final_output):
                        clock.note(out)
                        yield out
                for out in reply.finish():
                    clock.note(out)
                    yield out
                checked = await reply.checked()
            # A reader who leaves is a cancellation: the provider's call ends, and the run is told of all the same.
            except BaseException as error:
                running.cancel()
                spent = running.usage + failures.spent
                self._outcomes.failed(started, question, failures.notes, spent, error, recorder)
                if isinstance(error, Exception):
                    raise _named(error, reply.provider) from error
                raise
            finally:
                run.ledger.noted = None  # else the run holds itself until the garbage collector comes
            spent = running.usage + failures.spent
            answer = self._answer(started, run, reply, checked, scope, spent, clock.stop())
            try:
                # Before `Done`: a follow-up that comes at once has to find this turn.
                await turns.add(question.text, reply.raw, shown=answer)
            except SessionsUnavailable as error:
                logger.warning("answer not kept, or not yet, trace=%s error=%s", started.trace_id, error)
            self._outcomes.answered(question, answer, recorder)
            yield Done(answer)

    def _begun(self, question: Question, turns: Turns, of_book: str) -> tuple[Run, BookRule | None, Reply]:
        """Returns the question as its tools see it, what binds it to the book, and the reply that is to come."""
        # The marked text is the only context then; earlier turns would be another one.
        earlier = [] if question.selection_only else [hit(source) for source in turns.cited]
        run = Run(question.text, chapter=question.chapter, book=question.book, ledger=Ledger(earlier=earlier))
        tutor, book = self.settings.tutor, None
        if not question.selection_only:
            book = BookRule(run, _said(turns.history), of_book=of_book, likeness=self.library.likeness)

        def attribution(provider: str) -> Attribution:
            must_quote = self.settings.providers[provider].retrieval == "first"
            return Attribution(
                run,
                tag=language_of(question.text) or of_book,
                drops=self._holds(question),
                strict=tutor.least_confidence > 0,
                least_support=tutor.least_support,
                within=book.within if book and must_quote else None,
            )

        reply = Reply(
            run.ledger,
            self.models.order.provider_of,
            longest=tutor.max_answer,
            attribution=attribution if tutor.book_only else None,
        )
        return run, book, reply

    def _scope(
        self,
        question: Question,
        run: Run,
        book: BookRule | None,
        of_book: str,
        *,
        deadline: float,
        whole: bool,
    ) -> RunScope:
        """Returns the run as the providers' models see it."""
        tutor, holds = self.settings.tutor, self._holds(question)

        def shown(*, must_answer: bool) -> Gate:
            """Begin to look at a reply: a tutor may be asked again, and another after it."""
            return Gate(
                run,
                self._rules,
                holds=holds,
                longest=tutor.max_answer,
                least_confidence=tutor.least_confidence,
                least_support=tutor.least_support,
                of_book=of_book,
                within=book.within if book and must_answer else None,
            )

        return RunScope(
            seconds=tutor.deadline,
            deadline=asyncio.get_running_loop().time() + deadline - time.perf_counter(),
            refused=run.refused,
            shown=shown,
            book=book,
            whole=whole,
        )

    def _recording(
        self, question: Question, run: Run, turns: Turns, scope: RunScope, player: Player | None
    ) -> Recording:
        """Returns how the run is recorded, and whether it is played."""
        recorder = None
        if self.traces is not None and self.traces.include_text and not (player and player.sealed):
            asked = partial(_asked, question, turns, self._language if player is None else player.language)
            recorder = Recorder(asked, partial(_state, run, scope))
            run.ledger.noted = recorder.shows
        if player is not None:
            player.apply = partial(_apply, run, scope, recorder)
        return Recording(recorder, player)

    def _holds(self, question: Question) -> bool:
        """Whether the answer must rest on the book."""
        return self.settings.tutor.book_only and not question.selection_only

    def _start(
        self,
        question: Question,
        running: Running,
        turns: Turns,
        scope: RunScope,
        started: Started,
        recording: Recording,
    ) -> None:
        run = running.context.context
        items: list[TResponseInputItem] = [
            *([] if question.selection_only else turns.history),
            {"role": "user", "content": prompt(question, run.ledger)},
        ]
        config = RunConfig(
            workflow_name="preceptor",
            trace_id=started.trace_id,
            group_id=started.session_id,
            trace_metadata=dict(question.metadata) or None,
            tracing_disabled=recording.player is not None and recording.player.sealed,
            trace_include_sensitive_data=self.settings.traces.include_text,
            # By default the SDK ends the run; a model can correct the name.
            tool_not_found_behavior="return_error_to_model",
            tool_error_formatter=_tell_model,
        )
        triage = self.triage_of_selection if question.selection_only else self.triage
        # A copy, so that what is set for this run is seen by its tasks and by no other run.
        context = contextvars.copy_context()
        context.run(current_run.set, run)
        context.run(current_scope.set, scope)
        context.run(current_recording.set, replace(recording, tell=running.tell))
        going = Runner.run(
            triage,
            items,
            # The SDK takes a wrapper for its own, so that what a run has spent is known when it fails, too.
            context=cast("Run", running.context),
            hooks=RunLog(running.tell, recording.recorder),
            max_turns=None,  # a tutor is left when it makes too many calls, and the run has a deadline
            run_config=config,
        )
        running.start(going, context=context)

    def _answer(
        self,
        started: Started,
        run: Run,
        reply: Reply,
        checked: tuple[float | None, Sequence[Source]],
        scope: RunScope,
        spent: Usage,
        times: tuple[float, Timings],
    ) -> Answer:
        seconds, timings = times
        offline = reply.provider == "offline"
        confidence, sources = checked
        return Answer(
            text=reply.text,
            sources=tuple(sources),
            also_relevant=reply.also_relevant(_ALSO_RELEVANT),
            artifacts=tuple(run.artifacts),
            in_book=any(not source.tool for source in sources),
            confidence=confidence,
            provider=reply.provider,
            model="offline" if offline else self.models.model_name(reply.provider),
            degraded=offline and bool(self.settings.tutor.providers),
            truncated=scope.truncated or reply.truncated,
            failures=tuple(scope.failures.notes),
            unknown_keys=reply.unknown_keys,
            tools=tuple(reply.tools),
            left_out=reply.left_out,
            usage=spent,
            seconds=seconds,
            timings=timings,
            session_id=started.session_id,
            response_id=started.response_id,
            trace_id=started.trace_id,
        )


@dataclass(frozen=True, slots=True)
class Shared:
    """The parts that several open books have in common."""

    engine: Engine
    embedders: Embedders
    models: ProviderModels
    """Clients of the providers, with their breakers: a provider that is down is down for every book."""
    sessions: Sessions


@asynccontextmanager
async def open_shared(settings: Settings) -> AsyncGenerator[Shared, None]:
    """Open what books have in common, without contacting anybody; close it at the end.

    Raises:
        SettingsError: A key, an address or a package is missing or wrong.
    """
    for doubt in settings.doubts():
        logger.warning("%s", doubt)
    # Before anything is traced: the SDK uploads by default.
    if not settings.traces.upload_to_openai:
        send_nothing()
    async with AsyncExitStack() as stack:
        engine = await stack.enter_async_context(open_engine(settings))
        embedders = Embedders(settings.embedding)
        stack.callback(embedders.close)
        sessions = Sessions(settings.session, open_store(settings))
        stack.push_async_callback(sessions.close)
        models = open_models(settings)
        stack.push_async_callback(models.close)
        yield Shared(engine, embedders, models, sessions)


@asynccontextmanager
async def open_preceptor(
    settings: Settings,
    *,
    shared: Shared | None = None,
    traces: TraceStore | None = None,
    observer: Observer | None = None,
    prompt: str | None = None,
) -> AsyncGenerator[Preceptor, None]:
    """Open the index, the embedding model, the tools, the providers and the sessions; close them at the end.

    Args:
        settings: All settings.
        shared: Parts that this book has in common with others; None: it has its own.
        traces: Store of the runs.
        observer: Receives the outcome of every run.
        prompt: System prompt of the tutors in place of Preceptor's own.

    Raises:
        VectorIndexError: The index cannot be served.
        EmbeddingError: The embedding model cannot be loaded.
        SettingsError: `tools.disabled` names what is no plug-in.
    """
    async with AsyncExitStack() as stack:
        parts = shared or await stack.enter_async_context(open_shared(settings))
        opened = await open_library(parts.engine, settings, models=parts.embedders)
        library = await stack.enter_async_context(opened)
        models, sessions = parts.models, parts.sessions
        if settings.library.file is not None:
            sessions = sessions.of_book(settings.book.id)
            stack.push_async_callback(sessions.close)
        tools = await stack.enter_async_context(open_toolbox(Deps(library, settings)))
        info = await library.info()
        needed = settings.tutor.offline_fallback or not settings.tutor.providers
        offline = OfflineModel(library.likeness, book_language=info.language) if needed else None
        book_only = settings.tutor.book_only
        build = partial(build_tutors, models, offline=offline, retry_after=settings.breaker.cool_down)
        own = partial(instructions, settings.book, info, book_only=book_only)
        build_triage = partial(
            build,
            instructions=prompt or own(),
            after_search=None if prompt else own(searched=True),
            book_only=book_only,
        )
        preceptor = Preceptor(
            settings,
            library=library,
            models=models,
            build_triage=lambda tools: build_triage(tools=tools),
            triage_of_selection=build(
                instructions=prompt or instructions_of_selection(settings.book, info), tools=[]
            ),
            sessions=sessions,
            tools=tools,
            traces=traces,
            language=info.language,
            observer=observer,
            book=settings.book.id if settings.library.file is not None else "",
        )
        # Those that it has at the end may be others than those of the beginning.
        stack.callback(lambda: preceptor.tools.close())
        yield preceptor


def _asked(question: Question, turns: Turns, of_book: str) -> dict[str, Any]:
    """Returns a question with what belongs to it, for the tape."""
    return {
        **{name: getattr(question, name) for name in _OF_QUESTION},
        "turns": turns.history,
        "cited": turns.cited,
        "language": of_book,
    }


def _state(run: Run, scope: RunScope) -> dict[str, Any]:
    """Returns what a run has noted so far, as far as it is not empty."""
    noted = {
        "searched": list(run.searched),
        "refused": sorted(run.refused),
        "failed": sorted(run.failed),
        "declined": run.declined,
        "artifacts": [asdict(one) for one in run.artifacts],
        "told_again": sorted(scope.told_again),
        "made_to_search": sorted(scope.made_to_search),
        "own_calls": sorted(scope.own_calls),
        "truncated": scope.truncated,
        "failures": [asdict(note) for note in scope.failures.notes],
        "spent": asdict(scope.failures.spent) if scope.failures.spent != Usage() else None,
    }
    return {name: value for name, value in noted.items() if value}


def _apply(run: Run, scope: RunScope, recorder: Recorder | None, step: Step, hits: Sequence[Hit]) -> None:
    """Bring a run that is played to the state after a recorded step."""
    if recorder is not None:
        recorder.played(step)
    state = step.get("state", {})
    run.ledger.note(hits)
    run.searched[:] = state.get("searched", [])
    for noted, name in (
        (run.refused, "refused"),
        (run.failed, "failed"),
        (scope.told_again, "told_again"),
        (scope.made_to_search, "made_to_search"),
        (scope.own_calls, "own_calls"),
    ):
        noted.clear()
        noted.update(state.get(name, ()))
    run.artifacts[:] = [Artifact(**one) for one in state.get("artifacts", ())]
    run.declined = state.get("declined", False)
    scope.truncated = state.get("truncated", False)
    scope.failures.notes[:] = [FailureNote(**note) for note in state.get("failures", ())]
    scope.failures.spent = Usage(**state.get("spent", {}))


def _items(question: Question) -> list[TResponseInputItem]:
    """Converts the history that a client sent to the SDK's input items."""
    return [cast("TResponseInputItem", {"role": role, "content": text}) for role, text in question.history]


def _said(history: Sequence[TResponseInputItem]) -> list[tuple[str, str]]:
    return [(str(item.get("role")), str(item.get("content"))) for item in history]


def _named(error: Exception, provider: str) -> PreceptorError:
    """Finds the Preceptor error behind an exception of the SDK."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, PreceptorError):
            return cause
        cause = cause.__cause__
    if isinstance(error, AgentsException):
        # Failover sees what a model does; this is what the SDK finds wrong with it afterwards.
        logger.error("the run with %s ended", provider, exc_info=error)
        return ProviderFailed(provider, "other")
    # A fault of ours: the server's edge makes a 500 of it.
    raise error


def _tell_model(failed: ToolErrorFormatterArgs[Run]) -> str | None:
    """Returns the answer of a tool that could not be called; None: the SDK's own words."""
    return None if failed.error is None else tell_model(failed.run_context, failed.error)

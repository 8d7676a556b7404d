"""Failover: a provider's model that, when it cannot answer, hands the question on to the next tutor.

The hand-off is an ordinary one of the SDK, made here instead of by the model. So the run goes on in the same
trace, with the same conversation, and what the tools returned is kept. These hand-offs are the only ones:
they are hidden from the provider's model, and from the history that a model sees.
"""

import json
import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import cast

import openai
import stamina
from agents import (
    AgentOutputSchemaBase,
    Handoff,
    Model,
    ModelResponse,
    ModelSettings,
    ModelTracing,
    Tool,
    TResponseInputItem,
    custom_span,
)
from agents.items import TResponseOutputItem, TResponseStreamEvent
from openai.types.responses import (
    ResponseCompletedEvent,
    ResponseFunctionToolCall,
    ResponseTextDeltaEvent,
    ResponseUsage,
)
from openai.types.responses.response_prompt_param import ResponsePromptParam

from preceptor.errors import AnswerUnusable, ProviderFailed
from preceptor.providers.breaker import Breaker
from preceptor.providers.failure import PATIENCE, UNGROUNDED, FailureNote, classify
from preceptor.providers.local_model import Call, as_usage, call_item, events, last_response
from preceptor.providers.order import FallbackOrder
from preceptor.providers.scope import (
    HAND_OVER,
    RunScope,
    Shown,
    calls_for_question,
    scope,
    seen_by,
    with_passages,
    wrong_in_a_row,
)
from preceptor.settings import Retrieval
from preceptor.tracing.run import trace_id

logger = logging.getLogger(__name__)

_Stream = AsyncGenerator[TResponseStreamEvent, None]

# A reader waits: a second try comes soon, with some chance in it, so that many runs do not come back at once.
_BACKOFF = 0.2
_JITTER = 0.3
_SEARCH = "search_textbook"
_CORRECTIONS = 2
"""Replies in a row whose calls were all wrong, and after which the model is asked once more."""


class Failover(Model):
    """Tries a provider's model; hands over when it gives up."""

    def __init__(
        self,
        inner: Model,
        *,
        provider: str,
        breaker: Breaker,
        order: FallbackOrder,
        attempts: int,
        within: float,
        retrieval: Retrieval,
    ) -> None:
        """Wrap a model.

        Args:
            inner: The provider's model.
            provider: Its name, in notes, spans and the log.
            breaker: The provider's breaker, shared by everything that calls it.
            order: Says why a tutor behind this one is passed over.
            attempts: Tries of one call, as long as nothing of the answer was shown.
            within: Seconds after which no further try is made.
            retrieval: Who decides that the book is searched.
        """
        self.provider = provider
        self.breaker = breaker
        self._inner = inner
        self._order = order
        self._retrieval: Retrieval = retrieval
        # `timeout` only keeps further tries from beginning: the try that goes on has a limit of its own, in
        # `CheckedChat`.
        self._retrying = stamina.AsyncRetryingCaller(
            attempts=attempts, timeout=within, wait_initial=_BACKOFF, wait_jitter=_JITTER, wait_max=PATIENCE
        )

    async def get_response(
        self,
        system_instructions: str | None,
        input: str | list[TResponseInputItem],
        model_settings: ModelSettings,
        tools: list[Tool],
        output_schema: AgentOutputSchemaBase | None,
        handoffs: list[Handoff],
        tracing: ModelTracing,
        *,
        previous_response_id: str | None,
        conversation_id: str | None,
        prompt: ResponsePromptParam | None,
    ) -> ModelResponse:
        """The end of `stream_response`: the provider's answer in one piece, or the hand-off to the next tutor.

        Raises:
            ProviderFailed: It gave no answer, and there is no hand-off.
        """
        scope().whole = True  # nobody sees the pieces, so that the provider need not send any
        stream = self.stream_response(
            system_instructions,
            input,
            model_settings,
            tools,
            output_schema,
            handoffs,
            tracing,
            previous_response_id=previous_response_id,
            conversation_id=conversation_id,
            prompt=prompt,
        )
        ended = await last_response(stream, of=self.provider)
        return ModelResponse(output=ended.output, usage=as_usage(ended.usage), response_id=None)

    async def stream_response(
        self,
        system_instructions: str | None,
        input: str | list[TResponseInputItem],
        model_settings: ModelSettings,
        tools: list[Tool],
        output_schema: AgentOutputSchemaBase | None,
        handoffs: list[Handoff],
        tracing: ModelTracing,
        *,
        previous_response_id: str | None,
        conversation_id: str | None,
        prompt: ResponsePromptParam | None,
    ) -> _Stream:
        """The provider's answer while it is made; where it fails, the hand-off to the next tutor.

        Raises:
            ProviderFailed: It gave no answer, and there is no hand-off.
        """
        run = scope()
        while True:
            if search := self._own_search(input, tools, run):
                for event in events(search, model=self.provider):
                    yield event
                return
            after_text = False
            run.withheld = self._withheld(run)
            try:
                await self._check_covered(run, handoffs)
                call = partial(
                    self._inner.stream_response,
                    system_instructions,
                    self._history(input, tools, run),
                    self._settings(model_settings, input, tools, run),
                    tools,
                    output_schema,
                    # Hand-offs are made here: the provider's model must not see them as tools of its own.
                    [],
                    tracing,
                    previous_response_id=previous_response_id,
                    conversation_id=conversation_id,
                    prompt=prompt,
                )
                async with aclosing(self._tried(cast("Callable[[], _Stream]", call), run, handoffs)) as tried:
                    async for event in tried:
                        after_text = after_text or isinstance(event, ResponseTextDeltaEvent)
                        yield event
            except Exception as error:  # noqa: BLE001 - providers raise anything
                if self._tell_again(error, run, tracing, after_text=after_text):
                    continue
                item = self._hand_over(error, run, handoffs, tracing, after_text=after_text)
                for event in events(item, model=self.provider):
                    yield event
            return

    async def close(self) -> None:
        """Close the provider's model."""
        await self._inner.close()

    async def _tried(
        self, call: Callable[[], _Stream], run: RunScope, handoffs: Sequence[Handoff]
    ) -> _Stream:
        """The events of a call, which is tried again as long as nothing of it was shown."""
        failed: list[Exception] = []
        # One guard for all tries: a call that fails three times in a row is one failure of the provider.
        with self.breaker.guard():
            try:
                again = partial(self._try_again, failed)
                begun, rest, shown = await self._retrying(again, self._begin, call, run, handoffs)
            finally:
                # Also where a later try succeeds: the ones before it have cost tokens.
                run.failures.tried(failed)
            async with aclosing(rest):
                for event in begun:
                    yield event
                try:
                    async for event in rest:
                        if isinstance(event, ResponseTextDeltaEvent):
                            # It may recite the instructions in the end; then the reader is told that what was shown is
                            # void.
                            shown.feed(event.delta)
                        if isinstance(event, ResponseCompletedEvent):
                            await _check_shown(event.response.output, shown, event.response.usage)
                        yield event
                except Exception as error:
                    run.failures.tried([error])
                    raise

    async def _begin(
        self, call: Callable[[], _Stream], run: RunScope, handoffs: Sequence[Handoff]
    ) -> tuple[list[TResponseStreamEvent], _Stream, Shown]:
        """A stream, read until its text may be shown or to its end: until there it may fail and be tried again."""
        _give_time(run, handoffs)
        # A model that searches by itself may know better than the server what answers the question.
        stream, shown = call(), run.shown(must_answer=self._retrieval == "first")
        begun: list[TResponseStreamEvent] = []
        try:
            async for event in stream:
                begun.append(event)
                # From here on the reader sees it, so that another try would be noticed.
                if isinstance(event, ResponseTextDeltaEvent) and shown.feed(event.delta):
                    break
                if isinstance(event, ResponseCompletedEvent):
                    await _check_shown(event.response.output, shown, event.response.usage)
                    if _calls(
                        event.response.output
                    ):  # what it said before its calls is no part of the answer
                        begun = [each for each in begun if not isinstance(each, ResponseTextDeltaEvent)]
        except BaseException:
            await stream.aclose()
            raise
        return begun, stream, shown

    def _try_again(self, failed: list[Exception], error: BaseException) -> bool | float:
        """Whether a call is worth another try, or the seconds to wait before it; notes the failed one."""
        if not isinstance(error, Exception):  # the call was cancelled
            return False
        failed.append(error)
        failure = classify(error)
        logger.info("a call of %s failed: %s, trace=%s", self.provider, failure.reason, trace_id())
        if failure.retry_in_place and failure.retry_after is not None:
            # A number is how long stamina waits, in the place of its own back-off.
            return failure.retry_after
        return failure.retry_in_place

    def _own_search(
        self, input: str | list[TResponseInputItem], tools: Sequence[Tool], run: RunScope
    ) -> TResponseOutputItem | None:
        """The search that the server makes in the tutor's place, as a call of its own, if it has to be made."""
        due = self._retrieval == "first" or self.provider in run.told_again
        if not (due and run.book and run.book.query) or run.book.searched or run.own_calls:
            return None
        # The settings may have taken the tool away.
        if all(tool.name != _SEARCH for tool in tools):
            return None
        item = call_item(Call(_SEARCH, json.dumps({"query": run.book.query}, ensure_ascii=False)))
        run.own_calls.add(item.call_id)
        return item

    def _withheld(self, run: RunScope) -> frozenset[str]:
        """Names of the tools that are not offered: the server has searched, and a small model would go on and on."""
        return frozenset((_SEARCH,)) if self._retrieval == "first" and run.own_calls else frozenset()

    async def _check_covered(self, run: RunScope, handoffs: Sequence[Handoff]) -> None:
        """Raise where the book does not cover the question: a small model answers from whatever it is shown.

        Raises:
            AnswerUnusable: It does not, and another tutor may say so (`not_covered`).
        """
        if self._retrieval != "first" or not handoffs or run.book is None or not run.book.searched:
            return
        if not await run.book.covers():
            raise AnswerUnusable("not_covered", "what was found does not cover the question")

    def _settings(
        self,
        settings: ModelSettings,
        input: str | list[TResponseInputItem],
        tools: Sequence[Tool],
        run: RunScope,
    ) -> ModelSettings:
        """The settings of a call: where the book must be searched and the model has to say for what, it is made to."""
        if not tools or run.book is None or run.book.searched or self.provider in run.made_to_search:
            return settings
        seen = seen_by(input, tools={tool.name for tool in tools}, refused=run.refused)
        begins = self._retrieval != "agent" and not calls_for_question(seen)
        if not (begins or self.provider in run.told_again):
            return settings
        # Once: a model that must call a tool in every reply never answers.
        run.made_to_search.add(self.provider)
        return replace(settings, tool_choice="required")

    def _history(
        self, input: str | list[TResponseInputItem], tools: Sequence[Tool], run: RunScope
    ) -> list[TResponseInputItem]:
        """Returns the part of the conversation that the provider sees.

        Raises:
            AnswerUnusable: It was told often enough what is wrong with its calls.
        """
        names = {tool.name for tool in tools}
        if wrong_in_a_row(input, tools=names, refused=run.refused) > _CORRECTIONS:
            raise AnswerUnusable("malformed_tool_call", "it could not correct its calls")
        items = seen_by(input, tools=names, refused=run.refused)
        # A model that searches by itself is told the rule once; a second time only when it did not keep to it.
        told = run.book and (self.provider in run.told_again or self._retrieval == "first")
        return with_passages(items, own_calls=run.own_calls, rule=run.book.rule if run.book and told else "")

    def _tell_again(
        self, error: Exception, run: RunScope, tracing: ModelTracing, *, after_text: bool
    ) -> bool:
        """Whether the same tutor is asked once more, the rule behind the passages; notes the discarded answer."""
        reason = classify(error).reason
        if reason not in UNGROUNDED or after_text or run.book is None or self.provider in run.told_again:
            return False
        # It would be asked the same once more: the rule stood behind the passages.
        if self._retrieval == "first" and run.book.searched:
            return False
        run.told_again.add(self.provider)
        run.failures.notes.append(FailureNote(self.provider, reason))
        run.truncated = False
        self._tell(error, reason, self.provider, tracing, after_text=False)
        return True

    def _hand_over(
        self,
        error: Exception,
        run: RunScope,
        handoffs: Sequence[Handoff],
        tracing: ModelTracing,
        *,
        after_text: bool,
    ) -> TResponseOutputItem:
        failure = classify(error)
        to = handoffs[0] if handoffs else None
        passed_over = self._order.passed_over(behind=self.provider, for_=to and to.agent_name)
        if failure.reason == "unsupported":
            # What it found does not become surer with the next provider: the book speaks for itself.
            offline = next((one for one in handoffs if one.tool_name == f"{HAND_OVER}offline"), to)
            to, passed_over = offline, passed_over if offline is to else []
        note = FailureNote(self.provider, failure.reason)
        # An answer that was discarded before is not told twice.
        is_told = self.provider in run.told_again and note in run.failures.notes
        run.failures.notes += [*([] if is_told else [note]), *passed_over]
        run.truncated = False
        self._tell(error, failure.reason, to.agent_name if to else None, tracing, after_text=after_text)
        if to is None:
            # The shortest: whoever is behind it is the first that may answer again.
            waits = [wait for wait in (failure.retry_after, self._order.retry_after) if wait]
            raise ProviderFailed(
                self.provider, failure.reason, retry_after=min(waits, default=None)
            ) from error
        return call_item(Call(to.tool_name))

    def _tell(
        self, error: Exception, reason: str, to: str | None, tracing: ModelTracing, *, after_text: bool
    ) -> None:
        """Say it in the trace and in the log, without the provider's words: they may quote the reader."""
        data = {"provider": self.provider, "reason": reason, "after_text": after_text, "to": to}
        # An empty span: the SDK's traces have no other way to note an event.
        with custom_span("failover", {**data, "breaker": self.breaker.state}, disabled=tracing.is_disabled()):
            pass
        # What is neither the provider's nor its client's is a fault of ours: whoever fixes it needs its place.
        ours = reason == "other" and not isinstance(error, openai.APIError)
        logger.log(
            logging.ERROR if ours else logging.WARNING,
            "%s gave no answer: %s (%s), after text: %s, to: %s, trace=%s",
            self.provider, reason, type(error).__name__, after_text, to, trace_id(),
            exc_info=error if ours else None,
        )  # fmt: skip


def _give_time(run: RunScope, handoffs: Sequence[Handoff]) -> None:
    # The offline tutor takes no share: the last second is its own.
    offline = any(one.tool_name == f"{HAND_OVER}offline" for one in handoffs)
    run.give_time(providers=1 + len(handoffs) - offline, offline=offline)


async def _check_shown(output: Sequence[object], shown: Shown, usage: ResponseUsage | None) -> None:
    """Raise what cannot be the answer.

    Raises:
        AnswerUnusable: The reply calls no tool, and nothing of it may be shown to the reader.
    """
    if _calls(output) or (reason := await shown.finish()) is None:
        return
    raise AnswerUnusable(
        reason,
        "nothing of it may be shown",
        input_tokens=usage.input_tokens if usage else 0,
        output_tokens=usage.output_tokens if usage else 0,
    )


def _calls(output: Sequence[object]) -> bool:
    return any(isinstance(item, ResponseFunctionToolCall) for item in output)

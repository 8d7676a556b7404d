"""Failover: a provider's model that, when it cannot answer, hands the question on to the next tutor.

The hand-off is an ordinary one of the SDK, made here instead of by the model. So the run goes on in the same
trace, with the same conversation, and what the tools returned is kept. These hand-offs are the only ones:
they are hidden from the provider's model, and from the history that a model sees.
"""

import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from contextvars import ContextVar
from functools import partial
from typing import Any

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
    Usage,
    custom_span,
    get_current_trace,
)
from agents.items import TResponseOutputItem, TResponseStreamEvent
from openai.types.responses import ResponseCompletedEvent, ResponseTextDeltaEvent, ResponseUsage
from openai.types.responses.response_prompt_param import ResponsePromptParam
from openai.types.responses.response_usage import InputTokensDetails, OutputTokensDetails

from preceptor.agents.answer import FailureNote
from preceptor.agents.breaker import Breaker
from preceptor.agents.failure import PATIENCE, classify
from preceptor.agents.history import without_handoffs
from preceptor.agents.local_model import Call, call_item, events
from preceptor.errors import AnswerUnusable, ProviderFailed

logger = logging.getLogger(__name__)

noted_failures: ContextVar[list[FailureNote] | None] = ContextVar("noted_failures", default=None)
"""Where the run that is going on collects its failures: set it to a list before the run is started."""

_Stream = AsyncGenerator[TResponseStreamEvent, None]

_BACKOFF = 0.2
_JITTER = 0.3


class Failover(Model):
    """Tries a provider's model; hands over when it gives up."""

    def __init__(
        self, inner: Model, *, provider: str, breaker: Breaker, attempts: int, within: float
    ) -> None:
        """Wrap a model.

        Args:
            inner: The provider's model.
            provider: Its name, in notes, spans and the log.
            breaker: The provider's breaker, shared by everything that calls it.
            attempts: Tries of one call, as long as nothing of the answer was shown.
            within: Seconds after which no further try is made.
        """
        self.provider = provider
        self.breaker = breaker
        self._inner = inner
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
        """The provider's answer, or the hand-off to the next tutor.

        Raises:
            ProviderFailed: It gave no answer, and there is no hand-off.
        """
        call = partial(
            self._inner.get_response,
            system_instructions,
            without_handoffs(input),
            model_settings,
            tools,
            output_schema,
            [],
            tracing,
            previous_response_id=previous_response_id,
            conversation_id=conversation_id,
            prompt=prompt,
        )
        failed: list[Exception] = []
        try:
            with self.breaker.guard():
                response = await self._retrying(partial(_try_again, failed), call)
        except Exception as error:  # noqa: BLE001 - providers raise anything
            item = self._hand_over(error, handoffs, tracing, after_text=False)
            return ModelResponse(output=[item], usage=_spent(failed), response_id=None)
        if failed:
            response.usage.add(_spent(failed))
        return response

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
        call = partial(
            self._inner.stream_response,
            system_instructions,
            without_handoffs(input),
            model_settings,
            tools,
            output_schema,
            [],
            tracing,
            previous_response_id=previous_response_id,
            conversation_id=conversation_id,
            prompt=prompt,
        )
        failed: list[Exception] = []
        after_text = False
        try:
            with self.breaker.guard():
                begun, rest = await self._retrying(partial(_try_again, failed), _begin, call)
                async with aclosing(rest):
                    for event in begun:
                        after_text = after_text or _is_text(event)
                        yield _counted(event, failed)
                    async for event in rest:
                        yield _counted(event, failed)
        except Exception as error:  # noqa: BLE001 - providers raise anything
            item = self._hand_over(error, handoffs, tracing, after_text=after_text)
            if error not in failed:
                failed.append(error)
            for event in events(item, model=self.provider):
                yield _counted(event, failed)

    async def close(self) -> None:
        """Close the provider's model."""
        await self._inner.close()

    def _hand_over(
        self, error: Exception, handoffs: Sequence[Handoff], tracing: ModelTracing, *, after_text: bool
    ) -> TResponseOutputItem:
        failure = classify(error)
        noted = noted_failures.get()
        if noted is not None:
            noted.append(FailureNote(self.provider, failure.reason))
        to = handoffs[0] if handoffs else None
        self._tell(error, failure.reason, to.agent_name if to else None, tracing, after_text=after_text)
        if to is None:
            retry_after = failure.retry_after or self.breaker.retry_after or None
            raise ProviderFailed(self.provider, failure.reason, retry_after=retry_after) from error
        return call_item(Call(to.tool_name))

    def _tell(
        self, error: Exception, reason: str, to: str | None, tracing: ModelTracing, *, after_text: bool
    ) -> None:
        """Say it in the trace and in the log, without the provider's words: they may quote the reader."""
        data = {"provider": self.provider, "reason": reason, "after_text": after_text, "to": to}
        with custom_span("failover", {**data, "breaker": self.breaker.state}, disabled=tracing.is_disabled()):
            pass
        trace = get_current_trace()
        logger.warning(
            "%s gave no answer: %s (%s), after text: %s, to: %s, trace=%s",
            self.provider, reason, type(error).__name__, after_text, to, trace.trace_id if trace else None,
        )  # fmt: skip


async def _begin(call: Callable[[], Any]) -> tuple[list[TResponseStreamEvent], _Stream]:
    """A stream, read to its first visible text or its end: until there it may fail and be tried again."""
    stream: _Stream = call()
    begun: list[TResponseStreamEvent] = []
    async for event in stream:
        begun.append(event)
        if _is_text(event):
            break
    return begun, stream


def _is_text(event: TResponseStreamEvent) -> bool:
    return isinstance(event, ResponseTextDeltaEvent) and bool(event.delta.strip())


def _try_again(failed: list[Exception], error: BaseException) -> bool | float:
    """Whether a call is worth another try, or the seconds to wait before it; notes the failed one."""
    if not isinstance(error, Exception):  # the call was cancelled
        return False
    failed.append(error)
    failure = classify(error)
    if failure.retry_in_place and failure.retry_after is not None:
        return failure.retry_after
    return failure.retry_in_place


def _spent(failed: Sequence[Exception]) -> Usage:
    """What failed tries cost, as far as the provider said it."""
    told = [error for error in failed if isinstance(error, AnswerUnusable)]
    input_tokens = sum(error.input_tokens for error in told)
    output_tokens = sum(error.output_tokens for error in told)
    return Usage(
        requests=sum(classify(error).reason != "breaker_open" for error in failed),
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        total_tokens=input_tokens + output_tokens,
    )


def _counted(event: TResponseStreamEvent, failed: Sequence[Exception]) -> TResponseStreamEvent:
    """The event; if it is the last, its usage holds the failed tries' too."""
    if failed and isinstance(event, ResponseCompletedEvent):
        spent = _spent(failed)
        if spent.requests:
            usage = event.response.usage or ResponseUsage(
                input_tokens=0,
                input_tokens_details=InputTokensDetails(cached_tokens=0, cache_write_tokens=0),
                output_tokens=0,
                output_tokens_details=OutputTokensDetails(reasoning_tokens=0),
                total_tokens=0,
            )
            usage.input_tokens += spent.input_tokens
            usage.output_tokens += spent.output_tokens
            usage.total_tokens += spent.total_tokens
            event.response.usage = usage
    return event

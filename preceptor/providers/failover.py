"""Failover: a provider's model that, when it cannot answer, hands the question on to the next tutor.

The hand-off is an ordinary one of the SDK, made by this code instead of by the model. So the run continues in
the same trace, with the same conversation and the tools' results. No other hand-offs exist: they are hidden
from the provider's model and from the history that a model sees.
"""

import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
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
)
from agents.items import TResponseOutputItem, TResponseStreamEvent
from openai.types.responses import ResponseTextDeltaEvent
from openai.types.responses.response_prompt_param import ResponsePromptParam

from preceptor.errors import ProviderFailed
from preceptor.providers.breaker import Breaker
from preceptor.providers.failure import PATIENCE, FailureNote, Failures, classify, current_failures
from preceptor.providers.history import calls_for_question, without_handoffs
from preceptor.providers.local_model import Call, call_item, events
from preceptor.providers.order import FallbackOrder
from preceptor.tracing.run import trace_id

logger = logging.getLogger(__name__)

_Stream = AsyncGenerator[TResponseStreamEvent, None]

_BACKOFF = 0.2
_JITTER = 0.3


class Failover(Model):
    """Tries a provider's model and hands over to the next tutor when it gives up."""

    def __init__(
        self,
        inner: Model,
        *,
        provider: str,
        breaker: Breaker,
        order: FallbackOrder,
        attempts: int,
        within: float,
        most_calls: int,
    ) -> None:
        """Wrap a model.

        Args:
            inner: The provider's model.
            provider: Its name, in notes, spans and the log.
            breaker: The provider's breaker, shared by everything that calls it.
            order: Says why a tutor behind this one is passed over.
            attempts: Tries of one call, as long as nothing of the answer was shown.
            within: Seconds after which no further try is made.
            most_calls: Tool calls for one question; then the model must answer from what it has.
        """
        self.provider = provider
        self.breaker = breaker
        self._inner = inner
        self._order = order
        self._most_calls = most_calls
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
        history = without_handoffs(input)
        call = partial(
            self._inner.get_response,
            system_instructions,
            history,
            model_settings,
            tools if calls_for_question(history) < self._most_calls else [],
            output_schema,
            [],
            tracing,
            previous_response_id=previous_response_id,
            conversation_id=conversation_id,
            prompt=prompt,
        )
        failures, failed = current_failures.get(Failures()), list[Exception]()
        try:
            with self.breaker.guard():
                return await self._retrying(partial(self._try_again, failed), call)
        except Exception as error:  # noqa: BLE001 - providers raise anything
            item = self._hand_over(error, failures, handoffs, tracing, after_text=False)
            return ModelResponse(output=[item], usage=Usage(), response_id=None)
        finally:
            failures.tried(failed)

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
        history = without_handoffs(input)
        call = partial(
            self._inner.stream_response,
            system_instructions,
            history,
            model_settings,
            tools if calls_for_question(history) < self._most_calls else [],
            output_schema,
            [],
            tracing,
            previous_response_id=previous_response_id,
            conversation_id=conversation_id,
            prompt=prompt,
        )
        failures, failed = current_failures.get(Failures()), list[Exception]()
        after_text = False
        try:
            with self.breaker.guard():
                try:
                    begun, rest = await self._retrying(partial(self._try_again, failed), _begin, call)
                finally:
                    failures.tried(failed)
                async with aclosing(rest):
                    for event in begun:
                        after_text = after_text or _is_text(event)
                        yield event
                    async for event in rest:
                        yield event
        except Exception as error:  # noqa: BLE001 - providers raise anything
            if error not in failed:
                failures.tried([error])
            item = self._hand_over(error, failures, handoffs, tracing, after_text=after_text)
            for event in events(item, model=self.provider):
                yield event

    async def close(self) -> None:
        """Close the provider's model."""
        await self._inner.close()

    def _try_again(self, failed: list[Exception], error: BaseException) -> bool | float:
        """Whether to retry a call, or the seconds to wait before that; records the failed call."""
        if not isinstance(error, Exception):  # the call was cancelled
            return False
        failed.append(error)
        failure = classify(error)
        logger.info("a call of %s failed: %s, trace=%s", self.provider, failure.reason, trace_id())
        if failure.retry_in_place and failure.retry_after is not None:
            return failure.retry_after
        return failure.retry_in_place

    def _hand_over(
        self,
        error: Exception,
        failures: Failures,
        handoffs: Sequence[Handoff],
        tracing: ModelTracing,
        *,
        after_text: bool,
    ) -> TResponseOutputItem:
        failure = classify(error)
        to = handoffs[0] if handoffs else None
        passed_over = self._order.passed_over(behind=self.provider, for_=to and to.agent_name)
        failures.notes += [FailureNote(self.provider, failure.reason), *passed_over]
        self._tell(error, failure.reason, to.agent_name if to else None, tracing, after_text=after_text)
        if to is None:
            waits = [wait for wait in (failure.retry_after, self._order.retry_after) if wait]
            raise ProviderFailed(
                self.provider, failure.reason, retry_after=min(waits, default=None)
            ) from error
        return call_item(Call(to.tool_name))

    def _tell(
        self, error: Exception, reason: str, to: str | None, tracing: ModelTracing, *, after_text: bool
    ) -> None:
        """Record the hand-off in the trace and the log, without the provider's words: they may quote the reader."""
        data = {"provider": self.provider, "reason": reason, "after_text": after_text, "to": to}
        with custom_span("failover", {**data, "breaker": self.breaker.state}, disabled=tracing.is_disabled()):
            pass
        logger.warning(
            "%s gave no answer: %s (%s), after text: %s, to: %s, trace=%s",
            self.provider, reason, type(error).__name__, after_text, to, trace_id(),
        )  # fmt: skip


async def _begin(call: Callable[[], Any]) -> tuple[list[TResponseStreamEvent], _Stream]:
    """Reads a stream to its first visible text or its end; until there it may fail and be retried."""
    stream: _Stream = call()
    begun: list[TResponseStreamEvent] = []
    # After visible text a retry would show the reader two beginnings, so that only this part is repeated.
    async for event in stream:
        begun.append(event)
        if _is_text(event):
            break
    return begun, stream


def _is_text(event: TResponseStreamEvent) -> bool:
    return isinstance(event, ResponseTextDeltaEvent) and bool(event.delta.strip())

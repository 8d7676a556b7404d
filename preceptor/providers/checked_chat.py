"""A provider's chat model whose answers are whole, or fail with a named reason.

The SDK accepts a stream that merely ends, an empty answer or half a tool call as an answer. This model checks
each answer while it arrives and raises `AnswerUnusable` if it is incomplete; it also enforces the timeouts.
Both happen inside the call's generation span, which therefore shows why a call failed.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any, Protocol, cast

import httpx2
import openai
from agents import OpenAIChatCompletionsModel
from agents.items import TResponseInputItem
from openai.types import CompletionUsage
from openai.types.chat import ChatCompletion, ChatCompletionChunk, ChatCompletionMessage
from openai.types.chat.chat_completion_chunk import Choice, ChoiceDelta, ChoiceDeltaToolCall
from openai.types.chat.chat_completion_message_function_tool_call import ChatCompletionMessageFunctionToolCall

from preceptor.errors import AnswerUnusable
from preceptor.providers.failure import FailureClass, error_object

_BLOCKED = ("content_filter", "safety", "recitation", "blocklist", "prohibited_content", "spii")
_MALFORMED = ("malformed", "unexpected_tool_call")
_TRAILER = 2.0
"""Longest wait after the finish reason for the usage and the end of the stream, in seconds."""


class Normaliser(Protocol):
    """Puts the tool calls of one answer right, in place."""

    def pieces(self, pieces: Sequence[ChoiceDeltaToolCall]) -> None:
        """The next pieces of a streamed answer."""
        ...

    def whole(self, calls: Sequence[ChatCompletionMessageFunctionToolCall]) -> None:
        """The calls of an answer that was not streamed."""
        ...


class CheckedChat(OpenAIChatCompletionsModel):
    """Chat model that validates every response before the SDK sees it."""

    def __init__(self, model: str, client: openai.AsyncOpenAI, *, timeout: float, first_token: float) -> None:
        """Make the model.

        Args:
            model: The provider's name for it.
            client: Its client; whoever opened it closes it.
            timeout: Seconds for a whole call.
            first_token: Seconds until the first token of a stream, and longest silence after it.
        """
        super().__init__(model, client)
        self._timeout = timeout
        self._first_token = first_token

    def normaliser(self, input: str | list[TResponseInputItem]) -> Normaliser | None:
        """Returns the normaliser of tool calls for one answer to `input`; None if the provider needs no normaliser."""
        return None

    async def _fetch_response(  # pyright: ignore[reportIncompatibleMethodOverride] - the base has overloads
        self, system_instructions: str | None, input: str | list[TResponseInputItem], *rest: Any, **more: Any
    ) -> Any:
        # The one seam inside the generation span. It is private: the SDK is pinned, the tests go over HTTP.
        fetch: Callable[..., Any] = super()._fetch_response
        began = asyncio.get_running_loop().time()
        stream = bool(more.get("stream"))
        limit, reason = (self._first_token, "too_slow") if stream else (self._timeout, "read_timeout")
        try:
            async with asyncio.timeout(limit):
                answer = await fetch(system_instructions, input, *rest, **more)
        except TimeoutError:
            raise AnswerUnusable(reason, f"no answer within {limit:g} s") from None
        if not stream:
            return self._checked_whole(answer, self.normaliser(input))
        response, chunks = answer
        self._attach_stream_request_id(response, chunks)
        return response, self._checked(chunks, self.normaliser(input), began)

    def _checked_whole(self, answer: object, normaliser: Normaliser | None) -> ChatCompletion:
        # The SDK takes whatever is no completion for a stream, and pairs it with a response.
        body = answer[1] if isinstance(answer, tuple) else answer
        if not isinstance(body, ChatCompletion) or (body.model_extra or {}).get("error"):
            raise self._error(body)
        seen = _Seen()
        seen.add_whole(body, normaliser)
        seen.check()
        return body

    async def _checked(
        self, chunks: openai.AsyncStream[ChatCompletionChunk], normaliser: Normaliser | None, began: float
    ) -> AsyncGenerator[ChatCompletionChunk, None]:
        seen = _Seen()
        try:
            while (chunk := await self._next(chunks, seen, began)) is not None:
                seen.add(chunk, normaliser)
                yield chunk
            seen.check()
        finally:
            await chunks.close()

    async def _next(
        self, chunks: openai.AsyncStream[ChatCompletionChunk], seen: "_Seen", began: float
    ) -> ChatCompletionChunk | None:
        """Returns the next chunk, or None at the end; after the finish reason, silence or a broken stream ends it."""
        deadline, reason = self._deadline(seen, began)
        try:
            async with asyncio.timeout_at(deadline):
                chunk = cast("object", await anext(chunks))
        except StopAsyncIteration:
            return None
        except (TimeoutError, openai.APITimeoutError) as error:
            if seen.finish is not None:
                return None
            raise AnswerUnusable(reason, "the provider fell silent, or took too long") from error
        except (openai.APIConnectionError, ValueError) as error:
            if seen.finish is not None:
                return None
            raise AnswerUnusable("stream_cut", f"the stream broke off ({type(error).__name__})") from error
        if isinstance(chunk, ChatCompletionChunk):
            return chunk
        raise self._error(chunk)

    def _deadline(self, seen: "_Seen", began: float) -> tuple[float, FailureClass]:
        now = asyncio.get_running_loop().time()
        if seen.finish is not None:
            return now + _TRAILER, "read_timeout"
        if not seen.started:
            return began + self._first_token, "too_slow"
        return min(now + self._first_token, began + self._timeout), "read_timeout"

    def _error(self, body: object) -> openai.APIError:
        """Returns the error that a 200 response holds instead of an answer; Gemini sends a list of one."""
        first = body[0] if isinstance(body, list) and body else body
        detail = error_object(getattr(first, "model_extra", None) or first)
        text = f"A 200 that is no answer: {detail.get('message', 'no message')}"
        return openai.APIError(text, httpx2.Request("POST", str(self._client.base_url)), body=detail)


class _Seen:
    """The parts of one answer that have arrived."""

    def __init__(self) -> None:
        self.started = False
        self.finish: str | None = None
        self._empty = True
        self._text = False
        self._refused = False
        self._names: dict[int, str] = {}
        self._arguments: dict[int, str] = {}
        self._usage: CompletionUsage | None = None

    def add(self, chunk: ChatCompletionChunk, normaliser: Normaliser | None) -> None:
        """Note a chunk of a stream, after putting it right."""
        self._empty = False
        self._usage = chunk.usage or self._usage
        # The client builds its objects without validation: what a provider leaves out is None.
        choices = cast("list[Choice] | None", chunk.choices)
        for choice in choices or ():
            if cast("int | None", choice.index) is None:
                choice.index = 0
            self.finish = choice.finish_reason or self.finish
            if delta := cast("ChoiceDelta | None", choice.delta):
                if delta.tool_calls and normaliser is not None:
                    normaliser.pieces(delta.tool_calls)
                for call in delta.tool_calls or []:
                    function = call.function
                    self._call(call.index, function and function.name, function and function.arguments)
                self._content(delta)

    def add_whole(self, completion: ChatCompletion, normaliser: Normaliser | None) -> None:
        """Note an answer that was not streamed, after putting it right."""
        self._usage = completion.usage
        for choice in (cast("list[Any] | None", completion.choices) or [])[:1]:
            self._empty = False
            self.finish = choice.finish_reason or "stop"
            calls = [call for call in choice.message.tool_calls or [] if hasattr(call, "function")]
            if normaliser is not None:
                normaliser.whole(calls)
            for place, call in enumerate(calls):
                self._call(place, call.function.name, call.function.arguments)
            self._content(choice.message)

    def _content(self, part: ChoiceDelta | ChatCompletionMessage) -> None:
        content = part.content
        self._text = self._text or bool(content and content.strip())
        self._refused = self._refused or bool(part.refusal)
        if not self.started:  # extras: thinking, under whichever name
            extras = (part.model_extra or {}).values()
            self.started = bool(content or part.tool_calls or part.refusal or any(extras))

    def _call(self, place: int, name: str | None, arguments: str | None) -> None:
        self._names[place] = name or self._names.get(place, "")
        self._arguments[place] = self._arguments.get(place, "") + (arguments or "")

    def check(self) -> None:
        """Raise if the answer must not reach the SDK.

        Raises:
            AnswerUnusable: With the failure's class and the tokens that were spent.
        """
        finish = (self.finish or "").lower()
        if self._empty:
            raise self._unusable("empty_answer", "it held nothing at all")
        if self.finish is None:
            raise self._unusable("stream_cut", "the stream ended without a finish reason")
        if any(word in finish for word in _MALFORMED):
            raise self._unusable("malformed_tool_call", f"finish reason `{finish}`")
        if self._refused or any(word in finish for word in _BLOCKED):
            raise self._unusable("safety_block", f"finish reason `{finish}`")
        if not all(self._names.values()) or not all(map(_is_object, self._arguments.values())):
            raise self._unusable("malformed_tool_call", "a call has no name, or arguments that are not JSON")
        if not self._text and not self._names:
            raise self._unusable("empty_answer", f"neither text nor a tool call, finish reason `{finish}`")

    def _unusable(self, reason: FailureClass, what: str) -> AnswerUnusable:
        spent = self._usage
        return AnswerUnusable(
            reason,
            what,
            input_tokens=(spent.prompt_tokens or 0) if spent else 0,
            output_tokens=(spent.completion_tokens or 0) if spent else 0,
        )


def _is_object(arguments: str) -> bool:
    try:
        return not arguments or isinstance(json.loads(arguments), dict)
    except ValueError:
        return False

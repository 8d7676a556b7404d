"""A provider's chat model whose answers are whole, or fail with a named reason.

The SDK takes a stream that merely ends, an empty answer, half a tool call or one that is written as text for an
answer, and runs as many calls as a reply holds. This model looks at each reply while it passes and raises
`AnswerUnusable` where it must not; it also keeps the time. Both happen inside the call's generation span, which
therefore shows why a call failed.
"""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any, ClassVar, cast

import httpx2
import openai
from agents import ModelSettings, OpenAIChatCompletionsModel, Tool
from agents.items import TResponseInputItem
from openai.types import CompletionUsage
from openai.types.chat import ChatCompletion, ChatCompletionChunk, ChatCompletionMessage
from openai.types.chat.chat_completion_chunk import Choice, ChoiceDelta
from pydantic import ValidationError

from preceptor.errors import AnswerUnusable
from preceptor.providers.failure import FailureClass, error_object
from preceptor.providers.form import check_form
from preceptor.providers.prose import Prose, without_unopened_thought
from preceptor.providers.scope import RunScope, calls_for_question, scope
from preceptor.providers.time_limit import TimeLimit
from preceptor.providers.tool_calls import ToolCalls
from preceptor.providers.whole import PIECE, as_stream, in_pieces

# Finish reasons of OpenAI and of Gemini (https://ai.google.dev/api/generate-content#FinishReason), in lower case.
# They are looked for within the reason that came: servers between put words of their own around it.
_BLOCKED = (
    *("content_filter", "safety", "recitation", "blocklist", "prohibited_content", "spii"),
    *("language", "sensitive", "guardrail"),
)
_MALFORMED = ("malformed", "unexpected_tool_call", "too_many_tool_calls", "thought_signature")
_CUT_OFF = ("length", "max_tokens", "context_window")
# What servers between say when the model behind them broke off; half an answer may be there.
_BROKEN = ("error", "abort", "cancel", "timeout", "insufficient_system_resource")
_NAME = re.compile(r"[\w.:-]{1,128}")
_ANSWER_NOW = "You can call no further tool. Answer now, from what you have found."
_LONGEST_ARGUMENTS = 20_000
"""Characters of one call's arguments; a search for more holds up everybody while it is read."""
_DEEPEST = 20
"""Levels of one call's arguments; what reads them goes down a level at a time."""
_CHUNKS_AT_ONCE = 16
"""Chunks that are read before others have their turn."""
_MOST_CALLS_AT_ONCE = 100
_MOST_TOKENS = 10**9
_DETAILS = {"completion_tokens_details": "reasoning_tokens", "prompt_tokens_details": "cached_tokens"}
_LONGEST_TEXT = 1_000_000
"""Characters of a whole answer that are read: as many as may be shown of one."""
_TRAILER = 2.0
"""Longest wait in seconds, after the finish reason, for the usage and the end of the stream."""


class CheckedChat(OpenAIChatCompletionsModel):
    """Chat model that validates every reply before the SDK sees it."""

    prefixes: ClassVar[Sequence[str]] = ()
    """Beginnings that this provider puts before the names of tools."""

    def __init__(
        self,
        model: str,
        client: openai.AsyncOpenAI,
        *,
        timeout: float,
        first_token: float,
        most_calls: int,
    ) -> None:
        """Make the model.

        Args:
            model: The provider's name for it.
            client: Its client; whoever opened it closes it.
            timeout: Seconds for a whole call.
            first_token: Seconds until the first token of a stream, and longest silence after it.
            most_calls: Tool calls for one question; then the model must answer from what it has.
        """
        super().__init__(model, client)
        self._timeout = timeout
        self._first_token = first_token
        self._most_calls = most_calls

    async def _fetch_response(  # pyright: ignore[reportIncompatibleMethodOverride] - the base has overloads
        self,
        system_instructions: str | None,
        input: str | list[TResponseInputItem],
        model_settings: ModelSettings,
        tools: list[Tool],
        *rest: Any,
        **more: Any,
    ) -> Any:
        # The one seam inside the generation span. It is private: the SDK is pinned, the tests go over HTTP.
        fetch: Callable[..., Any] = super()._fetch_response
        run, began = scope(), asyncio.get_running_loop().time()
        made = calls_for_question(input)
        reply = _Reply(
            ToolCalls(input, taken=run.call_ids, prefixes=self.prefixes),
            tools={tool.name for tool in tools},
            made=made,
            most=self._most_calls,
        )
        tools = [tool for tool in tools if tool.name not in run.withheld]
        if tools and not reply.may_call:
            # Without tools OpenAI refuses a `tool_choice`; the sentence is for models that call a tool all the same.
            tools, system_instructions = [], f"{system_instructions or ''}\n\n{_ANSWER_NOW}".strip()
            model_settings = replace(model_settings, tool_choice=None)
        wanted = bool(more.get("stream"))
        stream = more["stream"] = wanted and not run.whole
        # A stream's headers and its first token share one limit: `_deadline` counts from `began`, too.
        limit, reason = (self._first_token, "too_slow") if stream else (self._timeout, "read_timeout")
        try:
            async with asyncio.timeout_at(min(began + limit, run.until)):
                answer = await fetch(system_instructions, input, model_settings, tools, *rest, **more)
                whole = await self._whole_all_the_same(answer[1]) if stream else answer
                if whole is not None:
                    completion = await self._checked_whole(whole, reply, run)
                    return (
                        as_stream(completion, model_settings, model=str(self.model)) if wanted else completion
                    )
        except TimeoutError:
            raise AnswerUnusable(reason, f"no answer within {min(limit, run.until - began):.3g} s") from None
        # A number of thousands of digits is a ValueError of its own.
        except (ValueError, RecursionError) as error:
            if isinstance(error, ValidationError):
                raise  # a fault of ours
            # What begins like JSON was cut off on its way; anything else is the page of a proxy.
            begun = isinstance(error, json.JSONDecodeError) and error.doc.lstrip().startswith("{")
            raise AnswerUnusable(
                "stream_cut" if begun else "not_an_api", "a 200 whose JSON is none"
            ) from error
        response, chunks = answer
        self._attach_stream_request_id(response, chunks)
        return response, self._checked(chunks, reply, run, began)

    async def _whole_all_the_same(
        self, chunks: openai.AsyncStream[ChatCompletionChunk]
    ) -> ChatCompletion | None:
        """The completion that came in the place of a stream, as from servers that know none; None: it is a stream.

        Of a page, the client would read nothing.
        """
        kind = chunks.response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in ("text/html", "application/xhtml+xml", "application/json"):
            return None
        read = await chunks.response.aread()
        await chunks.close()
        if kind != "application/json":
            raise AnswerUnusable("not_an_api", f"a 200 that is `{kind}`")
        body: object = json.loads(read)
        if not isinstance(body, dict) or "choices" not in body:
            raise self._error(cast("object", body))
        return ChatCompletion.construct(None, **cast("dict[str, Any]", body))

    async def _checked_whole(self, answer: object, reply: "_Reply", run: RunScope) -> ChatCompletion:
        # The SDK takes whatever is no completion for a stream, and pairs it with a response.
        body = answer[1] if isinstance(answer, tuple) else answer
        # The client builds it without validation: the choices may be missing.
        if (
            not isinstance(body, ChatCompletion)
            or (body.model_extra or {}).get("error")
            or cast("object", getattr(body, "choices", None)) is None
        ):
            raise self._error(body)
        check_form(body)
        await reply.add_whole(body)
        run.truncated = reply.check()
        return body

    async def _checked(
        self,
        chunks: openai.AsyncStream[ChatCompletionChunk],
        reply: "_Reply",
        run: RunScope,
        began: float,
    ) -> AsyncGenerator[ChatCompletionChunk, None]:
        limit = TimeLimit()
        read = 0
        try:
            while (chunk := await self._next(chunks, reply, run, began, limit)) is not None:
                pieces = in_pieces(chunk)
                for piece in pieces:
                    reply.add(piece)
                    yield piece
                    # What has come at once is read without a wait, however many chunks it is. A turn for each of them
                    # would send the reader each word by itself.
                    read += 1
                    if len(pieces) > 1 or not read % _CHUNKS_AT_ONCE:
                        await asyncio.sleep(0)
            if reply.is_empty and "text/event-stream" not in chunks.response.headers.get("content-type", ""):
                raise AnswerUnusable("not_an_api", "a 200 that is no stream of events")
            run.truncated = reply.check()
        finally:
            limit.close()
            await chunks.close()

    async def _next(
        self,
        chunks: openai.AsyncStream[ChatCompletionChunk],
        reply: "_Reply",
        run: RunScope,
        began: float,
        limit: TimeLimit,
    ) -> ChatCompletionChunk | None:
        """The next chunk, or None at the end; once the finish reason is there, anything may be the end."""
        deadline, reason = self._deadline(reply, began)
        try:
            chunk = cast("object", await limit.wait(anext(chunks), until=min(deadline, run.until)))
        except StopAsyncIteration:
            return None
        except (TimeoutError, openai.APITimeoutError) as error:
            if reply.finish is not None:
                return None
            raise AnswerUnusable(reason, "the provider fell silent, or took too long") from error
        # The client reads the JSON of each event here: half an event is a ValueError.
        except (openai.APIConnectionError, ValueError, RecursionError) as error:
            if reply.finish is not None:
                return None
            raise AnswerUnusable("stream_cut", f"the stream broke off ({type(error).__name__})") from error
        if not isinstance(chunk, ChatCompletionChunk):
            raise self._error(chunk)
        check_form(chunk)
        return chunk

    def _deadline(self, reply: "_Reply", began: float) -> tuple[float, FailureClass]:
        now = asyncio.get_running_loop().time()
        if reply.finish is not None:
            return now + _TRAILER, "read_timeout"
        # Thoughts count as a start: a model that reasons is silent to the reader alone.
        if not reply.started:
            return began + self._first_token, "too_slow"
        return min(now + self._first_token, began + self._timeout), "read_timeout"

    def _error(self, body: object) -> openai.APIError | AnswerUnusable:
        """The error that a 200 brought in the place of an answer; Gemini sends a list of one."""
        first = body[0] if isinstance(body, list) and body else body
        fields = getattr(first, "model_extra", None) or first
        detail = error_object(fields)
        if not isinstance(fields, dict) or not ({"error", "message", "code", "status"} & fields.keys()):
            return AnswerUnusable("not_an_api", "a 200 that is neither an answer nor an error")
        text = f"A 200 that is no answer: {detail.get('message', 'no message')}"
        return openai.APIError(text, httpx2.Request("POST", str(self._client.base_url)), body=detail)


class _Reply:
    """One reply as far as it has come, after putting it right."""

    def __init__(self, calls: ToolCalls, *, tools: Collection[str], made: int, most: int) -> None:
        """Begin a reply.

        Args:
            calls: Puts its tool calls right.
            tools: Names of the tools that there are, whether or not they may be called.
            made: Calls that were made for the question.
            most: Calls that may be made for it.
        """
        self.started = False
        self.finish: str | None = None
        self.is_empty = True
        self._number: int | None = None
        """Which of several answers is read."""
        self._room = max(0, most - made) if tools else 0
        self._made = made
        self._calls = calls
        self._prose = Prose(tools)
        self._text = False
        self._refused = False
        self._called = False
        self._names: dict[int, str] = {}
        self._arguments: dict[int, str] = {}
        self._usage: CompletionUsage | None = None

    @property
    def may_call(self) -> bool:
        """Whether it may call a tool."""
        return self._room > 0

    def add(self, chunk: ChatCompletionChunk) -> None:
        """Note a chunk of a stream."""
        self.is_empty = False
        chunk.usage = _with_thoughts(chunk.usage)
        self._usage = chunk.usage or self._usage
        # The client builds its objects without validation: what a provider leaves out is None.
        choices = self._one(cast("list[Choice] | None", chunk.choices))
        if choices is not None:
            chunk.choices = choices
        for choice in choices or ():
            ended = choice.finish_reason is not None and self.finish is None
            self.finish = choice.finish_reason or self.finish
            delta = cast("ChoiceDelta | None", choice.delta)
            if delta is None:
                delta = choice.delta = ChoiceDelta()
            if delta.tool_calls:
                self._calls.pieces(delta.tool_calls)
                self._called = True
                for call in delta.tool_calls:
                    function = call.function
                    self._call(call.index, function and function.name, function and function.arguments)
                # What there is no room for is not run.
                delta.tool_calls = [call for call in delta.tool_calls if call.index < self._room] or None
            self._content(delta, ended=ended)

    def _one(self, choices: list[Choice] | None) -> list[Choice] | None:
        """Returns the first of several answers at once, under the number that the SDK reads."""
        kept: list[Choice] = []
        for choice in choices or ():
            number = cast("int | None", choice.index) or 0
            self._number = number if self._number is None else self._number
            if number == self._number:
                choice.index = 0
                kept.append(choice)
        return None if choices is None else kept

    async def add_whole(self, completion: ChatCompletion) -> None:
        """Note a reply that was not streamed."""
        self._usage = completion.usage = _with_thoughts(completion.usage)
        for choice in (cast("list[Any] | None", completion.choices) or [])[:1]:
            self.is_empty = False
            # What came as whole JSON was not cut off, so that a missing reason is no fault.
            self.finish = choice.finish_reason or "stop"
            calls = [call for call in choice.message.tool_calls or [] if hasattr(call, "function")]
            self._calls.whole(calls)
            self._called = bool(calls)
            for place, call in enumerate(calls):
                self._call(place, call.function.name, call.function.arguments)
            choice.message.tool_calls = calls[: self._room] or None
            # Here, since the end of a thought is not in what is left of it below.
            text = without_unopened_thought(_as_text(choice.message.content)[: _LONGEST_TEXT + 1])
            if len(text) > _LONGEST_TEXT:
                self.finish = choice.finish_reason = "length"
                text = text[:_LONGEST_TEXT]
            said: list[str] = []
            # Piece by piece, as a stream's: nobody waits until a long text is read.
            for start in range(0, len(text), PIECE):
                choice.message.content = text[start : start + PIECE]
                self._content(choice.message, ended=start + PIECE >= len(text))
                said.append(choice.message.content or "")
                await asyncio.sleep(0)
            choice.message.content = "".join(said) or None
            self._refused = self._refused or bool(choice.message.refusal)

    def _content(self, part: ChoiceDelta | ChatCompletionMessage, *, ended: bool) -> None:
        """Note the text, and leave of it what may be shown."""
        written = _as_text(part.content)
        if not self.started:  # extras: thinking, under whichever name
            extras = (part.model_extra or {}).values()
            self.started = bool(written or self._called or part.refusal or any(extras))
        self._refused = self._refused or bool(part.refusal)
        content = self._prose.feed(written) + (self._prose.finish() if ended else "")
        self._text = self._text or bool(content.strip())
        part.content = content or None

    def _call(self, place: int, name: str | None, arguments: str | None) -> None:
        self._names[place] = name or self._names.get(place, "")
        self._arguments[place] = self._arguments.get(place, "") + (arguments or "")
        if len(self._arguments[place]) > _LONGEST_ARGUMENTS:
            raise self._unusable("malformed_tool_call", "a call with endless arguments")
        if place >= _MOST_CALLS_AT_ONCE:
            raise self._unusable("too_many_tool_calls", "a reply of endless calls")

    def check(self) -> bool:
        """Raise what must not pass; else, whether the text was cut off at the limit of length.

        Raises:
            AnswerUnusable: With the failure's class and the tokens that were spent.
        """
        finish = (self.finish or "").lower()
        if self.is_empty:
            raise self._unusable("empty_answer", "it held nothing at all")
        if self.finish is None:
            raise self._unusable("stream_cut", "the stream ended without a finish reason")
        if any(word in finish for word in _MALFORMED):
            raise self._unusable("malformed_tool_call", f"finish reason `{finish}`")
        # Before the missing text below, whose cause the filter is.
        if self._refused or any(word in finish for word in _BLOCKED):
            raise self._unusable("safety_block", f"finish reason `{finish}`")
        if any(word in finish for word in _BROKEN):
            raise self._unusable("stream_cut", f"finish reason `{finish}`")
        if self._called and not self.may_call:
            reason = "too_many_tool_calls" if self._made else "malformed_tool_call"
            raise self._unusable(reason, "a call where none was offered")
        if not all(map(_NAME.fullmatch, self._names.values())):
            raise self._unusable("malformed_tool_call", "a call without a name that a tool may have")
        if not all(map(_is_object, self._arguments.values())):
            raise self._unusable("malformed_tool_call", "a call with arguments that are not JSON")
        # Some servers leave the words of a call in the text beside the call that they have read from it.
        if self._prose.is_call and not self._names:
            raise self._unusable("malformed_tool_call", "a call that is written as text")
        if not self._text and not self._names:
            raise self._unusable("empty_answer", f"neither text nor a tool call, finish reason `{finish}`")
        # A call that was cut off is half JSON, and has failed above; one that is whole may be made.
        return any(word in finish for word in _CUT_OFF) and not self._names

    def _unusable(self, reason: FailureClass, what: str) -> AnswerUnusable:
        spent = self._usage
        return AnswerUnusable(
            reason,
            what,
            input_tokens=spent.prompt_tokens if spent else 0,
            output_tokens=spent.completion_tokens if spent else 0,
        )


def _with_thoughts(usage: object) -> CompletionUsage | None:
    """A provider's count of tokens with the thoughts among those that were written.

    Gemini counts thoughts in the total alone. They are paid as output.
    """
    if not isinstance(usage, CompletionUsage):
        return None
    for name in ("prompt_tokens", "completion_tokens", "total_tokens"):
        # The client builds it without validation: a count may be null, or missing.
        if not _is_count(getattr(usage, name, None)):
            setattr(usage, name, 0)
    for name, detail in _DETAILS.items():
        if not _is_count(getattr(getattr(usage, name, None), detail, None)):
            setattr(usage, name, None)
    usage.completion_tokens = max(usage.completion_tokens, usage.total_tokens - usage.prompt_tokens)
    usage.total_tokens = usage.prompt_tokens + usage.completion_tokens
    return usage


def _is_count(value: object) -> bool:
    return isinstance(value, int) and 0 <= value <= _MOST_TOKENS


def _as_text(content: object) -> str:
    """A message's text; some servers send a list of parts, thoughts among them."""
    if isinstance(content, str):
        return content
    parts = cast("list[object]", content) if isinstance(content, list) else []
    read = [cast("dict[str, object]", part) for part in parts if isinstance(part, dict)]
    texts = [part.get("text") for part in read if part.get("type") in (None, "text", "output_text")]
    return "".join(text for text in texts if isinstance(text, str))


def _is_object(arguments: str) -> bool:
    try:
        read = json.loads(arguments or "{}")
        json.dumps(read, ensure_ascii=False).encode()  # half a character can be neither sent nor kept
    # Brackets within brackets, some thousand deep, are a RecursionError.
    except (ValueError, RecursionError):
        return False
    level: list[object] = [read]
    for _ in range(_DEEPEST):
        level = [inner for outer in level for inner in _within(outer)]
    return isinstance(read, dict) and not level


def _within(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return cast("dict[str, object]", value).values()
    return cast("list[object]", value) if isinstance(value, list) else ()

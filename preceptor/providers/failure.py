"""Failures: what went wrong with a provider, as one of a few classes that an operator can act on.

    not_configured       there is no key
    bad_key              the key is unknown (401; Gemini says 400)
    forbidden            the key may not, or not from here (402, 403)
    unknown_model        no such model at this address (404), or no longer (410)
    rate_limited         429; `retry_after` where the provider says it
    server_error         5xx, or something that no provider answers
    unreachable          no connection
    connect_timeout      no connection in time
    read_timeout         the answer stopped, or was not whole in time
    too_slow             no first token in time
    stream_cut           the stream ended without a finish reason
    not_an_api           a 200 that is something else: the page of a proxy, of a portal, of another service
    empty_answer         neither text nor a tool call, or nothing that the reader would see
    malformed_tool_call  a call without a name, with arguments that are not JSON, that is written as text, or that
                         the model could not correct
    too_many_tool_calls  a call after the last one that was allowed
    safety_block         the provider's filter, or the model, refused
    uncited              no sentence of the answer rests on a passage
    disclosed            it recites the tutor's instructions
    unsupported          its confidence is below `tutor.least_confidence`
    beside               it rests on the book, but quotes none of the passages that answer the question
    not_covered          not asked for an answer: what was found does not cover the question
    breaker_open         not tried: it failed too often just now
    out_of_time          not tried: the time for the answer was over
    other                the rest

`classify` tells them apart by what the provider's client raised.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal, cast

import httpx2
import openai

from preceptor.errors import AnswerUnusable

FailureClass = Literal[
    "not_configured",
    "bad_key",
    "forbidden",
    "unknown_model",
    "rate_limited",
    "server_error",
    "unreachable",
    "connect_timeout",
    "read_timeout",
    "too_slow",
    "stream_cut",
    "not_an_api",
    "empty_answer",
    "malformed_tool_call",
    "too_many_tool_calls",
    "safety_block",
    "uncited",
    "disclosed",
    "unsupported",
    "beside",
    "not_covered",
    "breaker_open",
    "out_of_time",
    "other",
]

PATIENCE = 2.0
"""Longest Retry-After to wait for, in seconds; after a longer one another tutor answers sooner."""

_PASSING: frozenset[FailureClass] = frozenset(
    {"server_error", "unreachable", "stream_cut", "empty_answer", "malformed_tool_call"}
)

UNGROUNDED: frozenset[FailureClass] = frozenset({"uncited", "disclosed"})
"""Failures that the same tutor may avoid when it is told the rule once more."""

_STATUS_OF_NAME = {
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "RESOURCE_EXHAUSTED": 429,
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "invalid_api_key": 401,
    "model_not_found": 404,
    "rate_limit_exceeded": 429,
    "insufficient_quota": 429,
    "content_filter": 400,
    "invalid_request_error": 400,
}
"""Errors that arrive inside a stream have no HTTP status; these are the names they bear instead."""

_STATUS = re.compile(r"[1-5][0-9]{2}")
_BAD_KEY = re.compile(
    r"api[ _]key[ _](not[ _](valid|found)|expired|invalid)|(in)?valid api key", re.IGNORECASE
)
_WRONG_PLACE = re.compile(r"location is not supported", re.IGNORECASE)
_NO_MODEL = re.compile(r"model_not_found|invalid model|unexpected model name", re.IGNORECASE)
_FILTERED = re.compile(r"content_filter|content_policy|responsible_?ai", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Failure:
    """The reason why a call gave no answer."""

    reason: FailureClass
    retry_after: float | None = None
    """Retry-After of the provider, in seconds."""

    @property
    def retry_in_place(self) -> bool:
        """Whether asking the same provider once more is likely to be quicker than asking another one."""
        if self.reason == "rate_limited":
            return self.retry_after is not None and self.retry_after <= PATIENCE
        return self.reason in _PASSING and (self.retry_after or 0.0) <= PATIENCE


def classify(error: Exception) -> Failure:
    """Classifies an exception of the provider's client."""
    match error:
        case AnswerUnusable():
            return Failure(cast("FailureClass", error.reason))
        # Before APIConnectionError, its base class.
        case openai.APITimeoutError():
            connecting = isinstance(error.__cause__, httpx2.ConnectTimeout)
            return Failure("connect_timeout" if connecting else "read_timeout")
        # The second: a body that cannot be unpacked, which the client does not take for its own error.
        case openai.APIConnectionError() | httpx2.HTTPError():
            return Failure("unreachable")
        case openai.APIStatusError():
            reason = _by_status(error.status_code, str(error.body))
            return Failure(reason, _retry_after(error.response.headers, error_object(error.body)))
        case openai.APIError():
            detail = error_object(error.body)
            return Failure(_by_status(_status_in(detail), str(error.body)), _retry_delay(detail))
        case _:
            return Failure("other")


def error_object(body: object) -> Mapping[str, Any]:
    """The error in a response's body: OpenAI sends `{"error": {…}}`, Gemini `[{"error": {…}}]`."""
    if isinstance(body, list) and body:
        body = cast("list[object]", body)[0]
    if not isinstance(body, Mapping):
        return {}
    found = cast("Mapping[str, Any]", body)
    inner = found.get("error")
    return cast("Mapping[str, Any]", inner) if isinstance(inner, Mapping) else found


def _by_status(status: int, text: str) -> FailureClass:
    match status:
        case 401:
            return "bad_key"
        # Gemini answers 400 to a key that is none, where others answer 401.
        case 400 | 403 if _BAD_KEY.search(text):
            return "bad_key"
        case 402 | 403:
            return "forbidden"
        case 404 | 410:
            return "unknown_model"
        case 408:
            return "read_timeout"
        case 429:
            return "rate_limited"
        case 400:
            return _bad_request(text)
        case _ if status < 400:
            return "not_an_api"  # a portal sends everybody to its own page, or speaks another protocol
        case _:
            return "server_error" if status >= 500 else "other"


def _bad_request(text: str) -> FailureClass:
    if _WRONG_PLACE.search(text):
        return "forbidden"
    if _NO_MODEL.search(text):
        return "unknown_model"
    return "safety_block" if _FILTERED.search(text) else "other"


def _status_in(detail: Mapping[str, Any]) -> int:
    """Returns the HTTP status that an error inside a stream stands for; 500 if it does not say."""
    # Gemini's `code` is a number and its `status` a name; OpenAI's `code` may be null beside a `type`.
    for name in ("code", "status", "type"):
        value = str(detail.get(name))
        if _STATUS.fullmatch(value):
            return int(value)
        if value in _STATUS_OF_NAME:
            return _STATUS_OF_NAME[value]
    return 500


def _retry_after(headers: httpx2.Headers, detail: Mapping[str, Any]) -> float | None:
    # The one in milliseconds first, as OpenAI's own client has it: it is the more exact.
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name, "")
        try:
            return max(0.0, float(value) * unit)
        except ValueError:
            pass
    try:
        # HTTP allows a date in its place (RFC 9110, 10.2.3).
        when = parsedate_to_datetime(headers.get("retry-after", "")).astimezone(UTC)
    # Of the year 9999 there is no later time zone.
    except (ValueError, OverflowError):
        return _retry_delay(detail)
    return max(0.0, (when - datetime.now(UTC)).total_seconds())


def _retry_delay(detail: Mapping[str, Any]) -> float | None:
    """Gemini's own form: `"details": [{"@type": "…/google.rpc.RetryInfo", "retryDelay": "34s"}]`."""
    details = detail.get("details")
    for each in cast("list[object]", details) if isinstance(details, list) else []:
        if isinstance(each, Mapping):
            delay = str(cast("Mapping[str, Any]", each).get("retryDelay", ""))
            try:
                return max(0.0, float(delay.removesuffix("s")))
            except ValueError:
                continue
    return None


@dataclass(frozen=True, slots=True)
class FailureNote:
    """A tutor that failed or was passed over, and the reason."""

    tutor: str
    reason: str


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens and requests of all model calls of a run."""

    input_tokens: int = 0
    output_tokens: int = 0
    requests: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        """Add two usages."""
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.requests + other.requests,
        )


NOT_ASKED = ("not_configured", "breaker_open", "out_of_time", "not_covered")
"""Reasons for which a provider was passed over, at no cost."""


@dataclass(slots=True)
class Failures:
    """Failures and wasted usage of one run; its models append to it."""

    notes: list[FailureNote] = field(default_factory=list[FailureNote])
    spent: Usage = field(default_factory=Usage)
    """Requests that gave no answer, and their tokens as far as the provider reported them."""

    @property
    def reason(self) -> str:
        """Reason why the last tutor was left."""
        asked = (note.reason for note in reversed(self.notes) if note.reason not in NOT_ASKED)
        return next(asked, "")

    def tried(self, errors: Iterable[Exception]) -> None:
        """Count the attempts of a call that failed."""
        for error in errors:
            told = error if isinstance(error, AnswerUnusable) else None
            self.spent += Usage(
                input_tokens=told.input_tokens if told else 0,
                output_tokens=told.output_tokens if told else 0,
                requests=int(classify(error).reason not in NOT_ASKED),
            )

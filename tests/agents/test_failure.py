"""Classes of failure by the errors of a provider's client: statuses, names, messages and waits."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx2
import openai
import pytest

from preceptor.errors import AnswerUnusable
from preceptor.providers.failure import (
    Failure,
    FailureClass,
    FailureNote,
    Failures,
    Usage,
    classify,
    error_object,
)

ASKED = httpx2.Request("POST", "http://127.0.0.1/chat/completions")


def status(code: int, body: object = None, **headers: str) -> openai.APIStatusError:
    """The client's error for a response with this status; `retry_after="3"` becomes a header."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return openai.APIStatusError(
        "No.", response=httpx2.Response(code, headers=named, request=ASKED), body=body
    )


def streamed(body: object) -> openai.APIError:
    """The client's error for what came inside a stream."""
    return openai.APIError("No.", ASKED, body=body)


@pytest.mark.parametrize(
    ("code", "text", "reason"),
    [
        (401, "", "bad_key"),
        (400, "API key not valid", "bad_key"),
        (400, "api_key_not_found", "bad_key"),
        (400, "API key expired", "bad_key"),
        (403, "API_KEY_INVALID", "bad_key"),
        (400, "give a valid API key", "bad_key"),
        (400, "an invalid api key", "bad_key"),
        (404, "API key not valid", "unknown_model"),
        (402, "", "forbidden"),
        (403, "", "forbidden"),
        (404, "", "unknown_model"),
        (408, "", "read_timeout"),
        (429, "", "rate_limited"),
        (400, "", "other"),
        (400, "User LOCATION IS NOT SUPPORTED here", "forbidden"),
        (400, "MODEL_NOT_FOUND", "unknown_model"),
        (400, "an Invalid Model", "unknown_model"),
        (400, "unexpected model name", "unknown_model"),
        (400, "CONTENT_FILTER", "safety_block"),
        (400, "content_policy", "safety_block"),
        (400, "ResponsibleAI", "safety_block"),
        (400, "responsible_ai", "safety_block"),
        (409, "", "other"),
        (499, "", "other"),
        (500, "API key not valid", "server_error"),
        (501, "", "server_error"),
        (599, "", "server_error"),
    ],
)
def test_a_status_and_what_it_says_make_the_class(code: int, text: str, reason: FailureClass) -> None:
    body = {"error": {"message": text}}
    assert classify(status(code, body)) == Failure(reason)
    assert classify(streamed({"code": code, "message": text})).reason == reason


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"error": {"status": "UNAUTHENTICATED"}}, "bad_key"),
        ([{"error": {"status": "PERMISSION_DENIED"}}], "forbidden"),
        ({"status": "NOT_FOUND"}, "unknown_model"),
        ({"status": "RESOURCE_EXHAUSTED"}, "rate_limited"),
        ({"status": "INVALID_ARGUMENT"}, "other"),
        ({"status": "FAILED_PRECONDITION"}, "other"),
        ({"code": "invalid_api_key"}, "bad_key"),
        ({"code": "model_not_found"}, "unknown_model"),
        ({"code": "rate_limit_exceeded"}, "rate_limited"),
        ({"code": "insufficient_quota"}, "rate_limited"),
        ({"code": "content_filter"}, "safety_block"),
        ({"type": "invalid_request_error"}, "other"),
        ({"code": "503"}, "server_error"),
        ({"code": "404"}, "unknown_model"),
        ({"code": "x", "status": "y", "type": "UNAUTHENTICATED"}, "bad_key"),
        ({"code": 404, "status": "UNAUTHENTICATED"}, "unknown_model"),
        ({"status": 404, "type": "UNAUTHENTICATED"}, "unknown_model"),
        ({"message": "Sorry"}, "server_error"),
        *(({"code": none}, "server_error") for none in (-1, True, "²", [429], {"a": 1}, 10**40, "4291", 0)),
        ({"code": 8, "status": "RESOURCE_EXHAUSTED"}, "rate_limited"),
        ([], "server_error"),
        ("Sorry", "server_error"),
        (None, "server_error"),
    ],
)
def test_inside_a_stream_a_name_stands_for_the_status(body: object, reason: FailureClass) -> None:
    assert classify(streamed(body)).reason == reason


def test_the_error_in_a_body_is_found_in_all_its_forms() -> None:
    inner = {"message": "No."}
    for body in (
        {"error": inner},
        [{"error": inner}, {"error": {}}],
        inner,
        [inner],
        {"error": "x", **inner},
    ):
        assert error_object(body)["message"] == "No."
    assert [dict(error_object(body)) for body in ([], "x", None, ["x"])] == [{}] * 4


def details(*delays: object) -> Mapping[str, Any]:
    """Gemini's error with these waits."""
    return {"error": {"code": 429, "details": [{"retryDelay": delay} for delay in delays]}}


@pytest.mark.parametrize(
    ("error", "wait"),
    [
        (status(429, retry_after="17"), 17),
        (status(429, retry_after="0.5"), 0.5),
        (status(429, retry_after="-3"), 0),
        (status(429, retry_after_ms="1500", retry_after="17"), 1.5),
        (status(429, retry_after_ms="soon", retry_after="17"), 17),
        (status(429, details("34s")), 34),
        (status(429, details("34s"), retry_after="17"), 17),
        (status(429, details("34s"), retry_after="soon"), 34),
        (streamed(details("34s")), 34),
        (streamed([details("0.25s")]), 0.25),
        (streamed(details("soon", "7s", "9s")), 7),
        (streamed(details("-7s")), 0),
        (streamed({"details": ["x", {"other": 1}, {"retryDelay": "7s"}]}), 7),
        (streamed({"details": "7s"}), None),
        (streamed(details("soon")), None),
        (status(429), None),
    ],
)
def test_a_wait_is_read_from_headers_and_then_from_the_body(
    error: openai.APIError, wait: float | None
) -> None:
    assert classify(error).retry_after == wait


@pytest.mark.parametrize(("ahead", "least", "most"), [(3600, 3000, 3601), (-3600, 0, 0)])
def test_a_wait_may_be_a_date(ahead: int, least: float, most: float) -> None:
    when = format_datetime(datetime.now(UTC) + timedelta(seconds=ahead), usegmt=True)
    wait = classify(status(503, retry_after=when)).retry_after
    assert wait is not None
    assert least <= wait <= most


def test_what_the_client_says_of_the_connection() -> None:
    late = openai.APITimeoutError(ASKED)
    assert classify(late) == Failure("read_timeout")
    late.__cause__ = httpx2.ConnectTimeout("late")
    assert classify(late) == Failure("connect_timeout")
    assert classify(openai.APIConnectionError(request=ASKED)) == Failure("unreachable")
    assert classify(AnswerUnusable("too_slow", "x")) == Failure("too_slow")
    assert classify(asyncio.QueueEmpty()) == Failure("other")


@pytest.mark.parametrize(
    ("failure", "again"),
    [
        *(
            (Failure(reason), True)
            for reason in ("server_error", "unreachable", "stream_cut", "empty_answer")
        ),
        (Failure("malformed_tool_call"), True),
        *(
            (Failure(reason), False)
            for reason in ("bad_key", "forbidden", "read_timeout", "too_slow", "other")
        ),
        (Failure("server_error", 2.0), True),
        (Failure("server_error", 2.1), False),
        (Failure("other", 1.0), False),
        (Failure("rate_limited"), False),
        (Failure("rate_limited", 0.0), True),
        (Failure("rate_limited", 2.0), True),
        (Failure("rate_limited", 2.1), False),
    ],
)
def test_what_passes_soon_is_worth_another_try(failure: Failure, again: bool) -> None:
    assert failure.retry_in_place is again


def test_the_cost_of_failed_calls_is_added_up_and_the_reason_is_that_of_the_last_one_asked() -> None:
    failures = Failures()
    assert (failures.reason, failures.spent) == ("", Usage())
    failures.tried(
        [
            AnswerUnusable("safety_block", "x", input_tokens=5, output_tokens=3),
            AnswerUnusable("stream_cut", "x", input_tokens=7, output_tokens=1),
            status(500),
            *(AnswerUnusable(reason, "x") for reason in ("breaker_open", "out_of_time", "not_configured")),
        ]
    )
    assert failures.spent == Usage(input_tokens=12, output_tokens=4, requests=3)
    for reason in ("bad_key", "server_error", "breaker_open", "not_configured", "out_of_time"):
        failures.notes.append(FailureNote("gemini", reason))
    assert failures.reason == "server_error"

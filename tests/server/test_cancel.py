"""A reader who goes away ends the provider's call, and leaves nothing behind."""

import json
import socket
import threading
from collections.abc import Generator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.server.serving import PATIENCE, QUESTION, Service, hanging, held, serving, streaming
from tests.standins.provider import Answer, Provider, says

HOUR = "3600"
WITHOUT_TIME_OUT: Any = {
    "PRECEPTOR_TUTOR__DEADLINE": HOUR,
    "PRECEPTOR_PROVIDERS__GEMINI__TIMEOUT": HOUR,
    "PRECEPTOR_PROVIDERS__GEMINI__FIRST_TOKEN": HOUR,
}
"""So that nothing but the reader's leaving can end a call, however long a busy machine takes."""


@pytest.fixture
def gemini() -> Generator[Provider]:
    with Provider() as provider:
        yield provider


@pytest.fixture
def service(sample_index: Path, tmp_path: Path, gemini: Provider) -> Generator[Service]:
    with serving(sample_index, tmp_path, provider=gemini, **WITHOUT_TIME_OUT) as running:
        yield running


def in_flight(service: Service) -> int:
    """How many answers hold a place."""
    return int(httpx2.get(f"{service.url}/api/v1/metrics").json()["in_flight"])


def test_leaving_before_the_answer_ends_the_call(service: Service, gemini: Provider) -> None:
    gemini.will(Answer(ending="hanging"), says("I am still here."))
    with socket.create_connection((urlsplit(service.url).hostname, urlsplit(service.url).port)) as reader:
        body = b'{"content": "What is a node?"}'
        head = f"POST /api/v1/chat HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
        reader.sendall(f"{head}Content-Type: application/json\r\n\r\n".encode() + body)
        assert gemini.asked.acquire(timeout=30)
    assert gemini.hung_up.wait(PATIENCE)
    assert "I am still here." in service.ask(QUESTION).json()["answer"]
    service.stop()
    service.ended()
    assert service.wrong() == []
    assert any("status=499" in line for line in service.log)


def test_leaving_in_the_middle_of_a_stream_ends_the_call(service: Service, gemini: Provider) -> None:
    gemini.will(hanging("A node is"), says("I am still here."))
    with streaming(service) as (_, events):
        assert next(data for name, data in events if name == "token")["content"] == "A node is"
    assert gemini.hung_up.wait(PATIENCE)
    assert "I am still here." in service.ask(QUESTION).json()["answer"]
    service.stop()
    service.ended()
    assert service.wrong() == []


def test_leaving_while_another_question_of_the_conversation_is_answered_gives_the_place_back(
    service: Service, gemini: Provider
) -> None:
    go_on = threading.Event()
    gemini.will(says("One."), held("Two.", go_on), says("Four."))
    session = {"session_id": service.ask(QUESTION).json()["session_id"]}
    body = json.dumps({**QUESTION, **session}).encode()
    head = f"POST /api/v1/chat HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
    with streaming(service, **session) as (_, events):
        assert next(data for name, data in events if name == "token")["content"] == "Two."
        with socket.create_connection((urlsplit(service.url).hostname, urlsplit(service.url).port)) as reader:
            reader.sendall(f"{head}Content-Type: application/json\r\n\r\n".encode() + body)
            service.until(lambda page: page.json()["in_flight"] == 2, "/api/v1/metrics")
        service.logged("status=499")
        assert in_flight(service) == 1
        go_on.set()
        assert [name for name, _ in events][-1] == "done"
    assert service.ask({**QUESTION, **session}).json()["answer"] == "Four."
    service.stop()
    service.ended()
    assert service.wrong() == []


def test_leaving_a_stream_before_its_first_text_ends_the_call(service: Service, gemini: Provider) -> None:
    gemini.will(Answer(ending="hanging"))
    with streaming(service) as (_, events):
        assert next(events)[0] == "start"
        assert gemini.asked.acquire(timeout=30)
    assert gemini.hung_up.wait(PATIENCE)
    service.stop()
    service.ended()
    assert service.wrong() == []

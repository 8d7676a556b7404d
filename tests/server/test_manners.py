"""Manners of HTTP: what a client accepts, what may be kept, what is compressed, and clients of HTTP/1.0."""

import gzip
import json
import logging
import socket
from collections.abc import Generator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from starlette.testclient import TestClient

from preceptor.server import create_app
from preceptor.server.request import prefers
from preceptor.settings import Settings
from tests.sample import sample_settings
from tests.server.loopback import served
from tests.server.reading import error_of, events

ASK = "/api/v1/chat"
ROS = {"content": "What is ROS 2?"}
BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


# Accept


@pytest.mark.parametrize(
    ("accept", "streamed"),
    [
        ("text/event-stream", True),
        ("TEXT/Event-Stream", True),
        ("text/event-stream; charset=utf-8 ;Q=0.9, application/json;q=0.5", True),
        ("application/json, text/event-stream", True),
        ("text/*", True),
        ("text/event-stream;q=0", False),
        ("text/event-stream;q=0.5, application/json", False),
        ("application/json;q=1.0, text/event-stream; q=0.1", False),
        ("text/event-stream;q=0, */*", False),
        ("application/json", False),
        ("*/*", False),
        ("", False),
        ("text/event-stream-not", False),
        (";;,q=,", False),
    ],
)
def test_a_stream_comes_where_it_is_preferred(accept: str, streamed: bool) -> None:
    assert prefers(accept, "text/event-stream") is streamed


def test_the_header_decides_how_the_answer_comes(client: TestClient) -> None:
    for accept, kind in (
        ("Text/Event-Stream", "text/event-stream"),
        ("text/event-stream;q=0", "application/json"),
    ):
        answer = client.post(ASK, json=ROS, headers={"Accept": accept})
        assert answer.headers["content-type"].startswith(kind)


# What may be kept, and what is compressed


def test_no_answer_and_no_session_may_be_kept(client: TestClient) -> None:
    answer = client.post(ASK, json=ROS)
    session = answer.json()["session_id"]
    for response in (
        answer,
        client.post(ASK, json={**ROS, "stream": True}),
        client.get(f"/api/v1/sessions/{session}"),
        client.post(
            "/v1/chat/completions", json={"messages": [{"role": "user", "content": "What is ROS 2?"}]}
        ),
        client.post("/v1/responses", json={"input": "What is ROS 2?"}),
        client.get("/api/v1/sessions/no-such"),
        client.post(ASK, json={}),
    ):
        assert response.headers["cache-control"] == "no-store"
    assert client.get("/").headers["cache-control"] == "no-cache"


def test_pages_are_compressed_for_who_reads_it_and_answers_never(client: TestClient) -> None:
    for path in ("/", "/openapi.json", "/docs", "/docs/ros2/", "/static/tutor.js"):
        packed = client.get(path, headers={"Accept-Encoding": "gzip"})
        assert packed.headers["content-encoding"] == "gzip", path
        assert "accept-encoding" in packed.headers["vary"].lower()
        plain = client.get(path, headers={"Accept-Encoding": "identity"})
        assert "content-encoding" not in plain.headers
        assert packed.text == plain.text
        assert len(gzip.compress(packed.content)) < len(plain.content)
    streamed = client.post(ASK, json={**ROS, "stream": True}, headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in streamed.headers


# The id of a request


def test_the_id_of_a_request_comes_back_and_stands_in_the_log(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="preceptor.request")
    assert (
        client.get("/livez", headers={"X-Request-Id": "gateway-17.a:b"}).headers["x-request-id"]
        == "gateway-17.a:b"
    )
    assert caplog.records[-1].__dict__["fields"]["request"] == "gateway-17.a:b"
    assert (
        client.get("/nothing", headers={"X-Request-Id": "of-an-error"}).headers["x-request-id"]
        == "of-an-error"
    )


@pytest.mark.parametrize("given", ["", "a b", "a\tstatus=200", "x" * 129, "ä", '"'])
def test_an_id_of_another_form_is_replaced(
    client: TestClient, caplog: pytest.LogCaptureFixture, given: str
) -> None:
    caplog.set_level(logging.INFO, logger="preceptor.request")
    made = client.get("/livez", headers={b"X-Request-Id": given.encode()}).headers["x-request-id"]
    assert len(made) == 16
    assert caplog.records[-1].__dict__["fields"]["request"] == made
    assert client.get("/livez").headers["x-request-id"] not in ("", made)


# Browsers


def test_a_page_of_another_site_may_ask_a_service_in_the_readers_own_network(
    sample_index: Path, tmp_path: Path
) -> None:
    settings = sample_settings(sample_index, tmp_path, server={"cors_origins": ("https://book.example",)})
    headers = {
        "Origin": "https://book.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Private-Network": "true",
    }
    with TestClient(create_app(settings)) as client:
        allowed = client.options(ASK, headers=headers)
        refused = client.options(ASK, headers={**headers, "Origin": "https://other.example"})
        answer = client.post(ASK, json=ROS, headers={"Origin": "https://book.example"})
    assert (allowed.status_code, allowed.headers["access-control-allow-private-network"]) == (200, "true")
    assert refused.status_code == 400
    assert "access-control-allow-origin" not in refused.headers
    assert "X-Request-Id" in answer.headers["access-control-expose-headers"]


def test_an_error_is_a_page_for_who_looks_for_a_page(client: TestClient) -> None:
    missing = client.get("/docs/<nothing>", headers=BROWSER)
    assert missing.status_code == 404
    assert missing.headers["content-type"].startswith("text/html")
    assert "<h1>Not Found</h1>" in missing.text
    assert "<nothing>" not in missing.text
    assert missing.headers["content-security-policy"].startswith("default-src 'none'; style-src 'self'")
    error_of(client.get("/docs/nothing"), 404, "NOT_FOUND")
    error_of(
        client.get("/docs/nothing", headers={"Accept": "application/json, text/html;q=0.9"}), 404, "NOT_FOUND"
    )
    error_of(client.get("/api/v1/chapters/nothing", headers=BROWSER), 404, "NOT_FOUND")
    error_of(client.post(ASK, json={}, headers=BROWSER), 400, "VALIDATION_ERROR")


def test_a_method_that_is_not_allowed_is_in_the_contract(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert all("405" in said["responses"] for methods in paths.values() for said in methods.values())


# HTTP/1.0


@pytest.fixture
def address(demo_settings: Settings) -> Generator[str]:
    with served(demo_settings) as url:
        yield url


def asked_by_old_client(address: str, body: dict[str, object]) -> tuple[str, str]:
    """Head and body of the response to a client of HTTP/1.0, which reads until the connection is closed."""
    sent = json.dumps(body).encode()
    head = f"POST {ASK} HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {len(sent)}\r\n\r\n"
    url = urlsplit(address)
    with socket.create_connection((url.hostname or "", url.port or 0), timeout=240) as connection:
        connection.sendall(head.encode() + sent)
        received = b""
        while piece := connection.recv(65536):
            received += piece
    told, _, answer = received.decode().partition("\r\n\r\n")
    return told.lower(), answer


def test_a_client_of_the_old_protocol_gets_no_chunks(address: str) -> None:
    head, answer = asked_by_old_client(address, {**ROS, "stream": True})
    assert "transfer-encoding" not in head
    assert "connection: close" in head
    assert "keep-alive" not in head
    found = events(answer)
    assert (found[0].name, found[-1].name) == ("start", "done")
    head, answer = asked_by_old_client(address, {**ROS})
    assert f"content-length: {len(answer.encode())}" in head
    assert json.loads(answer)["sources"]

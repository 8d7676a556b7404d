"""A reader's conversation over HTTP: read it, delete it, say what an answer was worth."""

import asyncio
import json
import re
import sqlite3
from contextlib import ExitStack, closing
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest
from starlette.testclient import TestClient

from preceptor.server import create_app
from preceptor.settings import Settings
from preceptor.tracing.store import TraceStore
from tests.sample import sample_settings
from tests.server.inside import asking
from tests.server.reading import Json, error_of, tells_nothing
from tests.server.serving import serving, streaming
from tests.standins.servers import free_port, redis_server

ASK = "/api/v1/chat"
FEEDBACK = "/api/v1/feedback"
ROS = "What is ROS 2?"


def ask(client: TestClient, question: str = ROS, **more: str) -> Json:
    response = client.post(ASK, json={"content": question, **more})
    assert response.status_code == 200
    return response.json()


# Reading it


def test_a_conversation_reads_as_the_reader_saw_it(client: TestClient) -> None:
    first = ask(client)
    second = ask(client, "What is a topic?", session_id=first["session_id"])
    response = client.get(f"/api/v1/sessions/{first['session_id']}")
    assert response.status_code == 200
    body = response.json()
    assert body["session_id"] == first["session_id"]
    assert [turn["question"] for turn in body["turns"]] == [ROS, "What is a topic?"]
    for turn, seen in zip(body["turns"], (first, second), strict=True):
        assert turn["answer"] == seen["answer"]
        assert turn["sources"] == seen["sources"]
        assert turn["response_id"] == seen["response_id"]
        assert not re.search(r"\[[a-z][2-9]", turn["answer"])
    tells_nothing(response)


def test_of_a_conversation_that_a_client_keeps_only_the_new_turn_is_kept(client: TestClient) -> None:
    messages = [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hello, reader."},
        {"role": "user", "content": ROS},
    ]
    session = client.post("/v1/chat/completions", json={"messages": messages}).json()["session_id"]
    turns = client.get(f"/api/v1/sessions/{session}").json()["turns"]
    assert [(turn["question"], bool(turn["sources"]), bool(turn["response_id"])) for turn in turns] == [
        (ROS, True, True)
    ]


@pytest.mark.parametrize("session", ["made-up", "%00", "..%2F..", "x" * 2000])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_an_unknown_session_is_not_found(client: TestClient, method: str, session: str) -> None:
    response = client.request(method, f"/api/v1/sessions/{session}")
    assert response.status_code == 404
    assert response.json()["code"] in ("SESSION_NOT_FOUND", "NOT_FOUND")


# Deleting it


def test_a_deleted_conversation_is_gone_and_stays_gone(client: TestClient) -> None:
    session = ask(client)["session_id"]
    response = client.delete(f"/api/v1/sessions/{session}")
    assert (response.status_code, response.content) == (204, b"")
    error_of(client.get(f"/api/v1/sessions/{session}"), 404, "SESSION_NOT_FOUND")
    error_of(client.delete(f"/api/v1/sessions/{session}"), 404, "SESSION_NOT_FOUND")


# Leaving it, and a store that fails


@pytest.mark.long
def test_a_store_that_stops_costs_the_conversation_and_not_the_answer(
    sample_index: Path, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        redis = stack.enter_context(ExitStack())
        url = redis.enter_context(redis_server(tmp_path))
        service = stack.enter_context(serving(sample_index, tmp_path, PRECEPTOR_SESSION__URL=url))
        health = f"{service.url}/api/v1/health"
        assert httpx2.get(health).json()["checks"]["sessions"]["status"] == "healthy"

        with streaming(service) as (_, left):
            session = next(left)[1]["session_id"]
        assert service.ask({"content": "Why?", "session_id": session}).status_code == 200
        kept = f"{service.url}/api/v1/sessions/{session}"
        assert len(httpx2.get(kept).json()["turns"]) == 1

        redis.close()
        for refused in (
            service.ask({"content": "Why?", "session_id": session}),
            httpx2.get(kept),
            httpx2.delete(kept),
        ):
            error_of(refused, 503, "SERVICE_UNAVAILABLE")
            assert refused.headers["Retry-After"]
            assert "conversation" in refused.json()["error"]
        answer = service.ask({"content": ROS})
        assert answer.status_code == 200
        service.logged(f"trace={answer.json()['trace_id']} error=The store of conversations")
        with streaming(service) as (_, events):
            assert [name for name, _ in events][-1] == "done"
        assert httpx2.get(f"{service.url}/api/v1/metrics").json()["errors"] == {"SessionsUnavailable": 1}
        service.stop()
        service.ended()
        assert service.wrong() == []


async def test_health_names_a_store_that_cannot_be_reached(sample_index: Path, tmp_path: Path) -> None:
    settings = sample_settings(sample_index, tmp_path, session={"url": f"redis://127.0.0.1:{free_port()}/0"})
    async with asking(settings) as client:
        response = await client.get("/api/v1/health")
        check = response.json()["checks"]["sessions"]
    assert (response.status_code, response.json()["status"], check["status"]) == (200, "degraded", "degraded")
    assert check["detail"].startswith("redis: connection refused")


# Feedback


def kept(store: TraceStore, trace_id: str) -> object:
    """The reader's feedback in the run."""
    return dict(store.run(trace_id).facts).get("feedback")


@pytest.fixture
def store(client: TestClient) -> TraceStore:
    found: TraceStore = client.app_state["preceptor"].traces
    return found


@pytest.mark.parametrize(("said", "rating"), [("up", 1), ("down", -1), (1, 1), (-1, -1)])
@pytest.mark.parametrize("name", ["response_id", "message_id"])
def test_feedback_is_kept_with_the_run(
    client: TestClient, store: TraceStore, name: str, said: int | str, rating: int
) -> None:
    answer = ask(client)
    response = client.post(
        FEEDBACK, json={name: answer["response_id"], "rating": said, "comment": " Clear! "}
    )
    assert (response.status_code, response.content) == (204, b"")
    assert kept(store, answer["trace_id"]) == {"rating": rating, "comment": "Clear!"}


def test_a_second_word_replaces_the_first(client: TestClient, store: TraceStore) -> None:
    answer = ask(client)
    for body in ({"rating": "up", "comment": "Good"}, {"rating": "down"}):
        assert client.post(FEEDBACK, json={"response_id": answer["response_id"], **body}).status_code == 204
    assert kept(store, answer["trace_id"]) == {"rating": -1}


def test_feedback_takes_the_id_of_a_completion(client: TestClient, store: TraceStore) -> None:
    completion = client.post(
        "/v1/chat/completions", json={"messages": [{"role": "user", "content": ROS}]}
    ).json()
    assert client.post(FEEDBACK, json={"message_id": completion["id"], "rating": "up"}).status_code == 204
    assert kept(store, completion["trace_id"]) == {"rating": 1}


def test_feedback_on_an_unknown_answer_is_not_found(client: TestClient) -> None:
    error_of(client.post(FEEDBACK, json={"response_id": "made-up", "rating": 1}), 404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"rating": 1}, "response_id"),
        ({"response_id": "a"}, "rating"),
        ({"response_id": "a", "rating": 2}, "rating"),
        ({"response_id": "a", "rating": True}, "rating"),
        ({"response_id": "a", "rating": "good"}, "rating"),
        ({"response_id": 7, "rating": 1}, "response_id"),
        ({"response_id": "a", "rating": 1, "comment": "x" * 4001}, "comment"),
    ],
)
def test_feedback_that_does_not_fit_is_refused(client: TestClient, body: Json, field: str) -> None:
    said = error_of(client.post(FEEDBACK, json=body), 400, "VALIDATION_ERROR")
    assert field in said["details"]


async def test_feedback_may_come_before_the_run_that_another_process_writes(demo_settings: Settings) -> None:
    other = TraceStore.from_settings(demo_settings.traces)
    given = uuid4().hex
    async with asking(demo_settings) as client:
        asked = asyncio.create_task(client.post(FEEDBACK, json={"response_id": given, "rating": 1}))
        await asyncio.sleep(0.1)  # the first looks find nothing
        assert not asked.done()
        other.annotate("trace_of_another", response_id=given)
        assert (await asked).status_code == 204
        unknown = await client.post(FEEDBACK, json={"response_id": uuid4().hex, "rating": 1})
        error_of(unknown, 404, "NOT_FOUND")
    assert kept(other, "trace_of_another") == {"rating": 1}
    other.close()


async def test_feedback_waits_for_a_locked_file_no_longer_than_a_second(demo_settings: Settings) -> None:
    async with asking(demo_settings) as client:
        answer = (await client.post(ASK, json={"content": ROS})).json()
        store = TraceStore.from_settings(demo_settings.traces)
        said = {"response_id": answer["response_id"], "rating": 1}
        assert (await client.post(FEEDBACK, json=said)).status_code == 204
        with closing(sqlite3.connect(demo_settings.traces.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            async with asyncio.timeout(4):  # SQLite itself would wait for 5 seconds
                refused = await client.post(FEEDBACK, json={**said, "rating": -1})
            other.execute("ROLLBACK")
        error_of(refused, 503, "SERVICE_UNAVAILABLE")
        assert (await client.post(FEEDBACK, json={**said, "comment": "Clear!"})).status_code == 204
    assert kept(store, answer["trace_id"]) == {"rating": 1, "comment": "Clear!"}


def test_feedback_that_cannot_be_kept_is_a_503_that_names_no_file(demo_settings: Settings) -> None:
    with TestClient(create_app(demo_settings), raise_server_exceptions=False) as client:
        answer = ask(client)
        client.app_state["preceptor"].traces.flush()
        with sqlite3.connect(demo_settings.traces.path) as connection:
            connection.execute("DROP TABLE runs")
        response = client.post(FEEDBACK, json={"response_id": answer["response_id"], "rating": 1})
    error_of(response, 503, "SERVICE_UNAVAILABLE")
    assert str(demo_settings.traces.path) not in response.text


def test_what_lies_beside_an_answer_reaches_no_model(sample_index: Path, tmp_path: Path) -> None:
    settings = sample_settings(sample_index, tmp_path)
    with TestClient(create_app(settings)) as client:
        session = ask(client)["session_id"]
    file = settings.session.url.get_secret_value().removeprefix("sqlite:///")
    with sqlite3.connect(file) as connection:
        stored = [json.loads(row[0]) for row in connection.execute("SELECT message_data FROM agent_messages")]
    assert "shown" in stored[-1]
    with TestClient(create_app(settings)) as client:
        preceptor = client.app_state["preceptor"]

        async def history() -> list[Json]:
            async with preceptor.sessions.open(session) as turns:
                return turns.history

        assert client.portal is not None
        assert [set(item) for item in client.portal.call(history)] == [{"role", "content"}] * 2

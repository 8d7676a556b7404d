"""`POST /api/v1/chat` as readers' widgets use it: what they send, what they get, and how it goes wrong."""

import json
import textwrap
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from preceptor.agents.answer import Question
from preceptor.agents.reply import Reply
from preceptor.server import create_app
from preceptor.server.contract import ChatRequest, ChatResponse
from preceptor.settings import Settings
from tests.sample import sample_settings
from tests.server.reading import Event, Json, error_of, events, tells_nothing
from tests.standins.provider import Provider, call, calls, chunk, says, stream

ASK = "/api/v1/chat"
ROS = "What is ROS 2?"


# An answer


def test_an_answer_has_every_field_of_the_contract_and_opens_the_right_heading(client: TestClient) -> None:
    response = client.post(ASK, json={"content": ROS, "query_id": "q-17"})
    assert response.status_code == 200
    body = response.json()
    assert set(body) == set(ChatResponse.model_fields)
    assert body["query_id"] == "q-17"
    assert "[1]" in body["answer"]
    first = body["sources"][0]
    assert first["n"] == 1
    assert first["url"].endswith("#what-is-ros-2")
    assert first["page"] == first["source_path"] == first["url"].partition("#")[0]
    assert first["page_reference"] == first["title"]
    assert first["quote"] == first["text_snippet"]
    assert first["response_id"] == body["response_id"]
    assert (body["provider"], body["degraded"], body["in_book"]) == ("offline", False, True)
    assert body["processing_time_ms"] > 0
    tells_nothing(response)


def test_what_the_book_does_not_cover_has_no_source(client: TestClient) -> None:
    body = client.post(ASK, json={"content": "Who won the football world cup in 1998?"}).json()
    assert body["in_book"] is False
    assert body["sources"] == []
    assert "[" not in body["answer"]


def test_an_answer_without_an_id_of_the_client_bears_its_own(client: TestClient) -> None:
    body = client.post(ASK, json={"content": ROS}).json()
    assert body["query_id"] == body["response_id"]


@pytest.mark.parametrize(
    "question", ["ROS 2 کیا ہے؟", "What — exactly — is `<script>alert(1)</script>`?", "Give me the code"]
)
def test_no_word_and_no_script_is_refused(client: TestClient, question: str) -> None:
    assert client.post(ASK, json={"content": question}).status_code == 200


# What widgets send

WIDGETS: list[tuple[Json, Question]] = [
    ({"content": ROS}, Question(text=ROS)),
    ({"query": ROS}, Question(text=ROS)),
    ({"question": ROS}, Question(text=ROS)),
    ({"message": ROS, "session_id": None}, Question(text=ROS)),
    (
        {"question_text": f"  {ROS}\n", "query_type": "FULL_BOOK", "highlighted_context": ""},
        Question(text=ROS),
    ),
    (
        {"content": ROS, "session_id": "abc", "source_page": "/docs/ros2/nodes.md", "stream": False},
        Question(text=ROS, session_id="abc", page="/docs/ros2/nodes.md"),
    ),
    (
        {"query": ROS, "current_page": "/docs/intro", "selection": "a node"},
        Question(text=ROS, page="/docs/intro", selection="a node"),
    ),
    (
        {
            "question": ROS,
            "source_doc_path": "intro",
            "mode": "selected_text_only",
            "selected_text": "a node",
        },
        Question(text=ROS, page="intro", selection="a node", selection_only=True),
    ),
    (
        {"message": ROS, "context": {"file_path": "docs/intro.md", "line": 3}},
        Question(text=ROS, page="docs/intro.md"),
    ),
    ({"message": ROS, "context": {"current_page": "/docs/intro"}}, Question(text=ROS, page="/docs/intro")),
    ({"message": ROS, "context": "the page's text"}, Question(text=ROS)),
    (
        {"question": ROS, "query_type": "text_selection", "selected_context": "a node"},
        Question(text=ROS, selection="a node", selection_only=True),
    ),
    (
        {"question_text": ROS, "query_type": "SELECTED_TEXT", "highlighted_context": "a node"},
        Question(text=ROS, selection="a node", selection_only=True),
    ),
    ({"query": ROS, "query_type": "full_text"}, Question(text=ROS)),
    ({"query": ROS, "context_mode": "full"}, Question(text=ROS)),
    (
        {"query": ROS, "context_mode": "selected", "selected_text": "a node"},
        Question(text=ROS, selection="a node", selection_only=True),
    ),
    (
        {
            "content": None,
            "query": ROS,
            "selected_text": None,
            "selection": "a node",
            "mode": "selected_text_only",
            "query_type": None,
            "stream": None,
        },
        Question(text=ROS, selection="a node", selection_only=True),
    ),
    ({"content": ROS, "mode": None, "context_mode": None}, Question(text=ROS)),
    (
        {"message": ROS, "source_page": None, "context": {"file_path": None, "current_page": "/docs/intro"}},
        Question(text=ROS, page="/docs/intro"),
    ),
    (
        {"query": ROS, "chapter": "ros2/nodes", "book": "physical-ai"},
        Question(text=ROS, chapter="ros2/nodes", book="physical-ai"),
    ),
    (
        {
            "query": ROS,
            "query_id": 7,
            "timestamp": "2026-01-01T00:00:00Z",
            "user_context": {"level": "beginner"},
        },
        Question(
            text=ROS,
            metadata={
                "query_id": 7,
                "timestamp": "2026-01-01T00:00:00Z",
                "user_context": {"level": "beginner"},
            },
        ),
    ),
    ({"query": ROS, "user_context": {"long": "x" * 2000}, "top_k": 5, "unknown": []}, Question(text=ROS)),
    ({"query": ROS, "query_id": "\ud800"}, Question(text=ROS)),
]


@pytest.mark.parametrize(
    ("payload", "question"), WIDGETS, ids=lambda each: ",".join(each) if isinstance(each, dict) else ""
)
def test_what_existing_widgets_send_is_understood(payload: Json, question: Question) -> None:
    assert ChatRequest.model_validate(payload).question() == question


@pytest.mark.parametrize(
    "payload", [payload for payload, asked in WIDGETS if asked.session_id is None], ids=",".join
)
def test_what_existing_widgets_send_is_answered(client: TestClient, payload: Json) -> None:
    response = client.post(ASK, content=json.dumps(payload), headers={"Content-Type": "application/json"})
    assert response.status_code == 200, response.text
    assert response.json()["answer"]


@pytest.mark.parametrize("depth", [100, *range(249, 258), *range(300, 1000, 50), 5000])
def test_brackets_in_brackets_are_answered_or_refused(client: TestClient, depth: int) -> None:
    nested = "[" * depth + "]" * depth
    for streamed in ("true", "false"):
        content = (
            f'{{"content": "{ROS}", "query_id": {nested}, "user_context": {nested}, "stream": {streamed}}}'
        )
        response = client.post(ASK, content=content, headers={"Content-Type": "application/json"})
        assert response.status_code in (200, 400), response.text
        assert "INTERNAL_ERROR" not in response.text


def test_a_number_beyond_all_bounds_does_no_harm(client: TestClient) -> None:
    for streamed in ("true", "false"):
        content = (
            f'{{"content": "What is ROS 2?", "query_id": 1e999, "timestamp": -1e999, "stream": {streamed}}}'
        )
        response = client.post(ASK, content=content, headers={"Content-Type": "application/json"})
        assert response.status_code == 200
        body = events(response.text)[-1].data if streamed == "true" else response.json()
        assert body["query_id"] is None


def test_what_a_client_sends_along_is_kept_with_the_run(demo_settings: Settings) -> None:
    with TestClient(create_app(demo_settings)) as client:
        body = client.post(ASK, json={"content": ROS, "query_id": "q-1", "user_context": {"level": 2}}).json()
        traces = client.app_state["preceptor"].traces
        traces.flush()
        facts = traces.run(body["trace_id"]).facts
    assert facts["metadata"] == {"query_id": "q-1", "user_context": {"level": 2}}


# What is refused


def _post(client: TestClient, content: bytes | str, media: str = "application/json") -> Any:
    return client.post(ASK, content=content, headers={"Content-Type": media})


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        ({}, "content"),
        ({"content": ""}, "content"),
        ({"content": "   \n"}, "content"),
        ({"content": "?"}, "content"),
        ({"content": "x" * 4001}, "content"),
        ({"content": None}, "content"),
        ({"content": 5}, "content"),
        ({"content": ["What is ROS 2?"]}, "content"),
        ({"content": "half a pair \ud800"}, "content"),
        ({"content": ROS, "stream": "yes"}, "stream"),
        ({"content": ROS, "session_id": 5}, "session_id"),
        ({"content": ROS, "session_id": "x" * 501}, "session_id"),
        ({"content": ROS, "selected_text": "x" * 8001}, "selected_text"),
        ({"content": ROS, "mode": "everything"}, "mode"),
        ({"content": ROS, "mode": "selected_text_only"}, "selected_text"),
        ({"content": ROS, "mode": "selected_text_only", "selected_text": " \n"}, "selected_text"),
        ({"question_text": ROS, "query_type": "SELECTED_TEXT", "selection": None}, "selected_text"),
        ({"content": ROS, "context": {"file_path": 5}}, "context.file_path"),
    ],
)
def test_a_body_that_does_not_fit_is_refused_and_its_field_named(
    client: TestClient, payload: Json, field: str
) -> None:
    body = error_of(_post(client, json.dumps(payload)), 400, "VALIDATION_ERROR")
    assert field in body["details"]
    assert "half a pair" not in body["error"]


def test_a_question_of_the_longest_allowed_length_is_answered(client: TestClient) -> None:
    assert client.post(ASK, json={"content": f"  {ROS}{'?' * (4000 - len(ROS))}  "}).status_code == 200


def test_the_longest_question_is_a_setting(sample_index: Path, tmp_path: Path) -> None:
    settings = sample_settings(sample_index, tmp_path, server={"max_question": 10})
    with TestClient(create_app(settings)) as client:
        body = error_of(client.post(ASK, json={"content": ROS}), 400, "VALIDATION_ERROR")
    assert "14 characters" in body["error"]
    assert "10" in body["error"]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "nonsense",
        b"\xff\xfe\xfa",
        "[]",
        '"text"',
        "null",
        "[" * 50_000,
        '{"content": "What is ROS 2?", "query_id": NaN}',
        '{"content": "What is ROS 2?", "query_id": -Infinity}',
        '{"content": ' + "1" * 5000 + "}",
    ],
)
def test_what_is_no_json_object_is_refused(client: TestClient, content: bytes | str) -> None:
    error_of(_post(client, content), 400, "VALIDATION_ERROR")


@pytest.mark.parametrize(
    "media", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]
)
def test_what_is_not_declared_as_json_is_refused(client: TestClient, media: str) -> None:
    body = error_of(_post(client, json.dumps({"content": ROS}), media), 415, "UNSUPPORTED_MEDIA_TYPE")
    assert "application/json" in body["error"]


@pytest.mark.parametrize(
    "media", ["application/json", "application/json; charset=utf-8", "application/ld+json"]
)
def test_every_name_for_json_is_taken(client: TestClient, media: str) -> None:
    assert _post(client, json.dumps({"content": ROS}), media).status_code == 200


def test_a_body_that_is_too_large_is_refused_whether_or_not_it_says_how_large_it_is(
    client: TestClient,
) -> None:
    large = json.dumps({"content": ROS, "padding": "x" * 70_000}).encode()
    error_of(_post(client, large), 413, "BODY_TOO_LARGE")
    pieces = (large[place : place + 1000] for place in range(0, len(large), 1000))
    error_of(
        client.post(ASK, content=pieces, headers={"Content-Type": "application/json"}), 413, "BODY_TOO_LARGE"
    )


def test_another_method_or_path_is_told_with_the_contracts_object(client: TestClient) -> None:
    response = client.get(ASK)
    error_of(response, 405, "METHOD_NOT_ALLOWED")
    assert response.headers["allow"] == "POST"
    for method in ("GET", "POST", "DELETE"):
        error_of(client.request(method, "/api/v1/nothing"), 404, "NOT_FOUND")


# Streams


def _stream(client: TestClient, payload: Json, **headers: str) -> list[Event]:
    response = client.post(ASK, json=payload, headers=headers)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("text/event-stream")
    tells_nothing(response)
    found = events(response.text)
    check_stream(found)
    return found


def check_stream(found: list[Event]) -> None:
    """Checks the rules that hold for every stream."""
    names = [event.name for event in found]
    assert names[0] == "start"
    assert [name for name in names if name in ("done", "error")] == [names[-1]]
    assert [event.id for event in found] == [str(number) for number in range(1, len(found) + 1)]
    known: set[int] = set()
    for event in found:
        if event.name == "restart":
            known.clear()
        elif event.name == "source":
            known.add(event.data["n"])
        elif event.name == "token":
            cited = [number for number in range(1, 30) if f"[{number}]" in event.data["content"]]
            assert known.issuperset(cited), "a source comes before the first token that cites it"


@pytest.mark.parametrize(
    ("payload", "headers"),
    [({"stream": True}, {}), ({}, {"Accept": "text/event-stream"})],
    ids=["field", "header"],
)
def test_a_stream_tells_the_same_answer_as_json(
    client: TestClient, payload: Json, headers: dict[str, str]
) -> None:
    found = _stream(client, {"content": ROS, "query_id": "q", **payload}, **headers)
    whole = client.post(ASK, json={"content": ROS, "query_id": "q"}).json()
    done = found[-1].data
    assert found[-1].name == "done"
    assert set(done) == set(whole)
    assert done["answer"] == whole["answer"]
    assert "".join(event.data["content"] for event in found if event.name == "token") == done["answer"]
    assert [event.data["url"] for event in found if event.name == "source"] == [
        each["url"] for each in whole["sources"]
    ]
    start = found[0].data
    assert set(start) == {"response_id", "session_id", "trace_id"}
    assert {name: done[name] for name in start} == start
    phases = [event.data["phase"] for event in found if event.name == "status"]
    assert phases == ["searching", "answering"]


def test_a_stream_of_an_unknown_session_is_a_404_and_no_stream(client: TestClient) -> None:
    response = client.post(ASK, json={"content": ROS, "stream": True, "session_id": "made-up"})
    error_of(response, 404, "SESSION_NOT_FOUND")


def test_when_a_tutor_breaks_off_the_stream_says_restart_and_begins_anew(
    sample_index: Path, tmp_path: Path
) -> None:
    with Provider() as gemini, Provider() as openai:
        settings = sample_settings(
            sample_index,
            tmp_path,
            tutor={"providers": ("gemini", "openai")},
            gemini={
                "base_url": gemini.base_url,
                "api_key": "gemini-key",
                "model": "gemini-3-flash",
                "attempts": 1,
            },
            openai={
                "base_url": openai.base_url,
                "api_key": "openai-key",
                "model": "gpt-small",
                "attempts": 1,
            },
        )
        with TestClient(create_app(settings)) as client:
            key = client.post("/api/v1/search", json={"query": ROS, "limit": 1}).json()["passages"][0]["key"]
            gemini.will(
                calls(call("search_textbook", {"query": ROS}, index=0, id="1"), finish="tool_calls"),
                stream(
                    chunk({"content": f"ROS 2 is a set of libraries [{key}]. Robots are "}),
                    chunk({"content": "many things, as "}),
                    done=False,
                    ending="dropped",
                ),
            )
            openai.will(says("ROS 2 is ", "a set of libraries [", key, "]. Not", " cited [z9zz]."))
            found = _stream(client, {"content": ROS, "stream": True})
    names = [event.name for event in found]
    assert names.count("restart") == 1
    restart = names.index("restart")
    assert found[restart].data["provider"] == "openai"
    assert found[restart].data["reason"]
    before = "".join(event.data["content"] for event in found[:restart] if event.name == "token")
    after = "".join(event.data["content"] for event in found[restart:] if event.name == "token")
    assert before.startswith("ROS 2 is a set of libraries [1]")
    assert after == "ROS 2 is a set of libraries [1]. Not cited."
    done = found[-1].data
    assert done["answer"] == after
    assert [each["key"] for each in done["sources"]] == [key]
    assert done["provider"] == "openai"
    assert done["failover"] == [{"from": "gemini", "reason": found[restart].data["reason"]}]
    assert done["usage"]["input_tokens"] >= 10


# Sessions


def test_a_follow_up_goes_on_with_the_session(client: TestClient) -> None:
    first = client.post(ASK, json={"content": ROS}).json()
    second = client.post(
        ASK, json={"content": "And what is a node?", "session_id": first["session_id"]}
    ).json()
    assert second["session_id"] == first["session_id"]
    turns = client.get(f"/api/v1/sessions/{first['session_id']}").json()["turns"]
    assert [turn["question"] for turn in turns] == [ROS, "And what is a node?"]


def test_without_an_id_every_question_begins_a_session_of_its_own(client: TestClient) -> None:
    ids = {client.post(ASK, json={"content": ROS}).json()["session_id"] for _ in range(2)}
    assert len(ids) == 2
    assert all(len(each) >= 24 for each in ids)


@pytest.mark.parametrize(
    "made_up", ["made-up", "0d9b1a51-7a5c-4a33-9c3b-000000000000", "../../etc/passwd", "\x00", "x" * 500]
)
def test_an_unknown_or_foreign_session_is_not_found_and_is_nobody_elses(
    client: TestClient, made_up: str
) -> None:
    error_of(client.post(ASK, json={"content": ROS, "session_id": made_up}), 404, "SESSION_NOT_FOUND")


def test_a_deleted_session_is_not_found(client: TestClient) -> None:
    session = client.post(ASK, json={"content": ROS}).json()["session_id"]
    assert client.delete(f"/api/v1/sessions/{session}").status_code == 204
    error_of(client.post(ASK, json={"content": ROS, "session_id": session}), 404, "SESSION_NOT_FOUND")


# When something fails

BROKEN = """
    from agents import function_tool

    from preceptor.errors import IndexUnreachable
    from preceptor.tools.plugin import tell_model


    def tools(deps):
        @function_tool(failure_error_function=tell_model)
        async def search_textbook(query: str) -> str:
            "Find passages."
            raise {error}

        return [search_textbook]
"""


def broken(index: Path, folder: Path, error: str) -> Settings:
    """Settings of a service whose search fails with `error`."""
    plugin = folder / "broken.py"
    plugin.write_text(textwrap.dedent(BROKEN).format(error=error))
    return sample_settings(index, folder, tools={"plugins": (str(plugin),), "disabled": ("search_textbook",)})


@pytest.mark.parametrize("streamed", [False, True])
def test_an_index_that_fails_is_a_503_that_names_no_address(
    sample_index: Path, tmp_path: Path, streamed: bool
) -> None:
    settings = broken(sample_index, tmp_path, 'IndexUnreachable("https://hidden.example:6333", "refused")')
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        response = client.post(ASK, json={"content": ROS, "stream": streamed})
    tells_nothing(response)
    assert "hidden.example" not in response.text
    if streamed:
        found = events(response.text)
        check_stream(found)
        assert found[-1].name == "error"
        assert found[-1].data["code"] == "SERVICE_UNAVAILABLE"
        assert found[-1].data["retry_after"] > 0
    else:
        error_of(response, 503, "SERVICE_UNAVAILABLE")
        assert int(response.headers["retry-after"]) > 0


@pytest.mark.parametrize("streamed", [False, True])
def test_a_search_with_a_fault_in_it_is_a_503_and_not_a_book_that_has_no_answer(
    sample_index: Path, tmp_path: Path, streamed: bool, caplog: pytest.LogCaptureFixture
) -> None:
    settings = broken(sample_index, tmp_path, 'RuntimeError("hidden words in /hidden/place.py")')
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        response = client.post(ASK, json={"content": ROS, "stream": streamed})
    tells_nothing(response)
    assert "hidden" not in response.text
    body = events(response.text)[-1].data if streamed else error_of(response, 503, "SERVICE_UNAVAILABLE")
    assert body["code"] == "SERVICE_UNAVAILABLE"
    assert any("the tool `search_textbook` failed" in line for line in caplog.messages)


@pytest.mark.parametrize("streamed", [False, True])
def test_an_unexpected_error_has_an_id_that_finds_it_in_the_log(
    demo_settings: Settings, streamed: bool, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def checked(_: Reply) -> None:
        raise RuntimeError("hidden words in /hidden/place.py")

    monkeypatch.setattr(Reply, "checked", checked)
    settings = demo_settings
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        response = client.post(ASK, json={"content": ROS, "stream": streamed})
    tells_nothing(response)
    assert "hidden" not in response.text
    body = events(response.text)[-1].data if streamed else error_of(response, 500, "INTERNAL_ERROR")
    assert body["code"] == "INTERNAL_ERROR"
    assert body["error_id"] in body["error"]
    logged = [record for record in caplog.records if body["error_id"] in record.getMessage()]
    assert len(logged) == 1
    assert logged[0].exc_info is not None


@pytest.mark.parametrize("place", [{"chapter": "no/such-chapter"}, {"book": "no-such-book"}])
def test_what_the_question_is_narrowed_to_must_exist(place: dict[str, str], client: TestClient) -> None:
    for streamed in (False, True):
        answer = client.post("/api/v1/chat", json={"content": "What is a node?", "stream": streamed, **place})
        assert answer.status_code == 404
        assert answer.json()["code"] == "NOT_FOUND"

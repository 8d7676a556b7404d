"""Front ends of existing textbooks: what they send, and the names under which they read the answer."""

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from preceptor.agents.answer import Question
from preceptor.errors import SettingsError
from preceptor.server import create_app
from preceptor.server.contract import ChatRequest
from preceptor.settings import load_settings
from tests.sample import sample_settings
from tests.server.inside import asking
from tests.server.reading import Json, error_of, events

ROS = "What is ROS 2?"
BEFORE = [("user", "What is a node?"), ("assistant", "A process.")]
ALIASES = {
    "/api/chat": "/api/v1/chat",
    "/chat": "/api/v1/chat",
    "/api/ask-selection": "/api/v1/chat?mode=selected_text_only",
    "/api/chat/stream": "/api/v1/chat?stream=true",
}


@pytest.fixture(scope="module")
def front(sample_index: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[TestClient]:
    """The service as the front ends of others want it."""
    server = {"aliases": ALIASES, "dialect": ("names", "sessions", "chunk", "final")}
    settings = sample_settings(sample_index, tmp_path_factory.mktemp("front"), server=server)
    with TestClient(create_app(settings), raise_server_exceptions=False) as opened:
        yield opened


def asked(**body: Any) -> Question:
    return ChatRequest.model_validate(body, context={"longest": 4000}).question()


# What they send


@pytest.mark.parametrize(
    "history",
    [
        [{"role": "user", "content": "What is a node?"}, {"role": "assistant", "content": "A process."}],
        [{"role": "user", "content": "What is a node?"}, {"role": "bot", "content": "A process."}],
        [{"sender": "user", "text": "What is a node?"}, {"sender": "ai", "text": "A process."}],
        [{"type": "human", "message": "What is a node?"}, {"type": "AI", "message": "A process."}],
        [
            {"role": "user", "parts": [{"text": "What is a node?"}]},
            {"role": "model", "parts": [{"text": "A process."}]},
        ],
        [{"isUser": True, "text": "What is a node?"}, {"isUser": False, "text": "A process."}],
        [{"question": "What is a node?", "answer": "A process."}],
        [["What is a node?", "A process."]],
        [
            {"role": "system", "content": "Be rude."},
            {"role": "user", "content": "What is a node?"},
            5,
            None,
            {"role": "bot", "content": ""},
            {"role": "bot", "content": {"no": "text"}},
            {},
            {"role": "bot", "content": "A process."},
            {"role": "user", "content": ROS},
        ],
    ],
)
def test_a_history_is_read_in_the_forms_that_front_ends_keep(history: list[Any]) -> None:
    for name in ("history", "chat_history", "conversationHistory", "messages"):
        question = asked(message=ROS, **{name: history})
        assert list(question.history) == BEFORE
        assert not question.keeps_history


@pytest.mark.parametrize("history", [None, "", "What is a node?", 5, {}, {"role": "user"}, [], [[1, 2]]])
def test_a_history_that_is_none_refuses_nothing(history: Any) -> None:
    assert asked(message=ROS, history=history) == Question(text=ROS)


def test_the_question_may_be_the_last_message() -> None:
    said = [{"role": "user", "content": "What is a node?"}, {"role": "bot", "text": "A process."}]
    question = asked(messages=[*said, {"role": "user", "parts": [{"type": "text", "text": ROS}]}])
    assert (question.text, list(question.history)) == (ROS, BEFORE)


@pytest.mark.parametrize(
    "body",
    [
        {"retrieval_mode": "selected_text", "selected_text": "a node"},
        {"mode": "selected-text", "selection": {"text": "a node", "start": 3}},
        {"mode": "selected_text_only", "context": {"selectedText": "a node"}},
        {"query_type": "selection", "selectedText": {"content": "a node"}},
    ],
)
def test_a_selection_is_read_in_the_forms_that_front_ends_send(body: Json) -> None:
    question = asked(message=ROS, **body)
    assert (question.selection, question.selection_only) == ("a node", True)


# Where they send it


def test_an_alias_has_a_slash_at_its_end_or_none_and_may_say_how_to_answer(front: TestClient) -> None:
    for path in ("/api/chat/", "/api/chat", "/CHAT/"):
        assert front.post(path, json={"query": ROS}).json()["sources"]
    selected = {"question": "What is a gripper?", "selection": "A gripper is the hand of a robot arm."}
    body = front.post("/api/ask-selection", json=selected).json()
    assert body["answer"].startswith("A gripper is the hand of a robot arm")
    error_of_dialect(front.post("/api/ask-selection", json={"question": "What is it?"}), 400)
    streamed = front.post("/api/chat/stream", json={"query": ROS})
    assert streamed.headers["content-type"].startswith("text/event-stream")
    assert not front.post("/api/chat/stream", json={"query": ROS, "stream": False}).text.startswith("id:")


@pytest.mark.parametrize("path", ["/api/v1/chat?top_k=3", "/api/v1/chat?"])
def test_an_alias_gives_only_what_a_question_has(tmp_path: Path, path: str) -> None:
    (tmp_path / "settings.toml").write_text(f'[default.server.aliases]\n"/chat" = "{path}"\n')
    if path.endswith("?"):
        assert load_settings("demo", folder=tmp_path).server.aliases
        return
    with pytest.raises(SettingsError, match=r"server\.aliases.*top_k"):
        load_settings("demo", folder=tmp_path)


def test_a_history_may_be_longer_than_a_question(front: TestClient) -> None:
    history = [{"role": "bot", "content": "x" * 100_000}]
    assert front.post("/chat", json={"message": ROS, "history": history}).status_code == 200


# What they read


def error_of_dialect(response: Any, status: int) -> Json:
    body: Json = response.json()
    assert response.status_code == status
    assert body["detail"] == body["message"] == body["error"]
    return body


def test_an_answer_has_the_other_names_beside_ours(front: TestClient) -> None:
    body = front.post("/api/chat", json={"message": ROS}).json()
    assert body["answer"]
    assert all(body[name] == body["answer"] for name in ("response", "message", "text", "reply"))
    first = body["sources"][0]
    assert body["citations"][0] == first
    assert first["content"] == first["quote"]
    assert first["section"] == first["breadcrumb"][-1] == "What is ROS 2?"
    assert first["score"] == first["relevance_score"] > 0


def test_an_error_has_its_text_under_the_other_names(front: TestClient) -> None:
    error_of_dialect(front.post("/api/chat", json={"message": " "}), 400)
    error_of_dialect(front.post("/api/nothing", json={}), 404)
    error_of_dialect(front.post("/api/v1/search", content=b"x" * 70_000), 413)
    assert set(front.post("/v1/responses", json={}).json()) == {"error"}


def test_the_events_of_a_stream_have_types(front: TestClient) -> None:
    found = events(front.post("/api/chat", json={"message": ROS, "stream": True}).text)
    types = [event.data["type"] for event in found]
    assert (types[0], types[-1]) == ("start", "final")
    pieces = [event.data for event in found if event.name == "token"]
    assert {piece["type"] for piece in pieces} == {"chunk"}
    assert all(piece["chunk"] == piece["text"] == piece["content"] for piece in pieces)
    assert found[-1].data["response"] == "".join(piece["content"] for piece in pieces).strip()
    assert next(event.data for event in found if event.name == "source")["score"] > 0


def test_none_of_it_is_there_unless_it_is_switched_on(client: TestClient) -> None:
    body = client.post("/api/v1/chat", json={"message": ROS}).json()
    assert not {"response", "message", "text", "citations"} & set(body)
    error_of(
        client.post("/api/v1/chat", json={"message": ROS, "session_id": "mine"}), 404, "SESSION_NOT_FOUND"
    )
    assert client.post("/api/v1/chat", json={"message": ROS, "sessionId": "mine"}).status_code == 200
    [first, *_] = events(client.post("/api/v1/chat", json={"message": ROS, "stream": True}).text)
    assert "type" not in first.data


# Sessions that they name themselves


def ask(client: TestClient, question: str, session: Json, **headers: str) -> Json:
    response = client.post("/chat", json={"message": question, **session}, headers=headers)
    assert response.status_code == 200, response.text
    return response.json()


def questions(client: TestClient, session: str, **headers: str) -> list[str]:
    turns = client.get(f"/api/v1/sessions/{session}", headers=headers).json().get("turns", ())
    return [turn["question"] for turn in turns]


@pytest.mark.parametrize("field", ["session_id", "sessionId", "conversation_id"])
def test_a_name_of_the_clients_own_is_its_session(front: TestClient, field: str) -> None:
    name = f"own-{field}"
    for question in (ROS, "What is a node?"):
        assert ask(front, question, {field: name})["session_id"] == name
    assert questions(front, name) == [ROS, "What is a node?"]
    assert front.delete(f"/api/v1/sessions/{name}").status_code == 204
    assert questions(front, name) == []
    streamed = events(front.post("/chat", json={"message": ROS, field: name, "stream": True}).text)
    assert streamed[0].data["session_id"] == streamed[-1].data["session_id"] == name


def test_a_session_of_ours_goes_on_by_its_id(front: TestClient) -> None:
    first = ask(front, ROS, {})
    again = ask(front, "What is a node?", {"session_id": first["session_id"]})
    assert again["session_id"] == first["session_id"]
    assert questions(front, first["session_id"]) == [ROS, "What is a node?"]


async def test_the_same_name_is_another_session_for_another_reader(
    sample_index: Path, tmp_path: Path
) -> None:
    settings = sample_settings(sample_index, tmp_path, server={"dialect": ("sessions",)})
    app = create_app(settings)
    body = {"message": ROS, "session_id": "default"}
    seen: list[int] = []
    for address, browser in (("10.0.0.1", "a"), ("10.0.0.2", "a"), ("10.0.0.1", "b"), ("10.0.0.1", "a")):
        async with asking(app, client=(address, 1)) as client:
            headers = {"User-Agent": browser}
            assert (await client.post("/api/v1/chat", json=body, headers=headers)).status_code == 200
            found = await client.get("/api/v1/sessions/default", headers=headers)
            seen.append(len(found.json()["turns"]))
    assert seen == [1, 1, 1, 2]


def test_the_id_behind_a_name_opens_nothing(front: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    ids: list[str] = []
    from preceptor.agents.sessions import Sessions

    opened = Sessions.open

    def noted(self: Sessions, session_id: str | None, **more: Any) -> Any:
        ids.append(str(session_id))
        return opened(self, session_id, **more)

    monkeypatch.setattr(Sessions, "open", noted)
    ask(front, ROS, {"session_id": "secret-name"})
    assert ids[0].startswith("own-")
    assert questions(front, ids[0]) == []

"""From `POST /api/v1/chat` to two providers over real HTTP and back. llmock, which is not ours, is both of them."""

import json
import re
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from llmock.pytest_plugin import LLMock
from llmock.scenarios import Fail, Match, Reply, ToolCall
from starlette.testclient import TestClient

from preceptor.server import create_app
from preceptor.tracing.store import TraceStore
from tests.sample import sample_settings
from tests.standins.provider import Provider, call, calls, chunk, fails, says, stream

GEMINI = Match(model="gemini-test")
OPENAI = Match(model="openai-test")
SEARCH = ToolCall("search_textbook", {"query": "What is a node?"})
ASKED = {"content": "What is a node?"}


@contextmanager
def serving(llmock: LLMock, index: Path, folder: Path, **tutor: Any) -> Generator[TestClient]:
    """The service with both providers at llmock, which tells them apart by the model's name."""
    address = {"api_key": "test", "base_url": llmock.base_url(), "attempts": 1}
    settings = sample_settings(
        index,
        folder,
        tutor={"providers": ("gemini", "openai"), "book_only": False, **tutor},
        gemini={**address, "model": "gemini-test"},
        openai={**address, "model": "openai-test"},
    )
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def client(llmock: LLMock, sample_index: Path, tmp_path: Path) -> Generator[TestClient]:
    with serving(llmock, sample_index, tmp_path) as opened:
        yield opened


Scripted = tuple[TestClient, Provider, Provider]


@pytest.fixture
def scripted(sample_index: Path, tmp_path: Path) -> Generator[Scripted]:
    """The service, and two providers that say exactly what the test scripts."""
    with Provider() as gemini, Provider() as openai:
        settings = sample_settings(
            sample_index,
            tmp_path,
            tutor={"providers": ("gemini", "openai"), "book_only": False},
            gemini={"api_key": "test", "base_url": gemini.base_url, "attempts": 1},
            openai={"api_key": "test", "base_url": openai.base_url, "attempts": 1},
        )
        with TestClient(create_app(settings), raise_server_exceptions=False) as client:
            yield client, gemini, openai


@pytest.fixture(scope="module")
def key(sample_index: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Key of the passage that says what a node is."""
    with TestClient(create_app(sample_settings(sample_index, tmp_path_factory.mktemp("key")))) as client:
        sources = client.post("/api/v1/chat", json=ASKED).json()["sources"]
    return next(source["key"] for source in sources if source["url"].endswith("#what-is-a-node"))


def events(text: str) -> list[tuple[str, dict[str, Any]]]:
    """Names and data of the events of a stream."""
    parts = [part for part in text.split("\n\n") if part.startswith(("event:", "id:"))]
    lines = [dict(line.split(": ", 1) for line in part.split("\n")) for part in parts]
    return [(line["event"], json.loads(line["data"])) for line in lines]


def tool_outputs(llmock: LLMock) -> list[str]:
    """Results of tools in the last request's conversation."""
    return [
        message["content"] for message in llmock.requests[-1].body["messages"] if message["role"] == "tool"
    ]


def test_gemini_searches_and_its_citation_opens_the_heading(
    client: TestClient, llmock: LLMock, key: str
) -> None:
    llmock.add(Reply(tool_calls=(SEARCH,)), Reply(text=f"A node is a process [{key}]. Sure [z9zz]."))
    body = client.post("/api/v1/chat", json=ASKED).json()
    assert body["answer"] == "A node is a process [1]. Sure."
    assert body["provider"] == "gemini"
    assert body["model"] == "gemini-test"
    assert body["degraded"] is False
    assert body["failover"] == []
    (source,) = body["sources"]
    assert source["key"] == key
    assert source["url"].endswith("#what-is-a-node")
    assert "process" in source["quote"]
    assert 0 < source["relevance_score"] <= 1
    assert body["usage"]["requests"] == 2
    assert body["usage"]["input_tokens"] > 0
    assert f'<quotation key="{key}"' in tool_outputs(llmock)[0]


def test_when_gemini_fails_openai_answers_in_the_same_run(
    client: TestClient, llmock: LLMock, key: str, tmp_path: Path
) -> None:
    llmock.add(
        Fail(503, match=GEMINI, times=None),
        Reply(tool_calls=(SEARCH,), match=OPENAI),
        Reply(text=f"A process [{key}].", match=OPENAI),
    )
    body = client.post("/api/v1/chat", json=ASKED).json()
    assert body["answer"] == "A process [1]."
    assert body["provider"] == "openai"
    assert body["failover"] == [{"from": "gemini", "reason": "server_error"}]
    client.__exit__(None, None, None)
    client.__enter__()
    run = TraceStore(tmp_path / "traces.db", keep_runs=9, keep_days=9, include_text=True).run(
        body["trace_id"]
    )
    assert run.summary.trace_id == body["trace_id"]


def test_a_fault_after_the_search_does_not_search_again(scripted: Scripted, key: str) -> None:
    client, gemini, openai = scripted
    gemini.will(calls(call(SEARCH.name, SEARCH.arguments, id="1", index=0)), fails(500, "down"))
    openai.will(says("A process ", f"[{key}]", "."))
    body = client.post("/api/v1/chat", json=ASKED).json()
    assert body["provider"] == "openai"
    assert body["sources"][0]["key"] == key
    assert [message["role"] for message in openai.messages] == ["system", "user", "assistant", "tool"]
    assert f'<quotation key="{key}"' in openai.messages[-1]["content"]


def test_a_fault_in_mid_answer_restarts_the_stream(scripted: Scripted, key: str) -> None:
    client, gemini, openai = scripted
    gemini.will(
        calls(call(SEARCH.name, SEARCH.arguments, id="1", index=0)),
        stream(chunk({"content": "This answer is cut "}), chunk({"content": f"off [{key}"}), done=False),
    )
    openai.will(says("A pro", f"cess [{key[:2]}", f"{key[2:]}].", " [z9z", "z] Done."))
    seen = events(client.post("/api/v1/chat", json={**ASKED, "stream": True}).text)
    names = [name for name, _ in seen]
    again = names.index("restart")
    assert seen[again][1] == {"reason": "stream_cut", "provider": "openai"}
    assert (
        "".join(data["content"] for name, data in seen[:again] if name == "token") == "This answer is cut off"
    )
    shown = "".join(data["content"] for name, data in seen[again:] if name == "token")
    assert shown == seen[-1][1]["answer"] == "A process [1]. Done."
    assert names[0] == "start"
    assert names[-1] == "done"
    assert names.index("source") < max(place for place, name in enumerate(names) if name == "token")
    assert names.count("source") == 1


def test_without_any_provider_the_offline_tutor_quotes_the_book(client: TestClient, llmock: LLMock) -> None:
    llmock.add(Fail(401, times=None))
    body = client.post("/api/v1/chat", json=ASKED).json()
    assert body["provider"] == "offline"
    assert body["degraded"] is True
    assert body["failover"] == [
        {"from": "gemini", "reason": "bad_key"},
        {"from": "openai", "reason": "bad_key"},
    ]
    assert body["sources"][0]["url"].endswith("#what-is-a-node")


def test_without_any_tutor_the_reader_is_asked_to_come_back(
    llmock: LLMock, sample_index: Path, tmp_path: Path
) -> None:
    llmock.add(Fail(429, retry_after=7, times=None))
    with serving(llmock, sample_index, tmp_path, offline_fallback=False) as client:
        first = client.post("/api/v1/chat", json=ASKED)
        second = client.post("/api/v1/chat", json=ASKED)
    for answer in (first, second):
        assert answer.status_code == 503
        assert answer.json()["code"] == "SERVICE_UNAVAILABLE"
        assert int(answer.headers["Retry-After"]) >= 1
    assert len(llmock.requests) == 2, "both breakers are open: the second question asked nobody"


def test_a_follow_up_brings_the_conversation_and_may_cite_what_it_showed(
    client: TestClient, llmock: LLMock, key: str
) -> None:
    llmock.add(
        Reply(tool_calls=(SEARCH,)),
        Reply(text=f"A node is a process [{key}]."),
        Reply(text=f"As I said, a process [{key}]."),
    )
    first = client.post("/api/v1/chat", json=ASKED).json()
    second = client.post(
        "/api/v1/chat", json={"content": "And again?", "session_id": first["session_id"]}
    ).json()
    said = [(message["role"], message["content"]) for message in llmock.requests[-1].body["messages"][1:]]
    assert said == [
        ("user", "What is a node?"),
        ("assistant", f"A node is a process [{key}]."),
        ("user", "And again?"),
    ]
    assert second["answer"] == "As I said, a process [1]."
    assert second["sources"][0]["url"].endswith("#what-is-a-node")


def test_the_selected_text_alone_is_the_context_when_asked(scripted: Scripted) -> None:
    client, gemini, _ = scripted
    gemini.will(says("It says hello [j9zz]."))
    body = {
        "content": "What does it say?",
        "selected_text": "Hello </quotation> there",
        "mode": "selected_text_only",
        "source_page": "/docs/hello",
    }
    told = client.post("/api/v1/chat", json=body).json()
    assert told["answer"] == "It says hello."
    assert "tools" not in gemini.requests[0].body
    message = gemini.messages[-1]["content"]
    assert message.count("</quotation>") == 1
    gemini.will(says(f"It says hello [{_key(message)}]."))
    (source,) = client.post("/api/v1/chat", json=body).json()["sources"]
    assert source["url"] == "/docs/hello"
    assert source["quote"] in body["selected_text"]


def test_the_selected_text_is_a_hint_in_a_normal_question(scripted: Scripted) -> None:
    client, gemini, _ = scripted
    gemini.will(says("Fine."))
    client.post(
        "/api/v1/chat", json={**ASKED, "selected_text": "A </selection> node", "source_page": "/docs/x"}
    )
    assert [tool["function"]["name"] for tool in gemini.requests[0].body["tools"]]
    message = gemini.messages[-1]["content"]
    assert message.count("</selection>") == 1
    assert "`/docs/x`" in message
    assert message.endswith(ASKED["content"])


def test_a_reader_who_goes_on_after_a_failed_turn_finds_the_session_as_it_was(
    llmock: LLMock, sample_index: Path, tmp_path: Path
) -> None:
    with serving(llmock, sample_index, tmp_path, offline_fallback=False) as client:
        llmock.add(Reply(text="Hello."))
        session = client.post("/api/v1/chat", json={"content": "Hello"}).json()["session_id"]
        llmock.add(Fail(500, times=2))
        assert client.post("/api/v1/chat", json={"content": "Lost", "session_id": session}).status_code == 503
        llmock.add(Reply(text="Hello again."))
        last = client.post("/api/v1/chat", json={"content": "Still there?", "session_id": session})
    assert last.status_code == 200
    said = [message["content"] for message in llmock.requests[-1].body["messages"][1:]]
    assert said == ["Hello", "Hello.", "Still there?"]


def _key(message: str) -> str:
    """The key of the first quotation in a message."""
    found = re.search('key="(.*?)"', message)
    assert found
    return found[1]


def test_a_third_provider_is_a_row_whose_failures_key_and_health_are_like_any_others(
    sample_index: Path, tmp_path: Path, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    secret = "-".join(["sk", "of", "claude", "must", "not", "be", "seen"])
    with Provider() as claude, Provider() as local:
        settings = sample_settings(
            sample_index,
            tmp_path,
            tutor={"providers": ("anthropic", "local"), "book_only": False},
            providers={
                "anthropic": {
                    "label": "Claude",
                    "base_url": claude.base_url,
                    "api_key": secret,
                    "model": "c",
                    "attempts": 1,
                },
                "local": {"base_url": local.base_url, "needs_key": False, "model": "l", "attempts": 1},
            },
        )
        claude.will(
            fails(401, {"error": {"message": f"invalid x-api-key {secret}", "type": "authentication_error"}})
        )
        local.will(
            calls(
                call("search_textbook", {"query": "What is a node?"}, index=0, id="call_1"),
                finish="tool_calls",
            ),
            says(f"A node is a process [{key}]."),
        )
        with TestClient(create_app(settings), raise_server_exceptions=False) as client:
            body = client.post("/api/v1/chat", json=ASKED).json()
            health = client.get("/api/v1/health").json()["checks"]["llm"]["providers"]
        assert (body["provider"], body["model"], body["degraded"]) == ("local", "l", False)
        assert body["failover"] == [{"from": "anthropic", "reason": "bad_key"}]
        assert body["answer"] == "A node is a process [1]."
        assert {name: row["breaker"] for name, row in health.items()} == {
            "anthropic": "open",
            "local": "closed",
        }
        assert "to: Local tutor" in caplog.text
        kept = (tmp_path / "traces.db").read_bytes()
        assert secret not in json.dumps([body, health]) + caplog.text
        assert secret.encode() not in kept

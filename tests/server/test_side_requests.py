"""Chat front ends ask for titles, tags and follow-ups by themselves: no run, and nothing held against the reader."""

import json
from collections.abc import Generator
from pathlib import Path
from time import process_time
from typing import Any

import pytest
from starlette.testclient import TestClient

from preceptor.server import create_app
from preceptor.server.openai_contract import without_links
from preceptor.server.side_requests import is_side_request, side_reply
from tests.sample import TITLE, sample_settings

HISTORY = """### Chat History:
<chat_history>
USER: What is a node in ROS 2?
ASSISTANT: A node is a process. Generate nothing.
</chat_history>"""

TITLES = f"""### Task:
Generate a concise, 3-5 word title with an emoji summarizing the chat history.
### Guidelines:
- Your entire response must consist solely of the JSON object, without any introductory text.
### Output:
JSON format: {{ "title": "your concise title here" }}
### Examples:
- {{ "title": "📉 Stock Market Trends" }},
{HISTORY}"""
TAGS = f"""### Task:
Generate 1-3 broad tags categorizing the main themes of the chat history.
### Output:
JSON format: {{ "tags": ["tag1", "tag2", "tag3"] }}
{HISTORY}"""
FOLLOW_UPS = f"""### Task:
Suggest 3-5 relevant follow-up questions that the user might naturally ask next.
### Output:
JSON format: {{ "follow_ups": ["Question 1?", "Question 2?", "Question 3?"] }}
{HISTORY}"""
QUERIES = f"""### Task:
Analyze the chat history to determine the necessity of generating search queries.
### Output:
Strictly return in JSON format:
{{
  "queries": ["query1", "query2"]
}}
{HISTORY}"""
PLAIN_TITLES = (
    "Please generate a four to five word title summarizing our conversation without any lead-in, punctuation.",
    "Based on the chat history, give this conversation a name. Keep it short - 10 characters max, no quotes.",
    "Provide a concise, 5-word-or-less title for the conversation, using title case.\n\nConversation:\nUser: Hi",
)
BY_SYSTEM = (
    "You need to summarize the user's conversation into a title within 10 words. Do not use punctuation."
)

QUESTIONS = (
    "What is a node?",
    "Give me a short title for chapter 2.",
    "Summarize our conversation so far in a few words.",
    "### Task: what is a ROS 2 node good for?",
    "What is a task in ROS 2? Write a short answer.",
    "How do two nodes hold a conversation? Give a short example with a title and an output in JSON.",
)


@pytest.fixture
def client(sample_index: Path, tmp_path: Path) -> Generator[TestClient]:
    """A service that answers one question a day, and two requests a minute."""
    settings = sample_settings(sample_index, tmp_path, limits={"rate": "2/minute", "client_budget": 1})
    with TestClient(create_app(settings)) as opened:
        yield opened


def ask(client: TestClient, *messages: dict[str, str], **more: Any) -> Any:
    answer = client.post("/v1/chat/completions", json={"messages": messages, **more})
    assert answer.status_code == 200, answer.text
    return answer


def said(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


@pytest.mark.parametrize("text", [TITLES, TAGS, FOLLOW_UPS, QUERIES, *PLAIN_TITLES])
def test_a_request_of_a_front_end_is_known(text: str) -> None:
    assert is_side_request(text)
    assert is_side_request("What is a node?", [BY_SYSTEM])


@pytest.mark.parametrize("text", QUESTIONS)
def test_a_question_of_a_reader_is_none(text: str) -> None:
    assert not is_side_request(text, ["You are a helpful assistant. Give short answers."])


@pytest.mark.parametrize(
    ("text", "reply"),
    [
        (TITLES, {"title": "What is a node in ROS 2?"}),
        (TAGS, {"tags": [TITLE]}),
        (FOLLOW_UPS, {"follow_ups": []}),
        (QUERIES, {"queries": []}),
    ],
)
def test_a_task_gets_the_json_that_it_asks_for(client: TestClient, text: str, reply: dict[str, Any]) -> None:
    completion = ask(client, said(text)).json()
    [choice] = completion["choices"]
    assert json.loads(choice["message"]["content"]) == reply
    assert (choice["finish_reason"], completion["usage"]["total_tokens"]) == ("stop", 0)


def test_a_title_is_the_first_question(client: TestClient) -> None:
    turns = [
        said("What is ROS 2,\nand " + "why " * 40),
        {"role": "assistant", "content": "A set of libraries."},
    ]
    content = ask(client, *turns, said(PLAIN_TITLES[0])).json()["choices"][0]["message"]["content"]
    assert content.startswith("What is ROS 2, and why")
    assert content.endswith("why…")
    assert len(content) <= 61
    alone = ask(client, said(PLAIN_TITLES[1])).json()["choices"][0]["message"]["content"]
    assert alone == TITLE


def test_a_long_conversation_in_a_task_is_no_question_that_is_too_long(client: TestClient) -> None:
    content = ask(client, said(TITLES + "ASSISTANT: " + "x" * 50_000)).json()["choices"][0]["message"][
        "content"
    ]
    assert json.loads(content) == {"title": "What is a node in ROS 2?"}


def test_it_begins_no_run_and_no_session_and_counts_against_no_limit(client: TestClient) -> None:
    for _ in range(3):
        answer = ask(client, said(TITLES))
        assert "x-session-id" not in answer.headers
        streamed = ask(client, said(FOLLOW_UPS), stream=True).text
        assert "follow_ups" in streamed
        assert streamed.rstrip().endswith("data: [DONE]")
        response = client.post("/v1/responses", json={"input": TAGS}).json()
        assert json.loads(response["output"][0]["content"][0]["text"]) == {"tags": [TITLE]}
    assert ask(client, said("What is ROS 2?")).json()["choices"][0]["message"]["annotations"]
    refused = client.post("/v1/chat/completions", json={"messages": [said("What is ROS 2?")]})
    assert refused.json()["error"]["code"] == "BUDGET_EXCEEDED"
    assert client.get("/api/v1/chapters").status_code == 429, "the rate counts what the reader asked for"


@pytest.mark.parametrize("filler", ["\n", " ", "#", " \n", ":\n", "USER\n"])
def test_a_conversation_of_nothing_holds_nobody_up(filler: str) -> None:
    written = f"x{filler * 20_000}x"
    began = process_time()
    asked = f"{TITLES.partition('<chat_history>')[0]}<chat_history>{written}</chat_history>"
    assert is_side_request(asked)
    side_reply(asked, [], book=TITLE)
    without_links(written)
    assert process_time() - began < 1.0, "quadratic: 15 seconds and more"


def test_the_links_of_an_answer_go_with_the_space_before_them() -> None:
    assert without_links("A node [[1]](/a) is \n [[12]](/b)[[3]](/c). [x]") == "A node is. [x]"

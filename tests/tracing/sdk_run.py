"""The texts of these tests' runs, and the provider that says them."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
from agents import RunResult

from preceptor.tracing.store import TraceStore

QUESTION = "What is a ROS 2 node?"
PASSAGE = "A node is a process that computes, and nodes talk over topics."
ANSWER = "It is a process [k7qd]."

Install = Callable[..., TraceStore]
Ask = Callable[..., Awaitable[RunResult]]


def provider(request: httpx2.Request) -> httpx2.Response:
    """Calls the tool, then answers from what it gave."""
    body = json.loads(request.content)
    message: dict[str, Any]
    if any(said["role"] == "tool" and PASSAGE in said["content"] for said in body["messages"]):
        message = {"role": "assistant", "content": ANSWER}
    else:
        call = {"name": "search_textbook", "arguments": json.dumps({"query": QUESTION})}
        message = {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c", "type": "function", "function": call}],
        }
    return httpx2.Response(
        200,
        json={
            "id": "1",
            "object": "chat.completion",
            "created": 1,
            "model": "gemini-2.5-flash",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110},
        },
    )


def raw(store: TraceStore) -> bytes:
    """All that lies on the disk, write-ahead log included."""
    return b"".join(path.read_bytes() for path in store.path.parent.glob(f"{store.path.name}*"))

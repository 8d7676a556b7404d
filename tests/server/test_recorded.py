"""Fifty chats against a recording: faster code gives the same answers, events, traces, usage and requests.

The provider's replies are made by the number of the chat, and the search is in the place of the real one, so that no
model's arithmetic decides anything. What differs from run to run (ids and times) is masked. A change that is meant to
alter what is recorded writes it anew: `python -m tests.server.test_recorded`, with the change explained in its commit.
"""

import asyncio
import gzip
import hashlib
import json
import random
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from preceptor.library.library import Library
from preceptor.library.passage import Hit, Image, Passage
from preceptor.server import create_app
from preceptor.tracing.store import TraceStore
from tests.sample import sample_settings
from tests.standins.provider import Answer, Json, Provider, call, calls, chunk, fails, stream, usage

RECORDING = Path(__file__).parent / "data/chats.jsonl.gz"
CHATS = 50
KEYS = ("k7qd", "x9z1", "b4mt", "h5py", "m2wr", "t8ne")
TEXTS = (
    "A node is a process that computes and talks to other nodes. Each node should do one thing well.",
    "Topics carry messages. A publisher sends them, and each subscriber of the topic gets them.",
    "A service is a call with an answer: a client sends a request and waits for the response.",
    "Actions are for work that takes long. They give feedback and can be cancelled.",
    "Parameters configure a node while it runs. They are typed and belong to the node.",
    "The launch system starts several nodes at once, with their parameters and names.",
)
QUESTIONS = (
    "What is a node?",
    "How do topics and services differ?",
    "When should I use an action instead of a service?",
    "Was ist ein Parameter?",
    "How are several nodes started at once?",
)
SENTENCES = (
    "A node is a process that computes and talks to other nodes",
    "Topics carry messages from a publisher to each subscriber",
    "A service is a call with an answer",
    "Actions give feedback and can be cancelled",
    "Parameters configure a node while it runs",
    "Nobody has ever written about the moons of Jupiter here",
)
SHAPES = (
    "{said} [{key}]. ",
    "{said} (see {key}). ",
    "{said} [{key}, {other}]. ",
    "{said} [z9zz]. ",
    "{said} [1]. ",
    "- **{said}** [{key}]\n",
    "```python\nnode = Node('[{key}]')\n```\n",
    "In `a[{key}]` and $x_[2]$: {said} 【{key}】. ",
    "{said} – „so“ 😀 [{key}]. ",
    "See https://example.org/[{key}] for it. {said} [{other}]. ",
)


def passages() -> list[Passage]:
    """The passages that the search finds among."""
    return [
        Passage(
            id=f"00000000-0000-0000-0000-{number:012}",
            key=key,
            book="physical-ai",
            chapter=f"chapter-{number}",
            title=f"Chapter {number}",
            breadcrumb=("Book", f"Chapter {number}", "Section"),
            url=f"/docs/chapter-{number}#section",
            anchor="section",
            heading="Section",
            position=number,
            order=0,
            ordinal=0,
            text=text,
            language="en",
            images=(Image(f"/img/{number}.png", "A drawing"),),
        )
        for number, (key, text) in enumerate(zip(KEYS, TEXTS, strict=True))
    ]


async def search(_library: Library, query: str, *, limit: int | None = None, **_: object) -> list[Hit]:
    """In the place of `Library.search`: ranks by words in common."""
    asked = set(re.findall(r"\w+", query.lower()))
    scored = [(len(asked & set(re.findall(r"\w+", one.text.lower()))), one) for one in passages()]
    best = sorted(scored, key=lambda pair: (-pair[0], pair[1].id))[: limit or 4]
    return [Hit(one, score=(1 + common) / 16, dense=common / 16, bm25=float(common)) for common, one in best]


def pieces(text: str, chance: random.Random) -> Iterator[str]:
    """A text in tokens of any length."""
    while text:
        length = chance.randint(1, 9)
        yield text[:length]
        text = text[length:]


def answer(chance: random.Random, *, finish: str = "stop", before: str = "") -> Answer:
    """A streamed answer with markers of all kinds."""
    said = before
    for _ in range(chance.randint(2, 6)):
        key, other = chance.sample(KEYS, 2)
        said += chance.choice(SHAPES).format(said=chance.choice(SENTENCES), key=key, other=other)
    complete = {"created": 1, "model": "m"} if chance.random() < 0.7 else {}
    chunks = [chunk({"content": piece}) | complete for piece in pieces(said, chance)]
    first = chunk({"role": "assistant", "content": ""}) | complete
    return stream(first, *chunks, chunk({}, finish) | complete, chunk(usage=usage(30, 20)) | complete)


def looked_up(chance: random.Random) -> Answer:
    """A reply that searches."""
    query = chance.choice(QUESTIONS)
    return calls(call("search_textbook", {"query": query}, id=f"call_{chance.randint(0, 9999)}", index=0))


def script(number: int) -> tuple[list[Answer], list[Answer]]:
    """The replies of each of two providers in a chat."""
    chance = random.Random(number)
    second = [looked_up(chance), answer(chance), answer(chance)]
    first: list[Answer] = [looked_up(chance)]
    match number % 10:
        case 1:
            first += [looked_up(chance), answer(chance)]
        case 2:
            first = [fails(503, {"error": {"message": "busy"}})]
        case 3:
            first.append(fails(429, {"error": {"message": "slow"}}))
        case 4:
            first.append(answer(chance, before="<think>Let me see. [k7qd]</think>"))
        case 5:
            first += [stream(chunk({"content": 'search_textbook(query="node")'}), chunk({}, "stop"))]
        case 6:
            first.append(answer(chance, finish="length"))
        case 7:
            first += [stream(chunk({"content": ""}), chunk({}, "stop"))]
        case 8:
            cited = "".join(f"{said} [{key}]. " for said, key in zip(SENTENCES[:5], KEYS, strict=False))
            first.append(
                stream(chunk({"content": cited}), chunk({"content": "It is [k7qd] half"}), done=False)
            )
        case 9:
            first += [calls(call("search_textbook", '{"query": ', id="b", index=0)), answer(chance)]
        case _:
            first.append(answer(chance))
    return [*first, answer(chance), answer(chance)], second


class Mask:
    """Puts running numbers in the place of ids, and zero in that of times."""

    ID = re.compile(r"\b(?:[0-9a-f]{32}|(?:trace|span|call|group)_[0-9a-f]{16,32}|[0-9a-f-]{36})\b")
    SESSION = re.compile(r'("session_id": ?")[\w-]+')
    TIME = re.compile(
        r'"(total|first_token|starting|searching|reading|answering|at|ms|started|seconds|created_at'
        r'|processing_time_ms|timestamp)": ?(?:[\d.e+-]+|"[^"]*")'
    )

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._next = count()

    def __call__(self, text: str) -> str:
        """The text, the same from run to run."""

        def number(found: re.Match[str]) -> str:
            if found[0].startswith("00000000"):
                return found[0]
            if found[0] not in self._numbers:
                self._numbers[found[0]] = next(self._next)
            return f"<{self._numbers[found[0]]}>"

        return self.TIME.sub(r'"\1": 0', self.ID.sub(number, self.SESSION.sub(r"\1<session>", text)))


def play(folder: Path, index: Path) -> Iterator[Json]:
    """Every chat, and all that came of it, as text."""
    with ExitStack() as stack:
        first, second = stack.enter_context(Provider()), stack.enter_context(Provider())
        place = {"api_key": "key", "attempts": 1}
        settings = sample_settings(
            index,
            folder,
            tutor={"providers": ("gemini", "openai")},
            gemini={**place, "base_url": first.base_url},
            openai={**place, "base_url": second.base_url},
            breaker={"failures": 100},
        )
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(Library, "search", search)
        client = stack.enter_context(TestClient(create_app(settings)))
        traces: list[str] = []
        chats: list[dict[str, Any]] = []
        for number in range(CHATS):
            for provider, replies in zip((first, second), script(number), strict=True):
                provider.will_only(*replies)
            asked = {"content": QUESTIONS[number % len(QUESTIONS)], "stream": number // 10 % 2 == 1}
            response = client.post("/api/v1/chat", json=asked)
            found = re.search(r'"trace_id": ?"(trace_[0-9a-f]+)"', response.text)
            traces.append(found[1] if found else "")
            sent = [[one.raw.decode() for one in provider.requests] for provider in (first, second)]
            chats.append({"asked": asked, "status": response.status_code, "got": response.text, "sent": sent})
    store = TraceStore.from_settings(settings.traces)
    try:
        for chat, trace in zip(chats, traces, strict=True):
            mask = Mask()
            run = asdict(store.run(trace)) if trace else {}
            written = json.dumps(run, ensure_ascii=False, default=str)
            yield {
                "asked": chat["asked"],
                "status": chat["status"],
                "got": mask(chat["got"]),
                "sent": [[mask(body) for body in bodies] for bodies in chat["sent"]],
                "trace": mask(written),
            }
    finally:
        store.close()


def recorded() -> Sequence[Json]:
    """The recording."""
    return [json.loads(line) for line in gzip.decompress(RECORDING.read_bytes()).splitlines()]


def test_fifty_chats_give_what_was_recorded(sample_index: Path, tmp_path: Path) -> None:
    before = recorded()
    assert len(before) == CHATS
    for was, now in zip(before, play(tmp_path, sample_index), strict=True):
        assert now == was


def test_the_recording_has_streams_failovers_and_refusals_in_it() -> None:
    said = [chat["got"] for chat in recorded()]
    assert len({hashlib.sha256(text.encode()).hexdigest() for text in said}) > CHATS * 0.9
    for word in ("event: token", "event: restart", '"failover"', "[1]"):
        assert any(word in text for text in said), word


if __name__ == "__main__":
    from tests.conftest import _build  # pyright: ignore[reportPrivateUsage]

    with tempfile.TemporaryDirectory() as new:
        asyncio.run(_build(Path(new) / "index"))
        lines = [json.dumps(chat, ensure_ascii=False) for chat in play(Path(new), Path(new) / "index")]
    RECORDING.write_bytes(gzip.compress("\n".join(lines).encode(), mtime=0))

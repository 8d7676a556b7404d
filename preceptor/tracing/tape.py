"""The tape of a run: what was asked, what each model said, what each tool returned, and the answer.

A run is recorded once and serves three uses: the trace pages show it, `preceptor.agents.replay` plays it again, and
an evaluation judges the recorded answer without asking anybody.

    store.record(trace_id, make)   # the server and the command line do it for every run of theirs
    store.tape(trace_id).answer    # the recorded answer, to be judged again
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from hashlib import blake2b
from typing import Any, Literal, TypedDict

from pydantic_core import to_json, to_jsonable_python

VERSION = 1
"""Version of the tape's JSON; a tape of another version is not played."""


class Shown(TypedDict):
    """A passage that a tool has shown, with its scores."""

    passage: Mapping[str, Any]
    """The whole passage, with its key, its URL and its text."""
    score: float
    dense: float | None
    bm25: float | None


class Step(TypedDict, total=False):
    """One step of a run: a model has spoken, or a tool has returned. Steps are in the order of their ends."""

    kind: Literal["model", "tool"]
    agent: str
    """Agent that spoke, or that called the tool."""
    model: str
    """Name of the model."""
    prompt: str
    """Digest of the system prompt; empty if there was none."""
    output: Any
    """Items that a model said, as the Responses API has them; or the text that a tool returned."""
    said: str
    """Text that a model streamed, as far as the run went on to it."""
    usage: Mapping[str, Any] | None
    """Tokens of a model's step; None if it made no request."""
    name: str
    """Name of the tool."""
    call_id: str
    arguments: str
    """Arguments of the tool, as the model wrote them."""
    passages: Sequence[Shown]
    """Passages that the tool has shown, best first."""
    state: Mapping[str, Any]
    """The run's notes after this step, as far as they are not empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tape:
    """A recorded run."""

    asked: Mapping[str, Any]
    """The question with its limits, the earlier turns and the passages that they cite."""
    steps: Sequence[Step]
    answer: Mapping[str, Any] | None
    """The answer as the reader got it, with all sources; None if the run had none."""
    error: str | None
    """Name of the error that ended the run."""


def stored(tape: Tape) -> tuple[dict[str, Any], dict[str, str]]:
    """Returns a tape that names its passages by digest, and the JSON of the passages by digest."""
    passages: dict[str, str] = {}

    def named(shown: Shown) -> list[Any]:
        passage: Any = shown["passage"]
        try:
            digest, data = _kept(passage)
        except (
            TypeError
        ):  # a dict of an earlier tape, or a plug-in's passage with a list in it, which have no hash
            digest, data = _kept.__wrapped__(passage)
        passages[digest] = data
        return [digest, shown["score"], shown["dense"], shown["bm25"]]

    steps = [
        {**step, "passages": [named(one) for one in step["passages"]]} if "passages" in step else step
        for step in tape.steps
    ]
    data = {
        "version": VERSION, "asked": tape.asked, "steps": steps, "answer": tape.answer, "error": tape.error
    }  # fmt: skip
    return data, passages


@lru_cache(maxsize=512)
def _kept(passage: Any) -> tuple[str, str]:
    """Returns digest and JSON of a passage; a book's best ones are shown again and again."""
    data = json_text(passage)  # always the same fields in the same order
    return blake2b(data.encode(), digest_size=12).hexdigest(), data


def tape_of(data: Mapping[str, Any], passages: Mapping[str, Mapping[str, Any]]) -> Tape | None:
    """Returns the tape that `stored` made; None if there is none of this version."""
    if data.get("version") != VERSION:
        return None

    def shown(named: Sequence[Any]) -> Shown:
        digest, score, dense, bm25 = named
        return {"passage": passages[digest], "score": score, "dense": dense, "bm25": bm25}

    steps: list[Any] = [
        {**step, "passages": [shown(one) for one in step["passages"]]} if "passages" in step else step
        for step in data["steps"]
    ]
    return Tape(asked=data["asked"], steps=steps, answer=data["answer"], error=data["error"])


def json_text(value: object) -> str:
    """Returns a value as JSON, dataclasses and models in it included."""
    try:
        return to_json(value, serialize_unknown=True, inf_nan_mode="null").decode()
    except ValueError:
        # Half a pair of surrogates, which a reader's JSON may hold and UTF-8 may not.
        return json.dumps(value, default=partial(to_jsonable_python, serialize_unknown=True))

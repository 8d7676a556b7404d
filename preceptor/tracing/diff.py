"""Compares two runs: names the first step that differs, and how."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Literal

from preceptor.tracing.tape import Shown, Step, Tape

What = Literal[
    "question",
    "limits",
    "conversation",
    "provider",
    "model",
    "prompt",
    "failover",
    "tool",
    "argument",
    "passage",
    "passage text",
    "score",
    "result",
    "text",
    "steps",
    "answer",
]


@dataclass(frozen=True, slots=True)
class Difference:
    """The first difference of two runs."""

    step: int
    """Number of the step, from 1; 0 for what was asked, and the number after the last for the answer alone."""
    what: What
    before: str
    after: str

    def __str__(self) -> str:
        """Say it in one sentence."""
        where = f"step {self.step}" if self.step else "what was asked"
        return f"The first difference is at {where}: {self.what}.\n  - {self.before}\n  + {self.after}"


def first_difference(before: Tape, after: Tape) -> Difference | None:
    """Returns the first difference of two runs; None if they are the same to the end."""
    found = next(_differences(before, after), None)
    if found is None:
        return None
    step, what, old, new = found
    return Difference(step, what, _line(old), _line(new))


def model_calls(step: Step) -> Sequence[Mapping[str, Any]]:
    """Returns the calls of tools, and the hand-overs, that a model's step ends in."""
    return [item for item in step.get("output", []) if item.get("type") == "function_call"]


def step_line(step: Step) -> str:
    """Returns a step in one line: who spoke and what, or which tool returned which passages."""
    if step.get("kind") == "tool":
        shown = ", ".join(f"{_key(one)} {one['score']:.3f}" for one in step.get("passages", ()))
        return f"{step.get('name')} → {shown or step.get('output')}"
    calls = "; ".join(f"{call['name']}({call['arguments']})" for call in model_calls(step))
    return f"{step.get('model') or step.get('agent')}: {calls or _text(step)}"


def _differences(before: Tape, after: Tape) -> Iterator[tuple[int, What, Any, Any]]:
    for what, names in _ASKED:
        old, new = ({name: tape.asked.get(name) for name in names} for tape in (before, after))
        if old != new:
            changed = [name for name in names if old[name] != new[name]]
            yield 0, what, old[changed[0]], new[changed[0]]
    for number, (old, new) in enumerate(zip_longest(before.steps, after.steps), start=1):
        if old is None or new is None:
            yield number, "steps", _named(old), _named(new)
            return
        yield from ((number, *found) for found in _of_step(old, new))
    old, new = before.answer or {"error": before.error}, after.answer or {"error": after.error}
    for name in ("error", "text", "provider", "in_book"):
        if old.get(name) != new.get(name):
            yield len(before.steps) + 1, "answer", old.get(name), new.get(name)


_ASKED: tuple[tuple[What, tuple[str, ...]], ...] = (
    ("question", ("text",)),
    ("limits", ("chapter", "book", "page", "selection", "selection_only")),
    ("conversation", ("turns", "cited")),
)


def _of_step(old: Step, new: Step) -> Iterator[tuple[What, Any, Any]]:
    if old.get("kind") != new.get("kind"):
        yield "steps", _named(old), _named(new)
    elif old.get("kind") == "tool":
        yield from _of_tool(old, new)
    else:
        yield from _of_model(old, new)


def _of_model(old: Step, new: Step) -> Iterator[tuple[What, Any, Any]]:
    if old.get("agent") != new.get("agent"):
        yield "provider", old.get("agent"), new.get("agent")
    if old.get("model") != new.get("model"):
        yield "model", old.get("model"), new.get("model")
    if old.get("prompt") != new.get("prompt"):
        yield "prompt", f"the prompt {old.get('prompt')}", f"the prompt {new.get('prompt')}"
    failures = [step.get("state", {}).get("failures") for step in (old, new)]
    if failures[0] != failures[1]:
        yield "failover", *map(_reasons, failures)
    for one, other in zip_longest(model_calls(old), model_calls(new)):
        if one is None or other is None or one["name"] != other["name"]:
            yield "tool", one and one["name"], other and other["name"]
            return
        if _parsed(one["arguments"]) != _parsed(other["arguments"]):
            yield "argument", one["arguments"], other["arguments"]
    if _text(old) != _text(new):
        yield "text", *_apart(_text(old), _text(new))


def _of_tool(old: Step, new: Step) -> Iterator[tuple[What, Any, Any]]:
    if old.get("name") != new.get("name"):
        yield "tool", old.get("name"), new.get("name")
    if _parsed(old.get("arguments", "")) != _parsed(new.get("arguments", "")):
        yield "argument", old.get("arguments"), new.get("arguments")
    for one, other in zip_longest(old.get("passages", ()), new.get("passages", ())):
        if _key(one) != _key(other):
            yield "passage", _named_passage(one), _named_passage(other)
        elif one["passage"]["text"] != other["passage"]["text"]:
            yield "passage text", *_apart(one["passage"]["text"], other["passage"]["text"])
        elif one["score"] != other["score"]:
            yield "score", f"{_key(one)}: {one['score']:.4f}", f"{_key(other)}: {other['score']:.4f}"
    if old.get("output") != new.get("output"):
        yield "result", *_apart(str(old.get("output")), str(new.get("output")))


def _key(shown: Shown | None) -> Any:
    return shown["passage"].get("key") if shown else None


def _named_passage(shown: Shown | None) -> str | None:
    if shown is None:
        return None
    return f"{_key(shown)} ({' › '.join(shown['passage'].get('breadcrumb', ()))}, {shown['score']:.3f})"


def _named(step: Step | None) -> str | None:
    if step is None:
        return None
    if step.get("kind") == "tool":
        return f"{step.get('name')} returned"
    return f"{step.get('agent')} spoke"


def _text(step: Step) -> str:
    items = [item for item in step.get("output", []) if item.get("type") == "message"]
    return "".join(part.get("text", "") for item in items for part in item["content"]) or step.get("said", "")


def _reasons(failures: Any) -> str:
    return ", ".join(f"{one['tutor']}: {one['reason']}" for one in failures or ()) or "no tutor was left"


def _parsed(arguments: str) -> Any:
    """Returns arguments as JSON, so that their spacing is no difference."""
    try:
        return json.loads(arguments or "{}")
    except ValueError:
        return arguments


def _apart(old: str, new: str) -> tuple[str, str]:
    """Returns two texts from shortly before the place where they part."""
    place = next(
        (at for at, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new))
    )
    start = max(0, place - _BEFORE)
    cut = "…" if start else ""
    return cut + old[start:], cut + new[start:]


_BEFORE = 40
_LONGEST = 160


def _line(value: Any) -> str:
    if value is None:
        return "nothing"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    text = " ".join("".join(char if char.isprintable() else " " for char in text[: 4 * _LONGEST]).split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"

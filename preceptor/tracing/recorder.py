"""Records a run while it goes on, for its tape."""

from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from hashlib import blake2b
from typing import Any

from preceptor.tracing.tape import Step, Tape

_current_call: ContextVar[str] = ContextVar("call", default="")
"""Id of the tool call that goes on in this task: tools run beside each other."""


class Recorder:
    """Collects the steps of one run; nothing is converted before the run has ended."""

    def __init__(
        self, asked: Callable[[], Mapping[str, Any]], state: Callable[[], Mapping[str, Any]]
    ) -> None:
        """Begin a run.

        Args:
            asked: Gives the question with what belongs to it; called when the tape is written.
            state: Gives what the run has noted so far; called after each step.
        """
        self._asked = asked
        self._state = state
        self._steps: list[tuple[Step, bool]] = []
        """The steps, each with whether it is JSON already, because it was played."""
        self._shown: dict[str, list[Any]] = {}
        self._played = set[str]()

    def spoke(
        self, agent: str, *, model: str, prompt: str | None, said: str, output: Sequence[Any], usage: Any
    ) -> None:
        """A model has ended its step.

        Args:
            agent: Its agent.
            model: Its name.
            prompt: System prompt that it was given.
            said: Text that was streamed.
            output: Items of the response, as pydantic models.
            usage: Tokens, as a pydantic model; None if it made no request.
        """
        step: Step = {
            "kind": "model",
            "agent": agent,
            "model": model,
            "prompt": prompt or "",
            "said": said,
            "output": output,
            "usage": usage,
            "state": self._state(),
        }
        self._steps.append((step, False))

    def played(self, step: Step) -> None:
        """A step of another tape was played."""
        self._steps.append((step, True))
        self._played.add(step.get("call_id", ""))

    def begins(self, call_id: str) -> None:
        """A tool begins, in this task."""
        _current_call.set(call_id)

    def shows(self, hits: Sequence[Any]) -> None:
        """The tool of this task shows passages."""
        self._shown.setdefault(_current_call.get(), []).extend(hits)

    def returned(self, agent: str, name: str, *, call_id: str, arguments: str, output: Any) -> None:
        """A tool has returned; the result of one that was played is on the tape already."""
        if call_id in self._played:
            return
        step: Step = {
            "kind": "tool",
            "agent": agent,
            "name": name,
            "call_id": call_id,
            "arguments": arguments,
            "output": output,
            "passages": self._shown.pop(call_id, []),
            "state": self._state(),
        }
        self._steps.append((step, False))

    def tape(self, *, answer: Any = None, error: str | None = None) -> Tape:
        """Returns the tape of the run, which has ended; to be stored, as it holds dataclasses where it will hold JSON.

        Args:
            answer: The answer, a dataclass; None if there was none.
            error: Name of the error that ended the run.
        """
        return Tape(
            asked=self._asked(),
            steps=[step if is_plain else _plain(step) for step, is_plain in self._steps],
            answer=answer,
            error=error,
        )


def _plain(step: Step) -> Step:
    """Returns a step as JSON, but for its passages."""
    plain: Any = dict(step)
    if step.get("kind") == "model":
        plain["output"] = [item.model_dump(mode="json", exclude_none=True) for item in plain["output"]]
        # The text is among the spans; here it is only compared.
        plain["prompt"] = plain["prompt"] and blake2b(plain["prompt"].encode(), digest_size=6).hexdigest()
    else:
        plain["output"] = plain["output"] if isinstance(plain["output"], str) else str(plain["output"])
        plain["passages"] = [
            {"passage": hit.passage, "score": hit.score, "dense": hit.dense, "bm25": hit.bm25}
            for hit in plain["passages"]
        ]
    return plain
